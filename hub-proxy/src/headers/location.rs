//! Redirects of a target to itself.

use http::{HeaderMap, HeaderValue, StatusCode, header, uri::Scheme};
use url::Url;

use crate::Target;

/// Makes a target's redirect to its own address one to the address that the
/// client knows: `host` and `scheme` replace what is there, where given (H-10).
///
/// Only for 201, 301, 302, 307 and 308, and only if the host and port of the
/// location are the target's. A relative location needs nothing.
pub fn rewrite_location(
    headers: &mut HeaderMap,
    status: StatusCode,
    target: &Target,
    host: Option<&HeaderValue>,
    scheme: Option<&Scheme>,
) {
    if !matches!(status.as_u16(), 201 | 301 | 302 | 307 | 308) {
        return;
    }
    let rewritten = headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| rewritten(location, target, host, scheme));
    if let Some(location) = rewritten {
        headers.insert(header::LOCATION, location);
    }
}

fn rewritten(
    location: &str,
    target: &Target,
    host: Option<&HeaderValue>,
    scheme: Option<&Scheme>,
) -> Option<HeaderValue> {
    let parsed = Url::parse(location).ok()?;
    let of_target = target.as_url();
    let same = parsed.host_str() == of_target.host_str()
        && parsed.port_or_known_default() == of_target.port_or_known_default();
    if !same {
        return None;
    }
    // What follows the authority stays as the target wrote it.
    let (old_scheme, rest) = location.split_once("://")?;
    let (old_host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or(old_host);
    let scheme = scheme.map_or(old_scheme, Scheme::as_str);
    HeaderValue::from_str(&format!("{scheme}://{host}{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, location: &str, host: bool, scheme: bool) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        let host_field = HeaderValue::from_static("hub.example:8443");
        rewrite_location(
            &mut headers,
            StatusCode::from_u16(status).unwrap(),
            &"http://10.0.0.5:8888/base".parse().unwrap(),
            host.then_some(&host_field),
            scheme.then_some(&Scheme::HTTPS),
        );
        headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn h_10_p_051_redirects_to_the_target_itself_lead_to_the_proxy() {
        let own = "http://10.0.0.5:8888/a%20b?c=d#e";
        for status in [201, 301, 302, 307, 308] {
            assert_eq!(seen(status, own, true, true), "https://hub.example:8443/a%20b?c=d#e");
        }
        assert_eq!(seen(302, own, true, false), "http://hub.example:8443/a%20b?c=d#e");
        assert_eq!(seen(302, own, false, true), "https://10.0.0.5:8888/a%20b?c=d#e");
        assert_eq!(seen(302, "http://10.0.0.5:8888", true, true), "https://hub.example:8443");
    }

    #[test]
    fn h_10_p_050_other_locations_are_left_alone() {
        for (status, location) in [
            (303, "http://10.0.0.5:8888/a"),
            (200, "http://10.0.0.5:8888/a"),
            (302, "http://10.0.0.5:9999/a"),
            (302, "http://10.0.0.6:8888/a"),
            (302, "http://other.example/a"),
            (302, "/a"),
            (302, "//10.0.0.5:8888/a"),
            (302, "not a url"),
        ] {
            assert_eq!(seen(status, location, true, true), location, "{status}");
        }
        assert_eq!(seen(302, "http://10.0.0.5:8888/a", false, false), "http://10.0.0.5:8888/a");
    }
}
