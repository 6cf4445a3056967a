//! The hub as an OAuth 2 provider: pure checks of what clients send.
//!
//! Single-user servers and services send browsers to the hub to learn who their
//! visitor is (authorization code grant, RFC 6749 section 4.1, with PKCE of RFC
//! 7636 and the advice of RFC 9700). This module reads and judges the requests;
//! looking up clients, users and codes is the hub's.

mod authorize;
mod params;
mod pkce;
mod token;

pub use self::{
    authorize::{AuthorizeError, AuthorizeRequest, Authorized, ClientFacts},
    pkce::{Challenge, check_pkce},
    token::{TokenError, TokenRequest},
};

/// Where to send the browser with a code: `redirect_uri` with the code and the
/// client's `state` added to its query. The URI may be only a path.
pub fn success_location(redirect_uri: &str, code: &str, state: Option<&str>) -> String {
    let state = state.map(|state| ("state", state));
    location(redirect_uri, [("code", code)].into_iter().chain(state))
}

/// Where to send the browser with an error, RFC 6749 section 4.1.2.1.
pub fn error_location(
    redirect_uri: &str,
    error: &str,
    description: Option<&str>,
    state: Option<&str>,
) -> String {
    let description = description.map(|text| ("error_description", text));
    let state = state.map(|state| ("state", state));
    location(redirect_uri, [("error", error)].into_iter().chain(description).chain(state))
}

fn location<'a>(uri: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    // A registered URI has no fragment (RFC 6749 section 3.1.2); one that has it
    // all the same must not swallow the code.
    let uri = uri.split_once('#').map_or(uri, |(front, _)| front);
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_to_paths_and_urls() {
        for (uri, expected) in [
            ("/user/ada/oauth_callback", "/user/ada/oauth_callback?code=c-1&state=a%2Bb+%26"),
            ("https://x.test/cb?a=1", "https://x.test/cb?a=1&code=c-1&state=a%2Bb+%26"),
            ("/cb?", "/cb?code=c-1&state=a%2Bb+%26"),
            ("/cb?a=1&", "/cb?a=1&code=c-1&state=a%2Bb+%26"),
            ("/cb#here", "/cb?code=c-1&state=a%2Bb+%26"),
        ] {
            assert_eq!(success_location(uri, "c-1", Some("a+b &")), expected);
        }
        assert_eq!(success_location("/cb", "c", None), "/cb?code=c");
    }

    #[test]
    fn errors_travel_with_the_state() {
        assert_eq!(
            error_location("/cb", "invalid_scope", None, Some("abc")),
            "/cb?error=invalid_scope&state=abc"
        );
        assert_eq!(
            error_location("/cb", "invalid_request", Some("a b"), None),
            "/cb?error=invalid_request&error_description=a+b"
        );
    }
}
