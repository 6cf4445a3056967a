//! Whether the proxy that is a program of its own can be driven, and leads to
//! this hub.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::{
    Examination, Finding, Known,
    ask::{NoAnswer, Question, ask},
    certificate::judge_status,
};
use crate::config::ProxyApiConfig;

/// How long the proxy may take.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn check(examination: &Examination, known: &Known) -> Vec<Finding> {
    let Some(config) = &known.config else { return Vec::new() };
    let Some(proxy) = &config.proxy else {
        return vec![Finding::skipped("no [proxy]; the hub is its own")];
    };
    let Ok(routes) = proxy.api_url.join("/api/routes") else { return Vec::new() };
    let token = format!("token {}", proxy.auth_token.expose_secret());
    let header = HeaderValue::from_str(&token).ok().map(|mut value| {
        value.set_sensitive(true);
        (header::AUTHORIZATION, value)
    });
    let answer = get(&routes, header.clone()).await;
    let finding = judge(proxy, &config.http.base_url, known.serves, &answer);
    let is_a_proxy = matches!(&answer, Ok(answer) if answer.status() == StatusCode::OK);
    let mut findings = vec![finding];
    if let Some(status) = proxy.api_url.join("/api/v2/status").ok().filter(|_| is_a_proxy) {
        let answer = get(&status, header).await;
        findings.extend(answer.ok().and_then(|answer| judge_own(&answer, examination.now)));
    }
    findings
}

async fn get(
    url: &Url,
    header: Option<(HeaderName, HeaderValue)>,
) -> Result<Response<Bytes>, NoAnswer> {
    ask(&Question {
        method: Method::GET,
        url,
        egress: None,
        at: None,
        tls: None,
        header,
        limit: LIMIT,
    })
    .await
}

/// What our own proxy tells of its certificate; others tell nothing.
fn judge_own(answer: &Response<Bytes>, now: Timestamp) -> Option<Finding> {
    let status: Value = serde_json::from_slice(answer.body()).ok()?;
    judge_status(&status["certificate"], now)
}

fn judge(
    proxy: &ProxyApiConfig,
    base_url: &str,
    hub_serves: bool,
    answer: &Result<Response<Bytes>, NoAnswer>,
) -> Finding {
    let place = proxy.api_url.as_str().trim_end_matches('/');
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            return Finding::problem(
                format!("{place}: {why}"),
                "start the proxy, or correct proxy.api_url; its --api-ip has to be an address that the hub reaches",
            );
        }
    };
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::FORBIDDEN => {
            return Finding::problem(
                format!("{place}: the proxy does not accept the token"),
                "give the proxy and the hub the same CONFIGPROXY_AUTH_TOKEN",
            );
        }
        status => return not_a_proxy(place, &format!("status {status}")),
    }
    let Ok(Value::Object(routes)) = serde_json::from_slice(answer.body()) else {
        return not_a_proxy(place, "no table of routes");
    };
    let target = [base_url, base_url.trim_end_matches('/'), "/"]
        .into_iter()
        .find_map(|path| routes.get(path)?.get("target")?.as_str()?.parse::<Url>().ok());
    let wanted = &proxy.hub_url;
    match target {
        Some(target) if target.origin() == wanted.origin() => {
            Finding::ok(format!("{place}: {} routes, {base_url} leads to {wanted}", routes.len()))
        }
        Some(target) => Finding::problem(
            format!("{place}: {base_url} leads to {target}, not to {wanted}"),
            "does another hub drive this proxy? Give each hub its own, or correct proxy.hub_url",
        ),
        None if hub_serves => Finding::problem(
            format!("{place}: no route leads to the hub, although it runs"),
            "see the hub's log; it puts the route back within seconds if it can",
        ),
        None => {
            Finding::ok(format!("{place}: accepts the token; the hub adds its route at its start"))
        }
    }
}

fn not_a_proxy(place: &str, seen: &str) -> Finding {
    Finding::problem(
        format!("{place}: this is not the API of a proxy ({seen})"),
        "correct proxy.api_url; it is the address of --api-port, not that of browsers",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::Outcome, *};
    use crate::config::{Environment, parse};

    fn proxy() -> ProxyApiConfig {
        let text = "[spawner.docker]\nimage = \"lab\"\n[proxy]\napi_url = \"http://proxy:8001\"\n\
                    auth_token = \"hush\"\nhub_url = \"http://hub:8000\"\n";
        let parsed = parse(text, "hub.toml", Path::new("/srv"), &Environment::default(), false);
        parsed.unwrap().config.proxy.unwrap()
    }

    #[test]
    fn the_proxy_must_be_there_accept_the_token_and_lead_here() {
        let routes = |target: &str| format!("{{\"/\": {{\"target\": \"{target}\"}}}}");
        let judged = |status: u16, body: &str, hub_serves| {
            let answer = Response::builder().status(status).body(Bytes::from(body.to_owned()));
            judge(&proxy(), "/", hub_serves, &Ok(answer.unwrap())).outcome
        };
        assert_eq!(judged(200, &routes("http://hub:8000"), true), Outcome::Ok);
        assert_eq!(judged(200, &routes("http://other:8000"), true), Outcome::Problem);
        assert_eq!(judged(200, "{}", false), Outcome::Ok);
        assert_eq!(judged(200, "{}", true), Outcome::Problem);
        assert_eq!(judged(200, "<html>", true), Outcome::Problem);
        assert_eq!(judged(403, "", true), Outcome::Problem);
        assert_eq!(judged(404, "", true), Outcome::Problem);
        let silent = judge(&proxy(), "/", false, &Err(NoAnswer::Refused));
        assert_eq!(silent.outcome, Outcome::Problem);
        assert!(!format!("{silent:?}").contains("hush"));
    }
}
