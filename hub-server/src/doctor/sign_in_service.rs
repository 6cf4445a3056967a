//! Whether the sign-in service answers, and whether its clock agrees with ours.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, header};
use hub_auth::oidc::ProviderAddress;
use hyper_rustls::ConfigBuilderExt;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use rustls::{ClientConfig, crypto::aws_lc_rs};
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
    for Service { url, secret } in services {
        let question = Question {
            method: Method::HEAD,
            url: &url,
            at: None,
            tls: authorities(),
            header: None,
            limit: LIMIT,
        };
        let site = url.origin().ascii_serialization();
        findings.extend(secret.map(tell_secret));
        match ask(&question).await {
            Ok(answer) => {
                findings.push(Finding::ok(format!("{site} answers")));
                findings.extend(judge_clock(answer.headers(), examination.now));
            }
            Err(why) => findings.push(judge_silence(&site, &why)),
        }
    }
    findings
}

/// A site that people sign in at.
struct Service<'a> {
    url: Url,
    secret: Option<&'a SecretString>,
}

fn services(config: &Config) -> Vec<Service<'_>> {
    let github = config
        .auth
        .github
        .iter()
        .map(|github| Service { url: github.url.clone(), secret: Some(&github.client_secret) });
    let oidc = config.auth.oidc.iter().filter_map(|oidc| {
        let url = match &oidc.provider.address {
            ProviderAddress::Issuer(issuer) => Url::parse(issuer).ok()?,
            ProviderAddress::Endpoints(endpoints) => endpoints.authorize.clone(),
        };
        Some(Service { url, secret: oidc.provider.client_secret.as_ref() })
    });
    github.chain(oidc).collect()
}

/// By which two copies of the secret are compared (ENV-5). Only the service knows
/// whether it is the right one, and only tells at a sign-in.
fn tell_secret(secret: &SecretString) -> Finding {
    Finding::ok(format!("client secret: {}", fingerprint(secret.expose_secret())))
}

/// Trust in the authorities that this machine trusts, as at a sign-in.
fn authorities() -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(builder.with_native_roots().ok()?.with_no_client_auth()))
}

/// A warning only: people who are signed in do not need the service, and what
/// stands in the way may be this machine's alone.
fn judge_silence(site: &str, why: &NoAnswer) -> Finding {
    let advice = match why {
        NoAnswer::NoSuchHost(_) => "check this machine's name server",
        NoAnswer::TimedOut(_) | NoAnswer::Unreachable(_) | NoAnswer::Refused => {
            "nobody can sign in while the hub cannot connect there; check the firewall"
        }
        NoAnswer::Insecure(_) => {
            "install the authorities' certificates (package ca-certificates); check this machine's date"
        }
        NoAnswer::NotHttp(_) => "check auth.github.url, or auth.oidc.issuer",
    };
    Finding::warning(format!("{site}: {why}"), advice)
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
    use super::*;

    #[test]
    fn env_5_the_secret_is_told_by_length_and_fingerprint() {
        let finding = tell_secret(&"hush".into());
        assert_eq!(finding.seen, "client secret: 4 characters, fingerprint dc83");
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
