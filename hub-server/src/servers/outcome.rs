//! How a server's last run ended, kept for the page and the next start.

use hub_spawner::{Exit, SpawnError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::compatibility;

/// The exit code of a process that was killed: 128 and the signal's number.
const KILLED: i64 = 137;

/// Why a server is stopped. Stored with the server, so that the reason outlives
/// a restart of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Somebody asked for it.
    Requested,
    /// Somebody asked for it before the start was over.
    Cancelled,
    /// The start did not succeed.
    Failed(Failure),
    /// The server ended by itself.
    Exited(Exit),
    /// The server was removed behind the hub's back.
    Vanished,
    /// Nobody used it, or not for long enough.
    Culled(Culled),
    /// Its own health check failed.
    Unwell {
        /// Whether it was to be started again.
        again: bool,
    },
}

/// How a server is to end, and whether it is forgotten then. Stored while it is on its way
/// down, so that the wish outlives a restart of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wish {
    /// How.
    #[serde(flatten)]
    pub then: Outcome,
    /// Whether it is forgotten then.
    #[serde(default)]
    pub remove: bool,
}

/// A server that the hub stopped by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Culled {
    /// Why.
    pub why: CullReason,
    /// For how many minutes it was not used, or was up.
    pub minutes: i64,
}

/// Why a server is stopped by the hub itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CullReason {
    /// Nobody used it.
    Idle,
    /// It was up for as long as a server may be.
    Age,
}

impl CullReason {
    /// A word for the API and the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
        }
    }
}

impl Culled {
    /// What to tell the person whose server it was.
    pub(crate) fn message(&self) -> String {
        let minutes = match self.minutes {
            1 => "1 minute".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        match self.why {
            CullReason::Idle => format!("Your server was stopped after {minutes} without use."),
            CullReason::Age => format!(
                "Your server was stopped after {minutes}, which is as long as a server may run."
            ),
        }
    }
}

/// What to tell the person whose server did not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What went wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How the process ended and its last lines, if it got that far.
    pub exit: Option<Exit>,
    /// The last lines of a server that did not end but never answered.
    #[serde(default)]
    pub log: Option<String>,
    /// Whether it was asked for something that is not allowed here, rather than
    /// anything having failed.
    #[serde(default)]
    pub rejected: bool,
    /// Whether there was no room for it then; nothing is broken.
    #[serde(default)]
    pub full: bool,
}

impl Failure {
    /// A failure with nothing but a message.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit: None,
            log: None,
            rejected: false,
            full: false,
        }
    }

    /// When its process ended, if the spawner told (SPN-26).
    pub(crate) fn ended(&self) -> Option<Timestamp> {
        self.exit.as_ref()?.finished_at.as_ref()?.parse().ok()
    }

    pub(super) fn from_spawn(error: &SpawnError) -> Self {
        if let SpawnError::GivenUp { log_tail, source } = error {
            return Self { log: Some(log_tail.clone()), ..Self::from_spawn(source) };
        }
        let exit = match error {
            SpawnError::Exited(exit) => Some(exit.clone()),
            _ => None,
        };
        let hint = match error {
            SpawnError::ImageUnavailable { .. } => {
                Some("Ask your administrator to fetch or build the image.".to_owned())
            }
            SpawnError::Exited(exit) => Some(exit_hint(exit)),
            other if other.is_transient() => Some("Try again in a moment.".to_owned()),
            _ => None,
        };
        let rejected = matches!(error, SpawnError::Rejected { .. });
        let full = matches!(error, SpawnError::NoCapacity { .. });
        Self { hint, exit, rejected, full, ..Self::new(error.user_message()) }
    }
}

/// What may go on at a server's next start, where the spawner keeps what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// The server that has ended.
    Itself,
    /// The one that was kept before a start that came to nothing.
    Earlier,
    /// Nothing.
    Nothing,
}

impl Outcome {
    /// What of the server may go on at its next start, where the spawner keeps it.
    pub(super) fn remains(&self) -> Remains {
        match self {
            Self::Requested | Self::Exited(_) | Self::Culled(_) | Self::Unwell { .. } => {
                Remains::Itself
            }
            Self::Cancelled | Self::Failed(_) => Remains::Earlier,
            Self::Vanished => Remains::Nothing,
        }
    }

    /// A start that ended with the hub, before there was a server.
    pub(super) fn interrupted() -> Self {
        Self::Failed(Failure {
            hint: Some("Start it again.".to_owned()),
            ..Failure::new("The hub was restarted while your server was starting.")
        })
    }

