//! Addresses as they may stand in a log: without secrets. Pure.

use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::web::layers::cut;

/// Longest address in a log line.
const LEN: usize = 512;
/// A parameter whose name holds one of these has a value that is nobody's business.
const SECRET: [&str; 6] = ["token", "auth", "key", "code", "state", "_xsrf"];
const STAND_IN: &str = "[secret]";
/// The API of old clients has a token in the last segment of its path.
const AUTHORIZATIONS: &str = "/api/authorizations/";

/// The address that was asked for.
pub(super) fn uri(uri: &Uri) -> String {
    cut(&scrubbed(uri.path_and_query().map_or_else(|| uri.path(), |both| both.as_str())), LEN)
}

/// Where an answer sends the browser.
pub(super) fn location(value: &HeaderValue) -> String {
    cut(&scrubbed(&String::from_utf8_lossy(value.as_bytes())), LEN)
}

fn scrubbed(address: &str) -> String {
    // A fragment does not reach a server, but a Location may have one.
    let (address, fragment) = match address.split_once('#') {
        Some((address, _)) => (address, "#[secret]"),
        None => (address, ""),
    };
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (address, None),
    };
    let path = match path.find(AUTHORIZATIONS) {
        Some(at) => format!("{}{STAND_IN}", &path[..at + AUTHORIZATIONS.len()]),
        None => path.to_owned(),
    };
    match query {
        None => path + fragment,
        Some(query) => {
            let parameters: Vec<String> = query.split('&').map(parameter).collect();
            format!("{path}?{}{fragment}", parameters.join("&"))
        }
    }
}

fn parameter(text: &str) -> String {
    let Some((key, value)) = text.split_once('=') else { return text.to_owned() };
    let plain = percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
    if SECRET.iter().any(|word| plain.contains(word)) {
        return format!("{key}={STAND_IN}");
    }
    // An address in a parameter, such as `next`, may have secrets of its own; where
    // it leads to is enough to know.
    match value.to_ascii_lowercase().find("%3f").or_else(|| value.find('?')) {
        Some(at) => format!("{key}={}?{STAND_IN}", &value[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g1_secrets_in_addresses_are_not_logged() {
        for (given, expected) in [
            ("/hub/home", "/hub/home"),
            ("/hub/api/users?limit=5&offset=0", "/hub/api/users?limit=5&offset=0"),
            (
                "/hub/oauth_callback?code=abc&state=def",
                "/hub/oauth_callback?code=[secret]&state=[secret]",
            ),
            ("/user/ada/?token=abc&x=1", "/user/ada/?token=[secret]&x=1"),
            ("/user/ada/?t%6Fken=abc", "/user/ada/?t%6Fken=[secret]"),
            (
                "/x?API_KEY=abc&X_XSRF=1&_xsrf=abc",
                "/x?API_KEY=[secret]&X_XSRF=[secret]&_xsrf=[secret]",
            ),
            ("/x?session_state=abc&authuser=0", "/x?session_state=[secret]&authuser=[secret]"),
            ("/hub/login?next=%2Fuser%2Fada", "/hub/login?next=%2Fuser%2Fada"),
            (
                "/hub/login?next=%2Fhub%2Fapi%2Foauth2%2Fauthorize%3Fclient_id%3Da%26state%3Dabc",
                "/hub/login?next=%2Fhub%2Fapi%2Foauth2%2Fauthorize?[secret]",
            ),
            ("/hub/api/authorizations/token/abc", "/hub/api/authorizations/[secret]"),
            ("/hub/api/authorizations/cookie/a/b?c=d", "/hub/api/authorizations/[secret]?c=d"),
            (
                "https://git.example/authorize?client_id=a&state=b#frag",
                "https://git.example/authorize?client_id=a&state=[secret]#[secret]",
            ),
            ("/x?&token", "/x?&token"),
        ] {
            assert_eq!(scrubbed(given), expected, "{given}");
        }
    }

    #[test]
    fn an_endless_address_is_cut() {
        let long: Uri = format!("/{}", "x".repeat(10_000)).parse().unwrap();
        assert!(uri(&long).chars().count() <= LEN + 1);
    }
}
