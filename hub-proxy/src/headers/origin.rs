//! What a target says to the browser that is not about its own route alone.
//!
//! To the browser, all targets and the fallback are one site.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::remove_where;
use crate::{RoutePrefix, path};

/// The widest path that a service worker may be registered for.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// Fields by which one answer decides for the whole origin, some for months.
const ORIGIN_WIDE: [&str; 4] =
    ["alt-svc", "clear-site-data", "public-key-pins", "strict-transport-security"];

/// Removes the cookies with which a target would replace those of others on its
/// origin.
///
/// An entry of `reserved` is a name, or the beginning of names if it ends in `*`.
/// Names are compared as browsers and the more generous readers of `Cookie` see
/// them, without the white space around them. Also removed are cookies with a
/// `Domain`, which reach other hosts and stand beside host-only ones of the same
/// name, and cookies without a name, which are sent as their bare value, so that
/// `=login=x` arrives as `login=x`. Without entries nothing is removed.
///
/// Source: security rule C4; RFC 6265bis, sections 5.6 and 5.8.3.
pub fn strip_tossed_cookies(headers: &mut HeaderMap, reserved: &[String]) {
    let tossed = |cookie: &HeaderValue| is_tossed(cookie.as_bytes(), reserved);
    if reserved.is_empty() || !headers.get_all(header::SET_COOKIE).iter().any(tossed) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter(|cookie| !tossed(cookie))
        .cloned()
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in kept {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Removes what would hold for the whole origin instead of the target's route.
///
/// `Alt-Svc`, `Clear-Site-Data`, `Public-Key-Pins`, `Strict-Transport-Security`,
/// and a `Service-Worker-Allowed` that is not an absolute path within `prefix`.
/// A relative one would have to be read against the path of the script; without
/// it, the script's own directory is allowed.
///
/// Source: security rule C5.
pub fn strip_origin_rules(headers: &mut HeaderMap, prefix: &RoutePrefix) {
    remove_where(headers, |name| ORIGIN_WIDE.contains(&name));
    let mut scopes = headers.get_all(&SERVICE_WORKER_ALLOWED).iter();
    let sound = match (scopes.next(), scopes.next()) {
        (Some(scope), None) => is_within(scope, prefix),
        // Which of two lines a browser takes is nothing to rely on.
        (first, _) => first.is_none(),
    };
    if !sound {
        headers.remove(&SERVICE_WORKER_ALLOWED);
    }
}

/// The same for every prefix.
pub(crate) fn strip_origin_wide(headers: &mut HeaderMap) {
    remove_where(headers, |name| {
        ORIGIN_WIDE.contains(&name) || *name == *SERVICE_WORKER_ALLOWED.as_str()
    });
}

fn is_tossed(cookie: &[u8], reserved: &[String]) -> bool {
    // Lossy: what is not UTF-8 is no part of a reserved name, and stays foreign.
    let cookie = String::from_utf8_lossy(cookie);
    let mut parts = cookie.split(';');
    let pair = parts.next().unwrap_or_default();
    let name = pair.split_once('=').map_or("", |(name, _)| name.trim());
    let is_domain = |attribute: &str| {
        let name = attribute.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("domain")
    };
    name.is_empty() || reserved.iter().any(|entry| matches(entry, name)) || parts.any(is_domain)
}

fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == entry,
    }
}

/// Whether the scope begins with the prefix and its last slash: browsers compare
/// texts, for which `/user/ada` allows `/user/adam/`.
fn is_within(scope: &HeaderValue, prefix: &RoutePrefix) -> bool {
    let Ok(scope) = scope.to_str() else { return false };
    // Browsers skip tabs inside of URLs, and with them `/\t/host` names a host.
    if scope.contains('\t') || scope.starts_with("//") {
        return false;
    }
    let path = scope.split(['?', '#']).next().unwrap_or_default();
    path::decode(path).is_ok_and(|decoded| prefix.holds(&decoded))
}

#[cfg(test)]
mod tests;
