//! What a build is given: a tar archive of a few files.

use anyhow::Context as _;
use bytes::Bytes;

/// Files by path, in the order they were added.
#[derive(Debug, Default)]
pub(super) struct Context {
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Context {
    /// Adds a file.
    pub(super) fn file(mut self, path: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path, content.into()));
        self
    }

    /// The archive.
    pub(super) fn to_tar(&self) -> anyhow::Result<Bytes> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            // The same time always: Docker's cache looks at it.
            header.set_mtime(0);
            archive
                .append_data(&mut header, path, content.as_slice())
                .with_context(|| format!("cannot add {path} to the build"))?;
        }
        Ok(archive.into_inner()?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_holds_what_was_added() {
        let tar = Context::default().file("a", "1").file("host/b", "22").to_tar().unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let found: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (path, text)
            })
            .collect();
        assert_eq!(found, [("a".into(), "1".into()), ("host/b".into(), "22".into())]);
    }
}
