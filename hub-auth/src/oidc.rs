//! Sign-in with an OpenID Connect provider, or a plain OAuth 2 one.
//!
//! Source: OpenID Connect Core 1.0, Discovery 1.0 and RP-Initiated Logout 1.0.

mod config;
mod discovery;
mod id_token;
mod keys;
mod person;
mod preset;
mod told;

use std::fmt;

use async_trait::async_trait;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

use self::{
    config::ABOUT_THE_SIGN_IN,
    discovery::{Discovery, Provider},
    id_token::{Expected, Fault},
    told::Told,
};
pub use self::{
    config::{ClaimPaths, Endpoints, OidcConfig, ProviderAddress, UserinfoUse},
    preset::OidcPreset,
};
use crate::{
    Answer, AuthError, AuthState, Authenticator, Callback, Claims, Clock, InvalidConfig,
    LoginStart, Offer, PendingLogin, RefreshError, claim,
    outbound::{
        Outbound,
        exchange::{self, Refused, Tokens},
    },
};

/// Where the user information is in the auth state, as in GenericOAuthenticator.
const STATE_KEY: &str = "oauth_user";

/// An answer about another person than the one that was asked about.
#[derive(Debug, thiserror::Error)]
#[error("it is about somebody else")]
struct SomebodyElse;

/// Signs people in with an OpenID Connect provider (3.6).
///
/// The ID token is checked: signature by the provider's published keys, `iss`,
/// `aud`, `azp`, `exp`, `nonce`. The user info is asked for where the ID token
/// lacks something, and has to be about the same person.
///
/// The claims hold `sub` as subject, all that the provider told as `attributes`,
/// and the tokens in the auth state.
pub struct OidcAuthenticator {
    config: OidcConfig,
    outbound: Outbound,
    discovery: Discovery,
    clock: Clock,
}

impl OidcAuthenticator {
    /// Checks `config` and reads the host's trusted certificate authorities. The
    /// provider is asked for its addresses at the first sign-in, so that a hub
    /// starts without it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`], naming the key to change.
    pub fn new(config: OidcConfig, clock: Clock) -> Result<Self, InvalidConfig> {
        config.check()?;
        let egress = config.egress.clone();
        let plain_http = config.is_plain_http();
        let outbound = Outbound::new(&config.service, config.timeout, egress, plain_http)?;
        let discovery = Discovery::default();
        Ok(Self { config, outbound, discovery, clock })
    }

    fn refused(&self, refused: Refused) -> AuthError {
        match refused {
            Refused::Failed(error) => error,
            Refused::Said { error, description } => match error.as_str() {
                "invalid_client" | "unauthorized_client" => self.misconfigured(format!(
                    "it does not accept the client id {:?} with its secret ({description}); \
                         compare both with the provider's page of this application",
                    self.config.client_id
                )),
                "invalid_scope" => self.misconfigured(format!(
                    "it does not know one of the scopes {} ({description})",
                    self.config.scope.join(" ")
                )),
                "invalid_grant" => {
                    AuthError::Stale { reason: "its code was used already or is too old" }
                }
                _ => AuthError::Denied { description },
            },
        }
    }

    fn misconfigured(&self, advice: String) -> AuthError {
        AuthError::Misconfigured { provider: self.config.service.clone(), advice }
    }

    fn sign_in_again(&self, reason: &'static str) -> AuthError {
        AuthError::SignInAgain { provider: self.config.service.clone(), reason }
    }

    /// RFC 9207: who answers must be whom we asked.
    fn check_issuer(&self, provider: &Provider, callback: &Callback) -> Result<(), AuthError> {
        let expected = provider.metadata.issuer.as_deref();
        match (callback.iss.as_deref(), expected) {
            (Some(iss), Some(expected)) if iss != expected => {
                Err(AuthError::Stale { reason: "the answer is from another provider" })
            }
            (None, Some(_)) if provider.metadata.sends_issuer => Err(AuthError::Stale {
                reason: "the answer does not say which provider it is from",
            }),
            _ => Ok(()),
        }
    }

