//! What has to be right about a volume and a socket before a hub that is not
//! root can use them.
//!
//! A deployment runs this once as root, in a container that ends with it: a data
//! volume of an older deployment belongs to root, and only the engine's host
//! knows which group may use its socket.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
};

use serde::Serialize;

/// The secret of an older deployment, which the hub refuses if others may read it.
const COOKIE_SECRET: &str = "jupyterhub_cookie_secret";

/// A user and a group, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What was found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// How many files and directories got another owner.
    pub changed: u64,
    /// Whom the hub has to run as, and whose the data is now.
    pub run_as: Owner,
    /// The further group that lets this user use the socket.
    pub socket_group: Option<u32>,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct PrepareError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Gives everything below `data` to `owner`; to root, if the group of `socket`
/// may not use it and only root can. Links are not followed. A cookie secret that
/// others could read is made private.
///
/// # Errors
///
/// When a file cannot be looked at or given away; the error names it.
pub fn prepare(data: &Path, owner: Owner, socket: Option<&Path>) -> Result<Prepared, PrepareError> {
    let access = socket.map(look_at_socket).transpose()?;
    let run_as = match access {
        Some(Access { group_may_use: false, .. }) => Owner { uid: 0, gid: 0 },
        Some(Access { group_may_use: true, .. }) | None => owner,
    };
    let changed = give(data, run_as)?;
    make_private(&data.join(COOKIE_SECRET))?;
    let socket_group = access.filter(|access| access.group_may_use).map(|access| access.group);
    Ok(Prepared { changed, run_as, socket_group })
}

/// Takes a secret away from everybody but its owner.
fn make_private(path: &Path) -> Result<(), PrepareError> {
    let failed = |source| PrepareError { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.mode() & 0o077 != 0 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn give(data: &Path, owner: Owner) -> Result<u64, PrepareError> {
    let mut changed = 0;
    let mut waiting = vec![data.to_owned()];
    while let Some(path) = waiting.pop() {
        let failed = |source| PrepareError { path: path.clone(), source };
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        if (found.uid(), found.gid()) != (owner.uid, owner.gid) {
            lchown(&path, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
            changed += 1;
        }
        if found.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                waiting.push(entry.map_err(failed)?.path());
            }
        }
    }
    Ok(changed)
}

/// Who may use a socket besides root.
#[derive(Clone, Copy, Debug)]
struct Access {
    group: u32,
    group_may_use: bool,
}

fn look_at_socket(path: &Path) -> Result<Access, PrepareError> {
    let found =
        fs::metadata(path).map_err(|source| PrepareError { path: path.to_owned(), source })?;
    Ok(Access { group: found.gid(), group_may_use: found.mode() & 0o060 == 0o060 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_get_the_owner_once_and_links_are_left_where_they_point() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("below")).unwrap();
        fs::write(data.join("below/file"), "").unwrap();
        fs::write(data.join(COOKIE_SECRET), "0f").unwrap();
        fs::set_permissions(data.join(COOKIE_SECRET), fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink("/", data.join("root")).unwrap();
        let found = fs::metadata(&data).unwrap();
        let mine = Owner { uid: found.uid(), gid: found.gid() };
        let prepared = prepare(&data, mine, None).unwrap();
        assert_eq!(prepared, Prepared { changed: 0, run_as: mine, socket_group: None });
        assert_eq!(fs::metadata(data.join(COOKIE_SECRET)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_socket_tells_who_may_use_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mode = |bits| {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            look_at_socket(&path).unwrap().group_may_use
        };
        assert!(mode(0o660));
        assert!(!mode(0o600));
        assert!(!mode(0o640));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error =
            prepare(Path::new("/nowhere/data"), Owner { uid: 1, gid: 1 }, None).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/data");
    }
}
