//! The calls we make with the person's token.

use http::{
    HeaderValue, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, InvalidHeaderValue},
};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::{
    SERVICE,
    exchange::Access,
    outbound::Outbound,
    wire::{Email, User},
};
use crate::{AuthError, BoxError};

/// Scopes that open the list of mail addresses.
const EMAIL_SCOPES: [&str; 2] = ["user", "user:email"];

/// GitHub's REST API, as one person.
pub(super) struct Api<'a> {
    pub(super) outbound: &'a Outbound,
    /// Without a slash at the end.
    pub(super) base: String,
    pub(super) access: Access,
}

impl Api<'_> {
    /// Who the person is.
    pub(super) async fn user(&self) -> Result<User, AuthError> {
        self.get("/user", "the account").await
    }

    /// The address they use, if they let us see it. Only verified ones count, and
    /// a failure keeps nobody out: the address is for display.
    pub(super) async fn primary_email(&self) -> Option<String> {
        if !self.access.scopes.iter().any(|scope| EMAIL_SCOPES.contains(&scope.as_str())) {
            return None;
        }
        let emails: Vec<Email> = self.get("/user/emails", "mail addresses").await.ok()?;
        emails.into_iter().find(|email| email.primary && email.verified).map(|email| email.email)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
    ) -> Result<T, AuthError> {
        let bad =
            |source: BoxError| AuthError::BadAnswer { provider: SERVICE.to_owned(), what, source };
        let authorization = self.authorization().map_err(|error| bad(error.into()))?;
        let request = Request::get(format!("{}{path}", self.base))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, authorization)
            .body(Vec::new())
            .map_err(|error| bad(error.into()))?;
        let send = self.outbound.send(request);
        let answer = send.await.map_err(|error| error.while_asking_for(what))?;
        match answer.status() {
            StatusCode::OK => {
                serde_json::from_slice(answer.body()).map_err(|error| bad(error.into()))
            }
            status => Err(bad(format!("it answered with status {status}").into())),
        }
    }

    fn authorization(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let token = self.access.token.expose_secret();
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
