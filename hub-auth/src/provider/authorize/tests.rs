use super::*;

const CALLBACK: &str = "/user/alice/oauth_callback";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn client() -> ClientFacts {
    ClientFacts {
        id: "jupyterhub-user-alice".to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        allowed_scopes: vec!["access:servers!server=alice/".to_owned(), "read:hub".to_owned()],
        access: "access:servers!server=alice/".parse().unwrap(),
    }
}

/// A good request with `changes` on top; an empty value takes one out.
fn check(changes: &[(&str, &str)]) -> Result<Authorized, AuthorizeError> {
    let good = [
        ("client_id", "jupyterhub-user-alice"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("state", "abc"),
    ];
    let kept = good.into_iter().filter(|(name, _)| changes.iter().all(|(key, _)| key != name));
    AuthorizeRequest::parse(kept.chain(changes.iter().copied()))?
        .check(&client(), &Roles::default())
}

fn location(changes: &[(&str, &str)]) -> String {
    check(changes).unwrap_err().location().unwrap()
}

fn message(result: Result<Authorized, AuthorizeError>) -> &'static str {
    match result {
        Err(AuthorizeError::ShowPage { status, message }) => {
            assert_eq!(status, 400);
            message
        }
        other => panic!("not a page: {other:?}"),
    }
}

fn granted(scope: &str) -> Vec<String> {
    let granted = check(&[("scope", scope)]).unwrap();
    granted.scopes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_server_of_jupyterhub_6_is_authorized() {
    let ok = check(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]).unwrap();
    assert_eq!(ok.redirect_uri, CALLBACK);
    assert_eq!(ok.named_redirect_uri.as_deref(), Some(CALLBACK));
    assert_eq!(ok.state.as_deref(), Some("abc"));
    assert_eq!(ok.challenge.unwrap().as_str(), CHALLENGE);
}

#[test]
fn a_server_without_pkce_and_redirect_uri_is_authorized() {
    let ok = check(&[("redirect_uri", ""), ("unknown", "ignored")]).unwrap();
    assert_eq!(ok.redirect_uri, CALLBACK);
    assert_eq!((ok.named_redirect_uri, ok.challenge), (None, None));
}

#[test]
fn errors_about_client_or_uri_are_shown_and_never_redirected() {
    assert_eq!(message(check(&[("client_id", "")])), "Missing client_id parameter.");
    let mismatch = "Mismatching redirect URI.";
    for uri in [
        "/bad",
        "/user/alice/oauth_callback/",
        "/user/alice/oauth_callback?x=1",
        "/user/alice/../alice/oauth_callback",
        "//evil.test/user/alice/oauth_callback",
        "https://evil.test/user/alice/oauth_callback",
        "/USER/alice/oauth_callback",
    ] {
        // Also when the rest is wrong as well: the URI is judged first.
        assert_eq!(message(check(&[("redirect_uri", uri), ("response_type", "x")])), mismatch);
    }
    let twice = [("redirect_uri", CALLBACK), ("redirect_uri", "/bad")];
    assert_eq!(message(check(&twice)), "A parameter is repeated.");
    let unusable = ClientFacts { redirect_uri: String::new(), ..client() };
    let request = AuthorizeRequest::parse([("client_id", "x"), ("response_type", "code")]).unwrap();
    assert_eq!(message(request.check(&unusable, &Roles::default())), mismatch);
    assert_eq!(
        message(Err(AuthorizeError::unknown_client())),
        "Invalid client_id parameter value."
    );
}

#[test]
fn an_unknown_response_type_is_an_error() {
    for kind in ["token", "id_token", "code token", "Code"] {
        assert_eq!(
            location(&[("response_type", kind), ("state", "")]),
            "/user/alice/oauth_callback?error=unsupported_response_type"
        );
    }
    assert_eq!(
        location(&[("response_type", "")]),
        "/user/alice/oauth_callback?error=invalid_request&error_description=Missing+response_type+parameter.&state=abc"
    );
}

#[test]
fn pkce_is_s256_or_nothing() {
    let rows: [&[(&str, &str)]; 5] = [
        &[("code_challenge", CHALLENGE), ("code_challenge_method", "plain")],
        &[("code_challenge", CHALLENGE)],
        &[("code_challenge", CHALLENGE), ("code_challenge_method", "s256")],
        &[("code_challenge_method", "S256")],
        &[("code_challenge", "short"), ("code_challenge_method", "S256")],
    ];
    for changes in rows {
        assert!(location(changes).contains("error=invalid_request&"), "{changes:?}");
    }
}

#[test]
fn a_repeated_parameter_is_reported_to_the_client() {
    let twice = location(&[("scope", "read:hub"), ("scope", "proxy")]);
    assert!(twice.contains("error=invalid_request&"), "{twice}");
}

#[test]
fn without_scopes_the_client_gets_all_it_may_have() {
    assert_eq!(
        check(&[]).unwrap().scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "read:users:name!user",
            "read:users:groups!user",
            "read:hub",
            "access:servers!server=alice/"
        ]
    );
}

#[test]
fn access_and_identity_are_always_included() {
    let least = ["read:users:name!user", "read:users:groups!user", "access:servers!server=alice/"];
    assert_eq!(granted("identify"), least);
    assert_eq!(granted("access:servers!server=alice/"), least);
    assert_eq!(granted("read:users:name!user  identify"), least);
}

#[test]
fn more_than_the_client_may_have_is_refused() {
    for scope in [
        "admin:users",
        "access:servers",
        "access:servers!server=bob/",
        "read:hub proxy",
        "read:users:name",
        "no:such:scope",
        "inherit",
        "admin",
        "user",
    ] {
        assert_eq!(
            location(&[("scope", scope)]),
            "/user/alice/oauth_callback?error=invalid_scope&state=abc",
            "{scope}"
        );
    }
}

#[test]
fn a_role_name_stands_for_its_scopes() {
    let client = ClientFacts { allowed_scopes: vec!["self".to_owned()], ..client() };
    let request =
        AuthorizeRequest::parse([("client_id", "x"), ("response_type", "code"), ("scope", "user")]);
    let scopes = request.unwrap().check(&client, &Roles::default()).unwrap().scopes;
    assert!(scopes.contains(&Scope::new(crate::scope::ScopeName::Own)), "{scopes:?}");
}
