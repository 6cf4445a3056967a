//! Organizations, teams, and what GitHub does not tell.

use http::StatusCode;
use hub_auth::{
    AccessPolicy, AccessRules, AuthError, AuthState, Authenticator, GithubAuthenticator, Identity,
    Organization, ProviderRules, Standing,
};

use crate::{
    sign_in_by,
    support::github::{EMAILS_PATH, Fault, Github, USER_PATH},
};

const LAB: &str = "/api/v3/orgs/ada-lab/members/Octo-Cat";
const LAB_PUBLIC: &str = "/api/v3/orgs/ada-lab/public_members/Octo-Cat";
const CORE: &str = "/api/v3/orgs/ada-lab/teams/core/members/Octo-Cat";
const OTHER: &str = "/api/v3/orgs/other/members/Octo-Cat";
const TEAMS: &str = "/api/v3/user/teams?per_page=100";

fn organizations(texts: &[&str]) -> Vec<Organization> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Signs in at a hub that lets in `allowed` and makes administrators of `admins`.
async fn decide(
    github: &Github,
    allowed: &[&str],
    admins: &[&str],
    teams: bool,
) -> Result<Identity, AuthError> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let mut rules = ProviderRules {
        allowed_groups: texts(allowed),
        admin_groups: texts(admins),
        ..ProviderRules::default()
    };
    let mut config = github.config();
    config.ask_about(&mut rules).unwrap();
    config.teams = teams;
    let policy = AccessPolicy::new(AccessRules {
        providers: [(config.id.clone(), rules)].into(),
        manage_groups: teams,
        ..AccessRules::default()
    });
    let claims = sign_in_by(github, &GithubAuthenticator::new(config).unwrap()).await?;
    policy.admit(&claims, false)
}

