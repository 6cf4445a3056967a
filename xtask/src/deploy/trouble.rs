//! What an error means whose words do not say it: an engine that has gone away,
//! a disk that is full.

use std::{fmt, io, time::Duration};

use hub_spawner::engine::{Engine, EngineError};

/// How long the engine may take to show that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// What the engine, and programs in containers, say of a full disk.
const FULL: [&str; 3] = ["no space left on device", "disk is full", "disk quota exceeded"];

/// What may be behind an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The engine may be gone.
    Lost,
    /// The disk of this machine is full.
    FullHere,
    /// That of the engine's machine is.
    FullThere,
}

/// Adds to an error what is behind it, and that the same command goes on.
pub(super) async fn explained(engine: &Engine, error: anyhow::Error) -> anyhow::Error {
    match trouble(&error) {
        None => error,
        Some(Trouble::Lost) => match ask(engine).await {
            None => error,
            Some(silence) => error.context(format!(
                "the Docker engine at {} has stopped answering ({silence}); once it runs, the \
                 same command goes on",
                engine.endpoint()
            )),
        },
        Some(Trouble::FullHere) => {
            error.context("the disk of this machine is full; with room the same command goes on")
        }
        Some(Trouble::FullThere) => {
            let place = engine.info().await.map(|info| info.root_dir).unwrap_or_default();
            let place = if place.is_empty() { String::new() } else { format!(" ({place} there)") };
            error.context(format!(
                "the disk of the Docker engine at {} is full{place}; make room, for example \
                 remove images that nobody uses, and the same command goes on",
                engine.endpoint()
            ))
        }
    }
}

/// Adds to an error that the disk is full, if what its container wrote tells so.
pub(super) fn in_container(error: anyhow::Error, wrote: &str) -> anyhow::Error {
    if tells_of_full_disk(wrote) { error.context(FullDisk) } else { error }
}

/// Whether what a program wrote tells of a full disk.
pub(super) fn tells_of_full_disk(text: &str) -> bool {
    let text = text.to_lowercase();
    FULL.iter().any(|words| text.contains(words))
}

/// What a program in a container has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FullDisk;

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it writes to a disk that is full")
    }
}

fn trouble(error: &anyhow::Error) -> Option<Trouble> {
    if error.downcast_ref() == Some(&FullDisk) {
        return Some(Trouble::FullThere);
    }
    let engines = error.chain().find_map(|cause| cause.downcast_ref::<EngineError>());
    match engines {
        Some(said) if said.text().is_some_and(tells_of_full_disk) => Some(Trouble::FullThere),
        Some(said) if may_be_lost(said) => Some(Trouble::Lost),
        Some(_) => None,
        // Said by this machine, or by a program on it.
        None if error.chain().any(is_full) => Some(Trouble::FullHere),
        None => tells_of_full_disk(&format!("{error:#}")).then_some(Trouble::FullHere),
    }
}

fn is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = cause.downcast_ref().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

fn may_be_lost(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Unreachable { .. } | EngineError::TimedOut { .. } | EngineError::Broken { .. }
    )
}

/// Why the engine does not answer; `None` if it does.
async fn ask(engine: &Engine) -> Option<String> {
    match tokio::time::timeout(SIGN_OF_LIFE, engine.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(EngineError::Unreachable { advice, .. })) => Some(advice.to_owned()),
        Ok(Err(other)) => Some(other.to_string()),
        Err(_) => Some(format!("it is silent for {} s", SIGN_OF_LIFE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_full_disk_is_that_of_the_machine_that_says_so() {
        let here = io::Error::from(io::ErrorKind::StorageFull);
        let here = anyhow::Error::from(here).context("cannot write rootfs.tar");
        assert_eq!(trouble(&here), Some(Trouble::FullHere));
        let text = "write /usr/bin/hub: no space left on device".to_owned();
        let there = EngineError::Refused { action: "import an image", text };
        assert_eq!(trouble(&there.into()), Some(Trouble::FullThere));
        let wrote = "hub-server: /data/hub.sqlite: No space left on device (os error 28)";
        let ended = in_container(anyhow!("it ended with code 1"), wrote).context("the hub");
        assert_eq!(trouble(&ended), Some(Trouble::FullThere));
        let strip = anyhow!("`strip -o hub` ended with exit status: 1: No space left on device");
        assert_eq!(trouble(&strip), Some(Trouble::FullHere));
        assert_eq!(trouble(&anyhow!("another thing")), None);
    }

    #[test]
    fn a_connection_that_broke_may_mean_that_the_engine_is_gone() {
        let source = io::Error::from(io::ErrorKind::ConnectionReset).into();
        let broken = EngineError::Broken { action: "make a container", source };
        let error = anyhow::Error::from(broken).context("the container could not be made");
        assert_eq!(trouble(&error), Some(Trouble::Lost));
    }
}
