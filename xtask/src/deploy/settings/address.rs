//! How people write the hub's address.

use url::Url;

use super::{HubConfig, Problem, tls::Tls};
use crate::deploy::variables::Variables;

/// The key of the address that GitHub sends people back to.
const CALLBACK: &str = "auth.github.callback_url";

/// Where people find the hub, without a path: said outright, or as the callback
/// URL says, or this machine.
pub(super) fn public_url(
    variables: &Variables,
    config: &HubConfig,
    tls: &Tls,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Url {
    let variable = |name: &str| Some((name.to_owned(), variables.get(name)?.to_owned()));
    let given = variable("HUB_PUBLIC_URL")
        .or_else(|| config.get(variables, "http.public_url"))
        .or_else(|| callback(variables, config));
    let (name, text) = given.unwrap_or_else(|| {
        let url = match tls {
            Tls::Acme(acme) => {
                format!("https://{}:{port}", acme.domains.first().map_or("localhost", |d| d))
            }
            Tls::Elsewhere => format!("http://localhost:{port}"),
            Tls::Files { .. } | Tls::Volume(_) => format!("https://localhost:{port}"),
        };
        ("HUB_PUBLIC_URL".to_owned(), url)
    });
    match Url::parse(&text) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            url.set_path("/");
            url.set_query(None);
            url.set_fragment(None);
            if url.scheme() == "http" && *tls != Tls::Elsewhere {
                problems.push(Problem(format!(
                    "{name}: {text:?} is not https, and the deployment serves https only; write \
                     https:// (at GitHub, too, if that is where people come back to), or HUB_TLS=off \
                     if something in front ends TLS"
                )));
            }
            url
        }
        _ => {
            let path = if name == "OAUTH_CALLBACK_URL" { "/hub/oauth_callback" } else { "" };
            problems.push(Problem(format!(
                "{name}: {text:?} is not a URL; write it as https://hub.example.org{path}"
            )));
            Url::parse("http://localhost/").expect("the text is a URL")
        }
    }
}

/// The hosts in the addresses that browsers are sent to: the certificate has to
/// be for them (TLS-2).
pub(super) fn hosts(public: &Url, variables: &Variables, config: &HubConfig) -> Vec<String> {
    let callback = callback(variables, config).and_then(|(_, url)| Url::parse(&url).ok());
    let urls = [Some(public), callback.as_ref()].into_iter().flatten();
    let mut hosts: Vec<String> = urls.filter_map(Url::host_str).map(str::to_owned).collect();
    hosts.dedup();
    hosts
}

fn callback(variables: &Variables, config: &HubConfig) -> Option<(String, String)> {
    let name = "OAUTH_CALLBACK_URL";
    let variable = variables.get(name).map(|url| (name.to_owned(), url.to_owned()));
    variable.or_else(|| config.get(variables, CALLBACK))
}