    /// The last that the server wrote, as far as it was noted with its end.
    pub(super) fn last_words(&self) -> Option<&str> {
        match self {
            Self::Exited(exit) => Some(&exit.log_tail),
            Self::Failed(Failure { exit: Some(exit), .. }) => Some(&exit.log_tail),
            Self::Failed(failure) => failure.log.as_deref(),
            Self::Requested
            | Self::Cancelled
            | Self::Vanished
            | Self::Culled(_)
            | Self::Unwell { .. } => None,
        }
    }

    /// What to tell of an end that nobody asked for and that is no failure.
    pub(crate) fn notice(&self) -> Option<String> {
        match self {
            Self::Culled(culled) => Some(culled.message()),
            Self::Requested
            | Self::Cancelled
            | Self::Failed(_)
            | Self::Exited(_)
            | Self::Vanished
            | Self::Unwell { .. } => None,
        }
    }

    /// The end of a server that was up, as a failure to show; `None` when
    /// somebody wanted it.
    pub(crate) fn as_failure(&self) -> Option<Failure> {
        match self {
            Self::Requested | Self::Cancelled | Self::Culled(_) => None,
            Self::Failed(failure) => Some(failure.clone()),
            Self::Exited(exit) => Some(Failure {
                hint: Some(exit_hint(exit)),
                exit: Some(exit.clone()),
                ..Failure::new(exit.summary())
            }),
            Self::Unwell { .. } => Some(Failure {
                hint: Some("Start it again. Its log tells more.".to_owned()),
                ..Failure::new("Your server was stopped because its own health check failed.")
            }),
            Self::Vanished => Some(Failure {
                hint: Some("Your files are kept. Start the server again to go on.".to_owned()),
                ..Failure::new("Your server was removed outside of the hub.")
            }),
        }
    }
}

fn exit_hint(exit: &Exit) -> String {
    let out_of_memory = exit.oom_killed || (exit.code == KILLED && exit.memory_limit.is_some());
    if out_of_memory {
        "Close notebooks that you do not need, or work on less data at a time.".to_owned()
    } else if compatibility::is_from_before_0_8(&exit.log_tail) {
        compatibility::BEFORE_0_8.to_owned()
    } else {
        "The last lines of its log tell more.".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_27_a_memory_kill_is_told_with_its_limit() {
        let exit = Exit {
            code: 137,
            oom_killed: true,
            error: None,
            finished_at: Some("2026-11-23T01:00:00+01:00".to_owned()),
            log_tail: String::new(),
            memory_limit: Some(1 << 30),
        };
        let failure = Outcome::Exited(exit).as_failure().unwrap();
        assert!(failure.message.contains("1 GiB"), "{}", failure.message);
        assert_eq!(failure.ended().unwrap().to_string(), "2026-11-23T00:00:00Z", "SPN-26");
        assert!(failure.hint.unwrap().contains("less data"));
    }

    #[test]
    fn spn_33_a_failed_start_is_told_with_what_the_server_printed() {
        let source = SpawnError::TimedOut { what: "the start", after: std::time::Duration::ZERO };
        let alone = Failure::from_spawn(&source);
        let error = SpawnError::GivenUp { log_tail: "words".to_owned(), source: source.into() };
        let failure = Failure::from_spawn(&error);
        assert_eq!(failure.log.as_deref(), Some("words"));
        assert_eq!(Failure { log: None, ..failure }, alone);
    }

    #[test]
    fn nbi_4_a_server_that_misses_the_first_hubs_variables_is_explained() {
        let exit =
            Exit { code: 1, log_tail: "KeyError: 'JPY_USER'\n".to_owned(), ..Exit::default() };
        let failure = Outcome::Exited(exit).as_failure().unwrap();
        assert!(failure.hint.unwrap().contains("before 0.8"));
    }

    #[test]
    fn outcomes_survive_the_store() {
        let culled = Culled { why: CullReason::Idle, minutes: 1 };
        assert!(culled.message().contains("1 minute without use"));
        for outcome in [
            Outcome::Requested,
            Outcome::Vanished,
            Outcome::Failed(Failure::new("no")),
            Outcome::Culled(culled),
            Outcome::Unwell { again: true },
        ] {
            let text = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
            let wish = Wish { then: outcome, remove: true };
            let text = serde_json::to_string(&wish).unwrap();
            assert_eq!(serde_json::from_str::<Wish>(&text).unwrap(), wish);
        }
    }
}
