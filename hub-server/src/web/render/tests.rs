//! What each page offers, what no page may contain, and what an override can do.

use minijinja::value::Serde;
use serde_json::json;

use super::*;

/// Every page with a context that shows all of it.
fn samples() -> Vec<(&'static str, serde_json::Value)> {
    let failure = json!({
        "message": "The image notebook:7 is not available",
        "hint": "Ask the administrator to pull it",
        "exit_code": 137, "oom": true, "log": "line one\nline two",
    });
    let server = json!({"name": "lab2", "user": "ada", "own": true, "url": "/user/ada/lab2/"});
    let card = |name: &str, state: &str, failure: &serde_json::Value| {
        json!({
            "name": name, "display_name": format!("Work {name}"), "state": state,
            "url": "/user/ada/", "start_url": "/hub/spawn/ada",
            "pending_url": "/hub/spawn-pending/ada", "stop_action": "/hub/stop/ada",
            "remove_action": "/hub/remove/ada/x", "started": "2026-03-01T10:20:30.123456Z", "last_activity": "2026-03-01T11:00:00Z",
            "health": "healthy", "failure": failure,
        })
    };
    let none = serde_json::Value::Null;
    vec![
        (
            "login.html",
            json!({
                "offers": [
                    {"kind": "form"},
                    {"kind": "redirect", "service": "GitHub", "url": "/hub/oauth_login"},
                ],
                "form_action": "/hub/login?next=%2Fhub%2Fhome", "username": "ada",
                "login_error": "Invalid username or password", "next": "/hub/home",
                "sign_up_url": "/hub/signup",
                "notice": "You are signed out",
            }),
        ),
        (
            "home.html",
            json!({"servers": [
                card("", "stopped", &failure), card("a", "starting", &none),
                card("b", "ready", &none), card("c", "stopping", &none),
            ], "allow_named_servers": true, "add_action": "/hub/servers", "shared": [
                {"owner": "bob", "name": "x", "groups": [], "ready": true, "url": "/user/bob/",
                 "start_url": null},
                {"owner": "cleo", "name": "lab", "groups": ["staff", "lab"], "ready": false,
                 "url": "/user/cleo/lab/", "start_url": "/hub/spawn/cleo/lab"},
                {"owner": "dan", "name": "y", "groups": ["staff"], "ready": false,
                 "url": "/user/dan/", "start_url": null},
            ]}),
        ),
        (
            "spawn.html",
            json!({
                "server": server, "form_action": "/hub/spawn/bob/lab2?",
                "images": [{"name": "small", "is_default": false}, {"name": "big", "is_default": true}],
                "failure": failure,
            }),
        ),
        (
            "accept-share.html",
            json!({
                "code": "abc", "owner": {"name": "bob"},
                "server": {"name": "lab", "url": "/user/bob/lab/", "ready": false},
                "scopes": [
                    {"scope": "access:servers", "text": "Use servers."},
                    {"scope": "custom:x", "text": "Do x."},
                ],
                "next_url": "/user/bob/lab/", "next": "/user/bob/lab/",
                "form_action": "/hub/accept-share", "cancel_url": "/hub/home",
            }),
        ),
        (
            "spawn_pending.html",
            json!({
                "server": server, "progress_url": "/hub/api/users/ada/server/progress",
                "ready_url": "/user/ada/lab", "stop_action": "/hub/stop/ada",
                "start_url": "/hub/spawn/ada",
                "progress": [
                    {"progress": 0, "message": "Server requested"},
                    {"progress": null, "message": "Pulling the image"},
                    {"progress": 50, "message": "Spawning server..."},
                ],
            }),
        ),
        (
            "spawn_failed.html",
            json!({"server": server, "failure": failure, "start_url": "/hub/spawn/ada"}),
        ),
        (
            "not_running.html",
            json!({"server": server, "failure": failure, "start_url": "/hub/spawn/ada"}),
        ),
        (
            "log.html",
            json!({
                "server": {"name": "", "user": "ada", "own": true}, "log": "line one\nline two\n",
                "ended": "2026-11-22T12:00:00Z", "log_url": "/hub/log/ada",
            }),
        ),
        (
            "message.html",
            json!({"heading": "Wait", "text": "Soon.", "label": "Sign in", "url": "/hub/login"}),
        ),
        (
            "signup.html",
            json!({
                "form_action": "/hub/signup", "token": "0123", "first_admin": false,
                "invited": true, "approval": false, "minimum_length": 10, "username": "ada",
                "only_name": "ada", "sign_up_error": "This name is not available.",
            }),
        ),
        (
            "change-password.html",
            json!({
                "heading": "Change your password", "form_action": "/hub/change-password",
                "asks_current": true, "token": "0123", "account": "ada", "minimum_length": 10,
                "password_error": "The current password is wrong.", "cancel_url": "/hub/home",
            }),
        ),
        (
            "authorize.html",
            json!({
                "form_action": "/hub/authorize", "account_error": "Not there any more.",
                "new_link": {"what": "an invitation", "url": "http://hub.test/hub/signup?token=1"},
                "waiting": [{"id": "1f", "name": "bob", "state": "waiting",
                             "created": "2026-03-01T10:20:30Z"}],
                "accounts": [
                    {"id": "1f", "name": "bob", "state": "waiting", "created": "2026-03-01T10:20:30Z"},
                    {"id": "2f", "name": "ada", "state": "active", "created": "2026-03-01T10:20:30Z"},
                    {"id": "3f", "name": "cyd", "state": "closed", "created": "2026-03-01T10:20:30Z"},
                ],
                "may_invite": true, "usual_days": 7, "total": 3,
                "invitations": [{"id": 7, "name": "dan", "groups": ["staff"], "uses_left": 1,
                                 "expires_at": "2026-03-08T10:20:30Z"}],
                "previous_url": "/hub/authorize?offset=0", "next_url": "/hub/authorize?offset=100",
            }),
        ),
        (
            "recovery-codes.html",
            json!({"codes": ["aaaa-bbbb-cccc-dddd"], "next_url": "/user/ada/"}),
        ),
        (
            "second-factor.html",
            json!({
                "form_action": "/hub/second-factor", "account": "ada", "is_on": true,
                "codes_left": 9, "code_error": "This code is wrong.",
                "cancel_url": "/hub/change-password",
            }),
        ),
        (
            "second-step.html",
            json!({
                "form_action": "/hub/login/code", "cancel_url": "/hub/login", "is_needed": true,
                "code_error": "This code is wrong.", "otpauth_url": "otpauth://totp/hub:ada",
                "secret": "ABCD EFGH", "offer": "sealed", "qr": "a drawing",
            }),
        ),
        ("stop_pending.html", json!({"server": server})),
        ("admin.html", json!({"api_url": "/hub/api"})),
        (
            "token.html",
            json!({
                "form_action": "/hub/token", "note": "backup", "token_error": "Unknown scope",
                "new_token": {"token": "0123456789abcdef", "note": "backup"},
                "lives": [
                    {"seconds": 3600, "words": "1 hour", "usual": true},
                    {"seconds": 0, "words": "never", "usual": false},
                ],
                "held": [{"scope": "servers!user=ada", "text": "Start and stop servers."}],
                "api_tokens": [
                    {
                        "id": "a1", "note": "backup", "everything": true, "scopes": [],
                        "created": "2026-03-01T10:20:30Z", "last_activity": null,
                        "expires_at": "2026-04-01T10:20:30Z",
                    },
                    {
                        "id": "a2", "note": "", "everything": false,
                        "scopes": [{"scope": "custom:grades", "text": "Read grades."}],
                        "created": "2026-03-01T10:20:30Z",
                        "last_activity": "2026-03-02T10:20:30Z", "expires_at": null,
                    },
                ],
                "server_tokens": [{
                    "note": "Server at /user/ada/", "created": "2026-03-01T10:20:30Z",
                    "last_activity": null,
                }],
                "oauth_clients": [{
                    "id": "a3", "description": "Server at /user/bob/",
                    "scopes": [{"scope": "access:servers", "text": "Use servers"}],
                    "created": "2026-03-01T10:20:30Z", "last_activity": null,
                }],
            }),
        ),
        ("logout.html", json!({"services": ["GitHub"]})),
        (
            "oauth.html",
            json!({
                "client": "Server of ada",
                "scopes": [
                    {"scope": "access:servers!user", "text": "Open your servers"},
                    {"scope": "read:users!user", "text": "Read your account"},
                ],
            }),
        ),
        (
            "error.html",
            json!({
                "status": 403, "reason": "Forbidden", "message": "You may not see this",
                "hints": ["Sign in as somebody else"],
                "actions": [{"label": "Sign in", "url": "/hub/login"}],
            }),
        ),
        ("404.html", json!({"status": 404, "reason": "Not Found", "message": null, "hints": []})),
    ]
}

