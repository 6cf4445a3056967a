//! Whether the certificate is one that browsers accept, and for how long.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use hub_proxy::TlsKeys;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

mod authority;

pub(super) use self::authority::judge_status;
use super::{Examination, Finding, Known, told};
use crate::{
    certificates,
    config::{Config, TlsFiles, TlsSource},
};

/// A certificate that ends within this time has to be renewed by somebody.
const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);

pub(super) fn check(examination: &Examination, known: &Known) -> Vec<Finding> {
    let Some(config) = &known.config else { return Vec::new() };
    match &config.http.tls {
        None => vec![Finding::skipped("no [http.tls]; https is for others to speak")],
        Some(TlsSource::Files(files)) => of_files(config, files, examination.now),
        Some(TlsSource::Acme(acme)) => authority::check(config, acme, examination.now),
    }
}

fn of_files(config: &Config, files: &TlsFiles, now: Timestamp) -> Vec<Finding> {
    let hosts = certificates::hosts(config);
    let keys = match TlsKeys::load_for(&files.certificate, &files.key, hosts) {
        Ok(keys) => keys,
        // Says which file and what to look at.
        Err(error) => return vec![Finding::problem(told(&error), "")],
    };
    let shown = files.certificate.display().to_string();
    let advice = "renew it; the hub takes up the new file by itself";
    let mut findings = vec![judge_end(&shown, keys.not_after(), now, advice)];
    let doubts = keys.warnings().into_iter();
    findings.extend(doubts.map(|doubt| Finding::warning(doubt.to_string(), "")));
    findings.extend(certificates::narrow(config, &keys).map(|told| Finding::warning(told, "")));
    findings.extend(judge_key(&files.key));
    findings
}

/// A certificate called `shown` that ends then; `advice` is for one that ends
/// soon.
fn judge_end(shown: &str, end: Timestamp, now: Timestamp, advice: &'static str) -> Finding {
    let left = end.duration_since(now);
    let day = end.to_zoned(TimeZone::UTC).date();
    let days = left.as_hours() / 24;
    match left < SOON {
        true => Finding::warning(format!("{shown}: ends in {days} days, on {day}"), advice),
        false => Finding::ok(format!("{shown}: until {day}, {days} days from now")),
    }
}

fn judge_key(key: &Path) -> Option<Finding> {
    let mode = fs::metadata(key).ok()?.permissions().mode() & 0o777;
    is_open(mode).then(|| {
        Finding::warning(
            format!("{}: others may read or write it (mode {mode:04o})", key.display()),
            format!("chmod 600 {}", key.display()),
        )
    })
}

/// A group may read keys: that is how Debian hands them out.
fn is_open(mode: u32) -> bool {
    mode & 0o027 != 0
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[test]
    fn a_key_that_everybody_can_read_is_told() {
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o660, true)] {
            assert_eq!(is_open(mode), open, "{mode:o}");
        }
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let judged = |end: &str| judge_end("hub.crt", end.parse().unwrap(), now, "renew it");
        let fine = judged("2027-02-21T08:00:00Z");
        assert_eq!(fine.outcome, Outcome::Ok);
        assert_eq!(fine.seen, "hub.crt: until 2027-02-21, 90 days from now");
        let soon = judged("2026-11-26T07:00:00Z");
        assert_eq!(soon.outcome, Outcome::Warning);
        assert_eq!(soon.seen, "hub.crt: ends in 2 days, on 2026-11-26");
    }
}
