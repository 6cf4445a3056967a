//! The code for a token, and GitHub's many ways to say no.

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicTokenType},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    GithubConfig, SERVICE,
    outbound::{NoAnswer, Outbound},
    wire::TokenProblem,
};
use crate::{AuthError, BoxError, PendingLogin, error::excerpt};

/// What we asked for, in messages.
const WHAT: &str = "an access token";

/// The client with authorize and token URL set.
pub(super) type OauthClient =
    BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A token and what it is good for.
pub(super) struct Access {
    pub(super) token: SecretString,
    /// The scopes that the person granted, perhaps fewer than were asked for.
    pub(super) scopes: Vec<String>,
}

pub(super) fn client(config: &GithubConfig) -> OauthClient {
    BasicClient::new(ClientId::new(config.client_id.clone()))
        .set_client_secret(ClientSecret::new(config.client_secret.expose_secret().to_owned()))
        .set_auth_uri(AuthUrl::from_url(config.site("/login/oauth/authorize")))
        .set_token_uri(TokenUrl::from_url(config.site("/login/oauth/access_token")))
        .set_redirect_uri(RedirectUrl::from_url(config.callback_url.clone()))
        .set_auth_type(AuthType::RequestBody)
}

/// Redeems the code that the browser brought.
pub(super) async fn redeem(
    oauth: &OauthClient,
    outbound: &Outbound,
    config: &GithubConfig,
    code: String,
    pending: &PendingLogin,
) -> Result<Access, AuthError> {
    // The library's future borrows the client for a lifetime of its choosing, which
    // a reference of ours cannot promise; a clone shares the connections.
    let send = |request| {
        let outbound = outbound.clone();
        async move { outbound.send(request).await }
    };
    let answer = oauth
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(PkceCodeVerifier::new(pending.code_verifier().to_owned()))
        .request_async(&send)
        .await
        .map_err(|error| token_error(error, config))?;
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(bad_answer("the token is of an unknown type"));
    }
    // GitHub separates scopes by commas where RFC 6749 has blanks (GH-1).
    let scopes = answer.scopes().into_iter().flatten();
    let scopes = scopes.flat_map(|scope| scope.split([',', ' ']));
    Ok(Access {
        token: answer.access_token().secret().as_str().into(),
        scopes: scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
    })
}

/// What an error code means, on the callback and on the token endpoint alike.
///
/// Source: GitHub's pages on errors of authorization and token requests.
pub(super) fn refusal(error: &str, description: String, config: &GithubConfig) -> AuthError {
    let misconfigured =
        |advice: String| AuthError::Misconfigured { provider: SERVICE.to_owned(), advice };
    match error {
        "incorrect_client_credentials" => misconfigured(
            "client id and client secret do not belong together; make a new client secret on \
             the page of the OAuth App and set it as GITHUB_CLIENT_SECRET"
                .to_owned(),
        ),
        "redirect_uri_mismatch" => misconfigured(format!(
            "the OAuth App is registered with another callback URL; set \"Authorization \
             callback URL\" on its page to {}",
            config.callback_url
        )),
        "application_suspended" => misconfigured(
            "the OAuth App is suspended; its owner has to ask GitHub's support".to_owned(),
        ),
        // How the token endpoint answers a client id it does not know.
        "Not Found" => misconfigured(format!(
            "there is no OAuth App with the client id {:?}; compare GITHUB_CLIENT_ID with the \
             page of the OAuth App",
            config.client_id
        )),
        "bad_verification_code" => {
            AuthError::Stale { reason: "its code was used already or is older than ten minutes" }
        }
        _ => AuthError::Denied { description },
    }
}

type TokenRequestError = RequestTokenError<NoAnswer, BasicErrorResponse>;

fn token_error(error: TokenRequestError, config: &GithubConfig) -> AuthError {
    match error {
        RequestTokenError::ServerResponse(problem) => {
            let error = problem.error().to_string();
            let description = problem.error_description().unwrap_or(&error);
            refusal(&error, excerpt(description), config)
        }
        // GitHub reports errors with status 200 (OAU-6), so the answer was taken
        // for a token that lacks its fields.
        RequestTokenError::Parse(error, body) => match serde_json::from_slice(&body) {
            Ok(TokenProblem { error, error_description }) => {
                let description = error_description.as_deref().unwrap_or(&error);
                refusal(&error, excerpt(description), config)
            }
            Err(_) => bad_answer(error),
        },
        RequestTokenError::Request(error) => error.while_asking_for(WHAT),
        RequestTokenError::Other(text) => bad_answer(text),
    }
}

fn bad_answer(source: impl Into<BoxError>) -> AuthError {
    AuthError::BadAnswer { provider: SERVICE.to_owned(), what: WHAT, source: source.into() }
}
