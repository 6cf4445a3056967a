//! How a certificate is doing, in a form that goes over the wire.

use jiff::Timestamp;
use serde::Serialize;

use super::Certificate;
use crate::{AcmeState, AcmeStatus};

/// How the certificate of a running server is doing: what `hub-proxy status`
/// and the hub's API tell of it. As JSON, points in time are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CertificateStatus {
    /// Who renews it: `files` for its operator, `acme` for this server.
    pub source: &'static str,
    /// When it expires; nothing while one signed by itself stands in for it.
    pub not_after: Option<Timestamp>,
    /// `served` from files. From an authority: `waiting` when all is well,
    /// `ordering`, `failed` or `not running`.
    pub state: &'static str,
    /// When an authority is asked next, or it is seen whether that is due.
    pub next_try: Option<Timestamp>,
    /// Orders in a row that failed.
    pub failures: u32,
    /// Why the last one did.
    pub problem: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Certificate {
    /// How it is doing.
    pub fn status(&self) -> CertificateStatus {
        match self {
            Self::Files(keys) => {
                CertificateStatus { not_after: Some(keys.not_after()), ..blank("files", "served") }
            }
            Self::Acme(acme) => of_acme(acme.status()),
        }
    }
}

fn of_acme(status: AcmeStatus) -> CertificateStatus {
    let told = match status.state {
        AcmeState::NotRunning => blank("acme", "not running"),
        AcmeState::Ordering => blank("acme", "ordering"),
        AcmeState::Waiting { next_check } => {
            CertificateStatus { next_try: Some(next_check), ..blank("acme", "waiting") }
        }
        AcmeState::Failed { failures, problem, advice, next_attempt, failed_at: _ } => {
            CertificateStatus {
                next_try: Some(next_attempt),
                failures,
                problem: Some(problem.to_string()),
                advice: Some(advice),
                ..blank("acme", "failed")
            }
        }
    };
    CertificateStatus { not_after: status.not_after, ..told }
}

fn blank(source: &'static str, state: &'static str) -> CertificateStatus {
    CertificateStatus {
        source,
        not_after: None,
        state,
        next_try: None,
        failures: 0,
        problem: None,
        advice: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AcmeCause, acme::AcmeProblem};

    #[test]
    fn acme_2_a_failure_is_told_with_its_reason_and_the_next_try() {
        let next_attempt: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let status = of_acme(AcmeStatus {
            not_after: None,
            state: AcmeState::Failed {
                failures: 2,
                failed_at: next_attempt,
                problem: AcmeProblem::new(AcmeCause::Dns, "no such name"),
                advice: "make a DNS record".to_owned(),
                next_attempt,
            },
        });
        let told = serde_json::to_value(status).unwrap();
        assert_eq!(
            told,
            json!({
                "source": "acme", "not_after": null, "state": "failed",
                "next_try": "2026-11-23T09:00:00Z", "failures": 2,
                "problem": told["problem"], "advice": "make a DNS record",
            })
        );
        assert!(told["problem"].as_str().unwrap().contains("no such name"), "{told}");
    }
}
