//! A code for tokens, and old tokens for new ones.
//!
//! Source: RFC 6749 sections 4.1.3, 5 and 6, and RFC 7636. The types of the
//! OAuth library end here.

use std::{collections::BTreeSet, fmt, time::SystemTime};

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{NoAnswer, Outbound};
use crate::{AuthError, Callback, PendingLogin, claim, clock::unix_seconds, error::excerpt};

/// What we asked for, in messages.
const WHAT: &str = "an access token";

/// The fields of a token answer that RFC 6749 does not name, such as `id_token`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rest {
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl ExtraTokenFields for Rest {}

type Reply = StandardTokenResponse<Rest, BasicTokenType>;

/// The library's client with authorize and token URL set.
type OauthClient = Client<
    BasicErrorResponse,
    Reply,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Who the hub is at a provider, and where the provider is.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) client_id: String,
    /// `None` for a public client, which has only PKCE.
    pub(crate) client_secret: Option<SecretString>,
    /// Whether id and secret travel in a header instead of the body.
    pub(crate) basic_auth: bool,
    pub(crate) callback_url: Url,
    pub(crate) authorize_url: Url,
    pub(crate) token_url: Url,
    /// Further parameters of each token request.
    pub(crate) token_params: Vec<(String, String)>,
}

/// The OAuth side of one provider.
#[derive(Clone)]
pub(crate) struct Exchange {
    client: OauthClient,
    outbound: Outbound,
    token_params: Vec<(String, String)>,
}

/// What the token endpoint handed out.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    /// The scopes that the person granted; `None` if the answer does not tell, and
    /// all that were asked for are meant (RFC 6749 section 5.1).
    pub(crate) scopes: Option<BTreeSet<String>>,
    /// The whole answer.
    pub(crate) response: Map<String, Value>,
    /// When the access token expires, in seconds since 1970, if the answer tells.
    pub(crate) expires_at: Option<u64>,
}

/// Why there are no tokens.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The provider says no, with a code and a text fit for a page.
    Said { error: String, description: String },
    /// There is no usable answer.
    Failed(AuthError),
}

/// What some token endpoints answer instead of a token, with status 200.
#[derive(Debug, Deserialize)]
struct Problem {
    error: String,
    error_description: Option<String>,
}

impl Exchange {
    pub(crate) fn new(registration: Registration, outbound: Outbound) -> Self {
        let Registration { client_id, client_secret, basic_auth, token_params, .. } = registration;
        let mut client = Client::new(ClientId::new(client_id))
            .set_auth_uri(AuthUrl::from_url(registration.authorize_url))
            .set_token_uri(TokenUrl::from_url(registration.token_url))
            .set_redirect_uri(RedirectUrl::from_url(registration.callback_url))
            .set_auth_type(if basic_auth { AuthType::BasicAuth } else { AuthType::RequestBody });
        if let Some(secret) = client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        Self { client, outbound, token_params }
    }

    /// Where to send the browser.
    pub(crate) fn authorize_url(
        &self,
        pending: &PendingLogin,
        scopes: &[String],
        extra: impl IntoIterator<Item = (String, String)>,
    ) -> Url {
        let verifier = PkceCodeVerifier::new(pending.code_verifier().to_owned());
        let mut request = self
            .client
            .authorize_url(|| CsrfToken::new(pending.state()))
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for (name, value) in extra {
            request = request.add_extra_param(name, value);
        }
        request.url().0
    }

