//! Sign-in with GitHub, github.com or an Enterprise server.

mod api;
mod config;
mod link;
mod membership;
mod organization;
mod refusal;
mod wire;

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use serde_json::Value;

use self::{api::Api, wire::User};
pub use self::{
    config::GithubConfig,
    organization::{InvalidOrganization, Organization},
};
use crate::{
    Answer, AuthError, AuthState, Authenticator, Claims, Clock, InvalidConfig, LoginStart, Offer,
    PendingLogin, RefreshError, claim,
    clock::system_clock,
    outbound::{
        Outbound,
        exchange::{self, Exchange, Refused, Tokens},
    },
};

/// Where the user information is in the auth state, as in OAuthenticator.
const STATE_KEY: &str = "github_user";

/// Where the person's teams are, as in OAuthenticator.
const TEAMS: &str = "teams";

/// Where the organizations and teams are that the person was found in.
const ORGANIZATIONS: &str = "organizations";

/// Signs people in with their GitHub account.
///
/// The browser goes to GitHub and comes back with a code; the code is exchanged
/// for a token, and the token is used to ask who the person is, and to which of
/// the organizations and teams that matter they belong.
///
/// The claims hold the numeric id as `subject`, `org` and `org:team` in lower case
/// as groups, GitHub's `/user` as `attributes`, and the token in the auth state.
pub struct GithubAuthenticator {
    config: GithubConfig,
    exchange: Exchange,
    outbound: Outbound,
    clock: Clock,
}

impl GithubAuthenticator {
    /// Checks `config` and reads the host's trusted certificate authorities.
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`], naming the key to change.
    pub fn new(config: GithubConfig) -> Result<Self, InvalidConfig> {
        config.check()?;
        let egress = config.egress.clone();
        let plain_http = config.is_plain_http();
        let outbound = Outbound::new(&config.service, config.timeout, egress, plain_http)?;
        let exchange = Exchange::new(config.registration(), outbound.clone());
        Ok(Self { config, exchange, outbound, clock: system_clock() })
    }

    /// The same by another clock, from which the lifetime of tokens counts.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn refused(&self, refused: Refused) -> AuthError {
        match refused {
            Refused::Said { error, description } => {
                refusal::meaning(&error, description, &self.config)
            }
            Refused::Failed(error) => error,
        }
    }

    /// Asks all there is to ask about the person whose tokens these are.
    async fn claims(&self, tokens: &Tokens) -> Result<Claims, AuthError> {
        let api = Api { outbound: &self.outbound, base: self.config.api_base(), tokens };
        let attributes = api.user().await?;
        let User { id, login, name, email } = serde_json::from_value(attributes.clone().into())
            .map_err(|error| self.outbound.bad_answer(error, "the account"))?;
        let email = match email {
            Some(email) => Some(email),
            None => api.primary_email().await,
        };
        let (membership, teams) = membership::ask(&api, &self.config, &login).await;
        let scopes: BTreeSet<String> = tokens.scopes.clone().unwrap_or_default();
        let mut state = tokens.state(&scopes, STATE_KEY, attributes.clone());
        if let Some(teams) = teams.and_then(|teams| serde_json::to_value(teams).ok()) {
            state.insert(TEAMS.to_owned(), teams);
        }
        if self.config.asks_about_organizations() {
            state.insert(ORGANIZATIONS.to_owned(), membership.groups().into_iter().collect());
        }
        Ok(Claims {
            provider: self.config.id.clone(),
            subject: id.to_string(),
            login,
            display_name: name.filter(|name| !name.trim().is_empty()),
            email,
            membership,
            scopes,
            attributes,
            auth_state: Some(AuthState::new(state)),
        })
    }

    /// What a kept state tells, `None` if it is none of ours.
    fn of_state(&self, state: &AuthState) -> Option<Claims> {
        let Value::Object(attributes) = state.at(STATE_KEY)? else { return None };
        let User { id, login, name, email } =
            serde_json::from_value(attributes.clone().into()).ok()?;
        let scopes = state.at("scope").and_then(claim::texts).unwrap_or_default();
        Some(Claims {
            display_name: name.filter(|name| !name.trim().is_empty()),
            email,
            membership: membership::of_state(state),
            scopes: scopes.into_iter().collect(),
            attributes: attributes.clone(),
            ..Claims::new(self.config.id.clone(), id.to_string(), login)
        })
    }

    /// The same for tokens that GitHub may not honour any more.
    async fn claims_again(&self, tokens: &Tokens) -> Result<Claims, AuthError> {
        self.claims(tokens).await.map_err(|error| match error {
            AuthError::BadAnswer { source, .. } if api::is_unauthorized(&*source) => {
                self.sign_in_again("its token was revoked, or has expired")
            }
            error => error,
        })
    }

    fn sign_in_again(&self, reason: &'static str) -> AuthError {
        AuthError::SignInAgain { provider: self.config.service.clone(), reason }
    }

    /// Exchanges the refresh token of a GitHub App (GH-6), and asks with the new one.
    async fn renew(&self, refresh_token: &str, state: &AuthState) -> Result<Claims, RefreshError> {
        let tokens =
            self.exchange.refresh(refresh_token).await.map_err(|refused| match refused {
                Refused::Said { error, .. } if error == "bad_refresh_token" => self.sign_in_again(
                    "its refresh token was used already, or is older than six months",
                ),
                refused => self.refused(refused),
            })?;
        let tokens = tokens.made_at((self.clock)());
        let asked = self.outbound.whole(self.claims_again(&tokens)).await;
        asked.map_err(|error| RefreshError { renewed: Some(tokens.renewed(state)), error })
    }
}

#[async_trait]
impl Authenticator for GithubAuthenticator {
    fn provider(&self) -> &str {
        &self.config.id
    }

    fn offer(&self) -> Offer {
        Offer::Redirect { service: self.config.service.clone() }
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        let pending = PendingLogin::generate();
        let extra = self.config.extra_authorize_params.clone();
        let redirect = self.exchange.authorize_url(&pending, &self.config.scope, extra);
        Ok(Some(LoginStart { redirect, pending }))
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Callback { pending, callback } = answer else {
            return Err(AuthError::WrongAnswer { provider: self.config.service.clone() });
        };
        let code =
            exchange::code_of(&pending, &callback).map_err(|refused| self.refused(refused))?;
        let work = async {
            let redeemed = self.exchange.redeem(code, &pending).await;
            let tokens = redeemed.map_err(|refused| self.refused(refused))?;
            self.claims(&tokens.made_at((self.clock)())).await
        };
        self.outbound.whole(work).await
    }

    fn remembered(&self, state: &AuthState) -> Option<Claims> {
        self.of_state(state)
    }

    async fn refresh(&self, state: &AuthState) -> Result<Claims, RefreshError> {
        let tokens =
            Tokens::of_state(state).ok_or_else(|| self.sign_in_again("its token was not kept"))?;
        let refresh_token = state.refresh_token();
        if let Some(token) = refresh_token.filter(|_| state.expires_soon((self.clock)())) {
            return self.renew(token, state).await;
        }
        let asked = self.outbound.whole(self.claims_again(&tokens)).await;
        match (asked, refresh_token) {
            (Err(AuthError::SignInAgain { .. }), Some(token)) => self.renew(token, state).await,
            (asked, _) => Ok(asked?),
        }
    }
}

impl fmt::Debug for GithubAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubAuthenticator").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The teams as they are kept in the auth state.
type Teams = Vec<Value>;
