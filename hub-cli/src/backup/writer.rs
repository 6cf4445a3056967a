//! An archive file on its way: there under its name when it is whole, or not at
//! all.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use age::{Encryptor, stream::StreamWriter};
use anyhow::{Context, bail};
use flate2::write::GzEncoder;
use secrecy::SecretString;
use tempfile::TempPath;

use super::form::{Compression, Form};

/// As the zstd tool.
const ZSTD_LEVEL: i32 = 3;

/// Writes an archive: compressed, then encrypted, then to a file for its owner
/// only. Dropped before [`finish`](Self::finish), it leaves nothing behind.
pub(crate) struct ArchiveWriter {
    layers: Compressor,
}

enum Compressor {
    None(Sealer),
    Gzip(GzEncoder<Sealer>),
    Zstd(zstd::Encoder<'static, Sealer>),
}

enum Sealer {
    Open(Target),
    Sealed(StreamWriter<Target>),
}

enum Target {
    Stdout(io::Stdout),
    File { file: BufWriter<File>, temporary: TempPath, path: PathBuf },
}

impl ArchiveWriter {
    /// Begins the archive `path`; `-` is standard output. The passphrase is
    /// used if the form is a sealed one.
    pub(crate) fn create(
        path: &Path,
        form: Form,
        passphrase: Option<&SecretString>,
    ) -> anyhow::Result<Self> {
        let target = Target::create(path)?;
        let sealer = match (form.sealed, passphrase) {
            (false, _) => Sealer::Open(target),
            (true, Some(passphrase)) => Sealer::Sealed(
                Encryptor::with_user_passphrase(passphrase.clone())
                    .wrap_output(target)
                    .context("the encryption could not begin")?,
            ),
            (true, None) => bail!("there is no passphrase to encrypt the archive with"),
        };
        let layers = match form.compression {
            Compression::None => Compressor::None(sealer),
            Compression::Gzip => {
                Compressor::Gzip(GzEncoder::new(sealer, flate2::Compression::default()))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(sealer, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Compressor::Zstd(encoder)
            }
        };
        Ok(Self { layers })
    }

    /// Writes what is left and gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let sealer = match self.layers {
            Compressor::None(sealer) => sealer,
            Compressor::Gzip(encoder) => encoder.finish()?,
            Compressor::Zstd(encoder) => encoder.finish()?,
        };
        let target = match sealer {
            Sealer::Open(target) => target,
            Sealer::Sealed(writer) => writer.finish()?,
        };
        target.finish()
    }
}

impl Write for ArchiveWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layers {
            Compressor::None(inner) => inner.write(bytes),
            Compressor::Gzip(inner) => inner.write(bytes),
            Compressor::Zstd(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.layers {
            Compressor::None(inner) => inner.flush(),
            Compressor::Gzip(inner) => inner.flush(),
            Compressor::Zstd(inner) => inner.flush(),
        }
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(inner) => inner.write(bytes),
            Self::Sealed(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(inner) => inner.flush(),
            Self::Sealed(inner) => inner.flush(),
        }
    }
}

impl Target {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        refuse_existing(path)?;
        let file = tempfile::Builder::new()
            .prefix(".hub-backup-")
            .suffix(".part")
            .tempfile_in(directory(path))
            .with_context(|| format!("no file can be made beside {}", path.display()))?;
        let (file, temporary) = file.into_parts();
        Ok(Self::File { file: BufWriter::new(file), temporary, path: path.to_owned() })
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File { file, temporary, path } => {
                let written = file.into_inner().map_err(io::IntoInnerError::into_error);
                written.and_then(|file| file.sync_all()).map_err(unwritten(&path))?;
                temporary
                    .persist_noclobber(&path)
                    .map_err(|error| error.error)
                    .with_context(|| format!("the file cannot be called {}", path.display()))?;
                // A name survives a power failure only when its directory was
                // written.
                File::open(directory(&path))?.sync_all()?;
                Ok(())
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { file, path, .. } => file.write(bytes).map_err(unwritten(path)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, path, .. } => file.flush().map_err(unwritten(path)),
        }
    }
}

/// Says which archive it is that has no room: not what it is called until then.
fn unwritten(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        let text = format!("{} could not be written: {error}", path.display());
        io::Error::new(error.kind(), text)
    }
}

/// A backup never replaces another one.
pub(crate) fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() {
        bail!("{} exists already; choose another name, or remove it first", path.display());
    }
    Ok(())
}

/// Where a file lies.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::backup::reader;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn every_form_is_read_as_it_was_written_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = SecretString::from("correct horse");
        for name in ["a.tar", "a.tar.gz", "a.tar.zst", "a.tar.age", "a.tar.zst.age"] {
            let path = directory.path().join(name);
            let form = Form::of_name(name).unwrap();
            let mut writer = ArchiveWriter::create(&path, form, Some(&passphrase)).unwrap();
            writer.write_all(&[7; 100_000]).unwrap();
            writer.finish().unwrap();

            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            let mut read = Vec::new();
            let ask = || Ok(passphrase.clone());
            reader::open(&path, ask).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, [7; 100_000], "{name}");
        }
    }

    #[test]
    fn a_file_that_is_not_finished_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar.zst");
        let form = Form::of_name("a.tar.zst").unwrap();
        let mut writer = ArchiveWriter::create(&path, form, None).unwrap();
        writer.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(writer);
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn an_existing_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        fs::write(&path, "precious").unwrap();
        let form = Form::of_name("a.tar").unwrap();
        let error = ArchiveWriter::create(&path, form, None).err().unwrap().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
