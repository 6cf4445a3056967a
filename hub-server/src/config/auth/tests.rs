use std::path::Path;

use hub_auth::IdentityKey;

use crate::config::{Environment, Loaded, parse};

fn load(lines: &str) -> Result<Loaded, String> {
    let text = format!(
        "{lines}\n[spawner.docker]\nimage = 'lab'\n[http]\npublic_url = 'https://hub.test'\n"
    );
    parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false)
        .map_err(|error| error.to_string())
}

const GITHUB: &str = "[auth.github]\nclient_id = 'x'\nclient_secret = 'y'\n";
const STATE: &str = "[auth]\nenable_auth_state = true\n\
    crypt_key = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'\n";
const OIDC: &str = "[auth.oidc]\nclient_id = 'x'\nissuer = 'https://id.test'\n";

#[test]
fn gh_2_organizations_and_teams_become_rules_and_questions() {
    let loaded = load(&format!(
        "[auth]\nadmin_users = ['zoe']\nmanage_groups = true\nidentity_key = 'login'\n\
         username_pattern = '[a-z]+'\n{GITHUB}\
         allowed_organizations = ['Ada-Lab', 'school:Teachers']\nadmin_organizations = ['owls']\n\
         populate_teams = true\nscope = ['read:org']\nallowed_scopes = ['read:org']\n\
         required_claims = {{ type = 'User' }}\nadmin_claims = {{ site_admin = ['true'] }}\n\
         extra_authorize_params = {{ allow_signup = 'false' }}\nid = 'ghe'\nservice = 'Lab Git'\n"
    ))
    .unwrap();
    let auth = loaded.config.auth;
    let github = auth.github.unwrap();
    assert_eq!((github.id.as_str(), github.service.as_str()), ("ghe", "Lab Git"));
    assert!(github.teams);
    assert_eq!(github.allowed_organizations.len(), 2);
    assert_eq!(github.extra_authorize_params, [("allow_signup".to_owned(), "false".to_owned())]);
    let rules = auth.policy.rules();
    assert!(rules.manage_groups && rules.identity_key == IdentityKey::Login);
    assert_eq!(rules.username_pattern.as_deref(), Some("[a-z]+"));
    let ghe = &rules.providers["ghe"];
    assert_eq!(ghe.allowed_groups, ["ada-lab".to_owned(), "school:teachers".to_owned()].into());
    assert_eq!(ghe.admin_groups, ["owls".to_owned()].into());
    assert_eq!(ghe.allowed_scopes, ["read:org".to_owned()].into());
    assert_eq!(ghe.required_claims["type"], ["User".to_owned()].into());
    assert_eq!(ghe.admin_claims["site_admin"], ["true".to_owned()].into());
    assert!(!rules.allow_existing, "who leaves the organization is kept out");
}

#[test]
fn accounts_of_the_file_may_be_let_in_without_being_named_twice() {
    let password =
        "[auth.password]\nallow_all = true\n[auth.password.accounts]\nada = '$argon2id$x'\n";
    let rules = load(password).unwrap().config.auth.policy.rules().clone();
    assert!(rules.providers["password"].allow_all && !rules.allow_all);
    let rules =
        load(&password.replace("true", "false")).unwrap().config.auth.policy.rules().clone();
    assert!(rules.providers.is_empty());
}

#[test]
fn sys_1_numbers_of_a_sign_in_need_one_that_is_kept() {
    let ids = "host_ids_from_auth_state = { uid = 'oauth_user.uidNumber' }\n";
    let auth = load(&format!("{STATE}{ids}")).unwrap().config.auth;
    assert_eq!(auth.state.unwrap().host_ids.uid.as_deref(), Some("oauth_user.uidNumber"));
    let error = load(&format!("[auth]\n{ids}")).unwrap_err();
    assert!(error.contains("auth.host_ids_from_auth_state") && error.contains("needs"), "{error}");
    let error = load(&format!("{STATE}{}", ids.replace("uid", "user"))).unwrap_err();
    assert!(error.contains("user"), "{error}");
}

#[test]
fn people_with_an_account_are_let_in_where_only_names_let_in() {
    let existing = |lines: &str| load(lines).unwrap().config.auth.policy.rules().allow_existing;
    let named = "[auth]\nallowed_users = ['ada']\n";
    assert!(existing(named));
    assert!(existing(&format!("{named}{GITHUB}")));
    assert!(!existing(&format!("{named}{GITHUB}allowed_organizations = ['lab']\n")));
    let forced = "[auth]\nallow_existing_users = true\n";
    assert!(existing(&format!("{forced}{GITHUB}allowed_organizations = ['lab']\n")));
}