/// What every page is given, around its own values.
fn with_frame(page: &serde_json::Value, user: serde_json::Value) -> serde_json::Value {
    let mut context = json!({
        "base_url": "/", "hub_prefix": "/hub/", "user": user, "xsrf": "token-1",
        "version": "6.0.0", "login_url": "/hub/login", "logout_url": "/hub/logout",
        "home_url": "/hub/home", "token_url": "/hub/token", "admin_url": "/hub/admin",
        "accounts_url": "/hub/authorize", "password_url": "/hub/change-password",
    });
    let own = page.as_object().unwrap().clone();
    context.as_object_mut().unwrap().extend(own);
    context
}

fn signed_in(page: &serde_json::Value) -> serde_json::Value {
    with_frame(page, json!({"name": "ada", "admin": false}))
}

fn render(render: &Render, name: &str, context: &serde_json::Value) -> String {
    render
        .render(name, Value::from(Serde(context)))
        .unwrap_or_else(|error| panic!("{name}: {:?}", error.source()))
}

fn shipped(name: &str) -> String {
    let (_, page) = samples().into_iter().find(|(sample, _)| *sample == name).unwrap();
    render_one(name, &page)
}

fn render_one(name: &str, page: &serde_json::Value) -> String {
    render(&Render::load(None).unwrap(), name, &signed_in(page))
}

