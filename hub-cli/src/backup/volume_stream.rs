//! A volume's archive, rewritten on its way. Into a volume, as the engine wants it:
//! names without what stands before them, numeric owners, the volume's own
//! directory first. Out of one, with the attributes that the engine leaves out.

use std::{
    ffi::OsStr,
    io::{self, BufWriter, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use hub_spawner::engine::VolumeArchive;
use tar::{Archive, Builder, Entry, EntryType, Header};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    attributes::{self, Attributes},
    volume_index::{Index, is_about_others, parts},
};

/// Bytes that are handed over together.
const PORTION: usize = 128 << 10;
/// Portions that wait for the daemon.
const WAITING: usize = 4;
/// How much of a link's target fits into a header.
const SHORT_LINK: usize = 100;
/// What pax headers may say that plain ones cannot: attributes, and parts of a
/// second.
const KEPT_PAX: [&str; 3] = ["SCHILY.xattr.", "SCHILY.acl.", "mtime"];

/// The archive that `open` opens, rewritten, as the engine takes it. Read on a
/// thread of its own, no faster than the other side takes it.
pub(crate) fn stream<R: Read>(
    open: impl FnOnce() -> anyhow::Result<R> + Send + 'static,
    index: Index,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    piped(move |out| {
        let archive = open().map_err(io::Error::other)?;
        rewrite(archive, index.in_notebooks, &Attributes::default(), out)
    })
}

/// An archive that the engine gives, with `attributes` added.
pub(crate) fn with_attributes(
    archive: VolumeArchive,
    attributes: Attributes,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut archive = Awaited { archive, part: Bytes::new(), runtime: Handle::current() };
    piped(move |out| {
        rewrite(&mut archive, false, &attributes, out)?;
        // The engine's own end comes after that of the archive.
        io::copy(&mut archive, &mut io::sink()).map(drop)
    })
}

/// What `work` writes, on a thread of its own.
fn piped(
    work: impl FnOnce(&mut BufWriter<Channel>) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PORTION, Channel(sender.clone()));
        let outcome = work(&mut out).and_then(|()| out.flush());
        // Writes what is left, before the error.
        drop(out);
        if let Err(error) = outcome {
            // Nobody listens any more if the other side has had enough.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|portion| (portion, receiver))
    })
}

/// An archive on its way from the engine, for a thread that may wait.
struct Awaited {
    archive: VolumeArchive,
    /// What is left of the last part.
    part: Bytes,
    runtime: Handle,
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.runtime.block_on(self.archive.next()) {
                Some(part) => self.part = part.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let taken = buffer.len().min(self.part.len());
        self.part.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

struct Channel(mpsc::Sender<io::Result<Bytes>>);

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map(|()| bytes.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn rewrite(
    archive: impl Read,
    in_notebooks: bool,
    attributes: &Attributes,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut archive = Archive::new(archive);
    let mut builder = Builder::new(out);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !is_about_others(entry.header().entry_type()) {
            copy(&mut entry, in_notebooks, attributes, &mut builder)?;
        }
    }
    builder.finish()
}

fn copy<R: Read, W: Write>(
    entry: &mut Entry<'_, R>,
    in_notebooks: bool,
    attributes: &Attributes,
    builder: &mut Builder<W>,
) -> io::Result<()> {
    let kind = entry.header().entry_type();
    let mut header = header(entry)?;
    let name = name(&entry.path_bytes(), in_notebooks)?;
    if name.is_empty() {
        // The engine recognises it by the name in the very first block.
        header.as_old_mut().name[..2].copy_from_slice(b"./");
        header.set_cksum();
        return builder.append(&header, io::empty());
    }
    let mut pax = pax(entry)?;
    if kind != EntryType::Link {
        pax.extend(attributes.records_of(&name));
    }
    if !pax.is_empty() {
        let pairs = pax.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        builder.append_pax_extensions(pairs)?;
    }
    match kind {
        EntryType::Directory => {
            let name = [&name[..], b"/"].concat();
            builder.append_data(&mut header, path(&name), io::empty())
        }
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            link(builder, &mut header, &name, &target)
        }
        EntryType::Link => {
            let target = self::name(&entry.link_name_bytes().unwrap_or_default(), in_notebooks)?;
            link(builder, &mut header, &name, &target)
        }
        _ => builder.append_data(&mut header, path(&name), entry),
    }
}

/// The same facts in the form the daemon reads everywhere; holes are filled.
pub(super) fn header<R: Read>(entry: &Entry<'_, R>) -> io::Result<Header> {
    let old = entry.header();
    let kind = match old.entry_type() {
        EntryType::GNUSparse | EntryType::Continuous => EntryType::Regular,
        other => other,
    };
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(old.mode()?);
    header.set_uid(old.uid()?);
    header.set_gid(old.gid()?);
    header.set_mtime(old.mtime()?);
    header.set_size(if kind.is_file() { entry.size() } else { 0 });
    Ok(header)
}

/// What is kept of the records before an entry.
pub(super) fn pax<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    for extension in extensions {
        let extension = extension?;
        if let Ok(key) = extension.key()
            && KEPT_PAX.iter().any(|kept| key.starts_with(kept))
        {
            kept.push((key.to_owned(), extension.value_bytes().to_owned()));
        } else if let Ok(key) = extension.key() {
            kept.extend(attributes::encoded(key, extension.value_bytes()));
        }
    }
    Ok(kept)
}

