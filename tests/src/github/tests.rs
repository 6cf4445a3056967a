use std::collections::HashMap;

use reqwest::{Client, StatusCode, redirect::Policy};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{CLIENT_ID, CLIENT_SECRET, CODE_LIFE, Code, GitHub, Grant, Organization};
use crate::hub::crypto_provider;

const CALLBACK: &str = "http://hub.test/hub/oauth_callback";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn with_ada() -> (GitHub, Client) {
    crypto_provider();
    let github = GitHub::start().await;
    github.register(CALLBACK);
    github.person("Ada", 1815);
    github.sign_in("Ada");
    let client = Client::builder().redirect(Policy::none()).user_agent("hub").build().unwrap();
    (github, client)
}

/// Where the browser is sent after it came with these fields.
async fn authorize(github: &GitHub, client: &Client, more: &str) -> HashMap<String, String> {
    let url =
        format!("{}/login/oauth/authorize?client_id={CLIENT_ID}&state=a%26b&{more}", github.url);
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let location: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert!(location.as_str().starts_with(CALLBACK), "{location}");
    location.query_pairs().into_owned().collect()
}

/// The answer to a try at the token endpoint, which always has status 200.
async fn redeem(github: &GitHub, client: &Client, fields: &[(&str, &str)]) -> Value {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let answer = client
        .post(format!("{}/login/oauth/access_token", github.url))
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

fn app<'a>(code: &'a str, verifier: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("code", code),
        ("code_verifier", verifier),
    ]
}

