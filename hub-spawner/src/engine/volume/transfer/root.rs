//! The entry of an archive that is the volume's own directory.
//!
//! The daemon skips it when it unpacks: the directory is there. Its owner and
//! mode matter, since the user writes there, so it is sent once more under the
//! name it has in the helper.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

const BLOCK: usize = 512;

/// The first block of an archive that passes by.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstBlock(Arc<Mutex<Vec<u8>>>);

impl FirstBlock {
    /// The same archive; what passes is looked at.
    pub(super) fn of(
        &self,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let seen = Arc::clone(&self.0);
        archive.inspect(move |part| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(part) = part {
                let missing = BLOCK - seen.len();
                seen.extend(part.iter().take(missing));
            }
        })
    }

    /// An archive of one directory called `name`, with the attributes of the
    /// directory `./`, if the archive that passed began with it.
    pub(super) fn as_archive(&self, name: &str) -> Option<Bytes> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < BLOCK {
            return None;
        }
        let mut header = tar::Header::from_byte_slice(&seen).clone();
        let path = header.path_bytes();
        if !header.entry_type().is_dir() || !matches!(&*path, b"./" | b".") {
            return None;
        }
        header.set_path(format!("{name}/")).ok()?;
        header.set_cksum();
        let mut archive = header.as_bytes().to_vec();
        // Two empty blocks are the end.
        archive.resize(3 * BLOCK, 0);
        Some(archive.into())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn archive(name: &str, kind: tar::EntryType) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o2770);
        header.set_uid(1000);
        header.set_mtime(981_173_106);
        header.set_size(0);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, io::empty()).unwrap();
        builder.into_inner().unwrap()
    }

    async fn seen(archive: Vec<u8>) -> Option<Bytes> {
        let first = FirstBlock::default();
        let parts: Vec<_> = archive.chunks(100).map(|part| Ok(part.to_vec().into())).collect();
        let passed: Vec<_> = first.of(stream::iter(parts)).collect().await;
        let passed: Vec<u8> = passed.into_iter().flat_map(|part| part.unwrap()).collect();
        assert_eq!(passed, archive);
        first.as_archive("helper")
    }

    #[tokio::test]
    async fn bak_2_the_directory_itself_is_sent_under_another_name() {
        let sent = seen(archive("./", tar::EntryType::Directory)).await.unwrap();
        let mut sent = tar::Archive::new(&sent[..]);
        let mut entries = sent.entries().unwrap();
        let entry = entries.next().unwrap().unwrap();
        let header = entry.header();
        assert_eq!(&*header.path_bytes(), b"helper/");
        assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o2770, 1000));
        assert_eq!(header.mtime().unwrap(), 981_173_106);
        assert!(entries.next().is_none());
    }

    #[tokio::test]
    async fn bak_2_an_archive_that_begins_otherwise_says_nothing() {
        assert_eq!(seen(archive("./file", tar::EntryType::Regular)).await, None);
        assert_eq!(seen(archive("sub/", tar::EntryType::Directory)).await, None);
        assert_eq!(seen(vec![0; 100]).await, None);
        assert_eq!(seen(vec![0; 1024]).await, None);
    }
}
