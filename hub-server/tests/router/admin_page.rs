//! The administration page: who may open it, and what its scripts are told.

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;

use crate::harness::TestHub;

#[tokio::test]
async fn the_administration_is_for_those_with_the_right_to_it() {
    let hub = TestHub::new().await;
    let anonymous = hub.browser().get("/hub/admin").await;
    assert_eq!(anonymous.location(), "/hub/login?next=%2Fhub%2Fadmin");

    let mut ada = hub.signed_in("ada").await;
    let refused = ada.get("/hub/admin").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("admin-ui"), "{}", refused.text);
    assert!(!ada.get("/hub/home").await.text.contains("/hub/admin"), "nor is she led there");

    let mut grace = hub.signed_in("grace").await;
    let page = grace.get("/hub/admin").await;
    assert_eq!(page.status, StatusCode::OK);
    for wanted in ["data-api=\"/hub/api\"", &grace.xsrf(), "/hub/static/js/admin/main.js?v="] {
        assert!(page.text.contains(wanted), "{wanted}: {}", page.text);
    }
    assert!(grace.get("/hub/home").await.text.contains("href=\"/hub/admin\""));
    // Pages know cookies only.
    let by_token = [("authorization", "token chief-service-token")];
    let answer = hub.browser().request(Method::GET, "/hub/admin", &by_token, "").await;
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[tokio::test]
async fn the_right_may_come_from_a_role() {
    let more = r#"
[[roles]]
name = "helpdesk"
scopes = ["admin-ui", "list:users"]
users = ["bob"]
"#;
    let hub =
        TestHub::configured(more, FakeSpawner::new(), Store::in_memory().await.unwrap()).await;
    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get("/hub/admin").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_script_of_the_page_is_there() {
    let hub = TestHub::new().await;
    let mut seen = vec!["js/admin/main.js".to_owned()];
    let mut at = 0;
    while let Some(path) = seen.get(at).cloned() {
        at += 1;
        let file = hub.browser().get(&format!("/hub/static/{path}")).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        let imports = file.text.lines().filter_map(|line| {
            let (_, rest) = line.strip_prefix("import ")?.split_once("from \"")?;
            rest.split('"').next()
        });
        for import in imports {
            let folder = path.rsplit_once('/').unwrap().0;
            let found = match import.strip_prefix("../") {
                Some(above) => format!("{}/{above}", folder.rsplit_once('/').unwrap().0),
                None => format!("{folder}/{}", import.strip_prefix("./").unwrap()),
            };
            if !seen.contains(&found) {
                seen.push(found);
            }
        }
    }
    assert!(seen.contains(&"js/time.js".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn log_1_an_administrator_reads_anybodys_log() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let mut grace = hub.signed_in("grace").await;
    let page = grace.get("/hub/log/ada").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("the server of ada"), "{}", page.text);
    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get("/hub/log/ada").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn everybody_reads_the_announcement() {
    let more = "[pages]\nannouncement = \"Down on Friday <18:00>\"\n";
    let hub =
        TestHub::configured(more, FakeSpawner::new(), Store::in_memory().await.unwrap()).await;
    let mut ada = hub.signed_in("ada").await;
    let mut anonymous = hub.browser();
    for text in [ada.get("/hub/home").await.text, anonymous.get("/hub/login").await.text] {
        assert!(text.contains("Down on Friday &lt;18:00&gt;"), "{text}");
    }
}
