//! Sign-in with GitHub, github.com or an Enterprise server.

mod api;
mod config;
mod exchange;
mod outbound;
mod wire;

use std::fmt;

use async_trait::async_trait;
use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier, Scope};
use secrecy::ExposeSecret;

pub use self::config::GithubConfig;
use self::{exchange::OauthClient, outbound::Outbound};
use crate::{
    Answer, AuthError, Authenticator, Callback, Claims, InvalidConfig, LoginStart, Offer,
    PendingLogin,
};

/// The id under which identities are stored.
const PROVIDER: &str = "github";

/// How we call the site on buttons and in messages.
const SERVICE: &str = "GitHub";

/// Signs people in with their GitHub account.
///
/// The browser goes to GitHub and comes back with a code; the code is exchanged
/// for a token, and the token is used once, to ask who the person is.
pub struct GithubAuthenticator {
    config: GithubConfig,
    oauth: OauthClient,
    outbound: Outbound,
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
        let outbound = Outbound::new(config.timeout, config.is_plain_http())?;
        let oauth = exchange::client(&config);
        Ok(Self { config, oauth, outbound })
    }

    /// Judges what came back; what remains is a code that was meant for the
    /// browser that began this sign-in.
    ///
    /// The state comes first: a link of a stranger may carry any `error` text, and
    /// we would print it.
    fn code_of(&self, pending: &PendingLogin, callback: &Callback) -> Result<String, AuthError> {
        let Some(state) = callback.state.as_deref() else {
            return Err(AuthError::Stale { reason: "the state is missing from the address" });
        };
        if !pending.matches(state) {
            return Err(AuthError::Stale { reason: "it was begun in another window or browser" });
        }
        if let (Some(error), Some(complaint)) = (&callback.error, callback.complaint()) {
            return Err(exchange::refusal(error, complaint, &self.config));
        }
        match &callback.code {
            Some(code) if !code.expose_secret().is_empty() => Ok(code.expose_secret().to_owned()),
            _ => Err(AuthError::Stale { reason: "the code is missing from the address" }),
        }
    }
}

#[async_trait]
impl Authenticator for GithubAuthenticator {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn offer(&self) -> Offer {
        Offer::Redirect { service: SERVICE.to_owned() }
    }

    fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        let pending = PendingLogin::generate();
        let verifier = PkceCodeVerifier::new(pending.code_verifier().to_owned());
        let (redirect, _) = self
            .oauth
            .authorize_url(|| CsrfToken::new(pending.state()))
            .add_scopes(self.config.scope.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(Some(LoginStart { redirect, pending }))
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Callback { pending, callback } = answer else {
            return Err(AuthError::WrongAnswer { provider: SERVICE.to_owned() });
        };
        let code = self.code_of(&pending, &callback)?;
        let access =
            exchange::redeem(&self.oauth, &self.outbound, &self.config, code, &pending).await?;
        let api = api::Api { outbound: &self.outbound, base: self.config.api_base(), access };
        let user = api.user().await?;
        let email = match user.email {
            Some(email) => Some(email),
            None => api.primary_email().await,
        };
        Ok(Claims {
            provider: PROVIDER.to_owned(),
            subject: user.id.to_string(),
            login: user.login,
            display_name: user.name.filter(|name| !name.trim().is_empty()),
            email,
        })
    }
}

impl fmt::Debug for GithubAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubAuthenticator").field("config", &self.config).finish_non_exhaustive()
    }
}
