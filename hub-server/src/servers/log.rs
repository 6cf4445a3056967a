//! What servers write: read where they run, and kept when they end (LOG-1).

mod following;

use std::sync::Arc;

use hub_names::ServerKey;
use hub_spawner::{Liveness, SavedState, SpawnError};
use hub_store::StoreError;
use jiff::Timestamp;

pub(crate) use self::following::Following;
use super::{Servers, Shared, outcome::Outcome};

/// How many lines of a log are looked at when it is kept; its size in bytes is
/// the limit that matters.
const KEPT_LINES: usize = 5000;

/// The end of what a server wrote. Text from inside the server, without control
/// codes: never trust it, never take it for HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// The text.
    pub text: String,
    /// When the run ended that wrote it; `None` while the server is there.
    pub ended: Option<Timestamp>,
}

/// A log that somebody wants to see grow.
#[derive(Debug)]
pub(crate) enum Followed {
    /// Of a server that is there.
    Going(Following),
    /// Of one that has ended.
    Ended(Log),
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The backend could not be asked.
    #[error("the server's log could not be read")]
    Spawn(#[from] SpawnError),
    /// The database could not be asked.
    #[error("the kept log could not be read")]
    Store(#[from] StoreError),
}

impl Servers {
    /// The last `lines` lines that the server wrote: from where it runs, else as
    /// they were kept when it ended. `None` if nothing was kept.
    ///
    /// # Errors
    ///
    /// When the backend or the store cannot be asked.
    pub(crate) async fn log(&self, key: &ServerKey, lines: usize) -> Result<Option<Log>, LogError> {
        let shared = &self.shared;
        if let Some(text) = shared.spawner.log(key, &SavedState::default(), lines).await? {
            return Ok(Some(Log { text, ended: None }));
        }
        Ok(shared.kept_log(key, lines).await?)
    }

    /// The same of a server that has ended; of one that is there, all that it will
    /// write as well.
    ///
    /// # Errors
    ///
    /// When the backend or the store cannot be asked.
    pub(crate) async fn follow_log(
        &self,
        key: &ServerKey,
        lines: usize,
    ) -> Result<Option<Followed>, LogError> {
        let shared = &self.shared;
        Ok(match shared.spawner.probe(key, &SavedState::default()).await? {
            Liveness::Running { .. } | Liveness::Exited(_) => {
                let spawner = Arc::clone(&shared.spawner);
                Some(Followed::Going(Following::of(spawner, key.clone(), lines)))
            }
            Liveness::Missing => shared.kept_log(key, lines).await?.map(Followed::Ended),
        })
    }
}

impl Shared {
    /// The last `lines` lines that were kept when the server ended.
    async fn kept_log(&self, key: &ServerKey, lines: usize) -> Result<Option<Log>, StoreError> {
        let kept = self.store.server_logs().get(key).await?;
        Ok(kept.map(|kept| Log {
            text: last_lines(&kept.text, lines).to_owned(),
            ended: Some(kept.ended),
        }))
    }
}

/// The last lines that a server wrote, if it can be asked for them.
pub(super) async fn of(
    shared: &Shared,
    key: &ServerKey,
    state: &SavedState,
    lines: usize,
) -> Option<String> {
    match shared.spawner.log(key, state, lines).await {
        Ok(log) => log,
        Err(error) => {
            tracing::debug!(server = %key, error = &error as &(dyn std::error::Error + 'static), "no log of the server");
            None
        }
    }
}

/// Keeps what a server wrote that is about to be removed, as far as it can be
/// had: a log is no reason to leave a server running.
pub(super) async fn keep(shared: &Shared, key: &ServerKey, state: &SavedState, then: &Outcome) {
    let limit = shared.current.get().limits.kept_log_bytes;
    if limit == 0 {
        return;
    }
    // What a failed start leaves behind may be gone by now, but for its end.
    let log = match of(shared, key, state, KEPT_LINES).await {
        Some(log) => log,
        None => then.last_words().unwrap_or_default().to_owned(),
    };
    let kept = shared.store.server_logs();
    match kept.keep(key, shared.clock.now(), last_bytes(&log, limit)).await {
        // The user was deleted meanwhile, and all that was theirs.
        Ok(()) | Err(StoreError::Missing { .. }) => {}
        Err(error) => {
            tracing::warn!(server = %key, error = &error as &(dyn std::error::Error + 'static), "the server's log could not be kept");
        }
    }
}

/// The end of `text`, at most `limit` bytes, from the start of a line if one
/// begins there.
fn last_bytes(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let from = text.ceil_char_boundary(text.len() - limit);
    let end = &text[from..];
    if text[..from].ends_with('\n') {
        return end;
    }
    match end.split_once('\n') {
        Some((_, lines)) if !lines.is_empty() => lines,
        _ => end,
    }
}

fn last_lines(text: &str, lines: usize) -> &str {
    let starts = text.trim_end_matches('\n').rmatch_indices('\n').map(|(at, _)| at + 1);
    let from = starts.take(lines).nth(lines.saturating_sub(1)).unwrap_or(0);
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_1_the_end_of_a_log_is_kept_in_whole_lines() {
        for (limit, kept) in [
            (100, "one\ntwö\nthree\n"),
            (11, "twö\nthree\n"),
            (9, "three\n"),
            (6, "three\n"),
            (4, "ree\n"),
        ] {
            assert_eq!(last_bytes("one\ntwö\nthree\n", limit), kept, "{limit}");
        }
        assert_eq!(last_bytes("öööö", 3), "ö");
    }

    #[test]
    fn log_1_of_a_kept_log_only_the_lines_asked_for_are_shown() {
        for (lines, shown) in [(1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last_lines("a\nb\nc\n", lines), shown);
        }
        assert_eq!(last_lines("", 5), "");
    }
}
