//! What this machine needs to reach package sources, handed to a build.
//!
//! Behind a company's proxy, or with a package mirror of one's own, a build
//! inside a container fails where the same command on the host works. So the
//! first stage of a build gets the host's certificates, its pip and apt settings
//! and its proxy variables as files; they are not in the image that results.

use std::{collections::BTreeMap, fs};

use super::context::Context;
use crate::{programs, surroundings};

/// Where distributions keep the certificates that programs trust.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Variables that name a proxy, or addresses to reach without one. Each also
/// exists in upper case.
const PROXY_VARIABLES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// Settings of pip that make sense on another machine. Paths do not.
const PIP_VARIABLES: [&str; 5] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
];

/// The host's way out, as text. Every part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildHost {
    ca_certificates: Vec<u8>,
    pip_conf: String,
    apt_conf: String,
    variables: BTreeMap<String, String>,
}

impl BuildHost {
    /// Looks at this machine.
    pub(super) async fn look() -> Self {
        Self {
            ca_certificates: ca_certificates(),
            pip_conf: pip_conf(),
            apt_conf: apt_proxy_lines(&apt_config().await),
            variables: variables(surroundings::variable),
        }
    }

    /// Adds the files that `install-environment.sh` reads.
    pub(super) fn add_to(&self, context: Context) -> Context {
        context
            .file("host/ca-certificates.crt", self.ca_certificates.as_slice())
            .file("host/pip.conf", self.pip_conf.as_str())
            .file("host/apt.conf", self.apt_conf.as_str())
            .file("host/environment", shell_assignments(&self.variables))
    }

    /// Docker's predefined proxy arguments, which it does not record in the
    /// image, for the one stage that uses apt without these files.
    pub(super) fn apt_arguments(&self) -> BTreeMap<String, String> {
        let mut arguments: BTreeMap<String, String> = self
            .variables
            .iter()
            .filter(|(name, _)| PROXY_VARIABLES.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if let Some(proxy) = self.apt_proxy() {
            arguments.insert("http_proxy".to_owned(), proxy);
        }
        arguments
    }

    /// The proxy that apt uses for http, which need not be everybody's.
    pub(super) fn apt_proxy(&self) -> Option<String> {
        let line = self.apt_conf.lines().find_map(|line| {
            line.strip_prefix("Acquire::http::Proxy ").map(|rest| rest.trim_end_matches(';'))
        })?;
        Some(line.trim_matches('"').to_owned()).filter(|proxy| !proxy.is_empty())
    }
}

fn ca_certificates() -> Vec<u8> {
    let named = surroundings::variable("SSL_CERT_FILE");
    let files = named.iter().map(String::as_str).chain(CA_BUNDLES);
    files.filter_map(|file| fs::read(file).ok()).next().unwrap_or_default()
}

/// The user's pip settings, or else the machine's.
fn pip_conf() -> String {
    let home = surroundings::variable("HOME").unwrap_or_default();
    let files = [
        format!("{home}/.config/pip/pip.conf"),
        format!("{home}/.pip/pip.conf"),
        "/etc/pip.conf".to_owned(),
    ];
    files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default()
}

async fn apt_config() -> String {
    if programs::find("apt-config").is_none() {
        return String::new();
    }
    let mut command = tokio::process::Command::new("apt-config");
    crate::process::output(command.arg("dump"), "").await.unwrap_or_default()
}

/// The lines of `apt-config dump` about proxies, except those naming a program
/// of this machine.
fn apt_proxy_lines(dump: &str) -> String {
    dump.lines()
        .filter(|line| line.starts_with("Acquire::") && line.contains("::Proxy"))
        .filter(|line| !line.contains("::Proxy-Auto") && !line.contains("::ProxyAuto"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn variables(lookup: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let proxies = PROXY_VARIABLES.iter().filter_map(|name| {
        let value = lookup(name).or_else(|| lookup(&name.to_uppercase()))?;
        Some(((*name).to_owned(), value))
    });
    let pip = PIP_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), lookup(name)?)));
    proxies.chain(pip).collect()
}

/// The variables as a script that a POSIX shell can read. Proxies are given in
/// both spellings: programs differ in which they look at.
fn shell_assignments(variables: &BTreeMap<String, String>) -> String {
    let mut script = String::new();
    for (name, value) in variables {
        let quoted = value.replace('\'', r"'\''");
        script.push_str(&format!("{name}='{quoted}'\n"));
        if PROXY_VARIABLES.contains(&name.as_str()) {
            script.push_str(&format!("{}='{quoted}'\n", name.to_uppercase()));
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "APT::Architecture \"amd64\";\n\
        Acquire::http::Proxy \"http://cache:3142\";\n\
        Acquire::http::Proxy-Auto-Detect \"/usr/local/bin/find-proxy\";\n\
        Acquire::https::Proxy \"DIRECT\";\n";

    #[test]
    fn the_proxy_of_apt_is_handed_on_but_not_a_program_that_finds_it() {
        let lines = apt_proxy_lines(DUMP);
        assert_eq!(
            lines,
            "Acquire::http::Proxy \"http://cache:3142\";\nAcquire::https::Proxy \"DIRECT\";\n"
        );
        let host = BuildHost { apt_conf: lines, ..BuildHost::default() };
        assert_eq!(host.apt_arguments()["http_proxy"], "http://cache:3142");
    }

    #[test]
    fn proxy_variables_are_found_in_either_case() {
        let found = variables(|name| match name {
            "HTTPS_PROXY" => Some("http://proxy:8080".to_owned()),
            "no_proxy" => Some("localhost".to_owned()),
            _ => None,
        });
        assert_eq!(
            shell_assignments(&found),
            "https_proxy='http://proxy:8080'\nHTTPS_PROXY='http://proxy:8080'\n\
             no_proxy='localhost'\nNO_PROXY='localhost'\n"
        );
    }

    #[test]
    fn a_quote_in_a_value_does_not_end_it() {
        let variables =
            BTreeMap::from([("PIP_INDEX_URL".to_owned(), "http://a'b/$(x)".to_owned())]);
        assert_eq!(shell_assignments(&variables), "PIP_INDEX_URL='http://a'\\''b/$(x)'\n");
    }

    #[test]
    fn settings_of_pip_are_not_arguments_of_the_image() {
        let variables =
            BTreeMap::from([("PIP_INDEX_URL".to_owned(), "http://me:secret@x/".to_owned())]);
        let host = BuildHost { variables, ..BuildHost::default() };
        assert!(host.apt_arguments().is_empty());
    }
}