fn count(html: &str, wanted: &str) -> usize {
    html.matches(wanted).count()
}

/// Puts `payload` in place of every text, save those that select a branch.
fn poisoned(value: &mut serde_json::Value, payload: &str) {
    match value {
        serde_json::Value::String(text) => payload.clone_into(text),
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| poisoned(item, payload));
        }
        serde_json::Value::Object(fields) => fields
            .iter_mut()
            .filter(|(field, _)| !["kind", "state"].contains(&field.as_str()))
            .for_each(|(_, field)| poisoned(field, payload)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

#[test]
fn every_template_has_a_sample() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".html") && name != "page.html")
        .collect();
    files.sort();
    let mut sampled: Vec<_> = samples().into_iter().map(|(name, _)| name).collect();
    sampled.sort_unstable();

    assert_eq!(files, sampled);
}

#[test]
fn every_page_renders_for_a_user_and_for_a_visitor() {
    let pages = Render::load(None).unwrap();
    for (name, page) in samples() {
        let html = render(&pages, name, &signed_in(&page));
        assert!(html.starts_with("<!doctype html>"), "{name}");
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        assert_eq!((count(&html, "<h1"), count(&html, "<main")), (1, 1), "{name}");
        assert!(html.contains("Notebook Hub 6.0.0"), "{name}");
        assert!(html.contains(" · Notebook Hub</title>"), "{name} has no title of its own");

        // Pages about one's own account are never shown to a visitor.
        let signed_in = [
            "accept-share.html",
            "admin.html",
            "home.html",
            "log.html",
            "oauth.html",
            "token.html",
        ];
        if !signed_in.contains(&name) {
            let html = render(&pages, name, &with_frame(&page, serde_json::Value::Null));
            assert!(!html.contains("6.0.0"), "{name} tells a visitor the version");
        }
    }
}

#[test]
fn b7_no_text_reaches_a_page_as_markup() {
    let pages = Render::load(None).unwrap();
    for payload in ["'\"><script>alert(1)</script>", "</pre></title><img src=x onerror=\"f()\">"] {
        for (name, page) in samples() {
            let mut context = signed_in(&page);
            let honest = render(&pages, name, &context);
            poisoned(&mut context, payload);
            let html = render(&pages, name, &context);

            assert!(!html.contains(payload), "{name}");
            // As many tags and quotes as without: none was opened or closed by a value.
            for mark in ["<", ">", "\"", "'"] {
                assert_eq!(count(&html, mark), count(&honest, mark), "{name}: {mark}");
            }
        }
    }
}

