//! The token endpoint: a client redeems its code.

use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::params::Params;

/// A well-formed request to redeem a code. Whether client, secret and code are
/// good is for the hub to look up.
#[derive(Debug)]
pub struct TokenRequest {
    /// Who asks.
    pub client_id: String,
    /// The client's secret, from the body; an `Authorization` header on this
    /// endpoint is the server's own token and proves nothing here.
    pub client_secret: SecretString,
    /// The one-time code.
    pub code: SecretString,
    /// The redirect URI of the authorize request, if it was named there.
    pub redirect_uri: Option<String>,
    /// The PKCE verifier, if a challenge was given.
    pub code_verifier: Option<SecretString>,
}

/// Why a code was not exchanged, RFC 6749 section 5.2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Unknown client or wrong secret; not told apart.
    #[error("unknown client or wrong client secret")]
    InvalidClient,
    /// The code is wrong, used, expired, another client's, or not redeemed as it
    /// was asked for.
    #[error("the authorization code cannot be redeemed")]
    InvalidGrant,
    /// Only codes can be redeemed: no passwords, no refresh tokens.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// A parameter is missing or repeated.
    #[error("malformed token request: {0}")]
    InvalidRequest(&'static str),
}

impl TokenRequest {
    /// Reads the fields of the form.
    ///
    /// # Errors
    ///
    /// As JupyterHub's provider: another grant type is reported first, missing
    /// client credentials as a wrong client.
    pub fn parse<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, TokenError>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        const KNOWN: [&str; 6] =
            ["grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier"];
        let mut params = Params::read(pairs, &KNOWN);
        if params.any_repeated() {
            return Err(TokenError::InvalidRequest("A parameter is repeated."));
        }
        if params.take("grant_type").as_deref() != Some("authorization_code") {
            return Err(TokenError::UnsupportedGrantType);
        }
        let client_id = params.take("client_id").ok_or(TokenError::InvalidClient)?;
        let client_secret = params.take("client_secret").ok_or(TokenError::InvalidClient)?;
        let code =
            params.take("code").ok_or(TokenError::InvalidRequest("Missing code parameter."))?;
        Ok(Self {
            client_id,
            client_secret: client_secret.into(),
            code: code.into(),
            redirect_uri: params.take("redirect_uri"),
            code_verifier: params.take("code_verifier").map(SecretString::from),
        })
    }

    /// Checks the redirect URI against `at_authorize`, what the authorize request
    /// named, if it did. It may be left out only if it was left out there; then
    /// the client's `registered` one is accepted as well.
    ///
    /// # Errors
    ///
    /// [`TokenError::InvalidGrant`] if they differ.
    pub fn check_redirect_uri(
        &self,
        at_authorize: Option<&str>,
        registered: &str,
    ) -> Result<(), TokenError> {
        let fits = match (at_authorize, self.redirect_uri.as_deref()) {
            (Some(named), shown) => shown == Some(named),
            (None, shown) => shown.is_none_or(|uri| uri == registered),
        };
        if fits { Ok(()) } else { Err(TokenError::InvalidGrant) }
    }
}

impl TokenError {
    /// The value of `error`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidRequest(_) => "invalid_request",
        }
    }

    /// The value of `error_description`, where there is more to say.
    pub fn description(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest(description) => Some(description),
            Self::InvalidClient | Self::InvalidGrant | Self::UnsupportedGrantType => None,
        }
    }

    /// The status that RFC 6749 section 5.2 asks for.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::InvalidGrant | Self::UnsupportedGrantType | Self::InvalidRequest(_) => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        match self.description() {
            Some(description) => json!({ "error": self.code(), "error_description": description }),
            None => json!({ "error": self.code() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const FULL: [(&str, &str); 5] = [
        ("grant_type", "authorization_code"),
        ("client_id", "jupyterhub-user-alice"),
        ("client_secret", "s3"),
        ("code", "c0"),
        ("redirect_uri", "/user/alice/oauth_callback"),
    ];

    fn without(name: &str) -> Vec<(&'static str, &'static str)> {
        FULL.into_iter().filter(|(key, _)| *key != name).collect()
    }

    #[test]
    fn a_complete_request_is_read() {
        let verifier = ("code_verifier", "v");
        let request = TokenRequest::parse(FULL.into_iter().chain([verifier])).unwrap();
        assert_eq!(request.client_id, "jupyterhub-user-alice");
        assert_eq!(request.client_secret.expose_secret(), "s3");
        assert_eq!(request.code.expose_secret(), "c0");
        assert_eq!(request.redirect_uri.as_deref(), Some("/user/alice/oauth_callback"));
        assert_eq!(request.code_verifier.unwrap().expose_secret(), "v");
    }

    #[test]
    fn errors_are_those_of_the_recorded_provider() {
        let error = |pairs: Vec<(&str, &str)>| {
            let error = TokenRequest::parse(pairs).unwrap_err();
            (error.status().as_u16(), error.body().to_string())
        };
        let grant = (400, r#"{"error":"unsupported_grant_type"}"#.to_owned());
        assert_eq!(error(Vec::new()), grant);
        assert_eq!(error(without("grant_type")), grant);
        assert_eq!(error(vec![("grant_type", "password"), ("client_id", "x")]), grant);
        let client = (401, r#"{"error":"invalid_client"}"#.to_owned());
        assert_eq!(error(without("client_id")), client);
        assert_eq!(error(without("client_secret")), client);
        let code = r#"{"error":"invalid_request","error_description":"Missing code parameter."}"#;
        assert_eq!(error(without("code")), (400, code.to_owned()));
        assert_eq!(TokenError::InvalidGrant.body(), json!({ "error": "invalid_grant" }));
    }

    #[test]
    fn a_repeated_parameter_is_refused() {
        let error = TokenRequest::parse(FULL.into_iter().chain([("code", "other")])).unwrap_err();
        assert_eq!(error, TokenError::InvalidRequest("A parameter is repeated."));
    }

    #[test]
    fn the_redirect_uri_must_be_the_one_of_the_authorize_request() {
        let registered = "/user/alice/oauth_callback";
        let named = TokenRequest::parse(FULL).unwrap();
        let silent = TokenRequest::parse(without("redirect_uri")).unwrap();
        assert_eq!(named.check_redirect_uri(Some(registered), registered), Ok(()));
        assert_eq!(named.check_redirect_uri(None, registered), Ok(()));
        assert_eq!(silent.check_redirect_uri(None, registered), Ok(()));
        let refused = Err(TokenError::InvalidGrant);
        assert_eq!(silent.check_redirect_uri(Some(registered), registered), refused);
        assert_eq!(named.check_redirect_uri(Some("/user/alice/"), registered), refused);
        assert_eq!(named.check_redirect_uri(None, "/user/bob/oauth_callback"), refused);
    }
}
