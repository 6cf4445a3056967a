//! Whether the sign-in service answers, and whether its clock agrees with ours.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, header};
use hub_auth::{Egress, ForwardProxy, oidc::ProviderAddress};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    Examination, Finding, Known,
    ask::{NoAnswer, Question, ask},
};
use crate::config::{Config, fingerprint};

/// How long the service may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How far two clocks may be apart: the header counts whole seconds, and the
/// answer was under way.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn check(examination: &Examination, known: &Known) -> Vec<Finding> {
    let services = known.config.as_ref().map(services).unwrap_or_default();
    if services.is_empty() {
        return vec![Finding::skipped("neither [auth.github] nor [auth.oidc]")];
    }
    let mut findings = Vec::new();
    for Service { url, secret, egress } in services {
        let question = Question {
            method: Method::HEAD,
            url: &url,
            egress: Some(egress),
            at: None,
            tls: egress.trust(false).ok().map(Arc::new),
            header: None,
            limit: LIMIT,
        };
        let site = url.origin().ascii_serialization();
        let proxy = url.as_str().parse().ok().and_then(|uri| egress.proxy_for(&uri));
        findings.extend(secret.map(tell_secret));
        match ask(&question).await {
            Ok(answer) => {
                let way = proxy.map(|proxy| format!(" by way of the proxy {proxy}"));
                findings.push(Finding::ok(format!("{site} answers{}", way.unwrap_or_default())));
                findings.extend(judge_clock(answer.headers(), examination.now));
            }
            Err(why) => findings.push(judge_silence(&site, proxy, &why)),
        }
    }
    findings
}

/// A site that people sign in at.
struct Service<'a> {
    url: Url,
    secret: Option<&'a SecretString>,
    egress: &'a Egress,
}

fn services(config: &Config) -> Vec<Service<'_>> {
    let github = config.auth.github.iter().map(|github| Service {
        url: github.url.clone(),
        secret: Some(&github.client_secret),
        egress: &github.egress,
    });
    let oidc = config.auth.oidc.iter().filter_map(|oidc| {
        let url = match &oidc.provider.address {
            ProviderAddress::Issuer(issuer) => Url::parse(issuer).ok()?,
            ProviderAddress::Endpoints(endpoints) => endpoints.authorize.clone(),
        };
        let secret = oidc.provider.client_secret.as_ref();
        Some(Service { url, secret, egress: &oidc.provider.egress })
    });
    github.chain(oidc).collect()
}

/// By which two copies of the secret are compared (ENV-5). Only the service knows
/// whether it is the right one, and only tells at a sign-in.
fn tell_secret(secret: &SecretString) -> Finding {
    Finding::ok(format!("client secret: {}", fingerprint(secret.expose_secret())))
}

/// A warning only: people who are signed in do not need the service, and what
/// stands in the way may be this machine's alone.
fn judge_silence(site: &str, proxy: Option<&ForwardProxy>, why: &NoAnswer) -> Finding {
    let advice = match why {
        NoAnswer::NoSuchHost(_) => "check this machine's name server",
        NoAnswer::TimedOut(_) | NoAnswer::Unreachable(_) | NoAnswer::Refused => {
            "nobody can sign in while the hub cannot connect there; check the firewall, or name a proxy in auth.outbound.proxy_url"
        }
        NoAnswer::Insecure(_) => {
            "install the authorities' certificates (package ca-certificates), or name them in auth.outbound.ca_file; check this machine's date"
        }
        NoAnswer::Proxy(_) => {
            "check auth.outbound.proxy_url, or list the site in auth.outbound.no_proxy"
        }
        NoAnswer::NotHttp(_) => "check auth.github.url, or auth.oidc.issuer",
    };
    let way = match (proxy, why) {
        // It names the proxy itself.
        (None, _) | (_, NoAnswer::Proxy(_)) => String::new(),
        (Some(proxy), _) => format!(" by way of the proxy {proxy}"),
    };
    Finding::warning(format!("{site}{way}: {why}"), advice)
}

fn judge_clock(headers: &HeaderMap, now: Timestamp) -> Option<Finding> {
    let theirs = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(theirs).ok()?;
    let ahead = now.duration_since(theirs);
    if ahead.abs() <= SKEW {
        return None;
    }
    let which = if ahead.is_positive() { "ahead of" } else { "behind" };
    Some(Finding::warning(
        format!("this machine's clock is {} s {which} the service's", ahead.abs().as_secs()),
        "set the clock (timedatectl set-ntp true); certificates and sign-ins expire by it",
    ))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn env_5_the_secret_is_told_by_length_and_fingerprint() {
        let finding = tell_secret(&"hush".into());
        assert_eq!(finding.seen, "client secret: 4 characters, fingerprint dc83");
    }

    #[tokio::test]
    async fn a_proxy_that_fails_is_named_with_the_key() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refusing = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"CONNECT github.invalid:443 HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        };
        let egress = Egress::default().by_proxy(&format!("http://u:hush@{address}"), &[]).unwrap();
        let url = Url::parse("https://github.invalid/").unwrap();
        let question = Question {
            method: Method::HEAD,
            url: &url,
            egress: Some(&egress),
            at: None,
            tls: None,
            header: None,
            limit: Duration::from_secs(60),
        };
        let (answer, ()) = tokio::join!(ask(&question), refusing);
        let finding = judge_silence("https://github.invalid", None, &answer.unwrap_err());
        assert_eq!(
            finding.seen,
            format!(
                "https://github.invalid: the proxy http://{address} answered with status 403 Forbidden instead of connecting to github.invalid:443; it has to allow that"
            )
        );
        let advice = finding.advice.unwrap();
        assert!(advice.contains("auth.outbound.no_proxy"), "{advice}");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let judged = |date: &'static str| {
            let headers = HeaderMap::from_iter([(header::DATE, date.parse().unwrap())]);
            judge_clock(&headers, now).map(|finding| finding.seen)
        };
        assert_eq!(judged("Mon, 23 Nov 2026 08:00:20 GMT"), None);
        assert_eq!(judged("not a date"), None);
        assert_eq!(judge_clock(&HeaderMap::new(), now), None);
        assert_eq!(
            judged("Mon, 23 Nov 2026 08:01:00 GMT").unwrap(),
            "this machine's clock is 60 s behind the service's"
        );
        assert_eq!(
            judged("Mon, 23 Nov 2026 07:00:00 GMT").unwrap(),
            "this machine's clock is 3600 s ahead of the service's"
        );
    }
}