    /// Redeems the code that the browser brought.
    pub(crate) async fn redeem(
        &self,
        code: String,
        pending: &PendingLogin,
    ) -> Result<Tokens, Refused> {
        let mut request = self
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.code_verifier().to_owned()));
        for (name, value) in &self.token_params {
            request = request.add_extra_param(name, value);
        }
        // The library's future borrows the client for a lifetime of its choosing,
        // which a reference of ours cannot promise; a clone shares the connections.
        let send = |request| {
            let outbound = self.outbound.clone();
            async move { outbound.send(request).await }
        };
        self.tokens(request.request_async(&send).await)
    }

    /// Gets new tokens. Keeps the refresh token if no new one comes with them (RFC
    /// 6749 section 6).
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Refused> {
        let old = RefreshToken::new(refresh_token.to_owned());
        let mut request = self.client.exchange_refresh_token(&old);
        for (name, value) in &self.token_params {
            request = request.add_extra_param(name, value);
        }
        let send = |request| {
            let outbound = self.outbound.clone();
            async move { outbound.send(request).await }
        };
        let mut tokens = self.tokens(request.request_async(&send).await)?;
        let kept = tokens.response.get("refresh_token").and_then(Value::as_str);
        if kept.is_none_or(str::is_empty) {
            tokens.response.insert("refresh_token".to_owned(), refresh_token.into());
        }
        Ok(tokens)
    }

    fn tokens(&self, answer: Result<Reply, TokenRequestError>) -> Result<Tokens, Refused> {
        let answer = answer.map_err(|error| self.refused(error))?;
        let bad = |reason: String| Refused::Failed(self.outbound.bad_answer(reason, WHAT));
        if *answer.token_type() != BasicTokenType::Bearer {
            return Err(bad("the token is of an unknown type".to_owned()));
        }
        let access = answer.access_token().secret().as_str().into();
        // GitHub separates scopes by commas where RFC 6749 has blanks (GH-1).
        let scopes = answer.scopes().map(|scopes| {
            let scopes = scopes.iter().flat_map(|scope| scope.split([',', ' ']));
            scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
        });
        match serde_json::to_value(&answer) {
            Ok(Value::Object(response)) => {
                Ok(Tokens { access, scopes, response, expires_at: None })
            }
            Ok(_) => Err(bad("it is no JSON object".to_owned())),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    fn refused(&self, error: TokenRequestError) -> Refused {
        let said = |error: String, description: Option<&str>| Refused::Said {
            description: excerpt(description.unwrap_or(&error)),
            error,
        };
        let failed = |error| Refused::Failed(error);
        match error {
            RequestTokenError::ServerResponse(problem) => {
                let error = problem.error().to_string();
                said(error, problem.error_description().map(String::as_str))
            }
            // GitHub reports errors with status 200 (OAU-6), so the answer was taken
            // for a token that lacks its fields.
            RequestTokenError::Parse(error, body) => match serde_json::from_slice(&body) {
                Ok(Problem { error, error_description }) => {
                    said(error, error_description.as_deref())
                }
                Err(_) => failed(self.outbound.bad_answer(error, WHAT)),
            },
            RequestTokenError::Request(error) => failed(self.outbound.failed(error, WHAT)),
            RequestTokenError::Other(text) => failed(self.outbound.bad_answer(text, WHAT)),
        }
    }
}

type TokenRequestError = RequestTokenError<NoAnswer, BasicErrorResponse>;

impl Tokens {
    /// Tokens of an earlier sign-in.
    pub(crate) fn of_state(state: &crate::AuthState) -> Option<Self> {
        let access = state.access_token()?.into();
        let scopes =
            state.at("scope").and_then(claim::texts).map(|list| list.into_iter().collect());
        let response = match state.at("token_response") {
            Some(Value::Object(response)) => response.clone(),
            _ => Map::new(),
        };
        let expires_at = state.at("expires_at").and_then(claim::seconds);
        Some(Self { access, scopes, response, expires_at })
    }

    /// Notes that they were made at `now`, from when their lifetime counts.
    pub(crate) fn made_at(mut self, now: SystemTime) -> Self {
        let lifetime = self.response.get("expires_in").and_then(claim::seconds);
        self.expires_at = lifetime.map(|seconds| unix_seconds(now).saturating_add(seconds));
        self
    }

    /// Takes the ID token of an earlier answer for that of this one. It is wanted for
    /// signing out only, and need not be fresh for that.
    #[cfg_attr(not(feature = "oidc"), expect(dead_code, reason = "for providers of ID tokens"))]
    pub(crate) fn keep_id_token(&mut self, token: Option<&str>) {
        match token {
            Some(token) => self.response.insert("id_token".to_owned(), token.into()),
            None => self.response.remove("id_token"),
        };
    }

    /// A field of the answer that is text.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.response.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    /// `old` with these tokens, and else as it is: nothing was asked with them yet. The
    /// ID token among them was not checked, so the old one stays.
    pub(crate) fn renewed(&self, old: &crate::AuthState) -> crate::AuthState {
        let mut fields = old.fields().clone();
        let mut response = self.response.clone();
        match old.id_token() {
            Some(token) => response.insert("id_token".to_owned(), token.into()),
            None => response.remove("id_token"),
        };
        let token = |field| self.text(field).map_or(Value::Null, Into::into);
        fields.insert("access_token".to_owned(), self.access.expose_secret().into());
        fields.insert("refresh_token".to_owned(), token("refresh_token"));
        if let Some(scopes) = &self.scopes {
            fields.insert("scope".to_owned(), scopes.iter().cloned().collect());
        }
        fields.insert("token_response".to_owned(), response.into());
        match self.expires_at {
            Some(at) => fields.insert("expires_at".to_owned(), at.into()),
            None => fields.remove("expires_at"),
        };
        crate::AuthState::new(fields)
    }

    /// The state to keep of these tokens, with the user information under `key`
    /// (deployment-contract 3.8). `scopes`: what was granted.
    pub(crate) fn state(
        &self,
        scopes: &BTreeSet<String>,
        key: &str,
        user: Map<String, Value>,
    ) -> Map<String, Value> {
        let token = |field| self.text(field).map_or(Value::Null, Into::into);
        let expires_at = self.expires_at.map(|at| ("expires_at".to_owned(), at.into()));
        let fields = [
            ("access_token".to_owned(), self.access.expose_secret().into()),
            ("refresh_token".to_owned(), token("refresh_token")),
            ("id_token".to_owned(), token("id_token")),
            ("scope".to_owned(), scopes.iter().cloned().collect()),
            ("token_response".to_owned(), self.response.clone().into()),
            (key.to_owned(), user.into()),
        ];
        fields.into_iter().chain(expires_at).collect()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// Judges what came back on the callback URL; what remains is a code that was
/// meant for the browser that began this sign-in.
///
/// The state comes first: a link of a stranger may carry any `error` text, and we
/// would print it.
pub(crate) fn code_of(pending: &PendingLogin, callback: &Callback) -> Result<String, Refused> {
    let stale = |reason| Err(Refused::Failed(AuthError::Stale { reason }));
    let Some(state) = callback.state.as_deref() else {
        return stale("the state is missing from the address");
    };
    if !pending.matches(state) {
        return stale("it was begun in another window or browser");
    }
    if let (Some(error), Some(description)) = (&callback.error, callback.complaint()) {
        return Err(Refused::Said { error: error.clone(), description });
    }
    match &callback.code {
        Some(code) if !code.expose_secret().is_empty() => Ok(code.expose_secret().to_owned()),
        _ => stale("the code is missing from the address"),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn oau_3_the_browser_carries_the_hash_of_a_verifier_that_is_new_each_time() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let registration = Registration {
            client_id: "hub".to_owned(),
            client_secret: Some("hush".into()),
            basic_auth: false,
            callback_url: url("https://hub.test/hub/oauth_callback"),
            authorize_url: url("https://id.test/authorize"),
            token_url: url("https://id.test/token"),
            token_params: Vec::new(),
        };
        let outbound =
            Outbound::new("it", std::time::Duration::from_secs(1), crate::Egress::default(), true);
        let exchange = Exchange::new(registration, outbound.unwrap());
        let mut verifiers = BTreeSet::new();
        for _ in 0..3 {
            let pending = PendingLogin::generate();
            let there = exchange.authorize_url(&pending, &[], []);
            let value = |name: &str| {
                let mut pairs = there.query_pairs();
                pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
            };
            let verifier = pending.code_verifier();
            assert_eq!(URL_SAFE_NO_PAD.decode(verifier).unwrap().len(), 32);
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            assert_eq!(value("code_challenge"), Some(hash));
            assert_eq!(value("code_challenge_method").as_deref(), Some("S256"));
            assert!(!there.as_str().contains(verifier), "it is for the token request");
            verifiers.insert(verifier.to_owned());
        }
        assert_eq!(verifiers.len(), 3);
    }
}
