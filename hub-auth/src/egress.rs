//! The way out to the sites of providers: by which proxy, and whose certificates count.

mod connector;
mod proxy;

use std::{fmt, net::IpAddr, sync::Arc};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

pub(crate) use self::connector::Connector;
pub use self::proxy::{ForwardProxy, ProxyFault};
use crate::InvalidConfig;

/// How requests leave for providers (`http_request_kwargs`).
///
/// By default they go directly, and the authorities that the host trusts are trusted.
/// A provider over plain http is always asked directly: a proxy could read the client's
/// secret on its way. So is this machine itself, as in other programs.
#[derive(Clone, Default)]
pub struct Egress {
    way: Option<Arc<Way>>,
    authorities: Vec<CertificateDer<'static>>,
}

/// A proxy, and who is reached without it.
struct Way {
    proxy: ForwardProxy,
    matcher: Matcher,
}

impl Egress {
    /// The way by `proxy`, which is `http://HOST:PORT` with a user name and password
    /// in front of the host if it wants them.
    ///
    /// `no_proxy` lists who is reached directly: a host or domain with everything below
    /// it, an address, a network such as `10.0.0.0/8`, or `*`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] about `proxy_url`. It does not repeat the text, which may
    /// hold a password.
    pub fn by_proxy(self, proxy: &str, no_proxy: &[String]) -> Result<Self, InvalidConfig> {
        let proxy: ForwardProxy =
            proxy.parse().map_err(|reason: &str| InvalidConfig::setting("proxy_url", reason))?;
        let except: Vec<&str> = no_proxy.iter().map(|entry| host_of(entry)).collect();
        let matcher = Matcher::builder().https(proxy.to_string()).no(except.join(",")).build();
        Ok(Self { way: Some(Arc::new(Way { proxy, matcher })), ..self })
    }

    /// Trusts the authorities of `pem` besides those of the host.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] about `ca_file`, if there is no certificate in it.
    pub fn trusting(self, pem: &str) -> Result<Self, InvalidConfig> {
        let refuse = |reason: String| InvalidConfig::setting("ca_file", reason);
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(format!("is not PEM: {error}")))?;
        if authorities.is_empty() {
            return Err(refuse("holds no certificate; it has to be PEM".to_owned()));
        }
        let mut store = RootCertStore::empty();
        for authority in &authorities {
            store
                .add(authority.clone())
                .map_err(|error| refuse(format!("holds a certificate that is none: {error}")))?;
        }
        Ok(Self { authorities, ..self })
    }

    /// The proxy that `destination` is reached by; `None` if it is reached directly.
    pub fn proxy_for(&self, destination: &Uri) -> Option<&ForwardProxy> {
        let way = self.way.as_deref()?;
        let here = destination.host().is_some_and(is_this_machine);
        (!here && way.matcher.intercept(destination).is_some()).then_some(&way.proxy)
    }

    /// The trust of a client that asks providers. `may_be_empty`: whether a host that
    /// trusts nobody will do.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::TrustStore`].
    pub fn trust(&self, may_be_empty: bool) -> Result<ClientConfig, InvalidConfig> {
        let refuse = |error| InvalidConfig::TrustStore(error);
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        store.add_parsable_certificates(self.authorities.iter().cloned());
        if store.is_empty() && !may_be_empty {
            let why = found.errors.into_iter().next();
            let why = why.map_or_else(|| "the host's list is empty".into(), Into::into);
            return Err(refuse(why));
        }
        // Named here, because the process-wide provider is for `main` to install.
        let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.into()))?;
        Ok(builder.with_root_certificates(store).with_no_client_auth())
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("proxy", &self.way.as_ref().map(|way| &way.proxy))
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

/// An entry of a list of exceptions, as people write it, without the port and the star
/// that mean nothing here.
fn host_of(entry: &str) -> &str {
    let entry = entry.trim();
    let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
    match entry.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => entry,
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(no_proxy: &[&str]) -> Egress {
        let no_proxy: Vec<String> = no_proxy.iter().map(|&entry| entry.to_owned()).collect();
        Egress::default().by_proxy("http://u:hush@proxy.test:3128", &no_proxy).unwrap()
    }

    fn is_direct(egress: &Egress, url: &str) -> bool {
        egress.proxy_for(&url.parse().unwrap()).is_none()
    }

    #[test]
    fn without_a_proxy_everything_is_reached_directly() {
        assert!(is_direct(&Egress::default(), "https://github.com/"));
    }

    #[test]
    fn exceptions_are_hosts_domains_addresses_and_networks() {
        let all = egress(&[
            "id.example.org",
            ".lab.test",
            "*.school.test",
            "ghe.test:443",
            "10.0.0.0/8",
            "192.0.2.7",
            "2001:db8::/32",
            "",
        ]);
        for direct in [
            "https://id.example.org/realms",
            "https://ID.example.org",
            "https://a.id.example.org",
            "https://x.lab.test",
            "https://x.school.test",
            "https://ghe.test:8443",
            "https://10.1.2.3",
            "https://192.0.2.7",
            "https://[2001:db8::5]",
            "http://github.com",
            "https://localhost:8443",
            "https://127.0.0.2",
            "https://[::1]:1",
            "https://[::ffff:127.0.0.1]",
        ] {
            assert!(is_direct(&all, direct), "{direct}");
        }
        for by_proxy in [
            "https://github.com/login",
            "https://other-id.example.org.test",
            "https://notlab.test",
            "https://11.0.0.1",
            "https://192.0.2.8",
            "https://[2001:db9::5]",
        ] {
            assert!(!is_direct(&all, by_proxy), "{by_proxy}");
        }
        assert!(is_direct(&egress(&["*"]), "https://github.com"));
        assert!(!is_direct(&egress(&[]), "https://github.com"));
    }

    #[test]
    fn g1_a_password_of_a_proxy_is_never_shown() {
        let egress = egress(&[]);
        assert!(!format!("{egress:?}").contains("hush"), "{egress:?}");
        for wrong in ["socks5://u:hush@proxy.test", "http://u:hush@", "http://u:hush@proxy.test/x"]
        {
            let error = Egress::default().by_proxy(wrong, &[]).unwrap_err().to_string();
            assert!(error.starts_with("proxy_url: ") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for (text, expected) in [
            ("", "holds no certificate"),
            ("hello", "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "that is none"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is not PEM"),
        ] {
            let error = Egress::default().trusting(text).unwrap_err().to_string();
            assert!(error.starts_with("ca_file: ") && error.contains(expected), "{error}");
        }
    }
}
