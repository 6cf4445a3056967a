//! Names of all kinds, from a URL into the hub and out of it again.

use http::{Method, StatusCode};
use hub_names::UserName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::harness::TestHub;

const CHIEF: &str = "chief-service-token";
/// What JupyterHub's clients leave as it is in a path.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'@');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// Names that a hub takes as they are: folded already.
fn names() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "al.ice+x", "ünï", "a@b.c", "a b", "50%", "~x", "a?b", "a#b", "a&b=c", "秀樹", "a:b",
        "a;b", "é", "a\"b", "<i>", "{}", "a\\b",
    ])
    .prop_map(str::to_owned);
    let any = "[a-z0-9 ._~@+%!$&'()*,;:=äß秀]{1,40}".prop_map(String::from);
    prop_oneof![odd, any].prop_filter("a name that is folded", |text| {
        text.parse::<UserName>().is_ok() && text.to_lowercase() == *text
    })
}

#[test]
fn names_survive_every_escape() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hub = runtime.block_on(TestHub::new());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let tried = runner.run(&names(), |name| {
        runtime.block_on(async {
            let (user, group) = (escaped(&name), escaped(&format!("{name}/x")));
            let ask = |method: Method, path: String, body: Option<Value>| {
                let hub = &hub;
                async move { hub.api(CHIEF, method, &path, body).await }
            };
            let made = ask(Method::POST, format!("/users/{user}"), None).await;
            prop_assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
            prop_assert_eq!(&made.json()["name"], &json!(name));
            let members = json!({ "users": [name] });
            let made = ask(Method::POST, format!("/groups/{group}"), Some(members)).await;
            prop_assert_eq!(&made.json()["users"], &json!([name]), "{}", made.text);
            let shown = ask(Method::GET, format!("/users/{user}"), None).await.json();
            prop_assert_eq!(&shown["groups"], &json!([format!("{name}/x")]));

            let started = ask(Method::POST, format!("/users/{user}/server"), None).await;
            prop_assert_eq!(started.status, StatusCode::CREATED, "{}", started.text);
            let routes = ask(Method::GET, "/proxy".to_owned(), None).await.json();
            let url = format!("/user/{user}/");
            prop_assert_eq!(&routes[&url]["data"]["user"], &json!(name), "{}", routes);
            let shown = ask(Method::GET, format!("/users/{user}"), None).await.json();
            prop_assert_eq!(&shown["server"], &json!(url));

            let gone = ask(Method::DELETE, format!("/users/{user}"), None).await;
            prop_assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
            ask(Method::DELETE, format!("/groups/{group}"), None).await;
            Ok(())
        })
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}
