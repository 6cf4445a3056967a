//! A pair in the hands of a running server: taking up replaced files, and a word
//! before it expires.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{TlsError, TlsKeys};
use crate::{clock, error::chain};

/// How often the files are looked at. A change is taken up at the second look.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often the log hears about a certificate that expires soon.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Days before its end that a certificate is worth a warning.
const WARN_DAYS: i64 = 14;

impl TlsKeys {
    /// Reloads when the files change (TLS-3), that of clients' authorities, too, and warns
    /// in the log, daily, in the last 14 days of a certificate; for those that are
    /// [shown by name](Self::show_by_name) by now, too. Returns once `stop` is cancelled.
    ///
    /// A change is taken up within some seconds. Files that cannot be used are
    /// logged, and what was in use stays.
    pub async fn keep_watching(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_each(LOOK_EVERY, Self::tell) => {}
            () = self.keep_reminding() => {}
        }
    }

    /// Full days that the certificate is still good for, if they are the last 14;
    /// 0 on its last day and after that.
    pub fn last_days(&self) -> Option<i64> {
        match Remaining::of(self.not_after(), clock::now()) {
            Remaining::Plenty => None,
            Remaining::Days(days) => Some(days),
            Remaining::Nothing => Some(0),
        }
    }

    fn tell(&self, reloaded: Result<(), TlsError>) {
        match reloaded {
            Ok(()) => {
                let file = self.file();
                tracing::info!(file, not_after = %self.not_after(), "Certificate and key were read again");
                for warning in &self.0.current.pair.load().warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the certificate was not replaced; the old one stays");
            }
        }
    }

    /// Warns in the log, daily, in the last 14 days of the certificate. Never
    /// ends.
    async fn keep_reminding(&self) {
        let mut ticks = interval(REMIND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.remind();
            self.others().iter().for_each(Self::remind);
        }
    }

    fn remind(&self) {
        let (file, not_after) = (self.file(), self.not_after());
        match Remaining::of(not_after, clock::now()) {
            Remaining::Plenty => {}
            Remaining::Days(days) => {
                tracing::warn!(file, %not_after, days, "the certificate expires soon; renew it and replace the files");
            }
            Remaining::Nothing => {
                tracing::error!(file, %not_after, "the certificate has expired and browsers refuse it; renew it and replace the files");
            }
        }
    }

    /// Where the certificate is, if it is in a file.
    fn file(&self) -> Option<String> {
        self.0.files.as_ref().map(|(files, _)| files.cert.display().to_string())
    }
}

/// How long a certificate still is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remaining {
    Plenty,
    /// Full days, at most 14.
    Days(i64),
    Nothing,
}

impl Remaining {
    fn of(not_after: Timestamp, now: Timestamp) -> Self {
        let days = not_after.duration_since(now).as_hours() / 24;
        match () {
            () if now > not_after => Self::Nothing,
            () if days <= WARN_DAYS => Self::Days(days),
            () => Self::Plenty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_14_days_are_worth_a_warning() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (not_after, expected) in [
            ("2026-03-20T12:00:00Z", Remaining::Plenty),
            ("2026-03-15T12:00:00Z", Remaining::Days(14)),
            ("2026-03-02T11:59:00Z", Remaining::Days(0)),
            ("2026-03-01T12:00:00Z", Remaining::Days(0)),
            ("2026-03-01T11:59:59Z", Remaining::Nothing),
        ] {
            assert_eq!(Remaining::of(not_after.parse().unwrap(), now), expected, "{not_after}");
        }
    }
}