#[test]
fn what_cannot_work_names_its_key() {
    for (key, lines) in [
        ("auth.username_pattern", "[auth]\nusername_pattern = '('".to_owned()),
        ("auth.username_map", "[auth]\nusername_map = { a = '' }".to_owned()),
        ("auth.github.allowed_organizations", format!("{GITHUB}allowed_organizations = ['a:b:c']")),
        ("auth.github.admin_organizations", format!("{GITHUB}admin_organizations = ['a/b']")),
        ("auth.github.allowed_scopes", format!("{GITHUB}allowed_scopes = ['user']")),
        ("auth.github.scope", format!("{GITHUB}scope = ['a b']")),
        ("auth.github.required_claims.type", format!("{GITHUB}required_claims = {{ type = [] }}")),
        ("auth.github.admin_claims.x", format!("{GITHUB}admin_claims = {{ x = [''] }}")),
        ("auth.github.id", format!("{GITHUB}id = ''")),
        ("auth.github.id", format!("{GITHUB}id = 'dummy'")),
        ("auth.github.client_secret", format!("{GITHUB}[auth.x]\n").replace("'y'", "' y'")),
        ("auth.crypt_key", "[auth]\nenable_auth_state = true".to_owned()),
        ("auth.crypt_key", "[auth]\nenable_auth_state = true\ncrypt_key = 'short'".to_owned()),
        (
            "auth.spawn_env_from_auth_state",
            "[auth]\nspawn_env_from_auth_state = { TOKEN = 'access_token' }".to_owned(),
        ),
        (
            "auth.spawn_env_from_auth_state.PATH",
            format!("{STATE}spawn_env_from_auth_state = {{ PATH = 'access_token' }}"),
        ),
        ("auth.auth_refresh_strict", "[auth]\nauth_refresh_strict = true".to_owned()),
        ("auth.oidc.id", format!("{GITHUB}{OIDC}id = 'github'\n")),
        (
            "auth.manage_groups",
            "[[groups]]\nname = 'class'\nusers = ['ada']\n[auth]\nmanage_groups = true".to_owned(),
        ),
    ] {
        let lines = lines.replace("[auth.x]\n", "");
        let error = load(&lines).unwrap_err();
        assert!(error.contains(key), "{key}: {error}");
    }
    for lines in [
        "[auth]\nenable_auth_state = 'x'",
        "[auth]\nauth_refresh_age_seconds = -1",
        "[auth]\nauth_grace_seconds = 'long'",
        "[auth]\nrefresh_pre_spawn = 1",
        "[auth]\nauth_refresh_strict = 'very'",
        "[auth]\nidentity_key = 'mail'",
        "[auth]\nmanage_groups = 'yes'",
    ] {
        assert!(load(lines).unwrap_err().contains("hub.toml:2"));
    }
}

#[test]
fn a_list_that_decides_alone_has_no_groups_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("people"), "ada\n").unwrap();
    let text = format!(
        "[auth]\nuserlist = 'people'\nuserlist_mode = 'authoritative'\n{GITHUB}\
         allowed_organizations = ['lab']\n[spawner.docker]\nimage = 'lab'\n\
         [http]\npublic_url = 'https://hub.test'\n"
    );
    let error = parse(&text, "hub.toml", dir.path(), &Environment::default(), false).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("auth.userlist_mode") && error.contains("github"), "{error}");
}

#[test]
fn what_is_rarely_meant_is_a_warning() {
    let loaded =
        load(&format!("[auth]\nallowed_users = ['a']\n{GITHUB}allowed_organizations = ['lab']\n"))
            .unwrap();
    let warnings = loaded.warnings.join("\n");
    assert!(!warnings.contains("manage_groups"), "{warnings}");
    assert!(warnings.contains("auth: allowed_users has the name \"a\""), "{warnings}");
    assert!(warnings.contains("auth.github: without the scope read:org"), "{warnings}");
    for (teams, expected) in [("false", true), ("true", false)] {
        let lines = format!(
            "[auth]\nmanage_groups = true\n{GITHUB}populate_teams = {teams}\nscope = ['read:org']\n"
        );
        let warnings = load(&lines).unwrap().warnings.join("\n");
        let told = warnings.contains("set auth.github.populate_teams");
        assert_eq!(told, expected, "{warnings}");
    }
}

