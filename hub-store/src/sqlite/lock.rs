//! One hub per file: a lock beside the database.
//!
//! SQLite itself would let a second hub in, and both would believe to own every
//! container. The lock is the kernel's, on an open file: it ends with the process,
//! however that ends, and what is left of it is a file without meaning.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::StoreError;

/// The lock on a database file.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock on `database`, or tells who has it.
    pub(super) fn acquire(database: &Path) -> Result<Self, StoreError> {
        let mut file = open(&path_for(database)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let database = database.display().to_string();
                return Err(StoreError::InUse { database, pid: read_pid(&file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { file })
    }

    /// Lets others have the database. What is then wrong with the lock file is
    /// no trouble of ours any more.
    pub(super) fn release(&self) {
        let _ = self.file.unlock();
    }
}

fn path_for(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    // Not truncated: until the lock is ours, the content is another hub's.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The process that has written the file. It may have the lock and not have got
/// that far.
fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Unavailable { action: "lock the database file", source: source.into() }
}
