//! Several certificates at one listener: which one a client is shown depends on the name
//! that it asks for (SNI, RFC 6066 section 3).

use std::{collections::HashSet, sync::Arc};

use rustls::{server::ClientHello, sign::CertifiedKey};

use super::{Current, TlsKeys, pair::Pair};

/// The DNS names that a certificate is for, in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    exact: HashSet<String>,
    /// What follows `*.`: one label more is covered (RFC 6125 section 6.4.3).
    below: HashSet<String>,
}

impl Names {
    /// Of the hosts of a certificate, addresses among them, which nobody can ask for.
    pub(super) fn of(hosts: &[String]) -> Self {
        let mut names = Self::default();
        for host in hosts {
            let host = host.to_ascii_lowercase();
            match host.strip_prefix("*.") {
                Some(parent) => names.below.insert(parent.to_owned()),
                None => names.exact.insert(host),
            };
        }
        names
    }

    fn has(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    fn covers(&self, name: &str) -> bool {
        name.split_once('.').is_some_and(|(_, parent)| self.below.contains(parent))
    }
}

impl TlsKeys {
    /// Shows each of `others` to clients that ask for a name of its certificate, from the
    /// next handshake on, and forgets those of earlier calls. A name as it is comes before
    /// a wildcard, and what comes first before what comes later; this one is the first, and
    /// what everybody else is shown, such as clients that ask for no name.
    ///
    /// [`reload`](Self::reload) and its kin read all of them again or nothing;
    /// [`keep_watching`](Self::keep_watching) and [`watch`](Self::watch) look after each by
    /// itself, so that a file that cannot be used keeps no other from being renewed.
    /// Versions, ciphers and the authorities of clients are this one's.
    ///
    /// ```no_run
    /// # use hub_proxy::TlsKeys;
    /// let keys = TlsKeys::load("hub.pem", "hub.key")?;
    /// keys.show_by_name([TlsKeys::load("lab.pem", "lab.key")?]);
    /// # Ok::<(), hub_proxy::TlsError>(())
    /// ```
    pub fn show_by_name(&self, others: impl IntoIterator<Item = Self>) {
        let is_other = |other: &Self| !Arc::ptr_eq(&self.0, &other.0);
        let others: Vec<_> = others.into_iter().filter(is_other).collect();
        self.0.current.others.store(Arc::new(others));
    }

    /// Those that are shown by name.
    pub(super) fn others(&self) -> Arc<Vec<Self>> {
        self.0.current.others.load_full()
    }
}

impl Current {
    /// The certificate for a client.
    pub(super) fn chosen(&self, hello: &ClientHello<'_>) -> Arc<CertifiedKey> {
        let others = self.others.load();
        let own = self.pair.load();
        let name = hello.server_name().filter(|_| !others.is_empty());
        let Some(name) = name else { return Arc::clone(&own.key) };
        let name = name.to_ascii_lowercase();
        let find = |is_for: &dyn Fn(&Names) -> bool| {
            let find_in = |pair: &Pair| is_for(&pair.names).then(|| Arc::clone(&pair.key));
            find_in(&own)
                .or_else(|| others.iter().find_map(|keys| find_in(&keys.0.current.pair.load())))
        };
        find(&|names| names.has(&name))
            .or_else(|| find(&|names| names.covers(&name)))
            .unwrap_or_else(|| Arc::clone(&own.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label_more() {
        let hosts = ["Hub.example", "*.Lab.example", "127.0.0.1"].map(str::to_owned);
        let names = Names::of(&hosts);
        assert!(names.has("hub.example") && !names.covers("hub.example"));
        for (name, expected) in [
            ("a.lab.example", true),
            ("lab.example", false),
            ("a.b.lab.example", false),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(names.covers(name), expected, "{name}");
        }
        assert!(!names.has("a.lab.example"));
    }
}
