//! Whether the hub of this configuration runs, and is well.

use std::{error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{
    Examination, Finding, Known, addresses,
    ask::{NoAnswer, Question, ask},
    certificate::judge_status,
    pinned,
};
use crate::{
    config::{Config, TlsSource},
    web::paths::Paths,
};

/// How long the hub may take.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn check(examination: &Examination, known: &mut Known) -> Vec<Finding> {
    let Some(config) = &known.config else { return Vec::new() };
    let Some(hub) = Door::of(config) else {
        return vec![Finding::skipped("http.listen leaves the port to the system")];
    };
    let paths = Paths::new(&config.http.base_url);
    let health = hub.ask(&paths.in_hub("health"), None).await;
    known.serves = matches!(&health, Ok(answer) if is_well(answer));
    let mut findings = vec![judge(&hub.shown(), &health)];
    if !known.serves {
        return findings;
    }
    match hub.ask(&paths.api(), None).await {
        Ok(answer) => findings.push(judge_version(&answer)),
        Err(why) => findings.push(judge(&hub.shown(), &Err(why))),
    }
    // The token is not for whoever happens to listen there.
    let certain =
        if hub.is_certain { Some(hub) } else { Door::for_servers(config, known.gateway()) };
    if let Some((hub, value)) = certain.zip(examination.authorization.as_ref()) {
        let header = (header::AUTHORIZATION, value.clone());
        let answer = hub.ask(&paths.in_hub("api/user"), Some(header.clone())).await;
        findings.extend(answer.ok().map(|answer| judge_token(&answer)));
        let answer = hub.ask(&paths.in_hub("api/info"), Some(header)).await;
        findings.extend(answer.ok().and_then(|answer| judge_order(&answer, examination.now)));
    }
    findings
}

/// Where this machine finds the hub.
struct Door {
    url: Url,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether what answers there is known to be the hub.
    is_certain: bool,
}

impl Door {
    fn of(config: &Config) -> Option<Self> {
        let listen = config.http.listen.from_here();
        let certificate = match &config.http.tls {
            Some(TlsSource::Files(files)) => pinned::first(&files.certificate),
            // Kept before it is shown; until the first one, who knows.
            Some(TlsSource::Acme(acme)) => pinned::first(&acme.certificate_path()),
            None => None,
        };
        let speaks_tls = config.http.tls.is_some();
        let is_certain = certificate.is_some() || !speaks_tls;
        let tls = if speaks_tls { pinned::trusting(certificate) } else { None };
        let scheme = if speaks_tls { "https" } else { "http" };
        if listen.port() == 0 {
            return None;
        }
        Some(Self {
            url: format!("{scheme}://{listen}").parse().ok()?,
            tls: tls.map(Arc::new),
            is_certain,
        })
    }

    /// The listener that servers call, which speaks plain HTTP.
    fn for_servers(config: &Config, gateway: Option<IpAddr>) -> Option<Self> {
        let listen = addresses::api(config, gateway)?.listen.from_here();
        let url = format!("http://{listen}").parse().ok().filter(|_| listen.port() != 0)?;
        Some(Self { url, tls: None, is_certain: true })
    }

