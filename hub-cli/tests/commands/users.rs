//! `hub users`

use serde_json::{Value, json};

use super::stand_in::{Route, StandIn};

const PAGED: &str = "application/jupyterhub-pagination+json";

fn server(state: &str) -> Value {
    json!({
        "name": "", "display_name": "", "full_name": "ada/",
        "last_activity": "2020-01-03T00:00:00.061600Z", "started": "2020-01-02T00:00:00Z",
        "pending": (state != "ready").then_some(state), "ready": state == "ready", "stopped": false,
        "full_url": null, "full_progress_url": null, "url": "/user/ada/", "user_options": {},
        "progress_url": "/hub/api/users/ada/server/progress",
    })
}

fn user(name: &str, admin: bool, servers: Value) -> Value {
    json!({
        "kind": "user", "name": name, "admin": admin, "user_info": null, "groups": [],
        "roles": if admin { vec!["user", "admin"] } else { vec!["user"] },
        "created": "2020-01-01T00:00:00Z", "last_activity": null,
        "server": null, "pending": null, "servers": servers,
    })
}

fn page(items: Value, next: Option<u64>) -> Value {
    let next = next.map(|offset| {
        json!({ "offset": offset, "limit": 200, "url": "http://elsewhere.invalid/hub/api/users?offset=1" })
    });
    json!({ "items": items, "_pagination": { "offset": 0, "limit": 200, "total": 3, "next": next } })
}

#[test]
fn all_pages_are_listed_whatever_the_hub_calls_itself() {
    let hub = StandIn::new([
        Route::get("/hub/api/users?offset=0&limit=200").accepting(PAGED).json(
            200,
            page(
                json!([
                    user("ada", true, json!({ "": server("ready") })),
                    user("grace", false, json!({}))
                ]),
                Some(200),
            ),
        ),
        Route::get("/hub/api/users?offset=200&limit=200")
            .accepting(PAGED)
            .json(200, page(json!([user("linus", false, json!({ "": server("spawn") }))]), None)),
    ]);
    insta::assert_snapshot!(hub.run(&["users", "list"]).success(), @r"
    NAME   ADMIN  SERVER    LAST ACTIVITY  CREATED
    ada    yes    ready     never          2020-01-01
    grace                   never          2020-01-01
    linus         starting  never          2020-01-01
    ");
}

#[test]
fn json_is_what_the_api_says_all_pages_in_one_list() {
    let (ada, grace) = (user("ada", true, json!({})), user("grace", false, json!({})));
    let hub = StandIn::new([
        Route::get("/hub/api/users?offset=0&limit=200").json(200, page(json!([ada]), Some(200))),
        Route::get("/hub/api/users?offset=200&limit=200").json(200, page(json!([grace]), None)),
    ]);
    let printed: Value =
        serde_json::from_str(&hub.run(&["users", "list", "--json"]).success()).unwrap();
    assert_eq!(printed, json!([ada, grace]));
}

#[test]
fn filters_go_to_the_hub_and_an_empty_list_says_so() {
    let hub = StandIn::new([Route::get(
        "/hub/api/users?offset=0&limit=200&state=inactive&name_filter=a%26b",
    )
    .json(200, page(json!([]), None))]);
    let shown = hub.run(&["users", "list", "--state", "inactive", "--filter", "a&b"]).success();
    assert_eq!(shown, "No user is like that.\n");
}

#[test]
fn a_hub_without_users_says_how_to_add_one() {
    let hub = StandIn::new([
        Route::get("/hub/api/users?offset=0&limit=200").json(200, page(json!([]), None))
    ]);
    let shown = hub.run(&["users", "list"]).success();
    assert_eq!(shown, "There are no users yet. Add one: hub users add NAME\n");
}

#[test]
fn pages_that_do_not_move_on_end() {
    let hub = StandIn::new([Route::get("/hub/api/users?offset=0&limit=200")
        .json(200, page(json!([user("ada", false, json!({}))]), Some(0)))]);
    assert!(hub.run(&["users", "list"]).success().contains("ada"));
}

#[test]
fn one_user_is_shown_with_the_server() {
    let hub = StandIn::new([Route::get("/hub/api/users/ada?include_stopped_servers=1")
        .json(200, user("ada", true, json!({ "": server("ready") })))]);
    let url = hub.url();
    let shown = hub.run(&["users", "show", "ada"]).success().replace(&url, "HUB");
    insta::assert_snapshot!(shown, @r"
    Name           ada
    Administrator  yes
    Roles          user, admin
    Created        2020-01-01
    Last activity  never
    Server         ready, started 2020-01-02, HUB/user/ada/
    ");
}

#[test]
fn a_server_that_failed_tells_why() {
    let mut stopped = server("ready");
    stopped["ready"] = json!(false);
    stopped["stopped"] = json!(true);
    stopped["last_failure"] =
        json!({ "message": "the image is missing", "exit_code": null, "oom_killed": false });
    let hub = StandIn::new([Route::get("/hub/api/users/ada?include_stopped_servers=1")
        .json(200, user("ada", false, json!({ "": stopped })))]);
    let shown = hub.run(&["users", "show", "ada"]).success();
    assert!(shown.contains("stopped; failed: the image is missing"), "{shown}");
}

#[test]
fn names_are_escaped_in_paths() {
    let hub = StandIn::new([Route::delete("/hub/api/users/ada%20l%3F%23@example.org")]);
    let shown = hub.run(&["users", "delete", "--yes", "ada l?#@example.org"]).success();
    assert_eq!(shown, "ada l?#@example.org is deleted; the notebooks are kept.\n");
}

#[test]
fn users_are_added_at_once_and_known_ones_are_counted() {
    let hub = StandIn::new([Route::post("/hub/api/users")
        .with(json!({ "usernames": ["ada", "grace"], "admin": false }))
        .json(201, json!([user("grace", false, json!({}))]))]);
    let run = hub.run(&["users", "add", "ada", "grace"]);
    assert_eq!(run.stderr, "1 of 2 existed already and were not changed.\n");
    assert_eq!(run.success(), "Added: grace\n");
}

#[test]
fn users_that_exist_are_an_error_when_nobody_was_new() {
    let hub = StandIn::new([Route::post("/hub/api/users")
        .with(json!({ "usernames": ["ada"], "admin": true }))
        .error(409, "All 1 users already exist")]);
    let told = hub.run(&["users", "add", "--admin", "ada"]).failure(1);
    assert_eq!(told, "hub: All 1 users already exist\n");
}

#[test]
fn administrators_are_made_and_unmade() {
    let hub = StandIn::new([Route::patch("/hub/api/users/ada")
        .with(json!({ "admin": true }))
        .json(200, user("ada", true, json!({})))]);
    assert_eq!(hub.run(&["users", "admin", "ada"]).success(), "ada is an administrator now.\n");

    let hub = StandIn::new([Route::patch("/hub/api/users/ada")
        .with(json!({ "admin": false }))
        .json(200, user("ada", false, json!({})))]);
    assert_eq!(
        hub.run(&["users", "admin", "ada", "--revoke"]).success(),
        "ada is an ordinary user now.\n"
    );
}

#[test]
fn nobody_is_deleted_without_a_yes() {
    let hub = StandIn::new([]);
    insta::assert_snapshot!(hub.run(&["users", "delete", "ada"]).failure(2), @r"
    hub: to delete ada needs a yes, and there is no terminal to ask at
    hint: say so with --yes
    ");
}
