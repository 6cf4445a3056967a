//! Files in containers, as the engine takes and gives them: as tar archives.

use std::io::{self, Read, Seek as _, Write};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use hub_spawner::engine::Engine;
use tar::{Archive, Builder, EntryType, Header};

/// An archive of files that only `owner` may read.
pub(super) fn pack(files: &[(&str, Vec<u8>)], owner: u32) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        header.set_mtime(0);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        tar.append_data(&mut header, name, content.as_slice())?;
    }
    tar.into_inner()
}

/// The content of a file in a container, whether or not that runs.
pub(super) async fn read(engine: &Engine, id: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    fetch(engine, id, path, &mut content).await?;
    Ok(content)
}

/// Copies a file in a container to `out`.
pub(super) async fn fetch(
    engine: &Engine,
    id: &str,
    path: &str,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut parts = engine.get_archive(id, path);
    let mut archive = tempfile::tempfile()?;
    while let Some(part) = parts.next().await {
        archive.write_all(&part?)?;
    }
    archive.rewind()?;
    unpack(archive, out).with_context(|| format!("{path} could not be copied"))
}

/// Copies the content of the first file in an archive.
fn unpack(archive: impl Read, out: &mut impl Write) -> io::Result<()> {
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() == EntryType::Regular {
            return io::copy(&mut entry, out).map(drop);
        }
    }
    Err(io::Error::other("the engine gave an archive without a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_private() {
        let archive = pack(&[("a", b"one".to_vec()), ("b", b"two".to_vec())], 7).unwrap();
        let mut out = Vec::new();
        unpack(archive.as_slice(), &mut out).unwrap();
        assert_eq!(out, b"one");
        for entry in Archive::new(archive.as_slice()).entries().unwrap() {
            let header = entry.unwrap().header().clone();
            assert_eq!((header.uid().unwrap(), header.mode().unwrap()), (7, 0o600));
        }
        assert!(unpack(pack(&[], 7).unwrap().as_slice(), &mut Vec::new()).is_err());
    }
}
