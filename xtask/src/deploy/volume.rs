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

/// A volume, and who else has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) volume: &'a str,
    /// Where it is mounted.
    pub(super) target: &'a str,
    /// The container that works with it.
    pub(super) container: &'a str,
}

/// A volume, opened.
#[derive(Debug)]
pub(super) struct Volume<'a> {
    engine: &'a Engine,
    /// The container to reach it through; none where that is not made yet.
    id: Option<String>,
    target: &'a str,
}

/// Runs `work` on a volume and closes it again, whatever comes of it. A dry run
/// makes no container to look through: without one, nothing is seen.
pub(super) async fn with<'a, T>(
    operator: &'a Operator,
    layout: &Layout,
    image: &str,
    place: Place<'a>,
    work: impl AsyncFnOnce(&Volume<'a>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let engine = operator.engine();
    if operator.is_dry_run() {
        let id = engine.inspect(place.container).await?.map(|found| found.id);
        return work(&Volume { engine, id, target: place.target }).await;
    }
    let mut spec = ContainerSpec::new("", image);
    spec.labels = operator.helper_labels(layout);
    spec.mounts = vec![Mount {
        source: MountSource::Volume(place.volume.to_owned()),
        target: place.target.to_owned(),
        read_only: false,
    }];
    spec.command = Some(vec!["never-started".to_owned()]);
    let id = engine.create_container_from(&spec).await?;
    let volume = Volume { engine, id: Some(id.clone()), target: place.target };
    let outcome = work(&volume).await;
    let removed = engine.remove_container(&id, true).await;
    let outcome = outcome?;
    removed?;
    Ok(outcome)
}

impl<'a> Volume<'a> {
    /// What a container that is there has mounted at `target`.
    pub(super) fn of_container(engine: &'a Engine, name: &str, target: &'a str) -> Self {
        Self { engine, id: Some(name.to_owned()), target }
    }

    /// The files below some directories, by path below the volume's root. A
    /// directory that is not there has none.
    pub(super) async fn read(&self, directories: &[&str]) -> anyhow::Result<Files> {
        let mut all = Files::new();
        if let Some(id) = &self.id {
            for directory in directories {
                all.extend(self.read_one(id, directory).await?);
            }
        }
        Ok(all)
    }

    async fn read_one(&self, id: &str, directory: &str) -> anyhow::Result<Files> {
        let path = format!("{}/{directory}", self.target);
        let mut parts = self.engine.get_archive(id, &path);
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
        let Some(id) = self.id.as_ref().filter(|_| !files.is_empty()) else { return Ok(()) };
        let archive = Bytes::from(pack(files, owner)?);
        let whole = stream::once(std::future::ready(Ok(archive)));
        self.engine.put_archive(id, self.target, whole).await.map_err(advised)
    }
}

/// Writes what an open volume lacks, or tells it in a dry run.
pub(super) async fn write(
    operator: &Operator,
    volume: &Volume<'_>,
    files: &Files,
    owner: u32,
) -> anyhow::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let target = volume.target;
    operator
        .change(
            format_args!("PUT /containers/(helper)/archive?path={target} ({})", names.join(", ")),
            volume.write(files, owner),
        )
        .await?;
    Ok(())
}

/// What it takes to have some files instead of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) write: Files,
    pub(super) remove: Vec<String>,
    /// And the way back.
    pub(super) back: Back,
}

/// What it takes to undo a [`Difference`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Back {
    pub(super) write: Files,
    pub(super) remove: Vec<String>,
}

impl Difference {
    pub(super) fn between(there: &Files, wanted: &Files) -> Self {
        let (write, remove) = way(there, wanted);
        let (back_write, back_remove) = way(wanted, there);
        Self { write, remove, back: Back { write: back_write, remove: back_remove } }
    }
}

/// What is to be written and removed on the way from some files to others.
fn way(from: &Files, to: &Files) -> (Files, Vec<String>) {
    let write = to.iter().filter(|(path, content)| from.get(*path) != Some(content));
    let remove = from.keys().filter(|path| !to.contains_key(*path));
    (
        write.map(|(path, content)| (path.clone(), content.clone())).collect(),
        remove.cloned().collect(),
    )
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
    fn xt_1_only_what_differs_is_written_and_what_is_gone_is_removed() {
        let there = files(&[("a/1", "x"), ("a/2", "old"), ("a/other", "gone")]);
        let wanted = files(&[("a/1", "x"), ("a/2", "new"), ("b/3", "y")]);
        let difference = Difference::between(&there, &wanted);
        assert_eq!(difference.write, files(&[("a/2", "new"), ("b/3", "y")]));
        assert_eq!(difference.remove, ["a/other"]);
        assert_eq!(difference.back.write, files(&[("a/2", "old"), ("a/other", "gone")]));
        assert_eq!(difference.back.remove, ["b/3"]);
        assert_eq!(Difference::between(&wanted, &wanted), Difference::default());
    }
}
