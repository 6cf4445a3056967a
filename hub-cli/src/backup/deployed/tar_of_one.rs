//! Files as the engine takes and gives them: as tar archives. Pure.

use std::io::{self, Read, Write};

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

/// Copies the content of the first file in an archive.
pub(super) fn unpack(archive: impl Read, out: &mut impl Write) -> io::Result<()> {
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
