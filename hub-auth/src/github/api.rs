//! The calls we make with the person's token.

use std::{error::Error, fmt};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, LINK, LOCATION},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Organization, link,
    wire::{Email, Team},
};
use crate::{
    AuthError, BoxError, Standing,
    error::{excerpt, when},
    outbound::{Outbound, exchange::Tokens},
};

/// Scopes that open the list of mail addresses.
const EMAIL_SCOPES: [&str; 2] = ["user", "user:email"];

/// Scopes that open organizations and teams.
pub(super) const ORGANIZATION_SCOPES: [&str; 3] = ["read:org", "write:org", "admin:org"];

/// Beginning of the tokens that GitHub Apps get for a person.
const APP_TOKEN: &str = "ghu_";

/// Most pages of a list that are read, of 100 entries each.
const MOST_PAGES: usize = 20;

/// What stays as it is in a segment of a path, RFC 3986 section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// GitHub's REST API, as one person.
pub(super) struct Api<'a> {
    pub(super) outbound: &'a Outbound,
    /// Without a slash at the end.
    pub(super) base: String,
    pub(super) tokens: &'a Tokens,
}

/// An answer with another status than expected.
#[derive(Debug)]
struct UnexpectedStatus(StatusCode);

impl fmt::Display for UnexpectedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answered with status {}", self.0)
    }
}

impl Error for UnexpectedStatus {}

/// Whether GitHub does not take the token any more.
pub(super) fn is_unauthorized(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error
        .downcast_ref::<UnexpectedStatus>()
        .is_some_and(|UnexpectedStatus(status)| *status == StatusCode::UNAUTHORIZED)
}

