//! Settings that work and are not safe, told one line each (security G2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hub_proxy::Network;
use hub_spawner::{MemoryAllowance, docker::DockerConfig};

use super::{Config, SpawnerConfig};

/// A setting that an operator should mean to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    /// A short name, for those who accept it.
    pub name: &'static str,
    /// What is open, and which key would close it.
    pub message: String,
}

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "weak setting {}: {}", self.name, self.message)
    }
}

/// Shortest token that nobody can guess, in characters.
const GOOD_TOKEN_LEN: usize = 32;

impl Config {
    /// All weak settings, in the order of the file.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        let mut weak = |name, message: &str| {
            found.push(Weakness { name, message: message.to_owned() });
        };
        if !self.http.listen.is_loopback() && !self.http.is_https() {
            weak(
                "plain-http",
                "http.listen is reachable from other machines without https, so passwords and cookies can be read on the way; set [http.tls] or http.public_url",
            );
        }
        let everybody = [
            [Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()],
            [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))],
        ];
        let is_everybody = |network: &Network| {
            everybody.iter().any(|ends| ends.iter().all(|end| network.contains(*end)))
        };
        if self.http.trusted_proxies.iter().any(is_everybody) {
            weak(
                "trusts-everybody",
                "http.trusted_proxies believes the X-Forwarded-* headers of everybody; name the proxy's network",
            );
        }
        if self.auth.policy.admits_everybody() {
            weak(
                "allow-all",
                "auth.allow_all lets in everybody whom the sign-in provider knows; name people instead",
            );
        }
        for (provider, rules) in &self.auth.policy.rules().providers {
            if rules.allow_all && rules.required_claims.is_empty() {
                weak(
                    "allow-all-of-provider",
                    &format!(
                        "allow_all lets in everybody whom {provider} knows; name groups, or what is required of everybody, unless that is your own people only"
                    ),
                );
            }
        }
        if self.auth.dummy.is_some() {
            weak(
                "dummy",
                "auth.dummy lets anybody be anybody who knows one password; use it on a machine of your own only",
            );
        }
        for service in &self.services {
            if service.api_token.as_ref().is_some_and(|token| token.expose().len() < GOOD_TOKEN_LEN)
            {
                weak(
                    "short-token",
                    &format!(
                        "services.{}.api_token is shorter than {GOOD_TOKEN_LEN} characters; make one with `openssl rand -hex 32`",
                        service.name
                    ),
                );
            }
        }
        match &self.spawner {
            SpawnerConfig::Docker(docker) | SpawnerConfig::Swarm { docker, .. } => {
                of_docker(docker, &mut weak);
            }
            SpawnerConfig::Process(_) => weak(
                "no-walls",
                "spawner.kind is process, so that every notebook can read the hub's own files and other people's; use it on a machine of one person only",
            ),
        }
        found
    }
}

fn of_docker(docker: &DockerConfig, weak: &mut impl FnMut(&'static str, &str)) {
    if docker.mem_limit == MemoryAllowance::Unlimited {
        weak(
            "no-memory-limit",
            "spawner.docker.mem_limit is none, so that one notebook can take all memory of the host",
        );
    }
    if docker.allow_privilege_escalation {
        weak(
            "privilege-escalation",
            "spawner.docker.allow_privilege_escalation is true, so that notebooks can become root in their container",
        );
    }
    if docker.network == "host" {
        weak(
            "host-network",
            "spawner.docker.network is host, so that every notebook reaches what listens on the host alone",
        );
    }
    if !docker.drop_capabilities.iter().any(|name| name.trim_start_matches("CAP_") == "NET_RAW") {
        weak(
            "raw-sockets",
            "spawner.docker.drop_capabilities leaves out NET_RAW, so that notebooks can forge packets in their network",
        );
    }
    if docker.allow_unsafe_host_config {
        weak(
            "unsafe-host-config",
            "spawner.docker.allow_unsafe_host_config lets extra_host_config take from notebooks what keeps them inside",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::*, *};

    fn names(text: &str) -> Vec<&'static str> {
        let text = format!("[spawner.docker]\nimage = 'lab'\n{text}");
        let loaded =
            parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false).unwrap();
        loaded.config.weaknesses().into_iter().map(|one: Weakness| one.name).collect()
    }

    #[test]
    fn weak_settings_golden() {
        let rows: [(&str, &[&str]); 16] = [
            ("", &[]),
            ("[http]\nlisten = '0.0.0.0:80'", &["plain-http"]),
            ("[http]\nlisten = '0.0.0.0:80'\npublic_url = 'https://hub.example.org'", &[]),
            ("[http]\nlisten = '443'\n[http.tls]\ncertificate = 'c'\nkey = 'k'", &[]),
            ("[http]\ntrusted_proxies = ['0.0.0.0/0']", &["trusts-everybody"]),
            ("[auth]\nallow_all = true", &["allow-all"]),
            ("[auth.dummy]\npassword = 'x'", &["dummy"]),
            (
                "[http]\npublic_url = 'https://hub.test'\n[auth.oidc]\nclient_id = 'x'\nissuer = 'https://id.test'\nallow_all = true",
                &["allow-all-of-provider"],
            ),
            (
                "[http]\npublic_url = 'https://hub.test'\n[auth.oidc]\nclient_id = 'x'\npreset = 'google'\nhosted_domains = ['a.test']\nallow_all = true",
                &[],
            ),
            ("mem_limit = 'none'", &["no-memory-limit"]),
            ("allow_privilege_escalation = true", &["privilege-escalation"]),
            ("network = 'host'\nhost_ports = '9000-9100'", &["host-network"]),
            ("drop_capabilities = []", &["raw-sockets"]),
            ("allow_unsafe_host_config = true", &["unsafe-host-config"]),
            ("[spawner]\nkind = 'process'", &["no-walls"]),
            ("[[services]]\nname = 'a'\napi_token = 'twelve-chars'", &["short-token"]),
        ];
        for (text, expected) in rows {
            assert_eq!(names(text), expected, "{text}");
        }
    }
}
