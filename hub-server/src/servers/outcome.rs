//! How a server's last run ended, kept for the page and the next start.

use hub_spawner::{Exit, SpawnError};
use serde::{Deserialize, Serialize};

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
}

impl Failure {
    /// A failure with nothing but a message.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: None, log: None }
    }

    pub(super) fn from_spawn(error: &SpawnError) -> Self {
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
        Self { message: error.user_message(), hint, exit, log: None }
    }
}

impl Outcome {
    /// A start that ended with the hub, before there was a server.
    pub(super) fn interrupted() -> Self {
        Self::Failed(Failure {
            hint: Some("Start it again.".to_owned()),
            ..Failure::new("The hub was restarted while your server was starting.")
        })
    }

    /// The end of a server that was up, as a failure to show; `None` when
    /// somebody wanted it.
    pub(crate) fn as_failure(&self) -> Option<Failure> {
        match self {
            Self::Requested | Self::Cancelled => None,
            Self::Failed(failure) => Some(failure.clone()),
            Self::Exited(exit) => Some(Failure {
                message: exit_message(exit),
                hint: Some(exit_hint(exit)),
                exit: Some(exit.clone()),
                log: None,
            }),
            Self::Vanished => Some(Failure {
                message: "Your server was removed outside of the hub.".to_owned(),
                hint: Some("Your files are kept. Start the server again to go on.".to_owned()),
                exit: None,
                log: None,
            }),
        }
    }
}

fn exit_message(exit: &Exit) -> String {
    match (exit.oom_killed, exit.memory_limit) {
        (true, Some(bytes)) => {
            format!("Your server stopped: it reached its memory limit of {}.", binary_size(bytes))
        }
        (true, None) => "Your server stopped: the machine ran out of memory.".to_owned(),
        (false, _) => format!("Your server stopped with exit code {}.", exit.code),
    }
}

fn exit_hint(exit: &Exit) -> String {
    if exit.oom_killed {
        "Close notebooks that you do not need, or work on less data at a time.".to_owned()
    } else {
        "The last lines of its log tell more.".to_owned()
    }
}

fn binary_size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    UNITS.iter().find(|(_, unit)| bytes >= *unit).map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| {
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let value = bytes as f64 / *unit as f64;
            let text = format!("{value:.1}");
            format!("{} {name}", text.trim_end_matches(".0"))
        },
    )
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
            log_tail: String::new(),
            memory_limit: Some(1 << 30),
        };
        let failure = Outcome::Exited(exit).as_failure().unwrap();
        assert_eq!(failure.message, "Your server stopped: it reached its memory limit of 1 GiB.");
    }

    #[test]
    fn outcomes_survive_the_store() {
        for outcome in [Outcome::Requested, Outcome::Vanished, Outcome::Failed(Failure::new("no"))]
        {
            let text = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
        }
    }
}
