//! A certificate that an authority gives, for which nobody is asked here: that
//! is for whoever serves with it, and counted there.

use hub_proxy::{AcmeConfig, TlsKeys};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{judge_end, told};
use crate::{certificates, config::Config, doctor::Finding};

pub(super) fn check(config: &Config, acme: &AcmeConfig, now: Timestamp) -> Vec<Finding> {
    let doubts = match certificates::check_certificate(config) {
        Ok(doubts) => doubts,
        Err(error) => return vec![Finding::problem(told(&error), "")],
    };
    let mut findings = vec![kept(acme, now)];
    findings.extend(doubts.into_iter().map(|doubt| Finding::warning(doubt, "")));
    findings
}

/// What the hub has obtained so far.
fn kept(acme: &AcmeConfig, now: Timestamp) -> Finding {
    let path = acme.certificate_path();
    let shown = path.display().to_string();
    if !path.exists() {
        return Finding::ok(format!(
            "the hub orders one for {}; there is none yet in {shown}",
            acme.domains.join(", ")
        ));
    }
    match TlsKeys::load(&path, &path) {
        Ok(keys) => judge_end(
            &shown,
            keys.not_after(),
            now,
            "the hub should have renewed it; its log and `hub info` say why not",
        ),
        Err(error) => Finding::warning(told(&error), "the hub orders a new one when it starts"),
    }
}

/// What a running hub or proxy tells of its certificate; `None` if there is
/// nothing to tell.
pub(in crate::doctor) fn judge_status(status: &Value, now: Timestamp) -> Option<Finding> {
    let moment = |key: &str| status[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let end = moment("not_after");
    if status["state"] == "failed" {
        let next = moment("next_try").map_or_else(String::new, |at| {
            format!(", next try at {}", at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC"))
        });
        let seen = format!(
            "no new certificate: {} ({} orders failed{next})",
            status["problem"].as_str().unwrap_or("the reason is in the log"),
            status["failures"]
        );
        let advice = status["advice"].as_str().unwrap_or_default().to_owned();
        return Some(match end.is_some_and(|end| end > now) {
            true => Finding::warning(seen, advice),
            false => Finding::problem(seen, advice),
        });
    }
    match end {
        Some(end) => {
            Some(judge_end("its certificate", end, now, "see its log; nothing has renewed it yet"))
        }
        None if status["state"] == "ordering" => Some(Finding::warning(
            "a certificate is being ordered; until it comes, one signed by itself stands in",
            "",
        )),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    fn judged(status: Value) -> Option<(Outcome, String)> {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        judge_status(&status, now).map(|finding| (finding.outcome, finding.seen))
    }

    #[test]
    fn acme_2_a_failed_order_is_told_and_is_a_problem_once_nothing_valid_is_left() {
        let failed = |not_after: Value| {
            judged(json!({
                "source": "acme", "state": "failed", "not_after": not_after, "failures": 2,
                "problem": "hub.example.org is not in the DNS", "advice": "add it",
                "next_try": "2026-11-23T09:30:00Z",
            }))
            .unwrap()
        };
        let (outcome, seen) = failed(json!("2026-12-03T08:00:00Z"));
        assert_eq!(outcome, Outcome::Warning);
        assert_eq!(
            seen,
            "no new certificate: hub.example.org is not in the DNS (2 orders failed, next try at \
             2026-11-23 09:30 UTC)"
        );
        assert_eq!(failed(json!("2026-11-22T08:00:00Z")).0, Outcome::Problem);
        assert_eq!(failed(Value::Null).0, Outcome::Problem);
    }

    #[test]
    fn what_is_served_well_is_told_with_its_end() {
        let waiting = json!({ "state": "waiting", "not_after": "2027-02-21T08:00:00Z" });
        let seen = "its certificate: until 2027-02-21, 90 days from now".to_owned();
        assert_eq!(judged(waiting), Some((Outcome::Ok, seen)));
        assert_eq!(judged(Value::Null), None, "plain http");
        let ordering = json!({ "state": "ordering", "not_after": null });
        assert_eq!(judged(ordering).unwrap().0, Outcome::Warning);
    }
}
