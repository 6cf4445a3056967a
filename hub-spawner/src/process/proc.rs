//! What the kernel tells about processes: `/proc`.

use std::{collections::BTreeMap, path::Path};

use secrecy::SecretString;

/// A process that cannot be mistaken for a later one with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcessId {
    pub(super) id: i32,
    /// When it began, in the kernel's ticks since the boot.
    pub(super) started: u64,
}

/// A line of `/proc/ID/stat`, cut down: who it is, and its state as a letter.
pub(super) fn read_stat(line: &str) -> Option<(ProcessId, char)> {
    let id = line.split(' ').next()?.parse().ok()?;
    // The name in parentheses may hold anything.
    let rest = &line[line.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of proc(5); the state is the third.
    let started = fields.nth(18)?.parse().ok()?;
    Some((ProcessId { id, started }, state))
}

/// Whether the process still is. One that has ended and was not fetched is not.
pub(super) async fn is_alive(process: &ProcessId) -> bool {
    let stat = tokio::fs::read_to_string(format!("/proc/{}/stat", process.id)).await;
    let found = stat.ok().and_then(|line| read_stat(&line));
    found.is_some_and(|(found, state)| found == *process && !matches!(state, 'Z' | 'X'))
}

/// A name of this run of the kernel, before which no process began.
pub(super) async fn boot() -> String {
    let id = tokio::fs::read_to_string("/proc/sys/kernel/random/boot_id").await;
    id.unwrap_or_default().trim().to_owned()
}

/// The variables a process was started with; none if it is gone or somebody else's.
pub(super) async fn environment(id: i32) -> BTreeMap<String, SecretString> {
    let raw = tokio::fs::read(format!("/proc/{id}/environ")).await.unwrap_or_default();
    let lines = raw.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect()
}

/// The processes that have `variable` with this value in their environment.
pub(super) async fn marked(variable: &str, value: &Path) -> Vec<i32> {
    let mut wanted = format!("{variable}=").into_bytes();
    wanted.extend(value.as_os_str().as_encoded_bytes());
    let look = move || {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_marked = |id: &i32| {
            // Of ended ones there is none to read.
            let raw = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            raw.split(|byte| *byte == 0).any(|line| line == wanted.as_slice())
        };
        ids.filter(is_marked).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_misleads_nobody() {
        let line = "4242 (a) (b c) S 1 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 20";
        let (process, state) = read_stat(line).unwrap();
        assert_eq!((process, state), (ProcessId { id: 4242, started: 98765 }, 'S'));
        for damaged in ["", "4242", "4242 (a", "4242 (a) S 1", "x (a) S 1"] {
            assert_eq!(read_stat(damaged), None, "{damaged:?}");
        }
    }

    #[tokio::test]
    async fn a_process_with_the_same_id_that_began_later_is_another_one() {
        let id = std::process::id();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (own, _) = read_stat(&stat).unwrap();
        assert!(is_alive(&own).await);
        let earlier = ProcessId { started: own.started - 1, ..own };
        assert!(!is_alive(&earlier).await);
        assert!(!boot().await.is_empty());
    }
}
