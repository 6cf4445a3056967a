//! Files in containers, as the engine takes and gives them: as tar archives.

use std::{
    future::ready,
    io::{self, Read, Seek as _, Write},
    path::Path,
};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt as _,
    stream::{once, try_unfold},
};
use hub_spawner::engine::Engine;
use tar::{Archive, EntryType, Header};
use tokio::{fs::File, io::AsyncReadExt as _};

/// How much of a file is on its way at a time.
const PART: usize = 1 << 20;
/// What an archive is divided in.
const BLOCK: u64 = 512;

/// An archive of the file at `path`, called `name`, that only `owner` may read.
/// However large the file is, only a part of it is in memory.
pub(super) async fn stream(
    name: &str,
    path: &Path,
    owner: u32,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let begin = once(ready(Ok(Bytes::from(header(name, size, owner)?))));
    // A file that becomes longer meanwhile must not, and one that becomes shorter
    // breaks the archive, which the engine refuses.
    let content = try_unfold(file.take(size), async |mut file| {
        let mut part = BytesMut::with_capacity(PART);
        let read = file.read_buf(&mut part).await?;
        Ok((read > 0).then(|| (part.freeze(), file)))
    });
    let padding = size.next_multiple_of(BLOCK) - size;
    let end = vec![0; padding as usize + 2 * BLOCK as usize];
    Ok(begin.chain(content).chain(once(ready(Ok(Bytes::from(end))))))
}

fn header(name: &str, size: u64, owner: u32) -> io::Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
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

    #[tokio::test]
    async fn bak_5_a_file_is_packed_in_parts_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        for size in [0, 3, 512, 2 * PART + 7] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &content).unwrap();
            let parts = Box::pin(stream("archive", &path, 7).await.unwrap());
            let parts: Vec<Bytes> = parts.map(Result::unwrap).collect().await;
            assert!(parts.iter().all(|part| part.len() <= PART), "{size}");
            let archive = parts.concat();
            assert_eq!(archive.len() as u64 % BLOCK, 0, "{size}");
            let mut out = Vec::new();
            unpack(archive.as_slice(), &mut out).unwrap();
            assert_eq!(out, content);
            let mut archive = Archive::new(archive.as_slice());
            for entry in archive.entries().unwrap() {
                let header = entry.unwrap().header().clone();
                assert_eq!((header.uid().unwrap(), header.mode().unwrap()), (7, 0o600));
            }
        }
        assert!(unpack([0; 1024].as_slice(), &mut Vec::new()).is_err());
    }
}
