use super::*;

const TOKEN: &str = "a-token-for-tests";

fn check(toml: &str) -> Result<ServiceConfig, ConfigError> {
    let spec: ServiceSpec = toml::from_str(toml).unwrap();
    spec.check(Described::InFile, Path::new("/srv/hub"), Some(&Roles::default()))
}

fn error(toml: &str) -> String {
    check(toml).unwrap_err().to_string()
}

#[test]
fn a_service_that_is_proxied_is_an_oauth_client_of_its_own_name() {
    let service = check(&format!(
        "name = 'whoami'\nurl = 'http://127.0.0.1:9000/x/?y'\napi_token = '{TOKEN}'"
    ))
    .unwrap();
    assert_eq!(service.url.as_ref().unwrap().as_str(), "http://127.0.0.1:9000/");
    assert_eq!(service.oauth_client_id, "service-whoami");
    assert!(service.is_oauth_client() && !service.is_managed());
    assert!(service.display && !service.oauth_no_confirm);
    assert_eq!(service.timeout, Duration::from_secs(30));
}

#[test]
fn a_service_that_the_hub_runs_needs_no_token() {
    let service = check(
        "name = 'm'\ncommand = ['python3', '-m', 'm']\ncwd = 'm'\nuser = 'nobody'\ntimeout = 5\n[environment]\nA = 'b'\n[info]\nteam = 'x'",
    )
    .unwrap();
    assert!(service.is_managed() && service.api_token.is_none() && !service.is_oauth_client());
    assert_eq!(service.cwd.as_deref(), Some(Path::new("/srv/hub/m")));
    assert_eq!(service.info["team"], "x");
}

#[test]
fn a_service_that_is_only_shown_needs_no_token_but_a_client_does() {
    let shown = check("name = 'docs'\nurl = 'http://docs:80'").unwrap();
    assert!(shown.api_token.is_none());
    for more in ["oauth_no_confirm = true", "admin = true", "scopes = ['read:hub']"] {
        let text = error(&format!("name = 'docs'\nurl = 'http://docs:80'\n{more}"));
        assert!(text.starts_with("services.docs.api_token: is missing"), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_service_and_key() {
    let token = format!("name = 's'\napi_token = '{TOKEN}'\n");
    for (more, expected) in [
        ("url = 'ftp://127.0.0.1:9000'", "services.s.url: "),
        ("url = '127.0.0.1:9000'", "services.s.url: "),
        ("timeout = 0", "services.s.timeout: is out of range"),
        ("user = 'ada'", "services.s.user: has no effect without command"),
        ("oauth_client_id = 'x'", "services.s.oauth_client_id: \"x\" does not begin"),
        ("oauth_no_confirm = true", "services.s.oauth_redirect_uri: is missing"),
        ("oauth_redirect_uri = '//evil.example'", "services.s.oauth_redirect_uri: "),
        ("oauth_redirect_uri = 'https://x.example/#a'", "services.s.oauth_redirect_uri: "),
        ("scopes = ['read:all']", "services.s.scopes: "),
        (
            "url = 'http://h'\noauth_client_allowed_scopes = ['custom:x:y']",
            "services.s.oauth_client_allowed_scopes: ",
        ),
        ("command = ['']", "services.s.command: "),
        ("command = ['a']\nenvironment = { 'A=B' = 'c' }", "services.s.environment: "),
    ] {
        let text = error(&format!("{token}{more}"));
        assert!(text.contains(expected), "{more}: {text}");
    }
}

#[test]
fn a_service_may_speak_tls() {
    let text = format!("name = 's'\napi_token = '{TOKEN}'\nurl = 'https://lab.example:9000/x'");
    let service = check(&text).unwrap();
    assert_eq!(service.url.unwrap().as_str(), "https://lab.example:9000/");
}

#[test]
fn names_are_one_segment_of_a_path() {
    for name in ["", " a", "a/b", ".", "..", "a%20b", "a\\nb"] {
        let text = error(&format!("name = \"{name}\"\napi_token = '{TOKEN}'"));
        assert!(text.starts_with("services.name: "), "{name:?}: {text}");
    }
    for name in ["a", "My service", "50%", "ünï", "..a"] {
        check(&format!("name = '{name}'\napi_token = '{TOKEN}'")).unwrap();
    }
}

#[test]
fn no_two_services_share_a_name_a_token_or_a_client() {
    let service = |text: &str| check(text).unwrap();
    let first = service("name = 'a'\napi_token = 'first-token'");
    for (second, expected) in [
        ("name = 'a'\napi_token = 'other-token'", "services.a: is there twice"),
        ("name = 'b'\napi_token = 'first-token'", "services.b.api_token: is also the token"),
        (
            "name = 'b'\napi_token = 'other-token'\nurl = 'http://h'\noauth_client_id = 'service-a'",
            "services.b.oauth_client_id: is also",
        ),
    ] {
        let text = service(second).is_new_among([&first]).unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
    }
    let unnamed = ["name = 'c'\ncommand = ['c']", "name = 'd'\ncommand = ['d']"].map(service);
    unnamed[0].is_new_among([&unnamed[1]]).unwrap();
}

#[test]
fn a_token_is_not_written_back() {
    let spec: ServiceSpec = toml::from_str(&format!("name = 's'\napi_token = '{TOKEN}'")).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    let again: ServiceSpec = serde_json::from_str(&text).unwrap();
    assert_eq!(again.name, "s");
}
