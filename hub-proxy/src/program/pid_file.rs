//! Who serves, for supervisors and scripts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file with our id, as long as it is ours.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the decimal id, without a line break. A successor overwrites it.
    pub(super) fn write(path: &Path) -> io::Result<Self> {
        fs::write(path, std::process::id().to_string())?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    /// Removes the file unless another process has written it since (Z-06).
    fn drop(&mut self) {
        let is_ours =
            fs::read_to_string(&self.0).is_ok_and(|pid| pid == std::process::id().to_string());
        if is_ours && let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the pid file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_06_the_file_is_removed_only_while_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    }
}
