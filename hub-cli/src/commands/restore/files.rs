//! The files of a hub's archive, back in their places: absent ones are written,
//! equal ones left alone, different ones only replaced when told to, and kept.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{args::UsageError, backup::writer::directory};

/// What keeps the content that was replaced.
const OLD: &str = ".old";

/// A file to be there.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) path: PathBuf,
    pub(super) content: &'a [u8],
    /// For its owner only.
    pub(super) private: bool,
    /// Without the secrets it once had: never better than what is there.
    pub(super) redacted: bool,
    /// Whether it is a program.
    pub(super) executable: bool,
}

/// What has to be done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Write,
    Keep,
    Replace,
}

/// Decides for every file, before any is touched.
///
/// # Errors
///
/// When one is there with another content and must not be replaced.
pub(super) fn plan<'a>(
    wanted: Vec<Wanted<'a>>,
    force: bool,
) -> anyhow::Result<Vec<(Wanted<'a>, Step)>> {
    let mut steps = Vec::new();
    let mut different = Vec::new();
    for file in wanted {
        let step = match fs::read(&file.path) {
            Ok(there) if there == file.content => Step::Keep,
            Ok(_) if file.redacted => Step::Keep,
            Ok(_) => {
                different.push(file.path.display().to_string());
                Step::Replace
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Step::Write,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{} cannot be read", file.path.display()));
            }
        };
        steps.push((file, step));
    }
    if !force && !different.is_empty() {
        let error = UsageError {
            message: format!("there already, and different: {}", different.join(", ")),
            hint: "move them away, or replace them with --force; they are then kept as NAME.old"
                .to_owned(),
        };
        return Err(error.into());
    }
    Ok(steps)
}

/// Does one step.
pub(super) fn perform(file: &Wanted<'_>, step: Step) -> anyhow::Result<()> {
    match step {
        Step::Keep => return Ok(()),
        Step::Write => {}
        Step::Replace => {
            let old = old_name(&file.path)?;
            fs::copy(&file.path, &old)
                .with_context(|| format!("{} cannot be kept", file.path.display()))?;
        }
    }
    write(file).with_context(|| format!("{} cannot be written", file.path.display()))
}

/// A free name for the content that was there.
fn old_name(path: &Path) -> anyhow::Result<PathBuf> {
    let named = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let numbered = (2..1000).map(|number| named(&format!("{OLD}{number}")));
    match std::iter::once(named(OLD)).chain(numbered).find(|name| name.symlink_metadata().is_err())
    {
        Some(free) => Ok(free),
        None => bail!("{} has too many copies already", path.display()),
    }
}

fn write(file: &Wanted<'_>) -> io::Result<()> {
    let directory = directory(&file.path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(file.content)?;
    let mode = match (file.private, file.executable) {
        (true, false) => 0o600,
        (true, true) => 0o700,
        (false, false) => 0o644,
        (false, true) => 0o755,
    };
    temporary.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(&file.path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &Path, private: bool) -> Wanted<'static> {
        Wanted {
            path: path.to_owned(),
            content: b"new",
            private,
            redacted: false,
            executable: false,
        }
    }

    #[test]
    fn absent_files_are_written_and_equal_ones_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/file");
        for expected in [Step::Write, Step::Keep] {
            let steps = plan(vec![wanted(&path, true)], false).unwrap();
            assert_eq!(steps[0].1, expected);
            perform(&steps[0].0, steps[0].1).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_its_secrets_never_replaces_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.toml");
        let redacted = || vec![Wanted { redacted: true, ..wanted(&path, true) }];
        assert_eq!(plan(redacted(), false).unwrap()[0].1, Step::Write);
        fs::write(&path, "with secrets").unwrap();
        for force in [false, true] {
            assert_eq!(plan(redacted(), force).unwrap()[0].1, Step::Keep);
        }
    }

    #[test]
    fn different_files_are_replaced_with_force_only_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (path, absent) = (directory.path().join("file"), directory.path().join("absent"));
        fs::write(&path, "precious").unwrap();
        let both = || vec![wanted(&absent, false), wanted(&path, false)];

        let error = plan(both(), false).unwrap_err().to_string();
        assert!(error.contains("file") && !absent.exists(), "{error}");

        for (file, step) in plan(both(), true).unwrap() {
            perform(&file, step).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(directory.path().join("file.old")).unwrap(), b"precious");
    }
}
