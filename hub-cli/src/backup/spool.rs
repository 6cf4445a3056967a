//! Archives by standard input and output. Each is read more often than once, so it
//! lies in a file for its owner only meanwhile.

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tempfile::TempDir;

/// A file that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    _directory: TempDir,
}

/// Whether the name of a file means standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

impl Spool {
    /// Place for an archive called `name`. There is no file yet.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("hub-backup-")
            .tempdir()
            .context("there is no place for the archive meanwhile; TMPDIR names one")?;
        Ok(Self { path: directory.path().join(name), _directory: directory })
    }

    /// What comes by standard input, as a whole.
    pub(crate) fn of_stdin() -> anyhow::Result<Self> {
        let spool = Self::new("standard-input")?;
        let mut file =
            File::options().write(true).create_new(true).mode(0o600).open(&spool.path)?;
        io::copy(&mut io::stdin().lock(), &mut file)
            .and_then(|_| file.flush())
            .with_context(|| format!("{} could not be written", spool.path.display()))?;
        Ok(spool)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file to standard output.
    pub(crate) fn to_stdout(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        io::copy(&mut BufReader::new(File::open(&self.path)?), &mut out)
            .and_then(|_| out.flush())
            .context("the archive could not be written to standard output")
    }
}
