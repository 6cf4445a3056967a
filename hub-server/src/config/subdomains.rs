//! A host of its own for every user, below the hub's (hub-contract 2.4).

use hub_names::UserName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;

use super::{ConfigError, http::http_url};

/// What Python's `quote` leaves as it is, which the old labels were made with.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
/// Longest label of a host name.
const LABEL_LEN: usize = 63;
/// How much of a name a made-up label shows.
const STUB_LEN: usize = 8;
/// How many digits of its digest follow.
const DIGEST_LEN: usize = 7;

/// The hub's host, and how those of the users are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subdomains {
    host: Url,
    domain: String,
    labels: Labels,
}

/// How a user's name becomes the label of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// As it is or by IDNA where that is possible; else made up, with a digest.
    /// JupyterHub's since 5.0.
    #[default]
    Idna,
    /// Percent-encoded with `_` for `%`: JupyterHub's up to 4, which not every name
    /// can have.
    Legacy,
}

impl Subdomains {
    /// Reads `http.subdomain_host` and `http.subdomain_hook`.
    pub(super) fn parse(host: &str, hook: Option<&str>) -> Result<Self, ConfigError> {
        const KEY: &str = "http.subdomain_host";
        let host = http_url(KEY, host)?;
        if host.path() != "/" || host.query().is_some() || host.fragment().is_some() {
            let told = format!("{:?} has a path; put the path into http.base_url", host.as_str());
            return Err(ConfigError::value(KEY, told));
        }
        let Some(domain) = host.domain().map(str::to_owned) else {
            let told = format!("{:?} is an address, which has no subdomains", host.as_str());
            return Err(ConfigError::value(KEY, told));
        };
        let labels = match hook.unwrap_or("idna") {
            "idna" => Labels::Idna,
            "legacy" => Labels::Legacy,
            other => {
                let told = format!("{other:?} is neither \"idna\" nor \"legacy\"");
                return Err(ConfigError::value("http.subdomain_hook", told));
            }
        };
        Ok(Self { host, domain, labels })
    }

    /// The hub's own host as a URL without a path.
    pub fn host(&self) -> &Url {
        &self.host
    }

    /// The hub's own host name, of which the others are subdomains.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The host name of the user's servers.
    pub fn of_user(&self, user: &UserName) -> String {
        let label = match self.labels {
            Labels::Idna => idna_label(user.as_str()),
            Labels::Legacy => legacy_label(user.as_str()),
        };
        format!("{label}.{}", self.domain)
    }

    /// The host name of the service.
    pub fn of_service(&self, name: &str) -> String {
        match self.labels {
            Labels::Legacy => format!("services.{}", self.domain),
            Labels::Idna => {
                // No user has a label with these two dashes that ends so.
                const ENDING: &str = "--service";
                let label = idna_label(name);
                let fits = label.len() + ENDING.len() <= LABEL_LEN;
                let label = if fits { label } else { made_up(name) };
                format!("{label}{ENDING}.{}", self.domain)
            }
        }
    }

    /// The origin of the service.
    pub fn origin_of_service(&self, name: &str) -> String {
        self.origin(&self.of_service(name))
    }

    /// `https://ada.hub.example.org`: scheme and host of the user's servers, and the
    /// port if it is not the usual one.
    pub fn origin_of_user(&self, user: &UserName) -> String {
        self.origin(&self.of_user(user))
    }

    /// The hub's own origin.
    pub fn origin_of_hub(&self) -> String {
        self.origin(&self.domain)
    }

    /// Whether `authority`, a host perhaps with a port, is below the hub's own. The
    /// port has to be the same: another one is somebody else's.
    pub fn is_below(&self, authority: &str) -> bool {
        let ours = match self.host.port() {
            Some(port) => format!(".{}:{port}", self.domain),
            None => format!(".{}", self.domain),
        };
        let authority = authority.to_ascii_lowercase();
        authority.strip_suffix(&ours).is_some_and(|label| {
            !label.is_empty()
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.~".contains(&c))
        })
    }

    fn origin(&self, host: &str) -> String {
        let scheme = self.host.scheme();
        match self.host.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
    }
}

