//! `/hub/api/users/{user}/tokens`

use http::{Method, StatusCode};
use hub_proxy::Peer;
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, Browser, TestHub};

async fn make(browser: &mut Browser, user: &str, body: Value) -> Answer {
    let xsrf = browser.xsrf();
    let headers = [("x-xsrftoken", xsrf.as_str()), ("content-type", "application/json")];
    browser
        .request(
            Method::POST,
            &format!("/hub/api/users/{user}/tokens"),
            &headers,
            &body.to_string(),
        )
        .await
}

#[tokio::test]
async fn a_token_is_made_used_listed_and_revoked() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let made = make(&mut ada, "ada", json!({ "note": "script", "expires_in": 3600 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let token = made["token"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["note"], &made["user"]), (&json!("script"), &json!("ada")));

    let own = hub.api(&token, Method::GET, "/user", None).await.json();
    assert_eq!((&own["name"], &own["token_id"]), (&json!("ada"), &json!(id)));
    let list = hub.api(&token, Method::GET, "/users/ada/tokens", None).await.json();
    assert!(list["api_tokens"].as_array().unwrap().iter().any(|one| one["id"] == json!(id)));
    assert!(!list.to_string().contains(&token), "the secret is shown once");

    let revoked = hub.api(&token, Method::DELETE, &format!("/users/ada/tokens/{id}"), None).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn mint_not_stronger() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let weak = make(&mut ada, "ada", json!({ "scopes": ["tokens!user=ada"] })).await.json();
    let weak = weak["token"].as_str().unwrap().to_owned();
    for body in
        [json!({}), json!({ "scopes": ["inherit"] }), json!({ "scopes": ["servers!user=ada"] })]
    {
        let answer = hub.api(&weak, Method::POST, "/users/ada/tokens", Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{body}: {}", answer.text);
    }
    let same = json!({ "scopes": ["read:tokens!user=ada"] });
    let answer = hub.api(&weak, Method::POST, "/users/ada/tokens", Some(same)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

#[tokio::test]
async fn scopes_beyond_the_owner_are_refused() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    for scopes in [json!(["admin:users"]), json!(["read:users!user=bob"]), json!(["no:such:scope"])]
    {
        let answer = make(&mut ada, "ada", json!({ "scopes": scopes })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{scopes}: {}", answer.text);
    }
    // Somebody else and nobody are answered alike.
    for user in ["bob", "nobody", "%2E%2E"] {
        let answer = make(&mut ada, user, json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
        assert!(answer.text.contains("not found or no permissions to generate tokens"));
    }
    let far = make(&mut ada, "ada", json!({ "expires_in": 1_000_000_000_000_i64 })).await;
    assert_eq!(far.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn demotion_is_immediate() {
    let hub = TestHub::new().await;
    let mut grace = hub.signed_in("grace").await;
    let token =
        make(&mut grace, "grace", json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(hub.api(&token, Method::GET, "/users", None).await.status, StatusCode::OK);
    let grace = hub.store.users().by_name(&"grace".parse().unwrap()).await.unwrap().unwrap();
    hub.store.users().set_admin(grace.id, false).await.unwrap();
    assert_eq!(hub.api(&token, Method::GET, "/users", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_service_acts_with_its_own_scopes() {
    let hub = TestHub::new().await;
    let own = hub.api(ADMIN, Method::GET, "/user", None).await.json();
    assert_eq!((&own["kind"], &own["name"]), (&json!("service"), &json!("admin")));
    assert!(own["scopes"].as_array().unwrap().contains(&json!("admin:users")));
    // Ours lacks `tokens`.
    let answer = hub.api(ADMIN, Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let message = "Service ada not found or no permissions to generate tokens";
    assert_eq!(answer.json()["message"], message);
}

#[tokio::test]
async fn a_token_has_what_jupyterhub_gives_it() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let made = make(&mut ada, "ada", json!({})).await.json();
    assert_eq!((&made["kind"], &made["user"]), (&json!("api_token"), &json!("ada")));
    assert_eq!(made["note"], "Requested via api");
    assert_eq!((&made["expires_at"], &made["last_activity"]), (&json!(null), &json!(null)));
    assert_eq!((&made["session_id"], &made["oauth_client"]), (&json!(null), &json!("JupyterHub")));
    assert_eq!(made["roles"], json!([]));
    let scopes = made["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!("servers!user=ada")), "what its owner may: {scopes:?}");

    let chief = "chief-service-token";
    let other = hub.api(chief, Method::POST, "/users/ada/tokens", None).await.json();
    assert_eq!(other["note"], "Requested via api by service chief");
    let token = other["token"].as_str().unwrap().to_owned();
    let id = other["id"].as_str().unwrap().to_owned();
    let shown = hub.api(chief, Method::GET, &format!("/users/ada/tokens/{id}"), None).await.json();
    assert!(shown.get("token").is_none(), "the secret is shown once");
    assert_eq!(shown["id"], other["id"]);

    let mut grace = hub.signed_in("grace").await;
    let by_grace = make(&mut grace, "ada", json!({ "note": "" })).await.json();
    assert_eq!(by_grace["note"], "Requested via api by user grace");

    for path in ["/users/ada/tokens/a99999", "/users/ada/tokens/x", "/users/bob/tokens/{id}"] {
        let path = path.replace("{id}", &id);
        let missing = hub.api(chief, Method::GET, &path, None).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        assert!(missing.text.contains("No such token"), "{}", missing.text);
    }
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn roles_of_old_clients_become_scopes() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let made = make(&mut ada, "ada", json!({ "roles": ["user"] })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["roles"], json!([]));
    assert!(made["scopes"].as_array().unwrap().contains(&json!("servers!user=ada")));
    for (body, message) in [
        (json!({ "roles": ["admin"] }), "not held by User ada"),
        (json!({ "roles": ["nobody"] }), "No such role: nobody"),
        (json!({ "roles": ["user"], "scopes": ["self"] }), "only specify one of"),
        (json!({ "scopes": "self" }), "must be null or a list of strings"),
        (json!({ "expires_in": "soon" }), "must be null or integer"),
        (json!({ "surprise": 1 }), "Invalid JSON keys"),
    ] {
        let answer = make(&mut ada, "ada", body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        assert!(answer.text.contains(message), "{body}: {}", answer.text);
    }
    let few = json!({ "scopes": ["read:users!user=ada", "admin:users", "proxy"] });
    let answer = make(&mut ada, "ada", few).await;
    let message = "Not assigning requested scopes admin:users,proxy not held by User ada";
    assert_eq!(answer.json()["message"], message);
}

#[tokio::test]
async fn a_configured_limit_holds_for_every_token() {
    let hub = TestHub::with_auth("token_expires_in_max_seconds = 3600").await;
    let mut ada = hub.signed_in("ada").await;
    for body in [json!({}), json!({ "expires_in": 0 }), json!({ "expires_in": 3600 })] {
        let made = make(&mut ada, "ada", body.clone()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{body}: {}", made.text);
        assert!(made.json()["expires_at"].is_string(), "{body}: {}", made.text);
    }
    let answer = make(&mut ada, "ada", json!({ "expires_in": 3601 })).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["message"], "token expires_in: 3601 must not exceed 3600");

    let count = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        value["api_tokens"].as_array().unwrap().len()
    };
    let chief = "chief-service-token";
    let before = hub.api(chief, Method::GET, "/users/ada/tokens", None).await;
    assert_eq!(count(&before.text), 3);
    hub.clock.advance(jiff::SignedDuration::from_secs(3601));
    let after = hub.api(chief, Method::GET, "/users/ada/tokens", None).await;
    assert_eq!(count(&after.text), 0, "what has expired is not listed");
}

#[tokio::test]
async fn a_password_in_the_body_makes_a_token() {
    let hub = TestHub::new().await;
    let ask = |user: &str, password: &str, path: &str| {
        let body = json!({ "auth": { "username": user, "password": password }, "note": "script" });
        let request = http::Request::post(format!("/hub/api/users/{path}/tokens"))
            .header("host", "hub.test")
            .header("x-forwarded-for", "192.0.2.7")
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let router = hub.router.clone();
        async move { crate::harness::send(&router, request).await }
    };
    let made = ask("Ada", crate::harness::PASSWORD, "ada").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["note"], "script");
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.json()["name"], "ada");

    let for_bob = ask("ada", crate::harness::PASSWORD, "bob").await;
    assert_eq!(for_bob.status, StatusCode::FORBIDDEN);
    let by_grace = ask("grace", crate::harness::PASSWORD, "bob").await;
    assert_eq!(by_grace.status, StatusCode::CREATED, "{}", by_grace.text);
    let stranger = ask("mallory", crate::harness::PASSWORD, "mallory").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "nobody is let in who was not named");
    // As many wrong ones as the address may send, and one more.
    for _ in 0..100 {
        let wrong = ask("ada", "wrong", "ada").await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{}", wrong.text);
    }
    let limited = ask("ada", crate::harness::PASSWORD, "ada").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a1_whoever_guesses_from_a_notebook_has_an_address() {
    let hub = TestHub::new().await;
    let guess = |from: [u8; 4], claimed: &str| {
        let auth = json!({ "auth": { "username": "ada", "password": "wrong" } });
        let mut request = http::Request::post("/hub/api/users/ada/tokens")
            .header("host", "hub.test")
            .header("x-forwarded-for", claimed)
            .body(axum::body::Body::from(auth.to_string()))
            .unwrap();
        request.extensions_mut().insert(Peer { addr: Some((from, 40000).into()), tls: false });
        let router = hub.private.clone();
        async move { crate::harness::send(&router, request).await.status }
    };
    for count in 0..100 {
        // What a notebook says of itself is not believed.
        let claimed = format!("192.0.2.{count}");
        assert_eq!(guess([172, 17, 0, 5], &claimed).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(guess([172, 17, 0, 5], "192.0.2.200").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess([172, 17, 0, 6], "172.17.0.5").await, StatusCode::FORBIDDEN, "another one");
}

#[tokio::test]
async fn without_any_credential_there_is_no_token() {
    let hub = TestHub::new().await;
    let bodies = ["", "{}", r#"{"auth": null}"#, r#"{"auth": {}}"#, r#"{"auth": "ada"}"#];
    for body in bodies {
        let request = http::Request::post("/hub/api/users/ada/tokens")
            .body(axum::body::Body::from(body))
            .unwrap();
        let answer = crate::harness::send(&hub.router, request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{body}: {}", answer.text);
    }
}