fn refused(result: Result<Identity, AuthError>) -> String {
    match result {
        Err(error @ AuthError::NotAllowed { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn unchecked(result: Result<Identity, AuthError>) -> String {
    match result {
        Err(error @ AuthError::Unchecked { .. }) => error.to_string(),
        other => panic!("not in doubt: {other:?}"),
    }
}

#[tokio::test]
async fn gh_members_of_an_organization_or_a_team_are_let_in() {
    for (entry, path) in [("Ada-Lab", LAB), ("ada-lab:Core", CORE)] {
        let github = Github::start().await;
        github.has_member(path);
        let identity = decide(&github, &[entry], &[], false).await.unwrap();
        assert_eq!((identity.name.as_str(), identity.admin), ("octo-cat", false));
        assert_eq!(github.seen().last().unwrap(), path);
    }
}

#[tokio::test]
async fn gh_asking_stops_at_the_first_hit() {
    let github = Github::start().await;
    github.has_member(CORE);
    github.has_member(OTHER);
    assert!(decide(&github, &["other", "ada-lab", "ada-lab:core"], &[], false).await.is_ok());
    let seen = github.seen();
    assert_eq!(seen[seen.len() - 3..], [USER_PATH, LAB, CORE].map(str::to_owned));
}

#[tokio::test]
async fn gh_5_a_stranger_is_told_what_could_be_wrong() {
    let github = Github::start().await;
    let text = refused(decide(&github, &["ada-lab"], &[], false).await);
    assert!(text.contains("ask an owner of ada-lab to approve this hub's application"), "{text}");
}

#[tokio::test]
async fn gh_2_public_members_are_seen_without_a_scope() {
    let github = Github::start().await;
    let public: &'static str = github.address_of(LAB_PUBLIC).leak();
    github.fails(LAB, Fault::Header(StatusCode::FOUND, "location", public));
    refused(decide(&github, &["ada-lab"], &[], false).await);
    assert_eq!(github.seen().last().unwrap(), LAB_PUBLIC);

    github.has_member(LAB_PUBLIC);
    let mut config = github.config();
    config.allowed_organizations = organizations(&["ada-lab"]);
    let authenticator = GithubAuthenticator::new(config).unwrap();
    let claims = sign_in_by(&github, &authenticator).await.unwrap();
    let seen_in = "the list of public members";
    assert_eq!(claims.membership.of("ada-lab"), &Standing::Member { seen_in });
}

#[tokio::test]
async fn gh_2_no_other_redirect_is_followed() {
    let rows = [
        (LAB, StatusCode::FOUND, "http://127.0.0.1:1/api/v3/orgs/ada-lab/public_members/Octo-Cat"),
        (LAB, StatusCode::FOUND, "https://evil.test/"),
        (LAB, StatusCode::MOVED_PERMANENTLY, "/elsewhere"),
        (CORE, StatusCode::FOUND, "/elsewhere"),
    ];
    for (path, status, location) in rows {
        let github = Github::start().await;
        github.fails(path, Fault::Header(status, "location", location));
        let entry = if path == LAB { "ada-lab" } else { "ada-lab:core" };
        unchecked(decide(&github, &[entry], &[], false).await);
        assert_eq!(github.seen().last().unwrap(), path, "{location}");
    }
}

#[tokio::test]
async fn gh_org_api_errors_are_refusals_with_a_reason() {
    let unwell = Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "{}");
    let limited = Fault::Header(StatusCode::TOO_MANY_REQUESTS, "retry-after", "720");
    let rows = [
        (unwell, "GitHub is not answering (it answered with status 500 Internal Server Error)"),
        (Fault::Answer(StatusCode::FORBIDDEN, "{}"), "an owner of ada-lab may have to approve"),
        (Fault::Answer(StatusCode::UNAUTHORIZED, "{}"), "GitHub answered with status 401"),
        (limited, "takes no more requests for now; try again in 12 min"),
        (Fault::Answer(StatusCode::OK, "{}"), "GitHub answered with status 200"),
        (Fault::Endless, "the answer is larger than 1048576 bytes"),
    ];
    for (fault, part) in rows {
        let github = Github::start().await;
        github.fails(LAB, fault);
        let text = unchecked(decide(&github, &["ada-lab"], &[], false).await);
        let start = "could not check whether octo-cat may sign in, try again: could not check your \
             membership of ada-lab: ";
        assert!(text.starts_with(start) && text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn gh_org_api_timeout_is_a_refusal_with_a_reason() {
    let github = Github::start().await;
    github.fails(LAB, Fault::Silence);
    let mut config = github.config();
    config.timeout = std::time::Duration::from_secs(1);
    config.allowed_organizations = organizations(&["ada-lab"]);
    let authenticator = GithubAuthenticator::new(config).unwrap();
    let claims = sign_in_by(&github, &authenticator).await.unwrap();
    let Standing::Unchecked { reason } = claims.membership.of("ada-lab") else {
        panic!("{:?}", claims.membership)
    };
    assert!(reason.contains("no complete answer within 1 s"), "{reason}");
}

#[tokio::test]
async fn gh_one_lost_answer_keeps_out_nobody_whom_another_lets_in() {
    let github = Github::start().await;
    github.fails(LAB, Fault::Answer(StatusCode::BAD_GATEWAY, ""));
    github.has_member(OTHER);
    assert!(decide(&github, &["ada-lab", "other"], &[], false).await.is_ok());
}

#[tokio::test]
async fn gh_7_a_team_makes_administrators_and_leaving_it_ends_that() {
    let github = Github::start().await;
    github.has_member(LAB);
    let identity = decide(&github, &["ada-lab"], &["ada-lab:core"], false).await.unwrap();
    assert_eq!((identity.admin, identity.admin_withdrawn), (false, true));

    github.fails(CORE, Fault::Answer(StatusCode::BAD_GATEWAY, ""));
    let identity = decide(&github, &["ada-lab"], &["ada-lab:core"], false).await.unwrap();
    assert_eq!((identity.admin, identity.admin_withdrawn), (false, false), "nobody knows");

    github.has_member(CORE);
    let identity = decide(&github, &[], &["ada-lab:core"], false).await.unwrap();
    assert_eq!((identity.admin, identity.admin_withdrawn), (true, false));
}

#[tokio::test]
async fn gh_org_api_paged_teams_become_groups() {
    let github = Github::start().await;
    github.grants("read:org");
    let second = github.address_of("/api/v3/user/teams?per_page=100&page=2");
    let link: &'static str = format!(r#"<{second}>; rel="next", <{second}>; rel="last""#).leak();
    github.fails(TEAMS, Fault::Page(include_str!("../fixtures/github/teams_1.json"), link));
    let last = Fault::Answer(StatusCode::OK, include_str!("../fixtures/github/teams_2.json"));
    github.fails("/api/v3/user/teams?per_page=100&page=2", last);

    let identity = decide(&github, &["ada-lab:core"], &["other"], true).await.unwrap();
    assert!(identity.admin_withdrawn);
    let groups: Vec<String> = identity.groups.unwrap().into_iter().collect();
    assert_eq!(groups, ["ada-lab", "ada-lab:core", "justice", "justice:owls"]);
    assert!(!github.seen().contains(&CORE.to_owned()), "the list told it already");
}

#[tokio::test]
async fn gh_teams_that_are_not_told_in_full_replace_no_groups() {
    let one = include_str!("../fixtures/github/teams_1.json");
    let elsewhere = Fault::Page(one, r#"<https://evil.test/user/teams?page=2>; rel="next""#);
    let rows = [
        ("", elsewhere),
        ("read:org", elsewhere),
        ("read:org", Fault::Answer(StatusCode::BAD_GATEWAY, "")),
        ("read:org", Fault::Answer(StatusCode::OK, r#"{"not": "a list"}"#)),
    ];
    for (scope, fault) in rows {
        let github = Github::start().await;
        github.grants(scope);
        github.fails(TEAMS, fault);
        github.has_member(LAB);
        let identity = decide(&github, &["ada-lab"], &[], true).await.unwrap();
        assert_eq!(identity.groups, None);
    }
}

#[tokio::test]
async fn gh_org_api_paging_ends() {
    let github = Github::start().await;
    github.grants("read:org");
    let next: &'static str = format!("<{}>; rel=\"next\"", github.address_of(TEAMS)).leak();
    github.fails(TEAMS, Fault::Page("[]", next));
    github.has_member(LAB);
    let identity = decide(&github, &["ada-lab"], &[], true).await.unwrap();
    assert_eq!(identity.groups, None);
    assert_eq!(github.seen().iter().filter(|path| *path == TEAMS).count(), 20);
}

#[tokio::test]
async fn what_was_kept_explains_a_decision_without_asking() {
    let github = Github::start().await;
    github.has_member(LAB);
    let mut config = github.config();
    config.allowed_organizations = organizations(&["ada-lab", "other"]);
    let authenticator = GithubAuthenticator::new(config).unwrap();
    let claims = sign_in_by(&github, &authenticator).await.unwrap();
    let asked = github.seen().len();

    let kept = authenticator.remembered(claims.auth_state.as_ref().unwrap()).unwrap();
    assert_eq!(kept.stable_id(), claims.stable_id());
    assert_eq!((kept.login, kept.attributes), (claims.login, claims.attributes));
    assert_eq!(kept.membership.groups(), claims.membership.groups());
    assert_eq!(kept.membership.of("other"), &Standing::NotAsked);
    assert_eq!(github.seen().len(), asked);
    assert!(authenticator.remembered(&AuthState::default()).is_none());
}

#[tokio::test]
async fn a_hub_without_organizations_asks_about_none() {
    let github = Github::start().await;
    refused(decide(&github, &[], &[], false).await);
    assert_eq!(github.seen().last().unwrap(), USER_PATH);
    assert!(!github.seen().contains(&EMAILS_PATH.to_owned()));
}
