//! Protection against requests that another site makes a browser send.
//!
//! What clients rely on (hub-contract 2.3): a cookie `_xsrf` on the hub path
//! that scripts may read; the same text is accepted back as `_xsrf` in the form
//! or query, or as `X-XSRFToken` or `X-CSRFToken`; it changes at sign-in. Ours
//! is a random nonce with a signature over the nonce and who the browser is.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::Cookie;
use http::{HeaderMap, Method, Uri, header::HeaderName};
use hub_store::Session;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::browser::{Browser, cookies};
use crate::hub::Hub;

/// Name of the cookie, and of the form field and query argument.
pub(crate) const XSRF: &str = "_xsrf";
/// Life of the cookie before the sign-in, in seconds.
const ANONYMOUS_SECONDS: i64 = 3600;
/// Bytes of randomness in a token.
const NONCE_LEN: usize = 16;

/// Whom a token is made for.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A session.
    Session(String),
    /// Nobody known: the address and the program.
    Anonymous([u8; 32]),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No token came with it.
    Missing(Method),
    /// The token is not this browser's.
    Mismatch(Method),
}

impl fmt::Display for Refused {
    /// The texts of JupyterHub, which clients show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(method) => write!(f, "'_xsrf' argument missing from {method}"),
            Self::Mismatch(method) => write!(f, "XSRF cookie does not match {method} argument"),
        }
    }
}

impl Identity {
    pub(crate) fn of(session: Option<&Session>, browser: &Browser) -> Self {
        match session {
            Some(session) => Self::Session(session.session_id.clone()),
            None => {
                let mut hash = Sha256::new();
                hash.update(browser.remote.as_bytes());
                hash.update([0xFF]);
                hash.update(browser.user_agent.as_bytes());
                Self::Anonymous(hash.finalize().into())
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Session(id) => id.as_bytes(),
            Self::Anonymous(hash) => hash,
        }
    }
}

/// A token for `identity`: the browser's own if it verifies, else a new one,
/// with the cookie that must be set.
pub(crate) fn token(
    hub: &Hub,
    headers: &HeaderMap,
    identity: &Identity,
) -> (String, Option<Cookie<'static>>) {
    if let Some(token) = presented(hub, headers, identity) {
        return (token.to_owned(), None);
    }
    let token = fresh(hub, identity);
    let cookie = cookie(hub, token.clone(), identity);
    (token, Some(cookie))
}

/// A new token for `identity`.
pub(crate) fn fresh(hub: &Hub, identity: &Identity) -> String {
    let mut nonce = [0; NONCE_LEN];
    // Without randomness the signature still binds the token to its identity.
    let _ = getrandom::fill(&mut nonce);
    let mac = hub.keys.sign(&[XSRF.as_bytes(), &nonce, identity.bytes()]);
    URL_SAFE_NO_PAD.encode([&nonce[..], &mac].concat())
}

/// The cookie that carries `token`.
pub(crate) fn cookie(hub: &Hub, token: String, identity: &Identity) -> Cookie<'static> {
    let mut cookie = Cookie::new(XSRF, token);
    cookie.set_path(hub.paths.hub());
    cookie.set_secure(hub.https);
    cookie.set_same_site(cookie::SameSite::Lax);
    if matches!(identity, Identity::Anonymous(_)) {
        cookie.set_max_age(cookie::time::Duration::seconds(ANONYMOUS_SECONDS));
    }
    cookie
}

/// Whether `given` is the token that this browser's cookie carries.
pub(crate) fn check(
    hub: &Hub,
    headers: &HeaderMap,
    identity: &Identity,
    given: Option<&str>,
    method: &Method,
) -> Result<(), Refused> {
    let given =
        given.filter(|text| !text.is_empty()).ok_or_else(|| Refused::Missing(method.clone()))?;
    let ours =
        presented(hub, headers, identity).ok_or_else(|| Refused::Mismatch(method.clone()))?;
    match bool::from(ours.as_bytes().ct_eq(given.as_bytes())) {
        true => Ok(()),
        false => Err(Refused::Mismatch(method.clone())),
    }
}

/// Whether an API request that is authenticated by cookie needs a token: all but
/// HEAD and OPTIONS do, also GET, unless the browser says that a person opened
/// the URL, or that the hub's own page asked (hub-contract 2.3, point 4).
pub(crate) fn is_needed_by_api(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let get = |name: &'static str| {
        headers.get(HeaderName::from_static(name)).map(|value| value.as_bytes())
    };
    match (get("sec-fetch-mode"), get("sec-fetch-site")) {
        (Some(b"websocket"), _) => false,
        (None | Some(b"navigate"), _) => *method != Method::GET,
        (Some(b"no-cors"), Some(b"same-origin")) => *method != Method::GET,
        _ => true,
    }
}

/// The token that a script sent: in a header or in the query.
pub(crate) fn from_query_or_header(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    for name in ["x-xsrftoken", "x-csrftoken"] {
        if let Some(text) = headers.get(name).and_then(|value| value.to_str().ok()) {
            return Some(text.to_owned());
        }
    }
    let query = uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == XSRF)
        .map(|(_, value)| value.into_owned())
}

/// The first of the browser's `_xsrf` cookies that is ours and made for
/// `identity`. User servers set cookies of the same name on their own paths.
fn presented<'a>(hub: &Hub, headers: &'a HeaderMap, identity: &Identity) -> Option<&'a str> {
    cookies(headers, XSRF).into_iter().find(|token| {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((nonce, mac)) = bytes.split_first_chunk::<NONCE_LEN>() else { return false };
        let expected = hub.keys.sign(&[XSRF.as_bytes(), nonce, identity.bytes()]);
        bool::from(expected[..].ct_eq(mac))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adv_fetch_mode_matrix() {
        let rows = [
            // method, mode, site, needed
            (Method::GET, None, None, false),
            (Method::GET, Some("navigate"), Some("none"), false),
            (Method::GET, Some("no-cors"), Some("same-origin"), false),
            (Method::GET, Some("no-cors"), Some("cross-site"), true),
            (Method::GET, Some("cors"), Some("same-origin"), true),
            (Method::POST, None, None, true),
            (Method::POST, Some("navigate"), Some("same-origin"), true),
            (Method::POST, Some("no-cors"), Some("same-origin"), true),
            (Method::DELETE, Some("cors"), Some("same-origin"), true),
            (Method::GET, Some("websocket"), Some("same-origin"), false),
            (Method::HEAD, Some("cors"), Some("cross-site"), false),
            (Method::OPTIONS, None, None, false),
        ];
        for (method, mode, site, needed) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-mode", mode), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(is_needed_by_api(&method, &headers), needed, "{method} {mode:?} {site:?}");
        }
    }
}
