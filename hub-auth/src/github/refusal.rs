//! GitHub's many ways to say no.

use super::GithubConfig;
use crate::AuthError;

/// What an error code means, on the callback and on the token endpoint alike.
/// `description` is GitHub's own text, fit for a page.
///
/// Source: GitHub's pages on errors of authorization and token requests.
pub(super) fn meaning(error: &str, description: String, config: &GithubConfig) -> AuthError {
    let misconfigured =
        |advice: String| AuthError::Misconfigured { provider: config.service.clone(), advice };
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