#[test]
fn no_template_needs_more_than_the_strict_content_policy() {
    for (name, _, source) in SHIPPED {
        let source = source.to_ascii_lowercase();
        assert_eq!(count(&source, "<style"), 0, "{name}");
        assert_eq!(count(&source, "javascript:"), 0, "{name}");
        assert_eq!(
            count(&source, "<script"),
            count(&source, "<script type=\"module\" src=\"{{ static_url("),
            "{name}"
        );
        for word in source.split(|c: char| c.is_whitespace() || c == '<') {
            let is_handler = word.starts_with("on") && word.contains('=');
            assert!(!is_handler && !word.starts_with("style="), "{name}: {word}");
        }
        for way_out in ["|safe", "| safe", "autoescape"] {
            assert_eq!(count(&source, way_out), 0, "{name}");
        }
    }
}

#[test]
fn every_linked_file_is_shipped() {
    for (name, page) in samples() {
        let html = render_one(name, &page).replace("&#x2f;", "/");
        assert!(html.contains("/hub/static/css/hub.css?v="), "{name}");
        assert_eq!(count(&html, "/static/"), count(&html, "?v="), "{name}");
    }
}

#[test]
fn every_form_posts_the_xsrf_token() {
    for (name, page) in samples() {
        let html = render_one(name, &page);
        let forms: Vec<_> = html.split("<form").skip(1).collect();
        for form in forms {
            let (form, _) = form.split_once("</form>").unwrap();
            assert!(form.contains("method=\"post\""), "{name}");
            assert!(form.contains(r#"name="_xsrf" value="token-1""#), "{name}");
        }
    }
}

#[test]
fn the_sign_in_page_offers_what_is_set_up() {
    let both = shipped("login.html");
    assert!(both.contains(r#"value="ada""#));
    assert!(both.contains("Invalid username or password"));
    assert!(both.contains("Continue with GitHub"));

    let offers = json!([{"kind": "redirect", "service": "GitHub", "url": "/hub/oauth_login"}]);
    let page = json!({"offers": offers, "form_action": "", "login_error": null});
    let redirect = render_one("login.html", &page);
    assert!(!redirect.contains("<form"));
    assert!(redirect.contains("button wide primary"));

    let none = render_one("login.html", &json!({"offers": [], "form_action": ""}));
    assert!(none.contains("No way to sign in is set up"));
}

#[test]
fn a_card_shows_only_what_its_state_allows() {
    let rows = [
        ("stopped", vec!["stopped"]),
        ("starting", vec!["starting", "ready starting"]),
        ("ready", vec!["ready", "ready", "ready starting"]),
        ("stopping", vec!["stopping"]),
    ];
    for (state, shown) in rows {
        let server = json!({
            "name": "", "display_name": "", "state": state, "url": "/user/ada/",
            "start_url": "/s", "pending_url": "/p", "stop_action": "/x",
            "started": null, "last_activity": null, "failure": null, "health": null,
        });
        let html = render_one("home.html", &json!({"servers": [server]}));
        let visible: Vec<_> = html
            .split("data-when=\"")
            .skip(1)
            .filter_map(|part| part.split_once('"'))
            .filter(|(_, rest)| !rest.starts_with(" hidden"))
            .map(|(when, _)| when)
            .collect();

        assert_eq!(visible, shown, "{state}");
    }
}

#[test]
fn progress_so_far_is_on_the_page_and_the_page_reloads_without_scripts() {
    let html = shipped("spawn_pending.html");

    assert!(html.contains(r#"max="100" value="50""#));
    assert!(html.contains("Pulling the image"));
    assert!(html.contains(r#"<noscript><meta http-equiv="refresh" content="3"></noscript>"#));
}

#[test]
fn a_page_about_somebody_elses_server_says_whose_it_is() {
    let page = json!({
        "server": {"name": "", "user": "ada", "own": false, "url": "/user/ada/"}, "start_url": "/s",
        "failure": {"message": "No room", "exit_code": null, "log": null}, "progress": [],
        "options_form": "", "form_action": "/f?", "log": "", "log_url": "/l", "progress_url": "/p",
        "ready_url": "/r", "stop_action": "/x",
    });
    for name in [
        "log.html",
        "not_running.html",
        "spawn.html",
        "spawn_failed.html",
        "spawn_pending.html",
        "stop_pending.html",
    ] {
        let html = render_one(name, &page);

        assert!(html.contains("erver of ada"), "{name}: {html}");
        for wrong in ["Your server", "your server", "my server", "administrator of this hub"] {
            assert!(!html.contains(wrong), "{name}: {wrong}");
        }
    }
}

#[test]
fn a_start_without_events_yet_shows_an_empty_bar() {
    let page = json!({
        "server": {"name": "", "user": "ada", "own": true, "url": "/user/ada/"}, "progress_url": "/p", "ready_url": "/r",
        "stop_action": "/x", "progress": [],
    });
    let html = render_one("spawn_pending.html", &page);

    assert!(html.contains(r#"max="100" value="0""#));
    assert!(html.contains("Starting your server"));
    assert!(!html.contains("Try again"));
}

#[test]
fn a_failure_shows_reason_hint_exit_code_and_log() {
    for name in ["spawn_failed.html", "not_running.html", "home.html"] {
        let html = shipped(name);
        for text in ["notebook:7 is not available", "pull it", "137", "more memory", "line two"] {
            assert!(html.contains(text), "{name}: {text}");
        }
    }
}

#[test]
fn a_failure_may_be_a_message_alone() {
    let page = json!({
        "server": {"name": "", "user": "ada", "own": true, "url": "/user/ada/"}, "start_url": "/s",
        "failure": {"message": "No room for another server", "exit_code": null, "log": null},
    });
    let html = render_one("spawn_failed.html", &page);

    assert!(html.contains("No room for another server"));
    assert!(!html.contains("Exit code") && !html.contains("<pre"));
}

#[test]
fn consent_sends_every_scope() {
    let html = shipped("oauth.html");

    assert_eq!(count(&html, r#"<input type="hidden" name="scopes""#), 2);
    assert!(html.contains("Open your servers") && html.contains("Server of ada"));
}

#[test]
fn an_override_wins_and_can_extend_what_it_replaces() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("page.html"),
        r#"{% extends "templates/page.html" %}{% block footer %}<p>Room 101</p>{{ super() }}{% endblock %}"#,
    )
    .unwrap();
    fs::write(folder.path().join("logout.html"), "bye {{ user.name }}").unwrap();
    fs::write(folder.path().join("notes.txt"), "{% this is not a template").unwrap();
    let pages = Render::load(Some(folder.path())).unwrap();
    let context = signed_in(&json!({"status": 404, "reason": "Not Found"}));

    let html = render(&pages, "404.html", &context);
    assert!(html.contains("Room 101") && html.contains("Notebook Hub 6.0.0"));
    assert_eq!(render(&pages, "logout.html", &context), "bye ada");
}

#[test]
fn a_new_template_of_the_operator_is_escaped_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("house")).unwrap();
    fs::write(folder.path().join("house/rules.html"), "{{ title }}").unwrap();
    let pages = Render::load(Some(folder.path())).unwrap();

    let html = render(&pages, "house/rules.html", &json!({"title": "<b>"}));
    assert_eq!(html, "&lt;b&gt;");
}

#[test]
fn a_broken_override_is_told_by_file_and_line_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.html");
    fs::write(&file, "line one\n{% if %}\n").unwrap();

    let error = Render::load(Some(folder.path())).unwrap_err();

    assert!(matches!(&error, RenderError::Syntax { path, line: 2, .. } if *path == file));
    assert!(error.to_string().starts_with(&format!("{}:2: ", file.display())), "{error}");
}

#[test]
fn an_override_cannot_hide_the_shipped_templates() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    fs::write(folder.path().join("templates/page.html"), "").unwrap();

    let error = Render::load(Some(folder.path())).unwrap_err();

    assert!(matches!(error, RenderError::Misplaced { .. }), "{error}");
}

#[test]
fn a_missing_directory_is_an_error() {
    let folder = tempfile::tempdir().unwrap();

    let error = Render::load(Some(&folder.path().join("none"))).unwrap_err();

    assert!(matches!(error, RenderError::Unreadable { .. }), "{error}");
}

#[test]
fn a_page_that_lacks_a_value_is_an_error_and_not_half_a_page() {
    let pages = Render::load(None).unwrap();

    let error = pages.render("stop_pending.html", Value::from(Serde(json!({})))).unwrap_err();
    assert!(matches!(&error, RenderError::Page { page, .. } if page == "stop_pending.html"));

    let error = pages.render("none.html", Value::UNDEFINED).unwrap_err();
    assert!(matches!(error, RenderError::Page { .. }));
}