impl Api<'_> {
    /// Who the person is: the whole answer.
    pub(super) async fn user(&self) -> Result<Map<String, Value>, AuthError> {
        const WHAT: &str = "the account";
        let answer = self.get(&format!("{}/user", self.base), WHAT).await?;
        self.parse(&answer, WHAT)
    }

    /// The address they use, if they let us see it. Only verified ones count, and
    /// a failure keeps nobody out: the address is for display.
    pub(super) async fn primary_email(&self) -> Option<String> {
        const WHAT: &str = "mail addresses";
        if !self.granted(&EMAIL_SCOPES) {
            return None;
        }
        let answer = self.get(&format!("{}/user/emails", self.base), WHAT).await.ok()?;
        let emails: Vec<Email> = self.parse(&answer, WHAT).ok()?;
        emails.into_iter().find(|email| email.primary && email.verified).map(|email| email.email)
    }

    /// All teams of the person.
    ///
    /// # Errors
    ///
    /// Why they are not known, for the page. Half a list is no list.
    pub(super) async fn teams(&self) -> Result<Vec<Team>, String> {
        const WHAT: &str = "teams";
        if !self.granted(&ORGANIZATION_SCOPES) {
            return Err("you did not allow this hub to see your teams (scope read:org)".to_owned());
        }
        let mut teams = Vec::new();
        let mut url = format!("{}/user/teams?per_page=100", self.base);
        for _ in 0..MOST_PAGES {
            let answer = self.get(&url, WHAT).await.map_err(|error| why(&error))?;
            let page: Vec<Team> = self.parse(&answer, WHAT).map_err(|error| why(&error))?;
            teams.extend(page);
            match next_page(answer.headers()) {
                None => return Ok(teams),
                // The token goes along: to nobody but this API.
                Some(next) if self.is_own(next) => url = next.to_owned(),
                Some(_) => return Err("the list of your teams goes on elsewhere".to_owned()),
            }
        }
        Err(format!("you are in more than {} teams", MOST_PAGES * 100))
    }

    /// Whether the person called `login` is in `wanted`.
    ///
    /// 204 means yes. 302 is GitHub's answer about an organization of which the
    /// token shows public members only; that list is asked then, and nothing else
    /// is followed (GH-2).
    pub(super) async fn standing(&self, wanted: &Organization, login: &str) -> Standing {
        let segment = |text| utf8_percent_encode(text, SEGMENT);
        let base = format!("{}/orgs/{}", self.base, segment(wanted.organization()));
        let (url, seen_in) = match wanted.team() {
            Some(team) => {
                (format!("{base}/teams/{}/members/{}", segment(team), segment(login)), "the team")
            }
            None => (format!("{base}/members/{}", segment(login)), "the list of members"),
        };
        let answer = match self.ask(&url).await {
            Ok(answer) => answer,
            Err(error) => return self.unchecked(wanted, why(&error)),
        };
        if answer.status() != StatusCode::FOUND || wanted.team().is_some() {
            return self.judged(wanted, &answer, seen_in);
        }
        let public = format!("{base}/public_members/{}", segment(login));
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        if !location.is_some_and(|location| self.is_own(location)) {
            return self.unchecked(wanted, "GitHub sent us elsewhere".to_owned());
        }
        match self.ask(&public).await {
            Ok(answer) => self.judged(wanted, &answer, "the list of public members"),
            Err(error) => self.unchecked(wanted, why(&error)),
        }
    }

    fn judged(
        &self,
        wanted: &Organization,
        answer: &Response<Vec<u8>>,
        seen_in: &'static str,
    ) -> Standing {
        let organization = wanted.organization();
        match answer.status() {
            StatusCode::NO_CONTENT => Standing::Member { seen_in },
            // An organization that has not approved the OAuth App looks the same
            // (GH-5), and so does one whose members the token may not see.
            StatusCode::NOT_FOUND => Standing::NotMember {
                hint: Some(format!(
                    "if you are in {wanted}, make your membership of {organization} public, or \
                     ask an owner of {organization} to approve this hub's application"
                )),
            },
            StatusCode::FORBIDDEN => self.unchecked(
                wanted,
                format!(
                    "GitHub does not say; an owner of {organization} may have to approve this \
                     hub's application, or you have to sign in to the organization first"
                ),
            ),
            status => self.unchecked(wanted, format!("GitHub answered with status {status}")),
        }
    }

    fn unchecked(&self, wanted: &Organization, why: String) -> Standing {
        Standing::Unchecked {
            reason: format!("could not check your membership of {wanted}: {why}"),
        }
    }

    /// Whether the person granted one of `scopes`. Tokens of GitHub Apps have no
    /// scopes; what they may do only the answer tells (GH-6).
    fn granted(&self, scopes: &[&str]) -> bool {
        let is_app = self.tokens.access.expose_secret().starts_with(APP_TOKEN);
        let granted = self.tokens.scopes.iter().flatten();
        is_app || granted.into_iter().any(|scope| scopes.contains(&scope.as_str()))
    }

    /// Whether `url` is below this API, on the same host.
    fn is_own(&self, url: &str) -> bool {
        let (Ok(base), Ok(url)) = (Url::parse(&self.base), Url::parse(url)) else {
            return false;
        };
        url.origin() == base.origin()
            && url.path().starts_with(&format!("{}/", base.path().trim_end_matches('/')))
    }

    async fn get(&self, url: &str, what: &'static str) -> Result<Response<Vec<u8>>, AuthError> {
        let answer = self.request(url, what).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => Err(self.outbound.bad_answer(UnexpectedStatus(status), what)),
        }
    }

    async fn ask(&self, url: &str) -> Result<Response<Vec<u8>>, AuthError> {
        self.request(url, "a membership").await
    }

    async fn request(&self, url: &str, what: &'static str) -> Result<Response<Vec<u8>>, AuthError> {
        let bad = |error: BoxError| self.outbound.bad_answer(error, what);
        let token = self.tokens.access.expose_secret();
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| bad(error.into()))?;
        authorization.set_sensitive(true);
        let request = Request::get(url)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, authorization)
            .body(Vec::new())
            .map_err(|error| bad(error.into()))?;
        self.outbound.send(request).await.map_err(|error| self.outbound.failed(error, what))
    }

    fn parse<T: DeserializeOwned>(
        &self,
        answer: &Response<Vec<u8>>,
        what: &'static str,
    ) -> Result<T, AuthError> {
        serde_json::from_slice(answer.body()).map_err(|error| self.outbound.bad_answer(error, what))
    }
}

fn next_page(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(LINK).iter().find_map(|value| link::next(value.to_str().ok()?))
}

/// An error as the second half of a sentence for the page.
fn why(error: &AuthError) -> String {
    match error {
        AuthError::RateLimited { provider, retry_after } => {
            format!("{provider} takes no more requests for now; try again {}", when(*retry_after))
        }
        AuthError::Unreachable { provider, source } => {
            format!(
                "{provider} is not answering ({}); try again in a minute",
                excerpt(&source.to_string())
            )
        }
        AuthError::BadAnswer { provider, source, .. } => {
            format!("{provider} gave an unusable answer ({})", excerpt(&source.to_string()))
        }
        other => other.to_string(),
    }
}
