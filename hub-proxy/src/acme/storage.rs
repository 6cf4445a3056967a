//! The account and the certificate on disk.
//!
//! One directory for each authority, mode 0700; files have 0600 and are complete
//! when they appear. Key and chain are one file, so they always belong together.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{AcmeDirectory, AcmeError};
use crate::{
    private_file,
    tls::{TlsError, pair::Pair},
};

/// What is kept about one authority.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    dir: PathBuf,
}

/// An account as it was made.
#[derive(Deserialize, Serialize)]
pub(super) struct KeptAccount {
    /// What the authority was told.
    pub(super) email: Option<String>,
    /// URL and key, in the form of `instant-acme`.
    pub(super) credentials: serde_json::Value,
}

/// What is in the certificate's file.
#[derive(Debug)]
pub(super) enum Kept {
    Nothing,
    /// Expired or damaged; the reason is for the log.
    Unusable(TlsError),
    Usable(Pair),
}

impl Storage {
    /// Where things are kept; touches nothing.
    pub(super) fn at(dir: &Path, directory: &AcmeDirectory) -> Self {
        Self { dir: dir.join(directory.file_name()) }
    }

    /// Makes the directories that are missing.
    pub(super) fn open(dir: &Path, directory: &AcmeDirectory) -> Result<Self, AcmeError> {
        let Self { dir } = Self::at(dir, directory);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| failed(&dir, error))?;
        Ok(Self { dir })
    }

    pub(super) fn account(&self) -> Result<Option<KeptAccount>, AcmeError> {
        let path = self.account_path();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|source| AcmeError::Storage { path, source: source.into() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    pub(super) fn keep_account(&self, account: &KeptAccount) -> Result<(), AcmeError> {
        let path = self.account_path();
        let text = serde_json::to_string(account)
            .map_err(|source| AcmeError::Storage { path: path.clone(), source: source.into() })?;
        write(&path, &text)
    }

    pub(super) fn forget_account(&self) -> Result<(), AcmeError> {
        let path = self.account_path();
        fs::remove_file(&path).map_err(|error| failed(&path, error))
    }

    pub(super) fn certificate(&self) -> Kept {
        let path = self.certificate_path();
        match Pair::read(&path) {
            Ok(pair) => Kept::Usable(pair),
            Err(TlsError::Missing { .. }) => Kept::Nothing,
            Err(error) => Kept::Unusable(error),
        }
    }

    pub(super) fn keep_certificate(&self, key: &str, chain: &str) -> Result<(), AcmeError> {
        write(&self.certificate_path(), &format!("{key}{chain}"))
    }

    fn account_path(&self) -> PathBuf {
        self.dir.join("account.json")
    }

    pub(super) fn certificate_path(&self) -> PathBuf {
        self.dir.join("certificate.pem")
    }
}

fn write(path: &Path, text: &str) -> Result<(), AcmeError> {
    private_file::stage(path, text, 0o600)
        .and_then(|staged| staged.persist(path).map_err(|error| error.error))
        .map(drop)
        .map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> AcmeError {
    AcmeError::Storage { path: path.into(), source: error.into() }
}
