//! Sign-in at other sites, and what their word does to an account.

mod by_form;
mod github;
mod kept;
mod openid;
mod way;

use hub_server::{Clock as _, SystemClock};
use hub_store::{Store, User};

use crate::{
    harness::{Answer, Browser, TestHub},
    stand_ins::{address, github::Github, openid::Openid, way_back},
};

/// A configuration with these lines in `[auth]` and these sections of providers.
fn config(auth: &str, providers: &str) -> String {
    format!(
        "[http]\npublic_url = \"http://hub.test\"\n[auth]\n{auth}\n{providers}\n\
         [spawner.docker]\nimage = \"unused\"\n\
         [[services]]\nname = \"chief\"\napi_token = \"chief-service-token\"\nadmin = true\n"
    )
}

/// The section of a stand-in.
fn github_section(github: &Github, more: &str) -> String {
    let url = github.config().url;
    let (id, secret) =
        (crate::stand_ins::github::CLIENT_ID, crate::stand_ins::github::CLIENT_SECRET);
    format!(
        "[auth.github]\nurl = \"{url}\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n{more}\n"
    )
}

/// The section of a stand-in, whose tokens are good now.
fn openid_section(openid: &Openid, more: &str) -> String {
    let now = SystemClock.now().as_second();
    openid.change(|inner| inner.claims = serde_json::json!({ "iat": now, "exp": now + 300 }));
    let issuer = openid.issuer();
    let (id, secret) =
        (crate::stand_ins::openid::CLIENT_ID, crate::stand_ins::openid::CLIENT_SECRET);
    format!(
        "[auth.oidc]\nissuer = \"{issuer}\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n{more}\n"
    )
}

async fn hub(auth: &str, providers: &str) -> TestHub {
    TestHub::signing_in(&config(auth, providers), Store::in_memory().await.unwrap()).await
}

/// A new browser whose owner signs in at GitHub.
async fn by_github(hub: &TestHub, github: &Github) -> (Browser, Answer) {
    let mut browser = hub.browser();
    let begun = browser.get("/hub/oauth_login?provider=github&next=%2Fhub%2Fhome").await;
    let callback = github.approve(&address(begun.location()));
    let answer = browser.get(&way_back(&callback)).await;
    (browser, answer)
}

/// The same at the OpenID provider.
async fn by_openid(hub: &TestHub, openid: &Openid) -> (Browser, Answer) {
    let mut browser = hub.browser();
    let begun = browser.get("/hub/oauth_login?provider=oidc&next=%2Fhub%2Fhome").await;
    let callback = openid.approve(&address(begun.location()));
    let answer = browser.get(&way_back(&callback)).await;
    (browser, answer)
}

async fn user(hub: &TestHub, name: &str) -> Option<User> {
    hub.store.users().by_name(&name.parse().unwrap()).await.unwrap()
}
