//! A record of what happened to servers, one JSON object a line, as JupyterHub
//! writes it (hub-contract 10).
//!
//! The file is opened for each batch of lines, so whoever rotates it needs to tell
//! nobody, and a changed path holds from the next event on.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
};

use hub_names::ServerKey;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{live::Current, tasks::Tasks};

const SCHEMA: &str = "https://schema.jupyter.org/jupyterhub/events/server-action";
const SCHEMA_VERSION: &str = "1";
/// Of the envelope, the fields with underscores.
const METADATA_VERSION: u32 = 1;

/// What happened to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It came up.
    Start,
    /// It was up, and is no more.
    Stop,
}

/// Where to tell events. Clones tell them to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Events(mpsc::UnboundedSender<String>);

/// What was told and is not written yet.
#[derive(Debug)]
pub(crate) struct Told(mpsc::UnboundedReceiver<String>);

/// A place to tell events, and where they come out.
pub(crate) fn channel() -> (Events, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Events(sender), Told(receiver))
}

impl Events {
    /// Tells what happened to a server.
    pub(crate) fn server(&self, action: Action, key: &ServerKey, at: Timestamp) {
        // When nobody writes any more the hub is at its end.
        let _ = self.0.send(line(action, key, at));
    }
}

/// Writes what is told, until the hub stops and all is written.
pub(crate) fn keep_writing(tasks: &Tasks, current: &Current, Told(mut told): Told) {
    let current = current.clone();
    tasks.spawn(|stop| async move {
        loop {
            let first = tokio::select! {
                biased;
                first = told.recv() => first,
                () = stop.cancelled() => return,
            };
            let Some(mut lines) = first else { return };
            while let Ok(line) = told.try_recv() {
                lines += &line;
            }
            write(&current, lines).await;
        }
    });
}

async fn write(current: &Current, lines: String) {
    let live = current.get();
    if live.events.log {
        for line in lines.lines() {
            tracing::info!(event = line, "server event");
        }
    }
    let Some(file) = live.events.file.clone() else { return };
    let shown = file.display().to_string();
    let written = tokio::task::spawn_blocking(move || append(file, &lines)).await;
    if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
        tracing::error!(
            file = %shown,
            error = &error as &(dyn std::error::Error + 'static),
            "events.file: events are lost; see that the hub may write there"
        );
    }
}

fn append(file: PathBuf, lines: &str) -> io::Result<()> {
    // In one call, so that nobody who reads along meets half a line.
    OpenOptions::new().append(true).create(true).open(file)?.write_all(lines.as_bytes())
}

fn line(action: Action, key: &ServerKey, at: Timestamp) -> String {
    let event = json!({
        "__timestamp__": at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        "__schema__": SCHEMA,
        "__schema_version__": SCHEMA_VERSION,
        "__metadata_version__": METADATA_VERSION,
        "action": match action {
            Action::Start => "start",
            Action::Stop => "stop",
        },
        "username": key.user(),
        "servername": key.server(),
    });
    format!("{event}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_jupyterhubs_envelope() {
        let key = ServerKey::new("ada".parse().unwrap(), "lab".parse().unwrap());
        let at = "2026-11-22T22:18:34.0616Z".parse().unwrap();
        let line = line(Action::Start, &key, at);
        assert!(line.ends_with("}\n"));
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "__timestamp__": "2026-11-22T22:18:34.061600Z",
            "__schema__": "https://schema.jupyter.org/jupyterhub/events/server-action",
            "__schema_version__": "1",
            "__metadata_version__": 1,
            "action": "start",
            "username": "ada",
            "servername": "lab",
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.jsonl");
        append(file.clone(), "1\n2\n").unwrap();
        std::fs::rename(&file, dir.path().join("events.jsonl.1")).unwrap();
        append(file.clone(), "3\n").unwrap();
        append(file.clone(), "4\n").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "3\n4\n");
    }
}
