//! Files that belong to a hub without being named one by one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const KEY: &[u8] = b"PRIVATE KEY-----";

/// The file at `path`, or all files below it, by name. Links are not followed.
pub(super) fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(path, &mut found).with_context(|| format!("{} cannot be read", path.display()))?;
    found.sort();
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Whether this is what a server shows to everybody: certificates, and no key.
pub(super) fn is_certificate(content: &[u8]) -> bool {
    let has = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
    has(CERTIFICATE) && !has(KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bak_3_only_certificates_without_a_key_are_for_everybody() {
        let certificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN EC PRIVATE KEY-----\nx\n";
        assert!(is_certificate(certificate.as_bytes()));
        for secret in [key, &format!("{certificate}{key}"), "{\"account\": 1}", ""] {
            assert!(!is_certificate(secret.as_bytes()), "{secret}");
        }
    }

    #[test]
    fn all_files_of_a_directory_are_found_and_no_links() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/b/one"), "").unwrap();
        fs::write(path("two"), "").unwrap();
        std::os::unix::fs::symlink("/", path("root")).unwrap();
        assert_eq!(files(directory.path()).unwrap(), [path("a/b/one"), path("two")]);
        assert_eq!(files(&path("two")).unwrap(), [path("two")]);
        assert!(files(&path("none")).is_ok_and(|found| found == [path("none")]));
    }
}
