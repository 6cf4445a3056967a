//! The authorize endpoint: a browser arrives with a client's wish.

use http::StatusCode;

use super::{Challenge, error_location, params::Params};
use crate::{
    role::IDENTIFY_SCOPES,
    roles::Roles,
    scope::{Filter, Scope},
};

/// Old clients ask for this instead of the scopes that say who the user is.
const IDENTIFY: &str = "identify";

/// What the hub knows of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFacts {
    /// The client's id, such as `jupyterhub-user-ada`.
    pub id: String,
    /// The one URI that browsers may be sent back to; often only a path.
    pub redirect_uri: String,
    /// The scopes it may ask for, the right to use it among them.
    pub allowed_scopes: Vec<String>,
    /// The right to use it, which is granted whether or not it asks.
    pub access: Scope,
}

/// An authorize request whose client is not known yet.
#[derive(Debug)]
pub struct AuthorizeRequest {
    client_id: String,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    challenge: Option<String>,
    method: Option<String>,
    repeated: bool,
}

/// A request that may be granted, if the user agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// Where to send the browser.
    pub redirect_uri: String,
    /// The redirect URI as the request named it; store this with the code, since
    /// the token request has to name it again.
    pub named_redirect_uri: Option<String>,
    /// To be handed back unchanged.
    pub state: Option<String>,
    /// What to grant, as far as the user holds it: the scopes asked for (or all
    /// that the client may have), the right to use the client, and the right to
    /// know who the user is.
    pub scopes: Vec<Scope>,
    /// Store this with the code.
    pub challenge: Option<Challenge>,
}

/// Why an authorize request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The client or its redirect URI is wrong. The person is told; sending them
    /// anywhere would make the hub an open redirector (RFC 6749 section 4.1.2.1).
    #[error("refused to authorize: {message}")]
    ShowPage {
        /// The status of the page.
        status: StatusCode,
        /// What to tell the person.
        message: &'static str,
    },
    /// The client made a mistake and is told through the browser.
    #[error("refused to authorize: {error}")]
    RedirectBack {
        /// The value of `error`.
        error: &'static str,
        /// The value of `error_description`.
        description: Option<&'static str>,
        /// The client's registered URI.
        redirect_uri: String,
        /// The client's state.
        state: Option<String>,
    },
}

impl AuthorizeRequest {
    /// Reads the query.
    ///
    /// # Errors
    ///
    /// [`AuthorizeError::ShowPage`] if client or redirect URI are missing or
    /// ambiguous. Other mistakes are found by [`AuthorizeRequest::check`], which
    /// knows where to report them.
    pub fn parse<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, AuthorizeError>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        const KNOWN: [&str; 7] = [
            "client_id",
            "redirect_uri",
            "response_type",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
        ];
        let mut params = Params::read(pairs, &KNOWN);
        if params.is_repeated("client_id") || params.is_repeated("redirect_uri") {
            return Err(page("A parameter is repeated."));
        }
        Ok(Self {
            client_id: params.take("client_id").ok_or(page("Missing client_id parameter."))?,
            redirect_uri: params.take("redirect_uri"),
            response_type: params.take("response_type"),
            scope: params.take("scope"),
            state: params.take("state"),
            challenge: params.take("code_challenge"),
            method: params.take("code_challenge_method"),
            repeated: params.any_repeated(),
        })
    }

    /// Which client to look up. If there is none, or it has no secret, answer
    /// [`AuthorizeError::unknown_client`].
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Judges the request of a known client.
    ///
    /// # Errors
    ///
    /// As the variants of [`AuthorizeError`] say.
    pub fn check(self, client: &ClientFacts, roles: &Roles) -> Result<Authorized, AuthorizeError> {
        // Compared as text, RFC 9700 section 4.1.3: every cleverness here has
        // been an open redirect somewhere.
        let fits = self.redirect_uri.as_ref().is_none_or(|uri| *uri == client.redirect_uri);
        if client.redirect_uri.is_empty() || !fits {
            return Err(page("Mismatching redirect URI."));
        }
        let refuse = |error, description| AuthorizeError::RedirectBack {
            error,
            description,
            redirect_uri: client.redirect_uri.clone(),
            state: self.state.clone(),
        };
        if self.repeated {
            return Err(refuse("invalid_request", Some("A parameter is repeated.")));
        }
        match self.response_type.as_deref() {
            Some("code") => {}
            Some(_) => return Err(refuse("unsupported_response_type", None)),
            None => {
                return Err(refuse("invalid_request", Some("Missing response_type parameter.")));
            }
        }
        let challenge =
            self.challenge().map_err(|description| refuse("invalid_request", Some(description)))?;
        let scopes = requested_scopes(self.scope.as_deref(), client, roles)
            .ok_or_else(|| refuse("invalid_scope", None))?;
        Ok(Authorized {
            redirect_uri: client.redirect_uri.clone(),
            named_redirect_uri: self.redirect_uri,
            state: self.state,
            scopes,
            challenge,
        })
    }

    fn challenge(&self) -> Result<Option<Challenge>, &'static str> {
        match (self.challenge.as_deref(), self.method.as_deref()) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err("Code challenge required."),
            (Some(text), Some("S256")) => {
                text.parse().map(Some).map_err(|()| "Malformed code challenge.")
            }
            // No method means `plain`, which protects nobody (RFC 7636 section 7.2).
            (Some(_), _) => Err("Transform algorithm not supported; use S256."),
        }
    }
}

impl AuthorizeError {
    /// No client of that id, or one without a secret.
    pub fn unknown_client() -> Self {
        page("Invalid client_id parameter value.")
    }

    /// Where to send the browser, unless a page is to be shown.
    pub fn location(&self) -> Option<String> {
        match self {
            Self::ShowPage { .. } => None,
            Self::RedirectBack { error, description, redirect_uri, state } => {
                Some(error_location(redirect_uri, error, *description, state.as_deref()))
            }
        }
    }
}

fn page(message: &'static str) -> AuthorizeError {
    AuthorizeError::ShowPage { status: StatusCode::BAD_REQUEST, message }
}

/// What to grant: scopes asked for, or all that the client may have, and always
/// the right to use the client and to know its user. `None` if it asks for more
/// than it may have.
///
/// Clients of JupyterHub 2 name roles instead of scopes; `identify` is older still.
fn requested_scopes(
    scope: Option<&str>,
    client: &ClientFacts,
    roles: &Roles,
) -> Option<Vec<Scope>> {
    // A scope unknown to us, in a row of a newer version, grants nothing.
    let allowed: Vec<Scope> =
        client.allowed_scopes.iter().filter_map(|text| text.parse().ok()).collect();
    let identify = IDENTIFY_SCOPES.map(|name| Scope::filtered(name, Filter::OwnUser));
    let mut scopes: Vec<Scope> = match scope {
        None => allowed.clone(),
        Some(text) => {
            let mut wanted = Vec::new();
            for word in text.split_ascii_whitespace().filter(|word| *word != IDENTIFY) {
                match word.parse::<Scope>() {
                    Ok(scope) => wanted.push(scope),
                    Err(_) => wanted.extend(roles.get(word)?.scopes.iter().cloned()),
                }
            }
            let may_have =
                |scope: &Scope| allowed.iter().chain(&identify).any(|held| held.covers(scope));
            if !wanted.iter().all(may_have) {
                return None;
            }
            wanted
        }
    };
    scopes.push(client.access.clone());
    scopes.extend(identify);
    scopes.sort();
    scopes.dedup();
    Some(scopes)
}

#[cfg(test)]
mod tests;
