//! How a server ended.

use serde::{Deserialize, Serialize};

use crate::limits::MemoryLimit;

/// What the kernel's out-of-memory killer and `kill -9` look like from outside.
pub(crate) const KILLED: i64 = 137;

/// What shells, and the init process in a container, say of a command that is
/// not there, or that may not be executed.
const NOT_FOUND: i64 = 127;
const NOT_EXECUTABLE: i64 = 126;

/// How a server ended, and the last it said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code of its process.
    pub code: i64,
    /// Whether it was killed for using more memory than it may.
    pub oom_killed: bool,
    /// Why it never really ran, in the backend's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it ended, in RFC 3339, if the backend tells (SPN-26).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// The end of what it printed: at most 50 lines and 16 KiB, without control
    /// codes. Text from inside the server: never trust it, never take it for HTML.
    #[serde(default)]
    pub log_tail: String,
    /// The memory it might use, in bytes, if that was limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
}

impl Exit {
    /// One sentence for the user: why the server ended (SPN-27). Does not
    /// contain anything the server printed.
    pub fn summary(&self) -> String {
        let limit = self.memory_limit.map(MemoryLimit::from_bytes);
        match (&self.error, limit) {
            (_, Some(limit)) if self.oom_killed => {
                format!("Your server stopped: the memory limit of {limit} was reached.")
            }
            (_, None) if self.oom_killed => {
                "Your server stopped: the host ran out of memory.".to_owned()
            }
            (Some(error), _) => format!("Your server could not run: {error}."),
            (None, Some(limit)) if self.code == KILLED => format!(
                "Your server was killed, most likely because the memory limit of {limit} was \
                 reached."
            ),
            (None, _) if self.code == KILLED => "Your server was killed.".to_owned(),
            (None, _) if self.code == 0 => "Your server stopped by itself.".to_owned(),
            (None, _) if self.code == NOT_FOUND => {
                "Your server could not run: the image has no such command (exit code 127)."
                    .to_owned()
            }
            (None, _) if self.code == NOT_EXECUTABLE => {
                "Your server could not run: its command may not be executed (exit code 126)."
                    .to_owned()
            }
            (None, _) => format!("Your server stopped with exit code {}.", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_27_running_out_of_memory_is_said_with_the_limit() {
        let exit =
            Exit { code: 137, oom_killed: true, memory_limit: Some(1 << 30), ..Exit::default() };
        assert!(exit.summary().contains("memory limit of 1 GiB was reached"), "{exit:?}");
        let killed = Exit { oom_killed: false, ..exit.clone() };
        assert!(killed.summary().contains("most likely"), "{}", killed.summary());
        let unlimited = Exit { memory_limit: None, ..killed };
        assert_eq!(unlimited.summary(), "Your server was killed.");
    }

    #[test]
    fn an_exit_survives_json() {
        let exit = Exit { code: 3, log_tail: "bye\n".to_owned(), ..Exit::default() };
        let text = serde_json::to_string(&exit).unwrap();
        assert_eq!(text, r#"{"code":3,"oom_killed":false,"log_tail":"bye\n"}"#);
        assert_eq!(serde_json::from_str::<Exit>(&text).unwrap(), exit);
        let dated = Exit { finished_at: Some("2026-11-23T00:00:00Z".to_owned()), ..exit };
        let text = serde_json::to_string(&dated).unwrap();
        assert_eq!(serde_json::from_str::<Exit>(&text).unwrap(), dated);
    }
}
