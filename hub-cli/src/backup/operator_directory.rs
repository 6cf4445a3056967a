//! Which files of the directory that a hub is deployed from belong to it. Of what
//! else lies there nobody knows whose it is.

use std::{fs, path::Path};

use anyhow::bail;

use super::{
    included,
    inventory::{Inventory, Item},
    manifest::Role,
};

const CONFIG: &str = "hub.toml";
const VARIABLES: &str = ".env";
const USERLIST: &str = "userlist";
/// Variables, keys and certificates.
const SECRETS: &str = "secrets";
/// What the image of the servers is made of.
const IMAGE: &str = "singleuser";

/// Collects the files of a directory.
///
/// # Errors
///
/// When there is none of them, or one cannot be read.
pub(crate) fn collect(directory: &Path, with_secrets: bool) -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::default();
    let there = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
    if let Some(path) = there(CONFIG) {
        inventory.config_file(&path, directory, with_secrets)?;
    }
    if let Some(path) = there(VARIABLES) {
        inventory.variables(&path, directory, with_secrets)?;
    }
    if let Some(path) = there(USERLIST) {
        inventory.file(Role::Userlist, &path, directory)?;
    }
    for path in there(SECRETS).iter().map(|path| included::files(path)).flat_map(each) {
        let path = path?;
        match path.extension().is_some_and(|ending| ending == "env") {
            true => inventory.variables(&path, directory, with_secrets)?,
            false => inventory.include(&path, directory, with_secrets)?,
        }
    }
    for path in there(IMAGE).iter().map(|path| included::files(path)).flat_map(each) {
        let path = path?;
        let place = path.strip_prefix(directory)?.to_owned();
        let executable = is_executable(&path)?;
        let content = fs::read(&path)?;
        inventory.items.push(Item { executable, ..Item::new(Role::Image, place, content) });
    }
    if inventory.items.is_empty() && inventory.left_out.is_empty() {
        bail!(
            "{} holds none of {CONFIG}, {VARIABLES}, {USERLIST}, {SECRETS}/ and {IMAGE}/; name the \
             directory that the hub is deployed from",
            directory.display()
        );
    }
    Ok(inventory)
}

/// The items of a list, or the one error instead.
fn each<T>(list: anyhow::Result<Vec<T>>) -> Vec<anyhow::Result<T>> {
    match list {
        Ok(list) => list.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn is_executable(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o100 != 0)
}
