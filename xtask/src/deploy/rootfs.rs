//! The root file system of the image that both containers run from: three
//! programs, the shared libraries they name, and the few files a C library
//! looks at. No shell, no package manager, nothing else.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::layout::UID;

/// Libraries that the C library opens by name when a program looks up a host.
/// Newer ones have them built in.
const RESOLVER: [&str; 3] = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

const PASSWD: &str = "root:x:0:0:root:/:/nonexistent\nhub:x:1000:1000:hub:/:/nonexistent\n";
const GROUP: &str = "root:x:0:\nhub:x:1000:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// Where certificates of authorities are looked for in the image.
const CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Writes the file system as a tar archive and returns its SHA-256 in
/// hexadecimal. The same programs and libraries give the same bytes.
pub(super) fn write(
    archive: &Path,
    programs: &[PathBuf],
    libraries: &[PathBuf],
    ca_bundle: Option<&Path>,
) -> anyhow::Result<String> {
    let file =
        File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = Builder::new(Hashing { inner: file, hash: Sha256::new() });
    for (path, owner, mode) in [
        ("etc/", 0, 0o755),
        ("usr/bin/", 0, 0o755),
        ("tmp/", 0, 0o1777),
        ("run/", 0, 0o755),
        // Fresh volumes take over the owner of what they are mounted on (SPN-8).
        ("data/", UID, 0o700),
        ("srv/hub-proxy/", UID, 0o700),
    ] {
        directory(&mut tar, path, owner, mode)?;
    }
    for (path, text) in
        [("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/nsswitch.conf", NSSWITCH)]
    {
        append(&mut tar, path, 0o644, text.len() as u64, text.as_bytes())?;
    }
    if let Some(bundle) = ca_bundle {
        copy(&mut tar, CA_BUNDLE, bundle, 0o644)?;
    }
    for library in libraries {
        let path = library.strip_prefix("/").unwrap_or(library).display().to_string();
        copy(&mut tar, &path, library, 0o755)?;
    }
    for program in programs {
        let name = program.file_name().context("a program has a file name")?;
        copy(&mut tar, &format!("usr/bin/{}", name.to_string_lossy()), program, 0o755)?;
    }
    let hashing = tar.into_inner()?;
    hashing.inner.sync_all()?;
    Ok(hashing.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The libraries in what `ldd` prints, with those that are opened by name.
pub(super) fn libraries(ldd: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in ldd.lines().map(str::trim) {
        if line.contains("not found") {
            bail!("a library is missing on this machine: {line}");
        }
        let path = line.split_once("=>").map_or(line, |(_, path)| path).trim();
        let path = path.split_whitespace().next().unwrap_or_default();
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// What lies next to the C library and is opened by name.
pub(super) fn resolver_libraries(libraries: &[PathBuf]) -> Vec<PathBuf> {
    let libc = libraries.iter().find(|path| path.ends_with("libc.so.6"));
    let Some(dir) = libc.and_then(|path| path.parent()) else { return Vec::new() };
    RESOLVER.iter().map(|name| dir.join(name)).filter(|path| path.exists()).collect()
}

struct Hashing {
    inner: File,
    hash: Sha256,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn directory(tar: &mut Builder<Hashing>, path: &str, owner: u32, mode: u32) -> io::Result<()> {
    let mut header = header(EntryType::Directory, mode, 0);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    tar.append_data(&mut header, path, io::empty())
}

fn copy(tar: &mut Builder<Hashing>, path: &str, from: &Path, mode: u32) -> anyhow::Result<()> {
    let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let size = file.metadata()?.len();
    append(tar, path, mode, size, file)?;
    Ok(())
}

fn append(
    tar: &mut Builder<Hashing>,
    path: &str,
    mode: u32,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    tar.append_data(&mut header(EntryType::Regular, mode, size), path, content)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const LDD: &str = "\tlinux-vdso.so.1 (0x00007ffd)\n\
        \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f1)\n\
        \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)\n\
        \t/lib64/ld-linux-x86-64.so.2 (0x00007f3)\n";

    #[test]
    fn a_program_takes_its_libraries_and_the_loader_with_it() {
        let found = libraries(LDD).unwrap();
        let expected = [
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert!(libraries("\tstatically linked\n").unwrap().is_empty());
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = libraries("\tlibpq.so.5 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libpq.so.5"), "{error}");
    }

    #[test]
    fn img_1_the_archive_holds_programs_and_no_secret_and_is_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hub-server");
        std::fs::write(&program, "program").unwrap();
        let library = dir.path().join("libx.so");
        std::fs::write(&library, "library").unwrap();
        let make = |name: &str| {
            let archive = dir.path().join(name);
            let hash = write(
                &archive,
                std::slice::from_ref(&program),
                std::slice::from_ref(&library),
                None,
            )
            .unwrap();
            (hash, archive)
        };
        let (first, archive) = make("a.tar");
        assert_eq!(first, make("b.tar").0);
        let mut tar = tar::Archive::new(File::open(archive).unwrap());
        let paths: Vec<(String, u64)> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap())
            })
            .collect();
        assert!(paths.contains(&("usr/bin/hub-server".to_owned(), 0)), "{paths:?}");
        assert!(paths.contains(&("data/".to_owned(), 1000)), "{paths:?}");
        let inside = library.strip_prefix("/").unwrap().display().to_string();
        assert!(paths.iter().any(|(path, _)| *path == inside), "{paths:?}");
    }
}
