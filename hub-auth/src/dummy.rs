//! One password for everybody, or none at all. For tests and demonstrations.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{Answer, AuthError, Authenticator, Claims, LoginStart, Offer};

const PROVIDER: &str = "dummy";

/// Lets anybody sign in under any name who knows the one password; without a
/// password, anybody at all. Never for a hub that others can reach.
#[derive(Debug)]
pub struct DummyAuthenticator {
    password: Option<SecretString>,
}

impl DummyAuthenticator {
    /// With `None` every password is right.
    pub fn new(password: Option<SecretString>) -> Self {
        Self { password }
    }
}

#[async_trait]
impl Authenticator for DummyAuthenticator {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn offer(&self) -> Offer {
        Offer::Form
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        Ok(None)
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Form { username, password } = answer else {
            return Err(AuthError::WrongAnswer { provider: PROVIDER.to_owned() });
        };
        let right = self.password.as_ref().is_none_or(|wanted| {
            wanted.expose_secret().as_bytes().ct_eq(password.expose_secret().as_bytes()).into()
        });
        if !right || username.is_empty() {
            return Err(AuthError::BadCredentials);
        }
        Ok(Claims::new(PROVIDER, username.to_lowercase(), username))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sign_in(dummy: &DummyAuthenticator, password: &str) -> Result<String, AuthError> {
        let answer = Answer::Form { username: "Ada".to_owned(), password: password.into() };
        dummy.finish(answer).await.map(|claims| claims.subject)
    }

    #[tokio::test]
    async fn the_one_password_opens_every_account() {
        let dummy = DummyAuthenticator::new(Some("open".into()));
        assert_eq!(sign_in(&dummy, "open").await.unwrap(), "ada");
        assert!(matches!(sign_in(&dummy, "Open").await, Err(AuthError::BadCredentials)));
        assert!(matches!(sign_in(&dummy, "").await, Err(AuthError::BadCredentials)));
    }

    #[tokio::test]
    async fn without_a_password_every_one_is_right() {
        assert!(sign_in(&DummyAuthenticator::new(None), "").await.is_ok());
    }
}
