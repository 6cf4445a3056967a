//! Which of several `X-Forwarded-*` values is the browser's.
//!
//! Each proxy on the way appends what it saw, ours at last. A browser may begin
//! the list with whatever it likes, so the list is read from its end: as far as
//! the trusted proxies go, and one more.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use hub_proxy::TrustForwarded;

use crate::hub::Hub;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Leaves one address and one scheme, those of the browser (A11, TLS-6).
pub(crate) async fn settle(
    State(hub): State<Arc<Hub>>,
    mut request: Request,
    next: Next,
) -> Response {
    keep_the_browsers(request.headers_mut(), &hub.trusted_proxies);
    next.run(request).await
}

fn keep_the_browsers(headers: &mut HeaderMap, trusted: &TrustForwarded) {
    let addresses = list(headers, &FOR);
    let is_trusted =
        |address: &&String| address.parse::<IpAddr>().is_ok_and(|address| trusted.trusts(address));
    let hops = addresses.iter().rev().take_while(is_trusted).count();
    for (name, values) in [(&FOR, &addresses), (&PROTO, &list(headers, &PROTO))] {
        // A proxy that does not append leaves a shorter list.
        let browsers = values.iter().rev().nth(hops).or(values.first());
        if let Some(value) = browsers.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|value| value.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(addresses: &str, protos: &str) -> (String, String) {
        let mut headers = HeaderMap::new();
        headers.insert(FOR, addresses.parse().unwrap());
        headers.insert(PROTO, protos.parse().unwrap());
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        keep_the_browsers(&mut headers, &TrustForwarded::Networks(networks));
        let text = |name| headers[name].to_str().unwrap().to_owned();
        (text(FOR), text(PROTO))
    }

    #[test]
    fn a11_what_a_browser_claims_is_not_believed_behind_trusted_proxies() {
        for (addresses, protos, address, proto) in [
            // Straight to us.
            ("192.0.2.1", "http", "192.0.2.1", "http"),
            // Behind one proxy that ends TLS.
            ("192.0.2.1,10.0.0.9", "https,http", "192.0.2.1", "https"),
            // The browser lied about both to a proxy that appends.
            ("203.0.113.7, 192.0.2.1,10.0.0.9", "https, http,http", "192.0.2.1", "http"),
            // Behind two; the outer one sets the scheme once.
            ("192.0.2.1,10.0.0.8,10.0.0.9", "https,http,http", "192.0.2.1", "https"),
            // A proxy that appends no scheme.
            ("192.0.2.1,10.0.0.8,10.0.0.9", "https,http", "192.0.2.1", "https"),
            // Nonsense is nobody trusted.
            ("unknown,10.0.0.9", "wss,ws", "unknown", "wss"),
            // A person on the trusted network itself.
            ("10.0.0.3,10.0.0.9", "https,http", "10.0.0.3", "https"),
        ] {
            assert_eq!(kept(addresses, protos), (address.to_owned(), proto.to_owned()));
        }
    }
}
