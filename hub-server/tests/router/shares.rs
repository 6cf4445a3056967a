//! Sharing servers: with a user, with a group, by a code.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, TestHub, notebook, send};

/// Everybody may share what is theirs, with everybody.
const SHARING: &str = r#"
[[roles]]
name = "user"
scopes = ["self", "shares!user", "read:users:name", "read:groups:name"]
[[groups]]
name = "staff"
users = ["bob"]
"#;
const CHIEF: &str = "chief-service-token";
const AUTHORIZE: &str = "/hub/api/oauth2/authorize?client_id=jupyterhub-user-ada&redirect_uri=%2Fuser%2Fada%2Foauth_callback&response_type=code&state=s";

/// A hub on which ada and bob have accounts, and ada's own token.
async fn hub() -> (TestHub, String) {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::configured(SHARING, spawner, Store::in_memory().await.unwrap()).await;
    for name in ["ada", "bob"] {
        hub.signed_in(name).await;
    }
    let made = hub.api(CHIEF, Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    (hub, token)
}

async fn call(hub: &TestHub, token: &str, method: Method, path: &str, body: Value) -> Answer {
    hub.api(token, method, path, (!body.is_null()).then_some(body)).await
}

/// What an answer says without its times.
fn timeless(mut body: Value) -> Value {
    for key in ["created_at", "expires_at"] {
        if let Some(at) = body.get_mut(key) {
            assert!(at.as_str().unwrap().ends_with('Z'), "{at}");
            *at = json!("T");
        }
    }
    body
}

fn shared_server(ready: bool) -> Value {
    json!({
        "user": {"name": "ada"}, "name": "", "url": "/user/ada/",
        "full_url": "http://hub.test/user/ada/", "ready": ready,
    })
}

/// Opens ada's server in this browser, saying yes when asked, and returns what the hub
/// tells the server about the visitor: `GET /user` with the token of the visit.
async fn open(hub: &TestHub, browser: &mut Browser) -> Result<(String, Value), StatusCode> {
    let question = browser.get(AUTHORIZE).await;
    if question.status != StatusCode::OK {
        return Err(question.status);
    }
    let form = format!("_xsrf={}&scopes=access:servers!server%3Dada/", browser.xsrf());
    let yes = browser.post(AUTHORIZE, &form).await;
    let (_, query) = yes.location().split_once('?').unwrap();
    let code = url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "code")
        .map(|(_, value)| value.into_owned())
        .unwrap();
    let secret = hub.spawner.requests()[0].api_token.expose_secret().to_owned();
    let form = format!(
        "grant_type=authorization_code&client_id=jupyterhub-user-ada&client_secret={secret}&code={code}&redirect_uri=%2Fuser%2Fada%2Foauth_callback"
    );
    let request = Request::post("/hub/api/oauth2/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let redeemed = send(&hub.private, request).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text);
    let token = redeemed.json()["access_token"].as_str().unwrap().to_owned();
    let who = hub.api(&token, Method::GET, "/user", None).await;
    Ok((token, who.json()))
}

fn lets_in(who: &Value) -> bool {
    who["scopes"].as_array().unwrap().contains(&json!("access:servers!server=ada/"))
}

#[tokio::test]
async fn a_share_is_granted_listed_and_taken_back() {
    let (hub, ada) = hub().await;
    let granted = call(&hub, &ada, Method::POST, "/shares/ada/", json!({"user": "bob"})).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.text);
    let share = json!({
        "server": shared_server(false), "scopes": ["access:servers!server=ada/"],
        "user": {"name": "bob"}, "group": null, "kind": "user", "created_at": "T",
    });
    assert_eq!(timeless(granted.json()), share);

    for path in ["/shares/ada", "/shares/ada/", "/users/bob/shared"] {
        let list = call(&hub, CHIEF, Method::GET, path, Value::Null).await.json();
        assert_eq!(
            list["_pagination"],
            json!({"offset": 0, "limit": 200, "total": 1, "next": null}),
            "{path}"
        );
        assert_eq!(timeless(list["items"][0].clone()), share, "{path}");
    }
    let one = call(&hub, CHIEF, Method::GET, "/users/bob/shared/ada/", Value::Null).await;
    assert_eq!(timeless(one.json()), share);

    let more = json!({"user": "bob", "scopes": ["read:servers", "start:servers!server=ada/"]});
    let grown = call(&hub, &ada, Method::POST, "/shares/ada/", more).await.json();
    assert_eq!(
        grown["scopes"],
        json!([
            "access:servers!server=ada/",
            "read:servers!server=ada/",
            "start:servers!server=ada/"
        ])
    );
    let less = json!({"user": "bob", "scopes": ["start:servers", "read:servers!server=ada/"]});
    let shrunk = call(&hub, &ada, Method::PATCH, "/shares/ada/", less).await.json();
    assert_eq!(shrunk["scopes"], json!(["access:servers!server=ada/"]));
    let gone = call(&hub, &ada, Method::PATCH, "/shares/ada/", json!({"user": "bob"})).await;
    assert_eq!((gone.status, gone.json()), (StatusCode::OK, json!({})));
    let nobody = call(&hub, &ada, Method::PATCH, "/shares/ada/", json!({"group": "no"})).await;
    assert_eq!((nobody.status, nobody.json()), (StatusCode::OK, json!({})));

    call(&hub, &ada, Method::POST, "/shares/ada/", json!({"user": "bob"})).await;
    call(&hub, &ada, Method::POST, "/shares/ada/", json!({"group": "staff"})).await;
    let leave = call(&hub, CHIEF, Method::DELETE, "/users/bob/shared/ada/", Value::Null).await;
    assert_eq!(leave.status, StatusCode::NO_CONTENT);
    let left = call(&hub, CHIEF, Method::DELETE, "/users/bob/shared/ada/", Value::Null).await;
    assert_eq!(left.status, StatusCode::NOT_FOUND);
    let group = call(&hub, CHIEF, Method::GET, "/groups/staff/shared/ada/", Value::Null).await;
    assert_eq!(group.json()["group"], json!({"name": "staff"}));
    let all = call(&hub, &ada, Method::DELETE, "/shares/ada/", Value::Null).await;
    assert_eq!(all.status, StatusCode::NO_CONTENT);
    let none = call(&hub, CHIEF, Method::GET, "/groups/staff/shared", Value::Null).await.json();
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn nobody_shares_what_is_not_theirs() {
    let (hub, ada) = hub().await;
    for (path, body, status) in [
        ("/shares/ada/", json!({}), 400),
        ("/shares/ada/", json!({"user": "bob", "group": "staff"}), 400),
        ("/shares/ada/", json!({"user": "bob", "what": 1}), 400),
        ("/shares/ada/", json!({"user": "nobody"}), 400),
        ("/shares/ada/", json!({"group": "nobody"}), 400),
        ("/shares/ada/", json!({"user": "bob", "scopes": ["no:such"]}), 400),
        ("/shares/ada/", json!({"user": "bob", "scopes": ["access:servers!server=bob/"]}), 400),
        ("/shares/ada/", json!({"user": "bob", "scopes": ["access:servers!user=ada"]}), 400),
        ("/shares/ada/", json!({"user": "bob", "scopes": ["admin:users"]}), 403),
        ("/shares/ada/", json!({"user": "bob", "scopes": ["self"]}), 403),
        ("/shares/ada/lab", json!({"user": "bob"}), 404),
        ("/shares/bob/", json!({"user": "ada"}), 404),
        ("/shares/ada", json!({"user": "bob"}), 405),
        ("/share-codes/ada", json!({}), 405),
    ] {
        let answer = call(&hub, &ada, Method::POST, path, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text);
    }
    let text = call(
        &hub,
        &ada,
        Method::POST,
        "/shares/ada/",
        json!({"user": "bob", "scopes": ["admin:users"]}),
    )
    .await;
    assert_eq!(
        text.json()["message"],
        "Do not have permission to grant share with scope admin:users!server=ada/"
    );
    for method in [Method::PATCH, Method::DELETE] {
        for path in ["/shares/ada", "/share-codes/ada"] {
            let answer = call(&hub, &ada, method.clone(), path, Value::Null).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    let none = call(&hub, CHIEF, Method::GET, "/shares/ada", Value::Null).await.json();
    assert_eq!(none["items"], json!([]), "nothing was shared on the way");
}

#[tokio::test]
async fn people_do_not_share_unless_they_may() {
    let hub = TestHub::new().await;
    hub.signed_in("bob").await;
    hub.signed_in("ada").await;
    let made = hub.api(CHIEF, Method::POST, "/users/ada/tokens", None).await;
    let ada = made.json()["token"].as_str().unwrap().to_owned();
    let refused = call(&hub, &ada, Method::POST, "/shares/ada/", json!({"user": "bob"})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let own = call(&hub, &ada, Method::GET, "/shares/ada", Value::Null).await;
    assert_eq!(own.status, StatusCode::OK, "what is shared of theirs they may read");
}

#[tokio::test]
async fn a_share_opens_the_server_until_it_is_revoked() {
    for grantee in [json!({"user": "bob"}), json!({"group": "staff"})] {
        let (hub, ada) = hub().await;
        hub.api(CHIEF, Method::POST, "/users/ada/server", None).await;
        let mut bob = hub.signed_in("bob").await;
        assert_eq!(open(&hub, &mut bob).await.unwrap_err(), StatusCode::FORBIDDEN);
        assert!(!bob.get("/hub/home").await.text.contains("Shared with you"));

        call(&hub, &ada, Method::POST, "/shares/ada/", grantee.clone()).await;
        let (token, who) = open(&hub, &mut bob).await.unwrap();
        assert_eq!(who["name"], "bob");
        assert!(lets_in(&who), "{grantee}: {who}");
        let home = bob.get("/hub/home").await.text;
        assert!(
            home.contains("Shared with you") && home.contains(r#"href="/user/ada/""#),
            "{home}"
        );
        let start = bob.get("/hub/spawn/ada").await;
        assert_eq!(start.status, StatusCode::NOT_FOUND, "to use is not to start");

        call(&hub, &ada, Method::PATCH, "/shares/ada/", grantee.clone()).await;
        let after = hub.api(&token, Method::GET, "/user", None).await;
        assert_eq!(after.status, StatusCode::OK);
        assert!(!lets_in(&after.json()), "{grantee}: {}", after.text);
        assert_eq!(open(&hub, &mut bob).await.unwrap_err(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_share_ends_with_the_membership() {
    let (hub, ada) = hub().await;
    hub.api(CHIEF, Method::POST, "/users/ada/server", None).await;
    call(&hub, &ada, Method::POST, "/shares/ada/", json!({"group": "staff"})).await;
    let mut bob = hub.signed_in("bob").await;
    let (token, _) = open(&hub, &mut bob).await.unwrap();
    let staff = hub.store.groups().by_name("staff").await.unwrap().unwrap();
    hub.store.groups().replace(staff.id, &[]).await.unwrap();
    let after = hub.api(&token, Method::GET, "/user", None).await.json();
    assert!(!lets_in(&after), "{after}");
}

async fn new_code(hub: &TestHub, token: &str, body: Value) -> Value {
    let made = call(hub, token, Method::POST, "/share-codes/ada/", body).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.json()
}

#[tokio::test]
async fn a_code_is_made_shown_once_and_revoked() {
    let (hub, ada) = hub().await;
    let made = new_code(&hub, &ada, json!({"expires_in": 120})).await;
    let text = made["code"].as_str().unwrap().to_owned();
    assert_eq!(text.len(), 43);
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
    assert_eq!(made["accept_url"], format!("/hub/accept-share?code={text}"));
    assert_eq!(made["full_accept_url"], format!("http://hub.test/hub/accept-share?code={text}"));
    let id = made["id"].as_str().unwrap().to_owned();
    for path in ["/share-codes/ada", "/share-codes/ada/"] {
        let list = call(&hub, &ada, Method::GET, path, Value::Null).await.json();
        assert_eq!(
            timeless(list["items"][0].clone()),
            json!({
                "server": shared_server(false), "scopes": ["access:servers!server=ada/"],
                "id": id, "created_at": "T", "expires_at": "T", "exchange_count": 0,
                "last_exchanged_at": null,
            })
        );
        assert_eq!(list["_pagination"]["total"], 1);
    }
    for seconds in [json!(59), json!(31_536_001), json!(-1), json!("x")] {
        let body = json!({ "expires_in": seconds });
        let refused = call(&hub, &ada, Method::POST, "/share-codes/ada/", body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{seconds}");
    }
    let above = json!({"scopes": ["admin:users"]});
    let refused = call(&hub, &ada, Method::POST, "/share-codes/ada/", above).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let delete = async |query: &str| {
        let path = format!("/share-codes/ada/{query}");
        call(&hub, &ada, Method::DELETE, &path, Value::Null).await
    };
    let unknown = delete("?id=sc_99").await;
    assert_eq!(unknown.json()["message"], "No code found matching id=sc_99");
    assert_eq!(delete("?code=nope").await.status, StatusCode::NOT_FOUND);
    assert_eq!(delete(&format!("?id={id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&format!("?code={text}")).await.status, StatusCode::NOT_FOUND);
    let second = new_code(&hub, &ada, Value::Null).await;
    let query = format!("?code={}", second["code"].as_str().unwrap());
    assert_eq!(delete(&query).await.status, StatusCode::NO_CONTENT);
    new_code(&hub, &ada, Value::Null).await;
    assert_eq!(delete("").await.status, StatusCode::NO_CONTENT);
    let list = call(&hub, &ada, Method::GET, "/share-codes/ada", Value::Null).await.json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn whoever_has_the_code_accepts_on_the_page() {
    let (hub, ada) = hub().await;
    let made = new_code(&hub, &ada, Value::Null).await;
    let (code, url) = (made["code"].as_str().unwrap(), made["accept_url"].as_str().unwrap());

    let anonymous = hub.browser().get(url).await;
    assert!(anonymous.location().starts_with("/hub/login?next="), "{}", anonymous.location());
    let mut owner = hub.signed_in("ada").await;
    assert_eq!(owner.get(url).await.status, StatusCode::FORBIDDEN);
    let form = format!("_xsrf={}&code={code}", owner.xsrf());
    assert_eq!(owner.post("/hub/accept-share", &form).await.status, StatusCode::BAD_REQUEST);

    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get("/hub/accept-share?code=nope").await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.get("/hub/accept-share").await.status, StatusCode::BAD_REQUEST);
    let page = bob.get(&format!("{url}&next=%2Fhub%2Fhome")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("access:servers") && page.text.contains("ada"), "{}", page.text);
    assert!(page.text.contains(r#"name="next" value="/hub/home""#), "{}", page.text);
    let forged = bob.post("/hub/accept-share", &format!("code={code}")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let bad = bob.post("/hub/accept-share", &format!("_xsrf={}&code=nope", bob.xsrf())).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);

    let form = format!("_xsrf={}&code={code}", bob.xsrf());
    let accepted = bob.post("/hub/accept-share", &form).await;
    assert_eq!((accepted.status, accepted.location()), (StatusCode::FOUND, "/user/ada/"));
    let form = format!("{form}&next=%2Fhub%2Fhome");
    assert_eq!(bob.post("/hub/accept-share", &form).await.location(), "/hub/home");
    let shared = call(&hub, CHIEF, Method::GET, "/users/bob/shared/ada/", Value::Null).await;
    assert_eq!(shared.json()["scopes"], json!(["access:servers!server=ada/"]));
    let list = call(&hub, &ada, Method::GET, "/share-codes/ada", Value::Null).await.json();
    assert_eq!(list["items"][0]["exchange_count"], 2);
    assert!(list["items"][0]["last_exchanged_at"].is_string());

    hub.clock.advance(SignedDuration::from_hours(25));
    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get(url).await.status, StatusCode::NOT_FOUND);
    let form = format!("_xsrf={}&code={code}", bob.xsrf());
    assert_eq!(bob.post("/hub/accept-share", &form).await.status, StatusCode::BAD_REQUEST);
}