async fn ask(github: &GitHub, client: &Client, path: &str, token: &str) -> (u16, Value) {
    let request = client.get(format!("{}{path}", github.url));
    let answer = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_flow_ends_with_a_token_that_knows_its_person() {
    let (github, client) = with_ada().await;
    let challenge = format!(
        "scope=read:org%20user:email&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let back = authorize(&github, &client, &challenge).await;
    assert_eq!(back["state"], "a&b");
    let answer = redeem(&github, &client, &app(&back["code"], VERIFIER)).await;
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["scope"], "read:org,user:email");
    let token = answer["access_token"].as_str().unwrap();

    let (status, user) = ask(&github, &client, "/user", token).await;
    assert_eq!((status, &user["login"], &user["id"]), (200, &"Ada".into(), &1815.into()));
    let (status, emails) = ask(&github, &client, "/user/emails", token).await;
    assert_eq!((status, &emails[1]["email"]), (200, &"ada@mail.test".into()));

    let (status, refused) = ask(&github, &client, "/user", "gho_stolen").await;
    assert_eq!((status, &refused["message"]), (401, &"Bad credentials".into()));
    github.revoke_tokens();
    assert_eq!(ask(&github, &client, "/user", token).await.0, 401);
}

#[tokio::test]
async fn a_code_counts_once_even_if_the_verifier_was_wrong() {
    let (github, client) = with_ada().await;
    let back = authorize(&github, &client, &format!("code_challenge={CHALLENGE}")).await;
    for verifier in ["wrong", VERIFIER] {
        let answer = redeem(&github, &client, &app(&back["code"], verifier)).await;
        assert_eq!(answer["error"], "bad_verification_code", "{verifier}");
    }
}

#[tokio::test]
async fn mail_addresses_need_their_scope() {
    let (github, client) = with_ada().await;
    let back = authorize(&github, &client, "").await;
    let answer = redeem(&github, &client, &app(&back["code"], "")).await;
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(ask(&github, &client, "/user/emails", token).await.0, 404);
}

#[tokio::test]
async fn refusals_come_back_with_the_state() {
    let (github, client) = with_ada().await;
    let other = authorize(&github, &client, "redirect_uri=http://elsewhere.test/").await;
    assert_eq!((&*other["error"], &*other["state"]), ("redirect_uri_mismatch", "a&b"));
    github.refuse();
    let denied = authorize(&github, &client, "").await;
    assert_eq!(denied["error"], "access_denied");
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_a_form_with_status_200() {
    let (github, client) = with_ada().await;
    let answer = client
        .post(format!("{}/login/oauth/access_token", github.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("client_id={CLIENT_ID}&client_secret=x&code=x"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().starts_with("error=incorrect_client_credentials&"));
}

#[test]
fn a_code_lives_ten_minutes_and_belongs_to_its_address() {
    let made = Instant::now();
    let grant = Grant { login: "Ada".to_owned(), scopes: Vec::new() };
    let code = Code { grant, redirect_uri: CALLBACK.to_owned(), challenge: None, made };
    let from = |address: &str| HashMap::from([("redirect_uri".to_owned(), address.to_owned())]);
    assert!(code.is_good(&from(CALLBACK), made));
    assert!(!code.is_good(&from("http://elsewhere.test/"), made));
    assert!(!code.is_good(&HashMap::new(), made + CODE_LIFE));
}

/// A token of Ada's with these scopes.
async fn token(github: &GitHub, client: &Client, scope: &str) -> String {
    let back = authorize(github, client, &format!("scope={scope}")).await;
    let answer = redeem(github, client, &app(&back["code"], "")).await;
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The status of an answer without a body, and where it sends to.
async fn standing(
    github: &GitHub,
    client: &Client,
    path: &str,
    token: &str,
) -> (u16, Option<String>) {
    let request = client.get(format!("{}/orgs/{path}", github.url));
    let answer = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    let location = answer.headers().get("location").map(|url| url.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location)
}

#[tokio::test]
async fn members_see_members_and_teams_and_others_only_who_shows_it() {
    let (github, client) = with_ada().await;
    github.organization(
        Organization::new("Engine-Lab", &["Ada", "Charles"])
            .shown_by(&["Charles"])
            .team("builders", &["Ada"]),
    );
    github.organization(Organization::new("Elsewhere", &["Charles"]).team("t", &["Charles"]));
    let (seeing, blind) =
        (token(&github, &client, "read:org").await, token(&github, &client, "").await);
    for (path, seen, unseen) in [
        ("engine-lab/members/ada", 204, 302),
        ("engine-lab/members/grace", 404, 302),
        ("engine-lab/public_members/Charles", 204, 204),
        ("engine-lab/public_members/Ada", 404, 404),
        ("engine-lab/teams/builders/members/Ada", 204, 404),
        ("engine-lab/teams/builders/members/Charles", 404, 404),
        ("engine-lab/teams/none/members/Ada", 404, 404),
        ("elsewhere/members/Charles", 302, 302),
        ("elsewhere/teams/t/members/Charles", 404, 404),
        ("nowhere/members/Ada", 404, 404),
    ] {
        assert_eq!(standing(&github, &client, path, &seeing).await.0, seen, "{path}");
        let (status, location) = standing(&github, &client, path, &blind).await;
        assert_eq!(status, unseen, "{path}");
        if status == 302 {
            let public = path.replace("/members/", "/public_members/");
            assert_eq!(location, Some(format!("{}/orgs/{public}", github.url)));
        }
    }
    assert_eq!(standing(&github, &client, "engine-lab/members/ada", "gho_x").await.0, 401);
}

#[tokio::test]
async fn teams_are_listed_in_pages_for_those_who_may_see_them() {
    let (github, client) = with_ada().await;
    let mut lab = Organization::new("Engine-Lab", &["Ada"]);
    for number in 0..5 {
        lab = lab.team(&format!("team-{number}"), &["Ada"]);
    }
    github.organization(lab.team("others", &["Charles"]));
    let seeing = token(&github, &client, "read:org").await;
    let mut next = Some(format!("{}/user/teams?per_page=2", github.url));
    let mut seen = Vec::new();
    while let Some(url) = next {
        let request = client.get(url).header("authorization", format!("Bearer {seeing}"));
        let answer = request.send().await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link[1..].split_once('>').unwrap().0.to_owned());
        let page: Vec<Value> = answer.json().await.unwrap();
        assert!((1..=2).contains(&page.len()));
        assert!(page.iter().all(|team| team["organization"]["login"] == "Engine-Lab"));
        seen.extend(page.into_iter().map(|team| team["slug"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ["team-0", "team-1", "team-2", "team-3", "team-4"]);
    let blind = token(&github, &client, "user:email").await;
    assert_eq!(ask(&github, &client, "/user/teams", &blind).await.0, 403);
}
