//! What is in a volume's archive, looked through before anything is written.
//!
//! Archives come from people too: the recipe that the reference deployment had
//! for its notebooks makes names that begin with `notebooks/`; those of `hub
//! backup` begin with `./`.

use std::{borrow::Cow, collections::HashSet, io::Read};

use anyhow::{Context, bail};
use tar::EntryType;

use super::volume_stream;

/// The directory that the recipe puts everything in.
const RECIPE: &[u8] = b"notebooks";

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Files, directories and links.
    pub(crate) entries: u64,
    /// Bytes in files.
    pub(crate) bytes: u64,
    /// Whether all names begin with `notebooks/`, which is not part of them.
    pub(crate) in_notebooks: bool,
}

/// Reads the whole archive and checks every name in it.
///
/// # Errors
///
/// When the archive is damaged, or names something outside of the volume: a path
/// that is absolute or leads upwards, a hard link to such a one, a path that goes
/// through a symbolic link of the archive. Symbolic links themselves may point
/// anywhere; nothing follows them here.
pub(crate) fn scan(archive: impl Read) -> anyhow::Result<Index> {
    let mut tar = tar::Archive::new(archive);
    let mut index = Index { entries: 0, bytes: 0, in_notebooks: true };
    let mut links: HashSet<Vec<u8>> = HashSet::new();
    for entry in tar.entries().context("this is no tar archive")? {
        let mut entry = entry.context("this is no tar archive, or a damaged one")?;
        let kind = entry.header().entry_type();
        if is_about_others(kind) {
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&path);
        let parts = parts(&path).with_context(|| format!("{shown:?} is refused"))?;
        index.in_notebooks &= parts.first().is_some_and(|first| *first == RECIPE);
        if let Some(link) =
            (1..parts.len()).map(|n| parts[..n].join(&b'/')).find(|p| links.contains(p))
        {
            bail!("{shown:?} is refused: {:?} is a symbolic link", String::from_utf8_lossy(&link));
        }
        // What cannot be written again is found here, too.
        volume_stream::header(&entry).with_context(|| format!("{shown:?} is damaged"))?;
        volume_stream::pax(&mut entry).with_context(|| {
            format!("{shown:?} is refused: its attributes are damaged, or have a line feed in them")
        })?;
        match kind {
            EntryType::Symlink => {
                links.insert(parts.join(&b'/'));
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or(Cow::Borrowed(b""));
                self::parts(&target).with_context(|| {
                    let target = String::from_utf8_lossy(&target);
                    format!("{shown:?} is refused: it is a link to {target:?}")
                })?;
            }
            EntryType::Directory | EntryType::Fifo => {}
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                index.bytes += entry.size();
            }
            other => bail!(
                "{shown:?} is refused: it is neither file, directory nor link ({:?})",
                char::from(other.as_byte())
            ),
        }
        index.entries += 1;
    }
    index.in_notebooks &= index.entries > 0;
    Ok(index)
}

/// Whether an entry only describes other ones.
pub(super) fn is_about_others(kind: EntryType) -> bool {
    matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader)
}

/// The parts of a path below the volume's directory; none for that itself.
pub(super) fn parts(path: &[u8]) -> anyhow::Result<Vec<&[u8]>> {
    if path.starts_with(b"/") {
        bail!("the path is absolute");
    }
    if path.contains(&0) {
        bail!("the path contains a zero byte");
    }
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts
        .map(|part| match part {
            b".." => bail!("the path leads upwards"),
            part => Ok(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    type Entry<'a> = (&'a str, EntryType, &'a str);
    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const SYM: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;

    fn complete(header: &mut tar::Header) {
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
    }

    fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let mut header = tar::Header::new_gnu();
            // Written as it is: the library refuses some of these.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(0);
            complete(&mut header);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn refused(entries: &[Entry<'_>]) -> String {
        format!("{:#}", scan(&archive(entries)[..]).unwrap_err())
    }

    #[test]
    fn bak_2_names_that_lead_out_of_the_volume_are_refused() {
        let rows: [(&[Entry<'_>], &str); 7] = [
            (&[("../evil", FILE, "")], "\"../evil\" is refused: the path leads upwards"),
            (&[("a/../../evil", FILE, "")], "leads upwards"),
            (&[("/etc/passwd", FILE, "")], "absolute"),
            (&[("a", HARD, "../evil")], "it is a link to \"../evil\""),
            (&[("a", HARD, "/etc/passwd")], "it is a link to \"/etc/passwd\""),
            (&[("a", SYM, "/etc"), ("./a/passwd", FILE, "")], "\"a\" is a symbolic link"),
            (&[("dev", EntryType::Block, "")], "neither file, directory nor link"),
        ];
        for (entries, expected) in rows {
            let error = refused(entries);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn bak_1_links_inside_and_dangling_ones_are_fine() {
        let entries = [
            ("./", DIR, ""),
            ("./a", FILE, ""),
            ("./b", HARD, "./a"),
            ("./c", SYM, "/opt/conda"),
            ("./d", SYM, "../../elsewhere"),
            ("./e", EntryType::Fifo, ""),
        ];
        let index = scan(&archive(&entries)[..]).unwrap();
        assert_eq!(index, Index { entries: 6, bytes: 0, in_notebooks: false });
    }

    #[test]
    fn bak_2_attributes_that_cannot_be_written_again_are_found_before() {
        for (value, readable) in [(&b"one"[..], true), (b"one\ntwo", false)] {
            let mut builder = tar::Builder::new(Vec::new());
            builder.append_pax_extensions([("SCHILY.xattr.user.x", value)]).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            complete(&mut header);
            builder.append_data(&mut header, "a", io::empty()).unwrap();
            let found = scan(&builder.into_inner().unwrap()[..]);
            assert_eq!(found.is_ok(), readable);
            if let Err(error) = found {
                assert!(error.to_string().starts_with("\"a\" is refused"), "{error}");
            }
        }
    }

    #[test]
    fn bak_2_archives_of_the_recipe_are_recognised() {
        for (entries, expected) in [
            (&[("notebooks/", DIR, ""), ("notebooks/a", FILE, "")][..], true),
            (&[("./notebooks/", DIR, ""), ("./notebooks/a", FILE, "")], true),
            // One of ours, of a volume that holds just this directory.
            (&[("./", DIR, ""), ("./notebooks/", DIR, "")], false),
            (&[("notebooks/", DIR, ""), ("other", FILE, "")], false),
            (&[("notebooks2/a", FILE, "")], false),
            (&[], false),
        ] {
            let index = scan(&archive(entries)[..]).unwrap();
            assert_eq!(index.in_notebooks, expected, "{entries:?}");
        }
    }

    #[test]
    fn what_is_no_archive_or_was_cut_off_is_refused() {
        assert!(scan(&[b'x'; 2048][..]).is_err());
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5000);
        complete(&mut header);
        builder.append_data(&mut header, "a", &[1; 5000][..]).unwrap();
        let whole = builder.into_inner().unwrap();
        assert!(scan(&whole[..3000]).is_err());
        assert!(scan(&whole[..]).is_ok());
    }
}
