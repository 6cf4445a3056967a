//! Sign-in with a real OpenID provider: the npm package `oidc-provider`.

#![expect(clippy::unwrap_used, reason = "a provider that breaks ends its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hub_auth::{
    Answer, AuthError, AuthState, Authenticator as _, Callback, LoginStart, OidcAuthenticator,
    OidcConfig, RefreshError, system_clock,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::{Url, form_urlencoded};

const CLIENT_ID: &str = "hub";
const CLIENT_SECRET: &str = "client-secret-of-the-hub-0123456789";
const CALLBACK: &str = "http://hub.test/hub/oauth_callback";
const AFTER: &str = "http://hub.test/hub/login";

/// More pages than a sign-in has.
const MOST_STEPS: usize = 20;

/// The provider's process; it ends with the test.
struct Provider {
    process: Child,
    issuer: String,
}

impl Provider {
    #[expect(clippy::disallowed_methods, reason = "a test is told where the programs are")]
    fn start() -> Self {
        let library = std::env::var("HUB_TEST_OIDC_PROVIDER")
            .expect("cargo xtask test says where the library is");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/oidc_provider.mjs");
        let mut process = Command::new("node")
            .args([script, &library, CLIENT_ID, CLIENT_SECRET, CALLBACK, AFTER])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // The library warns on other lines; an address is the one that was printed.
        let issuer = lines.find_map(|line| line.ok().filter(|line| line.starts_with("http://")));
        // It would end at its next word if nobody listened any more.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, issuer: issuer.expect("the provider did not start") }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser: cookies, redirects and forms.
struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, url: &Url, form: Option<String>) -> Response<Bytes> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(if form.is_some() { "POST" } else { "GET" })
            .uri(url.as_str())
            .header(header::COOKIE, cookies.join("; "));
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = Full::from(form.unwrap_or_default());
        let answer = self.client.request(request.body(body).unwrap()).await.unwrap();
        for line in answer.headers().get_all(header::SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match value.is_empty() {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let (parts, body) = answer.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// Goes to the provider, signs in as `name`, agrees, and comes back.
    async fn sign_in(&mut self, start: Url, name: &str) -> Callback {
        let (mut url, mut form) = (start, None);
        for _ in 0..MOST_STEPS {
            let answer = self.send(&url, form.take()).await;
            if let Some(location) = answer.headers().get(header::LOCATION) {
                url = url.join(location.to_str().unwrap()).unwrap();
                if url.as_str().starts_with(CALLBACK) {
                    return callback(&url);
                }
                continue;
            }
            assert_eq!(answer.status(), StatusCode::OK, "{url}: {:?}", answer.body());
            let page = String::from_utf8(answer.into_body().to_vec()).unwrap();
            let prompt = between(&page, "name=\"prompt\" value=\"", "\"");
            url = url.join(&between(&page, "action=\"", "\"").replace("&amp;", "&")).unwrap();
            let mut fields = form_urlencoded::Serializer::new(String::new());
            fields.append_pair("prompt", &prompt);
            if prompt == "login" {
                fields.append_pair("login", name).append_pair("password", "any");
            }
            form = Some(fields.finish());
        }
        panic!("no way back after {MOST_STEPS} steps; now at {url}")
    }
}

fn between(page: &str, start: &str, end: &str) -> String {
    let rest = page.split_once(start).unwrap_or_else(|| panic!("no {start:?} in {page}")).1;
    rest.split_once(end).unwrap().0.to_owned()
}

fn callback(url: &Url) -> Callback {
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let get = |name: &str| query.get(name).cloned();
    Callback {
        code: get("code").map(Into::into),
        state: get("state"),
        error: get("error"),
        error_description: get("error_description"),
        iss: get("iss"),
    }
}

#[tokio::test]
#[ignore = "needs node and the npm package oidc-provider: cargo xtask test"]
async fn oidc_1_a_real_provider_signs_in_refreshes_and_signs_out() {
    let provider = Provider::start();
    let mut config = OidcConfig::new(
        provider.issuer.clone(),
        CLIENT_ID,
        CLIENT_SECRET.into(),
        CALLBACK.parse().unwrap(),
    );
    config.scope.push("groups".to_owned());
    config.claims.groups = vec!["groups".to_owned()];
    let oidc = OidcAuthenticator::new(config, system_clock()).unwrap();
    let mut browser = Browser::new();
    let LoginStart { redirect, pending } = oidc.begin().await.unwrap().unwrap();
    let callback = browser.sign_in(redirect, "ada").await;
    let claims = oidc.finish(Answer::Callback { pending, callback }).await.unwrap();
    assert_eq!((claims.subject.as_str(), claims.login.as_str()), ("ada", "ADA"));
    assert_eq!(claims.email.as_deref(), Some("ada@lab.test"));
    let groups = BTreeSet::from(["owls".to_owned(), "staff".to_owned()]);
    assert_eq!(claims.membership.groups(), groups);
    let state = claims.auth_state.unwrap();

    // With the access token, and, when that is gone, with the refresh token.
    let again = oidc.refresh(&state).await.unwrap();
    assert_eq!((again.subject.as_str(), again.membership.groups()), ("ada", groups.clone()));
    let mut fields = state.clone().into_fields();
    fields.remove("access_token");
    let used = AuthState::new(fields);
    let renewed = oidc.refresh(&used).await.unwrap();
    assert_eq!((renewed.subject.as_str(), renewed.membership.groups()), ("ada", groups));
    let state = renewed.auth_state.unwrap();
    assert!(state.access_token().is_some() && state.id_token().is_some());
    // The refresh token was good for one use.
    assert!(state.refresh_token().is_some_and(|new| Some(new) != used.refresh_token()));
    let RefreshError { renewed, error } = oidc.refresh(&used).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInAgain { .. }) && renewed.is_none(), "{error}");

    let out = oidc.sign_out_url(Some(&state), &AFTER.parse().unwrap()).await.unwrap().unwrap();
    let page = browser.send(&out, None).await;
    assert_eq!(page.status(), StatusCode::OK, "{:?}", page.body());
    let page = String::from_utf8(page.into_body().to_vec()).unwrap();
    let confirm = out.join(&between(&page, "action=\"", "\"")).unwrap();
    let mut fields = form_urlencoded::Serializer::new(String::new());
    fields.append_pair("xsrf", &between(&page, "name=\"xsrf\" value=\"", "\""));
    fields.append_pair("logout", "yes");
    let gone = browser.send(&confirm, Some(fields.finish())).await;
    assert_eq!(gone.headers()[header::LOCATION], AFTER, "{:?}", gone.body());
}
