//! Whose request it is.

use std::net::IpAddr;

use http::HeaderMap;

use crate::{
    Peer, TrustForwarded,
    headers::{X_FORWARDED_FOR, list},
};

/// The address of the client: of the connection, or, as far as those in front are proxies
/// that are known, of what they say.
///
/// Where everybody is believed, nobody's word is good for a log, but that of who comes over
/// a Unix socket, which has no address itself.
pub(super) fn address(
    peer: Option<&Peer>,
    headers: &HeaderMap,
    trust: &TrustForwarded,
) -> Option<IpAddr> {
    let peer = peer?;
    let here = peer.addr.map(|addr| addr.ip().to_canonical());
    let is_asked = match trust {
        TrustForwarded::Nobody => false,
        TrustForwarded::Networks(_) => trust.trusts_peer(peer),
        TrustForwarded::Everyone => here.is_none(),
    };
    if !is_asked {
        return here;
    }
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    let said = lines.into_iter().rev().flat_map(|line| {
        let hops: Vec<_> = list(line).collect();
        hops.into_iter().rev()
    });
    let mut client = here;
    for hop in said {
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        client = Some(hop.to_canonical());
        let is_known = matches!(trust, TrustForwarded::Networks(_)) && trust.trusts(hop);
        if !is_known {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_06_the_client_is_who_the_last_known_proxy_saw() {
        let networks = TrustForwarded::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        let (nobody, everyone) = (TrustForwarded::Nobody, TrustForwarded::Everyone);
        for (trust, from, said, client) in [
            (&nobody, Some("10.0.0.1"), &["9.9.9.9"][..], Some("10.0.0.1")),
            (&everyone, Some("10.0.0.1"), &["9.9.9.9"], Some("10.0.0.1")),
            (&networks, Some("10.0.0.1"), &["9.9.9.9"], Some("9.9.9.9")),
            (&networks, Some("192.0.2.1"), &["9.9.9.9"], Some("192.0.2.1")),
            (&networks, Some("10.0.0.1"), &["1.1.1.1, 9.9.9.9,10.1.1.1"], Some("9.9.9.9")),
            (&networks, Some("10.0.0.1"), &["1.1.1.1", "9.9.9.9"], Some("9.9.9.9")),
            (&networks, Some("10.0.0.1"), &["10.1.1.1"], Some("10.1.1.1")),
            (&networks, Some("10.0.0.1"), &["9.9.9.9, unknown"], Some("10.0.0.1")),
            (&networks, Some("10.0.0.1"), &["::ffff:9.9.9.9"], Some("9.9.9.9")),
            (&networks, Some("10.0.0.1"), &[], Some("10.0.0.1")),
            (&networks, None, &["9.9.9.9"], Some("9.9.9.9")),
            (&everyone, None, &["1.1.1.1, 9.9.9.9"], Some("9.9.9.9")),
            (&nobody, None, &["9.9.9.9"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append(X_FORWARDED_FOR, line.parse().unwrap());
            }
            let addr = from.map(|from| (from.parse::<IpAddr>().unwrap(), 1).into());
            let peer = Peer { addr, tls: false };
            let expected = client.map(|client| client.parse().unwrap());
            assert_eq!(address(Some(&peer), &headers, trust), expected, "{from:?} says {said:?}");
        }
        assert_eq!(address(None, &HeaderMap::new(), &everyone), None, "a server of one's own");
    }
}
