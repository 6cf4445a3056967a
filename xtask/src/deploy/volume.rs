//! Files in a volume, read and written through a container that is made for it
//! and never started: the same for a daemon on another machine.

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hub_spawner::engine::{ContainerSpec, Engine, EngineError, Mount, MountSource};
use tar::{Archive, Builder, EntryType, Header};

use super::{
    files::Files,
    layout::Layout,
    operator::{Operator, advised},
};

/// More than this is no configuration.
const LARGEST: usize = 64 << 20;

/// A volume, opened.
#[derive(Debug)]
pub(super) struct Volume<'a> {
    engine: &'a Engine,
    id: String,
    target: &'a str,
}

/// Runs `work` on a volume and closes it again, whatever comes of it.
pub(super) async fn with<'a, T>(
    engine: &'a Engine,
    layout: &Layout,
    image: &str,
    (name, target): (&str, &'a str),
    work: impl AsyncFnOnce(&Volume<'a>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut spec = ContainerSpec::new("", image);
    spec.labels = layout.labels("helper");
    spec.mounts = vec![Mount {
        source: MountSource::Volume(name.to_owned()),
        target: target.to_owned(),
        read_only: false,
    }];
    spec.command = Some(vec!["never-started".to_owned()]);
    let id = engine.create_container_from(&spec).await?;
    let volume = Volume { engine, id, target };
    let outcome = work(&volume).await;
    let removed = engine.remove_container(&volume.id, true).await;
    let outcome = outcome?;
    removed?;
    Ok(outcome)
}

impl<'a> Volume<'a> {
    /// What a container that is there has mounted at `target`.
    pub(super) fn of_container(engine: &'a Engine, name: &str, target: &'a str) -> Self {
        Self { engine, id: name.to_owned(), target }
    }

    /// The files below a directory, by path below the volume's root. A directory
    /// that is not there has none.
    pub(super) async fn read(&self, directory: &str) -> anyhow::Result<Files> {
        let path = format!("{}/{directory}", self.target);
        let mut parts = self.engine.get_archive(&self.id, &path);
        let mut archive = Vec::new();
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => archive.extend_from_slice(&part),
                Err(EngineError::NotFound { .. }) => return Ok(Files::new()),
                Err(error) => return Err(error.into()),
            }
            anyhow::ensure!(
                archive.len() <= LARGEST,
                "{path} holds more than a configuration does"
            );
        }
        // Names begin with the directory's own, its last part.
        let parent =
            directory.rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
        let files = unpack(&archive)?;
        Ok(files.into_iter().map(|(path, content)| (format!("{parent}{path}"), content)).collect())
    }

    /// Writes files that only `owner` may read.
    pub(super) async fn write(&self, files: &Files, owner: u32) -> anyhow::Result<()> {
        let archive = Bytes::from(pack(files, owner)?);
        let whole = stream::once(std::future::ready(Ok(archive)));
        self.engine.put_archive(&self.id, self.target, whole).await.map_err(advised)
    }
}

/// Makes the files in an open volume what they should be; the names of those
/// that were not.
pub(super) async fn sync(
    operator: &Operator,
    volume: &Volume<'_>,
    wanted: &Files,
    owner: u32,
) -> anyhow::Result<Vec<String>> {
    let mut there = Files::new();
    let mut directories: Vec<&str> =
        wanted.keys().filter_map(|path| path.split_once('/')).map(|(top, _)| top).collect();
    directories.dedup();
    for directory in directories {
        there.extend(volume.read(directory).await?);
    }
    let stale = stale(&there, wanted);
    if stale.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = stale.keys().cloned().collect();
    operator
        .change(
            format_args!(
                "PUT /containers/(helper)/archive?path={} ({})",
                volume.target,
                names.join(", ")
            ),
            volume.write(&stale, owner),
        )
        .await?;
    Ok(names)
}

/// What is wanted and not there like this.
fn stale(there: &Files, wanted: &Files) -> Files {
    wanted
        .iter()
        .filter(|(path, content)| there.get(*path) != Some(content))
        .map(|(path, content)| (path.clone(), content.clone()))
        .collect()
}

fn pack(files: &Files, owner: u32) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut made = BTreeSet::new();
    for (path, content) in files {
        let mut above = String::new();
        for part in path.split('/').take(path.matches('/').count()) {
            above = format!("{above}{part}/");
            if made.insert(above.clone()) {
                let mut header = header(EntryType::Directory, 0o700, 0, owner);
                tar.append_data(&mut header, &above, io::empty())?;
            }
        }
        let mode = if path.starts_with("bin/") { 0o700 } else { 0o600 };
        let mut header = header(EntryType::Regular, mode, content.len() as u64, owner);
        tar.append_data(&mut header, path, content.as_slice())?;
    }
    tar.into_inner()
}

fn header(kind: EntryType, mode: u32, size: u64, owner: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header
}

fn unpack(archive: &[u8]) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = entry.path()?.to_str().context("a file name is not UTF-8")?.to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(given: &[(&str, &str)]) -> Files {
        given.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_private() {
        let given = files(&[("config/hub.toml", "x"), ("config/pages/a.html", "y")]);
        let archive = pack(&given, 7).unwrap();
        assert_eq!(unpack(&archive).unwrap(), given);
        for entry in Archive::new(archive.as_slice()).entries().unwrap() {
            let header = entry.unwrap().header().clone();
            assert_eq!(header.uid().unwrap(), 7);
            assert_eq!(header.mode().unwrap() & 0o077, 0);
        }
    }

    #[test]
    fn xt_1_only_what_differs_is_written() {
        let there = files(&[("a/1", "x"), ("a/2", "old"), ("a/other", "kept")]);
        let wanted = files(&[("a/1", "x"), ("a/2", "new"), ("b/3", "y")]);
        assert_eq!(stale(&there, &wanted), files(&[("a/2", "new"), ("b/3", "y")]));
    }
}
