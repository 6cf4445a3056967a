//! Organizations and their teams. Names are compared without regard to case, as at
//! GitHub.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Grant, Shared, Site, api};

/// Entries of a list on one page, and the most that a caller may ask for.
const PER_PAGE: usize = 30;
const MOST_PER_PAGE: usize = 100;

/// People who belong together.
#[derive(Clone, Debug)]
pub struct Organization {
    pub(super) login: String,
    members: BTreeSet<String>,
    /// Those of them who show it to everybody.
    public: BTreeSet<String>,
    /// The members of each team by its slug.
    teams: BTreeMap<String, BTreeSet<String>>,
}

impl Organization {
    /// One of these people, none of whom shows it.
    pub fn new(login: &str, members: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            members: lower(members),
            public: BTreeSet::new(),
            teams: BTreeMap::new(),
        }
    }

    /// These members show to everybody that they are some.
    #[must_use]
    pub fn shown_by(mut self, members: &[&str]) -> Self {
        self.public = lower(members);
        self
    }

    /// A team of these members.
    #[must_use]
    pub fn team(mut self, slug: &str, members: &[&str]) -> Self {
        self.teams.insert(slug.to_owned(), lower(members));
        self
    }

    pub(super) fn is_called(&self, login: &str) -> bool {
        self.login.eq_ignore_ascii_case(login)
    }

    /// Whether the token shows what only members see.
    fn is_open_to(&self, grant: &Grant) -> bool {
        sees_organizations(grant) && self.members.contains(&grant.login.to_lowercase())
    }
}

fn lower(logins: &[&str]) -> BTreeSet<String> {
    logins.iter().map(|login| login.to_lowercase()).collect()
}

fn sees_organizations(grant: &Grant) -> bool {
    grant.scopes.iter().any(|scope| ["read:org", "write:org", "admin:org"].contains(&&**scope))
}

/// The one organization that is asked about, for whom the caller is.
fn found<'a>(
    site: &'a Site,
    headers: &HeaderMap,
    login: &str,
) -> Result<(&'a Organization, &'a Grant), api::Refused> {
    let grant = api::caller(&site.tokens, headers)?;
    let organization = site.organizations.iter().find(|one| one.is_called(login));
    organization.map(|one| (one, grant)).ok_or(api::Refused::NotFound)
}

/// `GET /orgs/{org}/members/{username}`. Whoever is no member, or has a token that does
/// not show it, is sent to the list of public members.
pub(super) async fn member(
    State(site): Shared,
    headers: HeaderMap,
    Path((org, login)): Path<(String, String)>,
) -> Response {
    let site = site.lock().unwrap();
    let (organization, grant) = match found(&site, &headers, &org) {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    if !organization.is_open_to(grant) {
        let host = headers[header::HOST].to_str().unwrap();
        let public = format!("http://{host}/orgs/{org}/public_members/{login}");
        return (StatusCode::FOUND, [(header::LOCATION, public)]).into_response();
    }
    yes_or_no(organization.members.contains(&login.to_lowercase()))
}

/// `GET /orgs/{org}/public_members/{username}`
pub(super) async fn public_member(
    State(site): Shared,
    headers: HeaderMap,
    Path((org, login)): Path<(String, String)>,
) -> Response {
    let site = site.lock().unwrap();
    match found(&site, &headers, &org) {
        Ok((organization, _)) => yes_or_no(organization.public.contains(&login.to_lowercase())),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /orgs/{org}/teams/{team_slug}/members/{username}`: teams are there for members
/// of the organization alone.
pub(super) async fn team_member(
    State(site): Shared,
    headers: HeaderMap,
    Path((org, team, login)): Path<(String, String, String)>,
) -> Response {
    let site = site.lock().unwrap();
    let (organization, grant) = match found(&site, &headers, &org) {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    let team = organization.teams.get(&team).filter(|_| organization.is_open_to(grant));
    yes_or_no(team.is_some_and(|members| members.contains(&login.to_lowercase())))
}

/// `GET /user/teams`, in pages.
pub(super) async fn teams(
    State(site): Shared,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let site = site.lock().unwrap();
    let grant = match api::caller(&site.tokens, &headers) {
        Ok(grant) => grant,
        Err(refused) => return refused.into_response(),
    };
    if !sees_organizations(grant) {
        let message = "You need at least read:org scope or user scope to view your teams.";
        return api::refusal(StatusCode::FORBIDDEN, message);
    }
    let login = grant.login.to_lowercase();
    let mut all = Vec::new();
    for (number, organization) in site.organizations.iter().enumerate() {
        for (slug, _) in organization.teams.iter().filter(|(_, team)| team.contains(&login)) {
            all.push(json!({
                "id": 1000 * number + all.len(), "name": slug, "slug": slug, "description": null,
                "organization": { "login": organization.login, "id": number },
            }));
        }
    }
    let number = |name: &str, otherwise| {
        query.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (size, page) = (number("per_page", PER_PAGE).clamp(1, MOST_PER_PAGE), number("page", 1));
    let shown: Vec<Value> =
        all.iter().skip(page.saturating_sub(1) * size).take(size).cloned().collect();
    let mut answer = api::answer(grant, json!(shown));
    if page * size < all.len() {
        let host = headers[header::HOST].to_str().unwrap();
        let next = format!("http://{host}/user/teams?per_page={size}&page={}", page + 1);
        let link = format!("<{next}>; rel=\"next\"").parse().unwrap();
        answer.headers_mut().insert(header::LINK, link);
    }
    answer
}

fn yes_or_no(is_member: bool) -> Response {
    match is_member {
        true => StatusCode::NO_CONTENT.into_response(),
        false => api::Refused::NotFound.into_response(),
    }
}
