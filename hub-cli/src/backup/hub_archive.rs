//! The archive of a hub: a tar file with a manifest, the store and files.
//!
//! ```text
//! manifest.json      what follows, with sizes and checksums
//! files/1, files/2   configuration, list of users, certificate, secrets
//! store.jsonl        the store, see hub-store
//! ```

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, Write},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::{
    inventory::Inventory,
    manifest::{self, Manifest, Member, Role},
    writer::ArchiveWriter,
};

/// A manifest is read into memory; more than this is none.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// The same for a file of the configuration.
const LARGEST_FILE: u64 = 64 << 20;

/// Writes the archive of a hub. `store` holds the exported store, of which
/// everything is read; the archive of a directory has none.
pub(crate) fn write(
    out: &mut ArchiveWriter,
    mut manifest: Manifest,
    inventory: &Inventory,
    store: Option<&mut File>,
) -> anyhow::Result<Manifest> {
    manifest.left_out.clone_from(&inventory.left_out);
    manifest.fingerprints.clone_from(&inventory.fingerprints);
    for (number, item) in inventory.items.iter().enumerate() {
        manifest.members.push(Member {
            name: format!("files/{}", number + 1),
            role: item.role,
            place: Some(item.place.clone()),
            redacted: item.redacted,
            executable: item.executable,
            size: item.content.len() as u64,
            sha256: hex(&Sha256::digest(&item.content)),
        });
    }
    let store = match store {
        Some(store) => {
            store.rewind()?;
            let (size, sha256) = digest(&mut *store)?;
            manifest.members.push(Member {
                name: manifest::STORE.to_owned(),
                role: Role::Store,
                place: None,
                redacted: false,
                executable: false,
                size,
                sha256,
            });
            Some((store, size))
        }
        None => None,
    };

    let mut tar = tar::Builder::new(out);
    let text = serde_json::to_vec_pretty(&manifest)?;
    append(&mut tar, &manifest, manifest::NAME, text.len() as u64, &text[..])?;
    let files = manifest.members.iter().zip(&inventory.items);
    for (member, item) in files {
        append(&mut tar, &manifest, &member.name, member.size, &item.content[..])?;
    }
    if let Some((store, size)) = store {
        store.rewind()?;
        append(&mut tar, &manifest, manifest::STORE, size, store)?;
    }
    tar.finish()?;
    Ok(manifest)
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    manifest: &Manifest,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(manifest.created.as_second().try_into().unwrap_or(0));
    tar.append_data(&mut header, name, content)
}

/// What an archive holds, after every member was compared with its checksum.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    /// The content of the files, by the name of the member.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// Reads a whole archive and checks it; the store is copied to `store`.
///
/// # Errors
///
/// When it is not a hub's archive, or not as it was written.
pub(crate) fn check(archive: impl Read, store: &mut impl Write) -> anyhow::Result<Checked> {
    let mut tar = tar::Archive::new(archive);
    let mut entries = tar.entries()?;
    let mut first = entries
        .next()
        .context("the archive is empty")?
        .context("this is no tar archive, or a damaged one")?;
    if first.path_bytes().as_ref() != manifest::NAME.as_bytes() {
        bail!("this is no backup of a hub: it does not begin with {}", manifest::NAME);
    }
    let text = contents(&mut first, LARGEST_MANIFEST)?;
    let manifest = Manifest::parse(&text).map_err(anyhow::Error::msg)?;
    let mut expected = manifest.members.iter();
    let mut files = BTreeMap::new();
    for entry in entries {
        let mut entry = entry.context("the archive is damaged")?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(member) = expected.next().filter(|member| member.name == name) else {
            bail!("the archive is damaged: the manifest does not expect {name} there");
        };
        let (size, sha256) = if member.role == Role::Store {
            let mut copy = Tee { reader: &mut entry, copy: &mut *store };
            digest(&mut copy).context("the archive is damaged")?
        } else {
            let content = contents(&mut entry, LARGEST_FILE)?;
            let facts = (content.len() as u64, hex(&Sha256::digest(&content)));
            files.insert(name.clone(), content);
            facts
        };
        if size != member.size || sha256 != member.sha256 {
            bail!("the archive is damaged: {name} is not what the manifest says");
        }
    }
    match expected.next() {
        Some(missing) => bail!("the archive is damaged: {} is missing", missing.name),
        None => Ok(Checked { manifest, files }),
    }
}

fn contents(entry: &mut impl Read, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    entry.take(most + 1).read_to_end(&mut content).context("the archive is damaged")?;
    if content.len() as u64 > most {
        bail!("the archive is damaged: a member is larger than {most} bytes");
    }
    Ok(content)
}

/// Length and checksum of all there is.
fn digest(input: &mut impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok((size, hex(&hash.finalize()))),
            read => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

/// Reads, and writes what was read.
struct Tee<'a, R, W> {
    reader: &'a mut R,
    copy: &'a mut W,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.copy.write_all(&buffer[..read])?;
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::backup::{form::Form, inventory::Item, reader};

    fn archive(directory: &Path) -> Vec<u8> {
        let path = directory.join("hub.tar");
        let mut out =
            ArchiveWriter::create(&path, Form::of_name("hub.tar").unwrap(), None).unwrap();
        let mut store = tempfile::tempfile().unwrap();
        store.write_all(b"{}\n[1]\n").unwrap();
        let content = b"ada admin\n".to_vec();
        let place = "userlist".into();
        let item = Item::new(Role::Userlist, place, content);
        let inventory = Inventory { items: vec![item], ..Inventory::default() };
        let manifest = Manifest::new("hub 1".to_owned(), Timestamp::UNIX_EPOCH, false);
        write(&mut out, manifest, &inventory, Some(&mut store)).unwrap();
        out.finish().unwrap();
        let mut bytes = Vec::new();
        let ask = || bail!("not encrypted");
        reader::open(&path, ask).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn bak_3_what_is_written_is_found_and_its_checksums_agree() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Vec::new();
        let checked = check(&archive(directory.path())[..], &mut store).unwrap();
        assert_eq!(store, b"{}\n[1]\n");
        let userlist = checked.manifest.member(Role::Userlist).unwrap();
        assert_eq!(checked.files[&userlist.name], b"ada admin\n");
    }

    #[test]
    fn bak_3_every_flipped_bit_of_a_content_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let whole = archive(directory.path());
        for needle in [&b"ada admin"[..], b"[1]\n", b"\"with_secrets\""] {
            let at = whole.windows(needle.len()).position(|window| window == needle).unwrap();
            let mut damaged = whole.clone();
            damaged[at + 1] ^= 1;
            assert!(check(&damaged[..], &mut io::sink()).is_err());
        }
    }

    #[test]
    fn bak_3_an_archive_that_was_cut_off_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let whole = archive(directory.path());
        for length in [0, 100, 512, 1024, 2048, 3000] {
            let cut = &whole[..length.min(whole.len())];
            assert!(check(cut, &mut io::sink()).is_err(), "{length}");
        }
    }
}
