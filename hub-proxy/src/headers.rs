//! What happens to header fields on their way through: pure functions.
//!
//! Fields that concern one hop are removed, those that tell the target about
//! the client are set, those with which a target would reach beyond its route
//! are removed if that is wanted, all others pass untouched and in their order.

use std::{io::Write, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header, header::Entry};

use crate::Peer;

mod location;
mod origin;

pub use location::rewrite_location;
pub(crate) use origin::strip_origin_wide;
pub use origin::{strip_origin_rules, strip_tossed_cookies};

/// The first proxy's view of the client's address.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The host the browser asked for.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The port the browser connected to.
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// The scheme the browser used.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Room for any address: an IPv6 one that ends in an IPv4 one.
const LONGEST_ADDRESS: usize = 45;

/// Fields that are about one connection whatever `Connection` says.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields no `Connection` option can take away: a client could otherwise make
/// the proxy drop what a target decides by (SM-36). `X-Forwarded-*` are
/// protected too.
const PROTECTED: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
];

/// What a client that is not trusted may not say about itself. Tornado reads
/// the last two like the others.
const CLAIMS: [&str; 3] = ["forwarded", "x-real-ip", "x-scheme"];

/// What a message must say before its body (RFC 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 12] = [
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "host",
    "authorization",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "location",
    "trailer",
    "te",
];

/// Fields whose twins with `_` for `-` some servers take for the real ones
/// (SM-38); `x-forwarded-*` is matched as a family.
const ALIASED: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "host",
    "connection",
    "forwarded",
    "x-real-ip",
    "x-scheme",
];

/// Removes the fields that concern only one hop of the connection.
///
/// Takes out `Connection`, what it names except `Host`, `Content-Length`,
/// `Transfer-Encoding`, `Authorization`, `Cookie` and `X-Forwarded-*`, and the
/// fixed set `Keep-Alive`, `Proxy-*`, `TE`, `Transfer-Encoding`, `Upgrade`.
/// `TE: trailers` is kept as exactly that. For an upgrade, set what it needs
/// afterwards ([`upgrade::renew`](crate::upgrade::renew)).
///
/// The framing of the next hop is written by its encoder, so `Transfer-Encoding`
/// goes even when the body is chunked.
///
/// Source: RFC 9110, section 7.6.1.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Nearly all messages have none or one of them, so one look is cheaper than one search
    // for each.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    // Before `Connection`, which has to name it.
    let trailers = has_token(headers, header::TE, "trailers");
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes from trailers what must be known before a body or decides by whom it
/// is read: framing, routing, authentication and cookies (SM-27, X-03).
pub fn strip_from_trailers(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers);
    remove_where(trailers, |name| {
        NOT_IN_TRAILERS.contains(&name)
            || name.starts_with("x-forwarded-")
            || CLAIMS.contains(&name)
    });
    strip_aliases(trailers);
}

/// Makes one field of the cookies that HTTP/2 may send in several (H2-04, RFC
/// 9113 section 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Removes what a client claims about itself and its way here.
///
/// For clients outside [`TrustForwarded`](crate::TrustForwarded): `Forwarded`,
/// all `X-Forwarded-*`, `X-Real-IP` and `X-Scheme` (security rule A11).
pub fn strip_claims(headers: &mut HeaderMap) {
    // All of them begin with one of two letters.
    remove_where(headers, |name| {
        name.starts_with(['x', 'f']) && (CLAIMS.contains(&name) || name.starts_with("x-forwarded-"))
    });
}

/// Removes fields that only an underscore distinguishes from one that matters
/// for framing, routing or trust (SM-38).
pub fn strip_aliases(headers: &mut HeaderMap) {
    remove_where(headers, |name| {
        name.contains('_') && {
            let real = name.replace('_', "-");
            ALIASED.contains(&real.as_str()) || real.starts_with("x-forwarded-")
        }
    });
}

/// Adds `X-Forwarded-For`, `-Port`, `-Proto` and `-Host` as this hop sees them.
///
/// The first three are appended after a comma without space to what is there;
/// `X-Forwarded-Host` is set only if absent (H-02 to H-05). Call
/// [`strip_claims`] before for a client that is not trusted. The scheme of a
/// WebSocket is `ws` or `wss`.
pub fn add_forwarded(headers: &mut HeaderMap, peer: Option<&Peer>, websocket: bool) {
    let tls = peer.is_some_and(|peer| peer.tls);
    if let Some(addr) = peer.and_then(|peer| peer.addr) {
        // An IPv4 client of a dual-stack socket is written as IPv4 (H-02).
        append(headers, X_FORWARDED_FOR, address(addr.ip().to_canonical()));
    }
    let host = headers.get(header::HOST).cloned();
    let port = match host.as_ref().and_then(port_of) {
        Some(port) => field_value(port.as_bytes()),
        None if tls => HeaderValue::from_static("443"),
        None => HeaderValue::from_static("80"),
    };
    append(headers, X_FORWARDED_PORT, port);
    let proto = match (websocket, tls) {
        (false, false) => "http",
        (false, true) => "https",
        (true, false) => "ws",
        (true, true) => "wss",
    };
    append(headers, X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// The comma-separated members of a field value; none if it is not visible
/// ASCII.
pub(crate) fn list(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Whether any line of the field has `wanted` among its members, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|value| list(value).any(|item| item.eq_ignore_ascii_case(wanted)))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(list)
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        .filter(|name| !PROTECTED.contains(name) && !name.as_str().starts_with("x-forwarded-"))
        .collect()
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The port in a `Host` value, which may be an IPv6 literal.
fn port_of(host: &HeaderValue) -> Option<&str> {
    let host = host.to_str().ok()?;
    let (name, port) = host.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // In `[::1` the last colon is inside the brackets.
    (is_port && (!name.starts_with('[') || name.ends_with(']'))).then_some(port)
}

/// Appends to the one value of a field; several lines become one first, so
/// that readers of the first and of the last line agree.
fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(mut lines) => {
            let mut joined = Vec::new();
            for line in lines.iter() {
                joined.extend_from_slice(line.as_bytes());
                joined.push(b',');
            }
            joined.extend_from_slice(value.as_bytes());
            lines.insert(field_value(&joined));
        }
    }
}

/// An address as a field's value, written without a detour over the heap.
fn address(ip: IpAddr) -> HeaderValue {
    let mut text = [0; LONGEST_ADDRESS];
    let mut rest = &mut text[..];
    let written = write!(rest, "{ip}").map_or(0, |()| LONGEST_ADDRESS - rest.len());
    field_value(&text[..written])
}

fn field_value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes)
        .expect("joined field values hold nothing a field value may not hold")
}

#[cfg(test)]
mod tests;