    fn shown(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    async fn ask(
        &self,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let mut url = self.url.clone();
        url.set_path(path);
        let (method, tls) = (Method::GET, self.tls.clone());
        ask(&Question { method, url: &url, egress: None, at: None, tls, header, limit: LIMIT })
            .await
    }
}

fn is_well(answer: &Response<Bytes>) -> bool {
    answer.status() == StatusCode::OK
}

fn judge(place: &str, health: &Result<Response<Bytes>, NoAnswer>) -> Finding {
    let other = || {
        Finding::skipped(format!(
            "no hub answers at {place}, but another program; see the ports below"
        ))
    };
    match health {
        Ok(answer) if is_well(answer) => Finding::ok(format!("answers at {place}")),
        Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => Finding::problem(
            format!("the hub at {place} runs, but its database does not answer"),
            "see the hub's log",
        ),
        Ok(_) => other(),
        Err(NoAnswer::Refused) => {
            Finding::skipped(format!("does not run: nothing listens at {place}"))
        }
        Err(why @ NoAnswer::Insecure(cause)) => match says_other_certificate(cause) {
            true => Finding::warning(
                format!("the hub at {place} shows another certificate than the file holds"),
                "make the hub read it: `kill -HUP PID`, or restart it",
            ),
            false => {
                Finding::warning(format!("{place}: {why}"), "does another program listen there?")
            }
        },
        Err(NoAnswer::NotHttp(_)) => other(),
        Err(why @ NoAnswer::TimedOut(_)) => {
            Finding::problem(format!("{place}: {why}"), "see the hub's log; restart the hub")
        }
        Err(why @ (NoAnswer::NoSuchHost(_) | NoAnswer::Unreachable(_) | NoAnswer::Proxy(_))) => {
            Finding::skipped(format!(
                "{place} is not an address of this machine ({why}); does the hub run in a container?"
            ))
        }
    }
}

fn says_other_certificate(error: &std::io::Error) -> bool {
    let cause = error.get_ref().map(ToString::to_string);
    let cause = cause.or_else(|| error.source().map(ToString::to_string));
    cause.is_some_and(|text| text.contains(pinned::OTHER_CERTIFICATE))
}

/// The first thing that a single-user server asks.
fn judge_version(answer: &Response<Bytes>) -> Finding {
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    match body.as_ref().and_then(|body| body["version"].as_str()) {
        Some(version) => Finding::ok(format!("speaks as JupyterHub {version}")),
        None => Finding::warning(
            format!("its API answers {} and no version", answer.status()),
            "is it this hub that listens there?",
        ),
    }
}

fn judge_token(answer: &Response<Bytes>) -> Finding {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match answer.status() {
        StatusCode::OK => Finding::ok(format!(
            "the token is that of the {} {}",
            body["kind"].as_str().unwrap_or("user"),
            body["name"].as_str().unwrap_or("?")
        )),
        status => Finding::problem(
            format!("the hub does not accept the token ({status})"),
            "make another one, or name the right file with --token-file",
        ),
    }
}

/// How the hub gets on with the authority that gives its certificate, if this
/// token may know. What is in files was looked at before.
fn judge_order(answer: &Response<Bytes>, now: Timestamp) -> Option<Finding> {
    let body: Value = serde_json::from_slice(answer.body()).ok()?;
    let status = &body["certificate"];
    if status["source"] == "acme" { judge_status(status, now) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn answer(status: u16, body: &'static str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_hub_that_is_not_there_is_no_problem_and_one_that_is_ill_is() {
        let outcome = |health| judge("http://127.0.0.1:8000", &health).outcome;
        assert_eq!(outcome(Ok(answer(200, ""))), Outcome::Ok);
        assert_eq!(outcome(Ok(answer(503, ""))), Outcome::Problem);
        assert_eq!(outcome(Ok(answer(404, ""))), Outcome::Skipped);
        assert_eq!(outcome(Err(NoAnswer::Refused)), Outcome::Skipped);
        assert_eq!(outcome(Err(NoAnswer::TimedOut(LIMIT))), Outcome::Problem);
        assert_eq!(outcome(Err(NoAnswer::NotHttp(String::new()))), Outcome::Skipped);
        let other = std::io::Error::other(format!("x: {}", pinned::OTHER_CERTIFICATE));
        let finding = judge("https://127.0.0.1", &Err(NoAnswer::Insecure(other)));
        assert!(finding.seen.contains("another certificate"), "{finding:?}");
    }

    #[test]
    fn what_the_hub_says_is_told() {
        assert_eq!(judge_version(&answer(200, r#"{"version": "6.1.1"}"#)).outcome, Outcome::Ok);
        assert_eq!(judge_version(&answer(200, "hello")).outcome, Outcome::Warning);
        let whose = judge_token(&answer(200, r#"{"kind": "service", "name": "admin"}"#));
        assert_eq!(whose.seen, "the token is that of the service admin");
        assert_eq!(judge_token(&answer(403, "{}")).outcome, Outcome::Problem);
    }
}