/// A label that is valid whatever the name is, and no other name's.
fn idna_label(name: &str) -> String {
    // What was encoded already has a `--`; such a name could be that of another.
    if name.contains("--") {
        return made_up(name);
    }
    if is_label(name) {
        return name.to_ascii_lowercase();
    }
    match idna::domain_to_ascii_strict(name) {
        // What is not the same on the way back was changed before it was encoded, so
        // two names could become one.
        Ok(encoded)
            if encoded != name
                && is_label(&encoded)
                && idna::domain_to_unicode(&encoded).0 == name =>
        {
            encoded
        }
        _ => made_up(name),
    }
}

fn legacy_label(name: &str) -> String {
    utf8_percent_encode(name, QUOTED).to_string().to_lowercase().replace('%', "_")
}

fn is_label(text: &str) -> bool {
    (1..=LABEL_LEN).contains(&text.len())
        && !text.chars().all(char::is_numeric)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

/// `u-`, what a label can have of the name, and the digest that tells names apart.
fn made_up(name: &str) -> String {
    let stub: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        .take(STUB_LEN)
        .collect();
    let stub = if stub.is_empty() { "x" } else { &stub };
    let digest: String =
        Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("u-{stub}--{}", &digest[..DIGEST_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_jupyterhub() {
        for (name, label) in [
            ("alice", "alice"),
            ("a-1", "a-1"),
            // Recorded.
            ("al.ice+x", "u-alicex--203abbc"),
            ("ünï", "xn--n-nga1b"),
            ("münchen", "xn--mnchen-3ya"),
            ("秀樹", "xn--kdw344a"),
        ] {
            assert_eq!(idna_label(name), label, "{name}");
            assert!(is_label(label));
        }
        for name in ["1234", "-a", "a-", "a--b", "a@b.c", "a b", "x--service", "a.b", "+"] {
            let made = idna_label(name);
            assert!(made.starts_with("u-") && made.contains("--") && is_label(&made), "{made}");
        }
        assert!(idna_label("+").starts_with("u-x--"));
        assert!(idna_label(&"a".repeat(64)).starts_with("u-aaaaaaaa--"));
    }

    #[test]
    fn old_labels_are_percent_encoded() {
        for (name, label) in [("ada", "ada"), ("al.ice+x", "al.ice_2bx"), ("ü", "_c3_bc")] {
            assert_eq!(legacy_label(name), label);
        }
    }

    #[test]
    fn users_have_hosts_below_the_hubs() {
        let hosts = Subdomains::parse("http://jh.test:8000", None).unwrap();
        let ada = "ada".parse().unwrap();
        assert_eq!(hosts.of_user(&ada), "ada.jh.test");
        assert_eq!(hosts.origin_of_user(&ada), "http://ada.jh.test:8000");
        assert_eq!(hosts.origin_of_hub(), "http://jh.test:8000");
        assert_eq!(hosts.origin_of_service("grader"), "http://grader--service.jh.test:8000");
        let long = hosts.of_service(&"a".repeat(60));
        assert!(is_label(long.split('.').next().unwrap()), "{long}");
        let old = Subdomains::parse("http://jh.test", Some("legacy")).unwrap();
        assert_eq!(old.of_service("grader"), "services.jh.test");
        for (authority, below) in [
            ("ada.jh.test:8000", true),
            ("ADA.jh.test:8000", true),
            ("jh.test:8000", false),
            ("ada.jh.test", false),
            ("ada.jh.test:80", false),
            ("evil.example", false),
            ("evil.example@ada.jh.test:8000", false),
            ("notjh.test:8000", false),
            (".jh.test:8000", false),
        ] {
            assert_eq!(hosts.is_below(authority), below, "{authority}");
        }
    }

    #[test]
    fn what_has_no_subdomains_is_refused() {
        for (host, hook) in [
            ("http://10.0.0.1", None),
            ("http://[::1]:8000", None),
            ("jh.test", None),
            ("https://jh.test/hub", None),
            ("https://jh.test", Some("mine")),
        ] {
            assert!(Subdomains::parse(host, hook).is_err(), "{host} {hook:?}");
        }
        assert!(Subdomains::parse("https://jh.test", Some("legacy")).is_ok());
    }
}
