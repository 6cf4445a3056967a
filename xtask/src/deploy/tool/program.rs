//! The operator's tool as a program of this machine.

use std::path::{Path, PathBuf};

use super::super::{
    operator::Operator,
    release::{self, Source},
};

/// A command line that only a tool of this checkout understands.
const PROBE: &str = "backup all --deployment x --environment-only --directory x -o x --help";

/// A tool that runs here. Built only if there is none yet: what goes into the image
/// may be of another profile, or for another processor.
pub(super) async fn find(operator: &Operator, source: &Source) -> anyhow::Result<PathBuf> {
    let target = release::target_directory().await?;
    let (first, profile) = match source {
        Source::Directory(directory) => (directory.clone(), "release"),
        Source::Profile(profile) => (target.join(release::directory_of(profile)), profile.as_str()),
    };
    for directory in [first, target.join("release"), target.join("debug")] {
        let program = directory.join("hub");
        if is_usable(&program).await {
            return Ok(program);
        }
    }
    Ok(release::build(operator, profile, &["hub-cli"]).await?.join("hub"))
}

/// Whether a program runs here and knows what it will be told.
async fn is_usable(program: &Path) -> bool {
    let mut command = tokio::process::Command::new(program);
    command.args(PROBE.split(' ')).kill_on_drop(true);
    command.output().await.is_ok_and(|ended| ended.status.success())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[tokio::test]
    async fn dm_1_a_tool_for_another_processor_or_of_another_release_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hub");
        assert!(!is_usable(&program).await, "it is not there");
        for (content, expected) in [
            (&b"\x7fELF\x02\x01 for another"[..], false),
            (b"#!/bin/sh\nexit 2\n", false),
            (b"#!/bin/sh\nexit 0\n", true),
        ] {
            fs::write(&program, content).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
            assert_eq!(is_usable(&program).await, expected, "{content:?}");
        }
    }
}