/// The name inside of the volume; empty for the volume's own directory.
fn name(path: &[u8], in_notebooks: bool) -> io::Result<Vec<u8>> {
    let parts = parts(path).map_err(io::Error::other)?;
    let skipped = usize::from(in_notebooks && !parts.is_empty());
    Ok(parts[skipped..].join(&b'/'))
}

fn link<W: Write>(
    builder: &mut Builder<W>,
    header: &mut Header,
    name: &[u8],
    target: &[u8],
) -> io::Result<()> {
    if target.len() > SHORT_LINK {
        return builder.append_link(header, path(name), path(target));
    }
    // As it is: `append_link` would tidy it up.
    header.set_link_name_literal(target)?;
    builder.append_data(header, path(name), io::empty())
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::volume_index::scan;

    type Row = (String, EntryType, u32, u64, u64, String, Vec<u8>);

    fn rewritten(archive: &[u8]) -> Vec<u8> {
        let index = scan(archive).unwrap();
        let mut out = Vec::new();
        rewrite(archive, index.in_notebooks, &Attributes::default(), &mut out).unwrap();
        out
    }

    fn rows(archive: &[u8]) -> Vec<Row> {
        let mut archive = Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let header = entry.header();
            (
                text(&entry.path_bytes()),
                header.entry_type(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
                text(&entry.link_name_bytes().unwrap_or_default()),
                content,
            )
        });
        entries.collect()
    }

    fn recipe() -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        let mut add = |name: &str, kind, target: &str, content: &[u8]| {
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o2755);
            header.set_uid(1000);
            header.set_gid(100);
            header.set_mtime(981_173_106);
            header.set_username("jovyan").unwrap();
            header.set_size(content.len() as u64);
            if !target.is_empty() {
                header.set_link_name_literal(target).unwrap();
            }
            builder.append_data(&mut header, name, content).unwrap();
        };
        add("notebooks/", EntryType::Directory, "", b"");
        add("notebooks/a.ipynb", EntryType::Regular, "", b"{}");
        add("notebooks/b", EntryType::Link, "notebooks/a.ipynb", b"");
        add("notebooks/c", EntryType::Symlink, "./x//y", b"");
        builder.into_inner().unwrap()
    }

    #[test]
    fn bak_2_the_recipes_archives_lose_their_prefix_and_nothing_else() {
        let row = |name: &str, kind, target: &str, content: &[u8]| {
            (name.to_owned(), kind, 0o2755, 1000, 981_173_106, target.to_owned(), content.to_vec())
        };
        assert_eq!(
            rows(&rewritten(&recipe())),
            [
                row("./", EntryType::Directory, "", b""),
                row("a.ipynb", EntryType::Regular, "", b"{}"),
                row("b", EntryType::Link, "a.ipynb", b""),
                row("c", EntryType::Symlink, "./x//y", b""),
            ]
        );
    }

    #[test]
    fn bak_1_long_names_and_attributes_stay() {
        let long = format!("{}/file", "directory".repeat(30));
        let mut builder = Builder::new(Vec::new());
        builder
            .append_pax_extensions([
                ("SCHILY.xattr.security.capability", &[1, 0, 255][..]),
                ("path", long.as_bytes()),
                ("uid", b"7000000"),
                ("mtime", b"981173106.5"),
            ])
            .unwrap();
        let mut header = Header::new_ustar();
        header.set_size(3);
        header.set_mode(0o600);
        header.set_uid(1);
        header.set_gid(100);
        header.set_mtime(981_173_106);
        builder.append_data(&mut header, "short", &b"abc"[..]).unwrap();

        let out = rewritten(&builder.into_inner().unwrap());

        let found = rows(&out);
        assert_eq!(
            (found[0].0.as_str(), found[0].3, &found[0].6[..]),
            (&*long, 7_000_000, &b"abc"[..])
        );
        let mut archive = Archive::new(&out[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let pax = pax(&mut entry).unwrap();
        assert_eq!(
            pax,
            [
                ("SCHILY.xattr.security.capability".to_owned(), vec![1, 0, 255]),
                ("mtime".to_owned(), b"981173106.5".to_vec()),
            ]
        );
    }

    #[tokio::test]
    async fn bak_2_an_archive_that_breaks_off_ends_the_stream_with_an_error() {
        use futures_util::StreamExt as _;
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(1_000_000);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, "a", &vec![1; 1_000_000][..]).unwrap();
        let whole = builder.into_inner().unwrap();
        let index = scan(&whole[..]).unwrap();
        let cut = io::Cursor::new(whole[..500_000].to_vec());
        let parts: Vec<_> = stream(|| Ok(cut), index).collect().await;
        assert!(parts.last().unwrap().is_err());
        assert!(parts.iter().rev().skip(1).all(Result::is_ok));
    }
}
