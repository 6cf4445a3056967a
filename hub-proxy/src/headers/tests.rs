use proptest::prelude::*;

use super::*;

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn peer(addr: &str, tls: bool) -> Peer {
    Peer { addr: Some(addr.parse().unwrap()), tls }
}

#[test]
fn fields_of_one_hop_are_removed_and_the_rest_stays() {
    let mut headers = map(&[
        ("connection", "close, x-private"),
        ("connection", "X-Other"),
        ("x-private", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("proxy-authorization", "Basic x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip, trailers"),
        ("trailer", "x-sum"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]);
    strip_hop_by_hop(&mut headers);
    let expected = map(&[
        ("trailer", "x-sum"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("te", "trailers"),
    ]);
    assert_eq!(headers, expected);
}

#[test]
fn sm_36_connection_cannot_remove_what_a_target_decides_by() {
    let mut headers = map(&[
        ("connection", "host, content-length, cookie, authorization, x-forwarded-for"),
        ("host", "h"),
        ("content-length", "3"),
        ("cookie", "c"),
        ("authorization", "token t"),
        ("x-forwarded-for", "192.0.2.1"),
    ]);
    strip_hop_by_hop(&mut headers);
    assert_eq!(headers.len(), 5);
}

#[test]
fn h_02_to_h_05_forwarded_fields_tell_what_this_hop_sees() {
    let mut headers = map(&[("host", "hub.example:8443")]);
    add_forwarded(&mut headers, Some(&peer("[::ffff:192.0.2.1]:5000", true)), false);
    let expected = map(&[
        ("host", "hub.example:8443"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "hub.example:8443"),
    ]);
    assert_eq!(headers, expected);
}

#[test]
fn h_02_values_of_a_trusted_proxy_are_continued() {
    let mut headers = map(&[
        ("host", "inner"),
        ("x-forwarded-for", "9.9.9.9"),
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-host", "outer"),
        ("x-forwarded-proto", "https"),
    ]);
    add_forwarded(&mut headers, Some(&peer("127.0.0.1:5000", false)), false);
    assert_eq!(headers["x-forwarded-for"], "9.9.9.9,8.8.8.8,127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https,http");
    assert_eq!(headers["x-forwarded-port"], "80");
    assert_eq!(headers["x-forwarded-host"], "outer");
}

#[test]
fn h_04_websockets_have_their_own_schemes() {
    let mut headers = map(&[("host", "h")]);
    add_forwarded(&mut headers, Some(&peer("127.0.0.1:1", true)), true);
    assert_eq!(headers["x-forwarded-proto"], "wss");
    assert_eq!(headers["x-forwarded-port"], "443");
}

#[test]
fn h_03_the_port_of_an_ipv6_host_is_behind_the_bracket() {
    for (host, port) in [("[::1]:81", Some("81")), ("[::1]", None), ("h:", None), ("h", None)] {
        assert_eq!(port_of(&host.parse().unwrap()), port, "{host}");
    }
}

#[test]
fn a11_claims_of_a_stranger_are_dropped() {
    let mut headers = map(&[
        ("forwarded", "for=1.1.1.1"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-prefix", "/x"),
        ("x-real-ip", "1.1.1.1"),
        ("x-scheme", "https"),
        ("x-requested-with", "kept"),
    ]);
    strip_claims(&mut headers);
    assert_eq!(headers, map(&[("x-requested-with", "kept")]));
}

#[test]
fn sm_38_names_that_differ_by_an_underscore_are_dropped() {
    let mut headers =
        map(&[("transfer_encoding", "chunked"), ("x_forwarded-for", "1.1.1.1"), ("my_own", "1")]);
    strip_aliases(&mut headers);
    assert_eq!(headers, map(&[("my_own", "1")]));
}

proptest! {
    #[test]
    fn whatever_connection_says_no_hop_field_survives_and_host_does(
        options in prop::collection::vec("[ -~]{0,12}", 0..4),
    ) {
        let mut headers = map(&[("host", "h"), ("keep-alive", "1"), ("upgrade", "x")]);
        for option in &options {
            headers.append(header::CONNECTION, option.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        prop_assert!(HOP_BY_HOP.iter().all(|name| !headers.contains_key(name)));
        prop_assert_eq!(&headers[header::HOST], "h");
    }

    #[test]
    fn forwarded_for_always_ends_with_the_peer(
        before in prop::collection::vec("[ -~\u{80}-\u{ff}]{0,12}", 0..3),
    ) {
        let mut headers = map(&[("host", "h")]);
        for value in &before {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        add_forwarded(&mut headers, Some(&peer("192.0.2.7:1", false)), false);
        prop_assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().count(), 1);
        prop_assert!(headers[X_FORWARDED_FOR].as_bytes().ends_with(b"192.0.2.7"));
    }
}
