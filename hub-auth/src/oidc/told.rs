//! What a provider told of somebody, by its ID token and by its user info.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::OidcConfig;
use crate::{AuthState, claim};

/// Where the auth state names the claims that are as the user info told them.
const BY_USERINFO: &str = "userinfo_claims";

/// The claims, put together.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    pub(super) claims: Map<String, Value>,
    /// Names of those that are as the user info told them; `None` if it was not asked.
    by_userinfo: Option<BTreeSet<String>>,
}

impl Told {
    /// The claims of a checked ID token alone.
    pub(super) fn signed(claims: Map<String, Value>) -> Self {
        Self { claims, by_userinfo: None }
    }

    /// Those of an ID token and of the user info of the same sign-in. What is signed is
    /// not overwritten by what is not.
    pub(super) fn at_sign_in(signed: Map<String, Value>, info: Map<String, Value>) -> Self {
        Self::of(signed, info, |_| false)
    }

    /// Those of an ID token that was checked at a sign-in, of which `kept` is the state,
    /// and of newer user info.
    ///
    /// What the user info told last time is what it tells now: a claim that it leaves
    /// out is gone. What only the ID token told stays. If the user info was not asked
    /// last time, its word is the newer one where a claim `decides`.
    pub(super) fn later(
        signed: Map<String, Value>,
        kept: &AuthState,
        info: Map<String, Value>,
        config: &OidcConfig,
    ) -> Self {
        let by_userinfo = kept.at(BY_USERINFO).and_then(claim::texts);
        let told_now: BTreeSet<String> = info.keys().cloned().collect();
        Self::of(signed, info, |name| match &by_userinfo {
            Some(names) => names.iter().any(|known| known == name),
            None => told_now.contains(name) && config.decides(name),
        })
    }

    /// Signed claims that give way are as in `info`, or gone.
    fn of(
        signed: Map<String, Value>,
        info: Map<String, Value>,
        gives_way: impl Fn(&str) -> bool,
    ) -> Self {
        let mut claims = info.clone();
        claims.extend(signed.into_iter().filter(|(name, _)| !gives_way(name)));
        let agreed = info.into_iter().filter(|(name, value)| claims.get(name) == Some(value));
        let by_userinfo = Some(agreed.map(|(name, _)| name).collect());
        Self { claims, by_userinfo }
    }

    /// Notes in the fields of a state which claims the user info told.
    pub(super) fn note(&self, state: &mut Map<String, Value>) {
        if let Some(names) = &self.by_userinfo {
            state.insert(BY_USERINFO.to_owned(), names.iter().cloned().collect());
        }
    }
}

/// The claims of the ID token that is kept. Only where it was checked before it was: not
/// those of a plain OAuth 2 provider that hands one out unasked.
pub(super) fn kept_claims(state: &AuthState) -> Map<String, Value> {
    let token = state.id_token();
    token.and_then(|t| jsonwebtoken::dangerous::insecure_decode_claims(t).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn config() -> OidcConfig {
        let callback = "https://hub.test/hub/oauth_callback".parse().unwrap();
        let mut config = OidcConfig::new("https://id.test", "hub", "secret".into(), callback);
        config.claims.groups = vec!["realm_access.roles".to_owned()];
        config
    }

    /// A state with an ID token of these claims.
    fn kept(signed: &Value) -> Map<String, Value> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(signed));
        map(json!({ "id_token": token }))
    }

    fn later(state: Map<String, Value>, info: Value) -> Told {
        let state = AuthState::new(state);
        Told::later(kept_claims(&state), &state, map(info), &config())
    }

    #[test]
    fn what_the_user_info_told_and_tells_no_longer_is_gone() {
        let signed = json!({ "sub": "1", "role": "chief", "groups": ["a"], "name": "Signed" });
        let info = json!({ "sub": "1", "groups": ["a"], "team": "x", "name": "Told" });
        let first = Told::at_sign_in(map(signed.clone()), map(info));
        assert_eq!(first.claims["name"], "Signed", "what is signed is not overwritten");
        let mut state = kept(&signed);
        first.note(&mut state);
        let then = later(state, json!({ "sub": "1", "name": "Other", "role": "none" }));
        let expected = json!({ "sub": "1", "role": "chief", "name": "Signed" });
        assert_eq!(then.claims, map(expected));
    }

    #[test]
    fn the_newer_word_counts_where_it_decides_and_only_the_id_token_was_read() {
        let signed = json!({ "sub": "1", "upn": "ada", "realm_access": { "roles": ["chief"] } });
        let then = later(kept(&signed), json!({ "upn": "eve", "realm_access": { "roles": [] } }));
        let expected = json!({ "sub": "1", "upn": "ada", "realm_access": { "roles": [] } });
        assert_eq!(then.claims, map(expected));
        assert_eq!(later(kept(&signed), json!({ "x": 1 })).claims["upn"], "ada");
        assert_eq!(later(Map::new(), json!({ "sub": "1" })).claims, map(json!({ "sub": "1" })));
    }
}
