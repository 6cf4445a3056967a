use super::*;

fn reserved(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|&entry| entry.to_owned()).collect()
}

fn passes(cookie: &str, entries: &[&str]) -> bool {
    let mut headers = HeaderMap::new();
    headers.append(header::SET_COOKIE, HeaderValue::from_bytes(cookie.as_bytes()).unwrap());
    strip_tossed_cookies(&mut headers, &reserved(entries));
    headers.contains_key(header::SET_COOKIE)
}

#[test]
fn tossed_cookie_with_a_reserved_name_is_dropped() {
    for (cookie, kept) in [
        ("login=1", false),
        ("login=1; Path=/hub/; HttpOnly", false),
        (" login =1", false),
        ("\u{a0}login=1", false),
        ("login=", false),
        ("login", false),
        ("=login=1", false),
        ("= login=1", false),
        ("", false),
        ("flow-github=1", false),
        ("flow-=1", false),
        ("login2=1", true),
        ("xlogin=1", true),
        ("Login=1", true),
        ("flow=1", true),
        ("own=login=1", true),
        ("own=1; login=1", true),
        ("own=\u{e4}; Path=/user/ada/", true),
    ] {
        assert_eq!(passes(cookie, &["login", "flow-*"]), kept, "{cookie:?}");
    }
}

#[test]
fn tossed_cookie_with_a_domain_is_dropped() {
    for (cookie, kept) in [
        ("own=1; Domain=example.org", false),
        ("own=1;domain=.example.org", false),
        ("own=1; Path=/; \tDOMAIN = example.org", false),
        ("own=1; Domain", false),
        ("own=Domain; Path=/domain=x", true),
        ("domain=1", true),
    ] {
        assert_eq!(passes(cookie, &["login"]), kept, "{cookie:?}");
    }
}

#[test]
fn tossed_cookie_takes_no_other_along() {
    let mut headers = HeaderMap::new();
    headers.append("x-first", HeaderValue::from_static("1"));
    for cookie in ["a=1", "login=1", "b=2; Domain=h", "c=3"] {
        headers.append(header::SET_COOKIE, cookie.parse().unwrap());
    }
    strip_tossed_cookies(&mut headers, &reserved(&["login"]));
    let kept: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(kept, ["a=1", "c=3"]);
    assert!(headers.contains_key("x-first"));
}

#[test]
fn tossed_cookie_filter_without_entries_lets_all_pass() {
    for cookie in ["login=1", "own=1; Domain=example.org", "=x", ""] {
        assert!(passes(cookie, &[]), "{cookie:?}");
    }
}

fn field_passes(name: &'static str, value: &str) -> bool {
    scope_passes(name, &[value], "/user/ada b/")
}

fn scope_passes(name: &'static str, values: &[&str], prefix: &str) -> bool {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    strip_origin_rules(&mut headers, &prefix.parse().unwrap());
    headers.contains_key(name)
}

#[test]
fn response_header_filter_drops_what_is_about_the_origin() {
    for (name, value, kept) in [
        ("clear-site-data", "\"*\"", false),
        ("strict-transport-security", "max-age=31536000", false),
        ("alt-svc", "h3=\":443\"", false),
        ("public-key-pins", "pin-sha256=\"x\"", false),
        ("content-security-policy", "default-src 'self'", true),
        ("set-cookie", "own=1", true),
        ("location", "/hub/", true),
        ("service-worker", "script", true),
    ] {
        assert_eq!(field_passes(name, value), kept, "{name}");
    }
}

#[test]
fn response_header_filter_keeps_service_workers_below_the_prefix() {
    for (value, kept) in [
        ("/user/ada%20b/", true),
        ("/user/ada%20b/app/", true),
        ("/user/ada b/?x#y", true),
        ("/", false),
        ("", false),
        ("/user/", false),
        ("/user/ada%20b", false),
        ("/user/ada%20bc/", false),
        ("/user/ada%20b/../", false),
        ("/user/ada%20b/%2e%2E/", false),
        ("/user/ada%20b\\..\\", false),
        ("/?/user/ada%20b/", false),
        ("//user/ada%20b/", false),
        ("/\t/user/ada%20b/", false),
        ("./", false),
        ("user/ada%20b/", false),
        ("https://h/user/ada%20b/", false),
        ("/user/ada%20b/\u{e4}", false),
    ] {
        assert_eq!(field_passes("service-worker-allowed", value), kept, "{value:?}");
    }
    assert!(scope_passes("service-worker-allowed", &["/"], "/"), "the route is the origin");
    let twice = ["/user/ada/", "/user/ada/"];
    assert!(!scope_passes("service-worker-allowed", &twice, "/user/ada/"));
}
