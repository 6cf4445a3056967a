//! Whose the files in a run of `hub backup all` are, for those whose names had to
//! be cut.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use hub_store::UserName;
use serde::{Deserialize, Serialize};

/// What the list is called in the folder of a run.
const NAME: &str = "users.json";

/// Whose each file is, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunIndex(BTreeMap<String, Owner>);

/// Whose one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) user: UserName,
    /// Which volume, if the user has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) volume: Option<String>,
}

impl RunIndex {
    pub(crate) fn insert(&mut self, file: String, owner: Owner) {
        self.0.insert(file, owner);
    }

    pub(crate) fn get(&self, file: &str) -> Option<&Owner> {
        self.0.get(file)
    }

    /// Writes the list to the folder of a run; an empty one is none.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let path = folder.join(NAME);
        let text = serde_json::to_vec_pretty(self)?;
        fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Reads the list of a run; runs of older programs have none.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is not as it was written", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
}
