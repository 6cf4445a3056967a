//! What a provider handed out at a sign-in, kept for later.

mod environment;
mod refresh;

use std::{fmt, time::SystemTime};

use serde_json::{Map, Value};

use self::refresh::EARLY;
pub use self::{
    environment::{EnvironmentFields, InvalidField},
    refresh::{AfterFailure, Freshness, RefreshPolicy},
};
use crate::{claim, clock::unix_seconds};

/// Tokens and user information of one sign-in, in JupyterHub's form.
///
/// Fields: `access_token`, `refresh_token` and `id_token` (text or null), `scope`
/// (a list of text), `token_response` (the token endpoint's whole reply), the user
/// information under the provider's key (`github_user`, `oauth_user`), and `teams`
/// where they were asked for. Ours besides: `expires_at`, and `userinfo_claims`, which
/// names the claims that an OpenID provider's user info told. A hub that imports a JupyterHub's records may find
/// other fields, which are kept.
///
/// All of it is secret: it is never printed, and is stored only sealed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthState {
    fields: Map<String, Value>,
}

impl AuthState {
    /// The state with these fields.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self { fields }
    }

    /// The fields, for sealing and for callers who may see them
    /// (`admin:auth_state`).
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The same, without a copy.
    pub fn into_fields(self) -> Map<String, Value> {
        self.fields
    }

    /// The token to ask the provider with.
    pub fn access_token(&self) -> Option<&str> {
        self.text("access_token")
    }

    /// The token to get a new access token with.
    pub fn refresh_token(&self) -> Option<&str> {
        self.text("refresh_token")
    }

    /// The ID token of the sign-in, for a sign-out at the provider.
    pub fn id_token(&self) -> Option<&str> {
        self.text("id_token")
    }

    /// Seconds that the access token was good for when it was made; `None` if the
    /// provider did not say, as GitHub's OAuth Apps do not.
    pub fn token_lifetime_seconds(&self) -> Option<u64> {
        claim::at(&self.fields, "token_response.expires_in").and_then(claim::seconds)
    }

    /// When the access token expires, in seconds since 1970; `None` if the provider did
    /// not say, and for states of a JupyterHub.
    pub fn expires_at(&self) -> Option<u64> {
        self.fields.get("expires_at").and_then(claim::seconds)
    }

    /// Whether the access token expires soon, or has: it is to be renewed first, if
    /// there is a refresh token. A token that lives shortly is good for half its life.
    pub fn expires_soon(&self, now: SystemTime) -> bool {
        let lifetime = self.token_lifetime_seconds().unwrap_or(u64::MAX);
        let early = EARLY.as_secs().min(lifetime / 2);
        self.expires_at().is_some_and(|at| unix_seconds(now).saturating_add(early) >= at)
    }

    /// The value at a dotted path, such as `github_user.login`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        claim::at(&self.fields, path)
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str().filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for AuthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn g1_a_state_is_never_printed() {
        let Value::Object(fields) = json!({ "access_token": "gho_x", "scope": ["user"] }) else {
            panic!("an object")
        };
        let state = AuthState::new(fields);
        assert_eq!(format!("{state:?}"), r#"{"access_token", "scope"}"#);
        assert_eq!(state.access_token(), Some("gho_x"));
        assert_eq!(state.refresh_token(), None);
    }

    #[test]
    fn the_lifetime_of_a_token_is_read_from_the_reply() {
        let of = |expires_in: Value| {
            let Value::Object(fields) = json!({ "token_response": { "expires_in": expires_in } })
            else {
                panic!("an object")
            };
            AuthState::new(fields).token_lifetime_seconds()
        };
        assert_eq!(of(json!(28800)), Some(28800));
        assert_eq!(of(json!("28800")), Some(28800));
        assert_eq!(of(json!(null)), None);
    }
}