    /// The checked claims of an ID token.
    async fn id_claims(
        &self,
        provider: &Provider,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<Map<String, Value>, AuthError> {
        let checked = self.check_id_token(provider, token, nonce).await?;
        checked.map_err(|fault| self.outbound.bad_answer(fault, "an ID token"))
    }

    /// The checked claims of an ID token, or what is wrong with it. A key that is not
    /// known may be new: the keys are read again then, once. The error is about the keys.
    async fn check_id_token(
        &self,
        provider: &Provider,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<Result<Map<String, Value>, Fault>, AuthError> {
        let (Some(issuer), Some(jwks_uri)) =
            (provider.metadata.issuer.as_deref(), &provider.metadata.jwks_uri)
        else {
            return Ok(Ok(Map::new()));
        };
        let expected = Expected {
            issuer,
            client_id: &self.config.client_id,
            nonce,
            now: (self.clock)(),
            skew: self.config.clock_skew,
        };
        let keys = provider.keys.known(&self.outbound, jwks_uri).await?;
        Ok(match id_token::check(token, &keys, &expected) {
            Err(fault) if fault.may_be_a_new_key() => {
                match provider.keys.read_again(&self.outbound, jwks_uri).await? {
                    Some(keys) => id_token::check(token, &keys, &expected),
                    None => Err(fault),
                }
            }
            checked => checked,
        })
    }

    /// Asks for the user info; `None` if the provider does not take the token.
    async fn userinfo(
        &self,
        url: &Url,
        tokens: &Tokens,
    ) -> Result<Option<Map<String, Value>>, AuthError> {
        const WHAT: &str = "the user info";
        let bad = |error: crate::BoxError| self.outbound.bad_answer(error, WHAT);
        let token = tokens.access.expose_secret();
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| bad(error.into()))?;
        authorization.set_sensitive(true);
        let mut url = url.clone();
        if !self.config.userinfo_params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.config.userinfo_params);
        }
        let request = Request::get(url.as_str())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, authorization)
            .body(Vec::new())
            .map_err(|error| bad(error.into()))?;
        let answer: Response<Vec<u8>> =
            self.outbound.send(request).await.map_err(|error| self.outbound.failed(error, WHAT))?;
        match answer.status() {
            StatusCode::OK => {
                serde_json::from_slice(answer.body()).map(Some).map_err(|error| bad(error.into()))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            status => Err(bad(format!("it answered with status {status}").into())),
        }
    }

    /// Adds the user info to what the ID token of the same sign-in told, where that is
    /// wanted.
    async fn attributes(
        &self,
        provider: &Provider,
        tokens: &Tokens,
        signed: Map<String, Value>,
    ) -> Result<Told, AuthError> {
        let wanted = match self.config.userinfo {
            UserinfoUse::Always => true,
            UserinfoUse::Never => false,
            UserinfoUse::WhenNeeded => !self.config.claims.are_all_in(&signed),
        };
        let Some(url) = provider.metadata.userinfo_endpoint.as_ref().filter(|_| wanted) else {
            return Ok(Told::signed(signed));
        };
        let info = self.userinfo_of_new_token(url, tokens).await?;
        self.same_person(&signed, &info)?;
        Ok(Told::at_sign_in(signed, info))
    }

    /// The user info by a token that the provider has just made.
    async fn userinfo_of_new_token(
        &self,
        url: &Url,
        tokens: &Tokens,
    ) -> Result<Map<String, Value>, AuthError> {
        self.userinfo(url, tokens).await?.ok_or_else(|| {
            self.outbound.bad_answer("it does not take its own token", "the user info")
        })
    }

    /// OpenID Connect Core section 5.3.2: user info that is not about the person of
    /// the ID token may not be used. The section compares `sub`, whatever accounts are
    /// bound to; plain OAuth 2 providers have only the latter.
    fn same_person(
        &self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Result<(), AuthError> {
        const SUB: &str = "sub";
        let person = |claims: &Map<String, Value>| match before.contains_key(SUB) {
            true => claims.get(SUB).and_then(claim::text),
            false => person::subject(claims, &self.config),
        };
        match person(before) {
            Some(before) if person(after).as_ref() != Some(&before) => {
                Err(self.outbound.bad_answer(SomebodyElse, "the user info"))
            }
            _ => Ok(()),
        }
    }

    /// What is known about the person, as claims with a state to keep.
    fn claims(&self, tokens: &Tokens, told: Told) -> Result<Claims, AuthError> {
        // RFC 6749 section 5.1: no scopes in the answer are those that were asked for.
        let asked = || self.config.scope.iter().cloned().collect();
        let scopes = tokens.scopes.clone().unwrap_or_else(asked);
        let mut state = tokens.state(&scopes, STATE_KEY, told.claims.clone());
        told.note(&mut state);
        let claims = person::claims(told.claims, &self.config)?;
        Ok(Claims { scopes, auth_state: Some(AuthState::new(state)), ..claims })
    }

    /// Asks the user info about somebody who signed in before; `None` if the provider
    /// does not take the token, or has none.
    async fn ask_again(
        &self,
        provider: &Provider,
        state: &AuthState,
        known: &Map<String, Value>,
    ) -> Result<Option<Claims>, AuthError> {
        if let (Some(url), Some(mut tokens)) =
            (&provider.metadata.userinfo_endpoint, Tokens::of_state(state))
            && let Some(info) = self.userinfo(url, &tokens).await?
        {
            self.same_person(known, &info)?;
            tokens.keep_id_token(state.id_token());
            let signed = of_the_sign_in(checked_before(provider, state), known);
            let told = Told::later(signed, state, info, &self.config);
            return self.claims(&tokens, told).map(Some);
        }
        Ok(None)
    }

    /// What the kept ID token tells, for as long as it is good; where nothing else may
    /// be asked.
    async fn still_signed(
        &self,
        provider: &Provider,
        state: &AuthState,
        known: &Map<String, Value>,
    ) -> Result<Option<Claims>, AuthError> {
        let (Some(token), Some(mut tokens)) = (state.id_token(), Tokens::of_state(state)) else {
            return Ok(None);
        };
        // Keys that cannot be read say nothing about the token: that is an outage.
        match self.check_id_token(provider, token, None).await? {
            Ok(signed) => {
                tokens.keep_id_token(Some(token));
                self.claims(&tokens, Told::signed(of_the_sign_in(signed, known))).map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    /// Exchanges the refresh token, and asks with what comes for it.
    async fn renew(
        &self,
        provider: &Provider,
        refresh_token: &str,
        state: &AuthState,
        known: &Map<String, Value>,
    ) -> Result<Claims, RefreshError> {
        let tokens =
            provider.exchange.refresh(refresh_token).await.map_err(|refused| match refused {
                Refused::Said { error, .. } if error == "invalid_grant" => {
                    self.sign_in_again("its refresh token was revoked, or has expired")
                }
                refused => self.refused(refused),
            })?;
        let tokens = tokens.made_at((self.clock)());
        let asked = self.outbound.whole(self.told_by_new(provider, &tokens, state, known)).await;
        asked.map_err(|error| {
            // Tokens of another person are not kept.
            let ours = !matches!(&error, AuthError::BadAnswer { source, .. } if source.is::<SomebodyElse>());
            RefreshError { renewed: ours.then(|| tokens.renewed(state)), error }
        })
    }

    /// What is known by new tokens. A new ID token is the whole truth: nothing that was
    /// known before is added to it, but how the person signed in.
    async fn told_by_new(
        &self,
        provider: &Provider,
        tokens: &Tokens,
        state: &AuthState,
        known: &Map<String, Value>,
    ) -> Result<Claims, AuthError> {
        if let Some(token) = tokens.text("id_token").filter(|_| provider.checks_id_tokens()) {
            // Section 12.2: it need not hold the nonce, but is about the same person.
            let signed = self.id_claims(provider, token, None).await?;
            self.same_person(known, &signed)?;
            let signed = of_the_sign_in(signed, known);
            let told = self.attributes(provider, tokens, signed).await?;
            return self.claims(tokens, told);
        }
        let signed = of_the_sign_in(checked_before(provider, state), known);
        let told = match &provider.metadata.userinfo_endpoint {
            Some(url) if self.config.userinfo != UserinfoUse::Never => {
                let info = self.userinfo_of_new_token(url, tokens).await?;
                self.same_person(known, &info)?;
                Told::later(signed, state, info, &self.config)
            }
            _ => Told::signed(signed),
        };
        let mut tokens = tokens.clone();
        tokens.keep_id_token(state.id_token());
        self.claims(&tokens, told)
    }

    /// Whether an ID token told what decides about somebody: only a new one can tell
    /// that it is so no longer.
    fn is_decided_by_id_token(&self, provider: &Provider, state: &AuthState) -> bool {
        self.config.userinfo == UserinfoUse::Never
            || checked_before(provider, state).keys().any(|name| self.config.decides(name))
    }
}

/// Claims of an ID token, with what was `known` of the sign-in itself: a new token that
/// comes without a sign-in need not tell it again (OpenID Connect Core section 12.2).
fn of_the_sign_in(
    mut signed: Map<String, Value>,
    known: &Map<String, Value>,
) -> Map<String, Value> {
    for name in ABOUT_THE_SIGN_IN {
        if let Some(value) = known.get(name) {
            signed.entry(name).or_insert_with(|| value.clone());
        }
    }
    signed
}

/// The claims of the ID token of the last sign-in, which was checked then.
fn checked_before(provider: &Provider, state: &AuthState) -> Map<String, Value> {
    match provider.checks_id_tokens() {
        true => told::kept_claims(state),
        false => Map::new(),
    }
}

#[async_trait]
impl Authenticator for OidcAuthenticator {
    fn provider(&self) -> &str {
        &self.config.id
    }

    fn offer(&self) -> Offer {
        Offer::Redirect { service: self.config.service.clone() }
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        let provider = self.discovery.provider(&self.config, &self.outbound).await?;
        let pending = PendingLogin::generate();
        let mut extra = self.config.extra_authorize_params.clone();
        if provider.metadata.issuer.is_some() {
            extra.push(("nonce".to_owned(), pending.nonce().to_owned()));
        }
        let redirect = provider.exchange.authorize_url(&pending, &self.config.scope, extra);
        Ok(Some(LoginStart { redirect, pending }))
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Callback { pending, callback } = answer else {
            return Err(AuthError::WrongAnswer { provider: self.config.service.clone() });
        };
        let code =
            exchange::code_of(&pending, &callback).map_err(|refused| self.refused(refused))?;
        let work = async {
            let provider = self.discovery.provider(&self.config, &self.outbound).await?;
            self.check_issuer(&provider, &callback)?;
            let redeemed = provider.exchange.redeem(code, &pending).await;
            let tokens = redeemed.map_err(|refused| self.refused(refused))?.made_at((self.clock)());
            let told = match (tokens.text("id_token"), &provider.metadata.issuer) {
                (Some(token), _) => self.id_claims(&provider, token, Some(pending.nonce())).await?,
                (None, None) => Map::new(),
                (None, Some(_)) => {
                    return Err(self.misconfigured(
                        "its answer has no ID token; is the scope openid among those asked for?"
                            .to_owned(),
                    ));
                }
            };
            let told = self.attributes(&provider, &tokens, told).await?;
            self.claims(&tokens, told)
        };
        self.outbound.whole(work).await
    }

    fn remembered(&self, state: &AuthState) -> Option<Claims> {
        let Value::Object(told) = state.at(STATE_KEY)? else { return None };
        let scopes = state.at("scope").and_then(claim::texts).unwrap_or_default();
        let claims = person::claims(told.clone(), &self.config).ok()?;
        Some(Claims { scopes: scopes.into_iter().collect(), ..claims })
    }

    async fn refresh(&self, state: &AuthState) -> Result<Claims, RefreshError> {
        let provider =
            self.outbound.whole(self.discovery.provider(&self.config, &self.outbound)).await?;
        let Some(Value::Object(known)) = state.at(STATE_KEY) else {
            return Err(self.sign_in_again("nothing was kept of it").into());
        };
        let refresh_token = state.refresh_token();
        let is_due =
            state.expires_soon((self.clock)()) || self.is_decided_by_id_token(&provider, state);
        if let Some(token) = refresh_token.filter(|_| is_due) {
            return self.renew(&provider, token, state, known).await;
        }
        let ask = async {
            match self.config.userinfo {
                UserinfoUse::Never => self.still_signed(&provider, state, known).await,
                _ => self.ask_again(&provider, state, known).await,
            }
        };
        let asked = self.outbound.whole(ask).await?;
        match (asked, refresh_token) {
            (Some(claims), _) => Ok(claims),
            (None, Some(token)) => self.renew(&provider, token, state, known).await,
            (None, None) => Err(self.sign_in_again("its token was revoked, or has expired").into()),
        }
    }

    async fn sign_out_url(
        &self,
        state: Option<&AuthState>,
        then: &Url,
    ) -> Result<Option<Url>, AuthError> {
        let provider = self.discovery.provider(&self.config, &self.outbound).await?;
        let Some(mut url) = provider.metadata.end_session_endpoint.clone() else {
            return Ok(None);
        };
        let mut query = url.query_pairs_mut();
        if let Some(token) = state.and_then(AuthState::id_token) {
            query.append_pair("id_token_hint", token);
        }
        query.append_pair("client_id", &self.config.client_id);
        query.append_pair("post_logout_redirect_uri", then.as_str());
        drop(query);
        Ok(Some(url))
    }
}

impl fmt::Debug for OidcAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcAuthenticator").field("config", &self.config).finish_non_exhaustive()
    }
}