#[test]
fn cry_2_what_is_kept_needs_keys_and_is_asked_for_again_by_age() {
    assert!(load("").unwrap().config.auth.state.is_none());
    let state = load(STATE).unwrap().config.auth.state.unwrap();
    assert_eq!(state.refresh.max_age.as_secs(), 300);
    assert_eq!(state.refresh.grace.as_secs(), 3600);
    assert!(state.refresh.before_spawn, "as for every OAuth provider that keeps its tokens");
    let state = load(&format!(
        "{STATE}auth_refresh_age_seconds = 60\nauth_grace_seconds = 0\nrefresh_pre_spawn = false\n\
         spawn_env_from_auth_state = {{ TOKEN = 'access_token' }}\n"
    ));
    let state = state.unwrap().config.auth.state.unwrap();
    assert_eq!((state.refresh.max_age.as_secs(), state.refresh.grace.as_secs()), (60, 0));
    assert!(!state.refresh.before_spawn && !state.environment.is_empty());
}

#[test]
fn providers_are_reached_as_the_section_or_the_usual_variables_say() {
    let parsed = |lines: &str, variables: &[(&str, &str)]| {
        let text = format!(
            "{lines}\n[spawner.docker]\nimage = 'lab'\n[http]\npublic_url = 'https://hub.test'\n"
        );
        let environment =
            variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        parse(&text, "hub.toml", Path::new("/srv"), &environment, false)
            .map_err(|error| error.to_string())
    };
    let proxy = |loaded: &Loaded, url: &str| {
        let way = &loaded.config.auth.github.as_ref().unwrap().egress;
        way.proxy_for(&url.parse().unwrap()).map(ToString::to_string)
    };
    let section = format!(
        "{GITHUB}{OIDC}[auth.outbound]\nproxy_url = 'http://hub:hush@proxy.test:3128'\nno_proxy = ['id.test']\n"
    );
    let file = parsed(&section, &[]).unwrap();
    let shown = Some("http://proxy.test:3128".to_owned());
    assert_eq!(proxy(&file, "https://github.com"), shown);
    assert_eq!(proxy(&file, "https://id.test"), None);
    let oidc = &file.config.auth.oidc.as_ref().unwrap().provider.egress;
    assert!(oidc.proxy_for(&"https://github.com".parse().unwrap()).is_some());
    let setting = file.settings.get("auth.outbound.proxy_url").unwrap();
    assert_eq!(setting.shown(), "\"http://proxy.test:3128\"");

    for (variables, expected) in [
        (
            &[("HTTPS_PROXY", "one.test:1"), ("https_proxy", "two.test:2")][..],
            Some("http://one.test:1"),
        ),
        (&[("all_proxy", "four.test:4"), ("https_proxy", "two.test:2")], Some("http://two.test:2")),
        (&[("ALL_PROXY", "http://three.test:3"), ("NO_PROXY", "a.test, github.com")], None),
        (
            &[("ALL_PROXY", "http://three.test:3"), ("no_proxy", "a.test")],
            Some("http://three.test:3"),
        ),
        (&[("HTTP_PROXY", "http://other.test:1")], None),
    ] {
        let loaded = parsed(GITHUB, variables).unwrap();
        assert_eq!(proxy(&loaded, "https://github.com").as_deref(), expected, "{variables:?}");
    }
    // A variable wins over the file, and its own name over one that others read (ENV-1).
    let both = [("HTTPS_PROXY", "one.test:1"), ("HUB__AUTH__OUTBOUND__PROXY_URL", "two.test:2")];
    let loaded = parsed(&section, &both).unwrap();
    assert_eq!(proxy(&loaded, "https://github.com").as_deref(), Some("http://two.test:2"));
}

#[test]
fn a_way_out_that_cannot_be_used_is_named_and_its_password_is_not() {
    let outbound = |line: &str| format!("{GITHUB}[auth.outbound]\n{line}\n");
    for (line, expected) in [
        ("proxy_url = 'socks5://hub:hush@proxy.test'", "auth.outbound.proxy_url"),
        ("proxy_url = 'http://hub:hush@proxy.test'\nproxy_url_file = 'x'", "is set twice"),
        ("proxy_url_file = 'absent'", "auth.outbound.proxy_url_file"),
        ("ca_file = 'absent'", "auth.outbound.ca_file"),
    ] {
        let error = load(&outbound(line)).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hush"), "{error}");
    }
    // Who reaches no provider need not care.
    assert!(load("[auth.outbound]\nproxy_url = 'socks5://proxy.test'\n").is_ok());
}
