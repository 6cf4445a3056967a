//! Whom new volumes and host directories belong to (SPN-9).
//!
//! Nothing of an image runs for it: a container that is never started lends its
//! mounts, and the daemon unpacks an archive of one directory there.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Deserializer, de};

use crate::engine::{Engine, EngineError, Labels};

/// A user and a group by number. Written `uid`, `uid:gid`, or empty for root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// How host paths that do not exist are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreateHostDirs {
    /// Whom they belong to. Default `1000:100`.
    pub owner: Account,
    /// Their mode. Default 0o700.
    pub mode: u32,
}

/// The directory at which a helper mounts the parent of a host path. No image has it.
const DIRECTORY: &str = "hub-host-helper";

impl Default for Account {
    /// Whom the notebook images of the Jupyter project run as.
    fn default() -> Self {
        Self { uid: 1000, gid: 100 }
    }
}

impl Default for CreateHostDirs {
    fn default() -> Self {
        Self { owner: Account::default(), mode: 0o700 }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self { uid: 0, gid: 0 });
        }
        let wrong = |_| format!("{text:?} is no account; write uid or uid:gid, in numbers");
        let (uid, gid) = text.split_once(':').unwrap_or((text, "100"));
        Ok(Self { uid: uid.parse().map_err(wrong)?, gid: gid.parse().map_err(wrong)? })
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The kind of a container that lends a directory of the host for a moment.
pub(super) const HOST_HELPER: &str = "host-helper";

/// An archive that, unpacked in a volume, gives the volume to `owner`.
pub(super) fn of_volume(owner: Account) -> Bytes {
    directory("./", owner, 0o755)
}

/// Makes the host directory `path` as `how` says, if it does not exist. The directory
/// above it is made by the daemon where it has to be.
pub(super) async fn create_host_dir(
    engine: &Engine,
    image: &str,
    path: &str,
    how: CreateHostDirs,
    labels: &Labels,
) -> Result<(), EngineError> {
    let path = path.trim_end_matches('/');
    let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
        return Ok(());
    };
    let parent = if parent.is_empty() { "/" } else { parent };
    let id = engine.host_helper(image, parent, DIRECTORY, labels).await?;
    let made = async {
        if engine.has_path(&id, &format!("/{DIRECTORY}/{name}")).await? {
            return Ok(());
        }
        let archive = directory(&format!("{name}/"), how.owner, how.mode);
        engine.put_archive(&id, &format!("/{DIRECTORY}"), stream::iter([Ok(archive)])).await
    };
    let outcome = made.await;
    let removed = engine.remove_container(&id, true).await;
    outcome.and(removed)
}

/// An archive of one directory.
fn directory(name: &str, owner: Account, mode: u32) -> Bytes {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(mode);
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    header.set_size(0);
    // `set_path` would take the `./` away, by which a volume's own directory is known.
    if let Some(gnu) = header.as_gnu_mut() {
        for (to, from) in gnu.name.iter_mut().zip(name.as_bytes()) {
            *to = *from;
        }
    }
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    // Two empty blocks are the end.
    archive.resize(archive.len() * 3, 0);
    archive.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_9_accounts_are_numbers() {
        let account = |text: &str| text.parse::<Account>().ok().map(|a| (a.uid, a.gid));
        assert_eq!(account("1000:100"), Some((1000, 100)));
        assert_eq!(account("1234"), Some((1234, 100)));
        assert_eq!(account(""), Some((0, 0)));
        for wrong in ["jovyan", "1:", ":1", "-1", "1:2:3"] {
            assert_eq!(account(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spn_9_an_archive_holds_one_directory_of_the_owner() {
        for name in ["./", "ada/"] {
            let archive = directory(name, Account { uid: 7, gid: 8 }, 0o2770);
            let mut archive = tar::Archive::new(&archive[..]);
            let mut entries = archive.entries().unwrap();
            let entry = entries.next().unwrap().unwrap();
            let header = entry.header();
            assert_eq!(&*header.path_bytes(), name.as_bytes());
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (7, 8));
            assert_eq!(header.mode().unwrap(), 0o2770);
            assert!(header.entry_type().is_dir() && entries.next().is_none());
        }
    }
}
