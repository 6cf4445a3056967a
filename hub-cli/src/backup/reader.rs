//! An archive file, decrypted and decompressed as it is read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    iter,
    path::Path,
};

use age::{DecryptError, Decryptor, scrypt};
use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use secrecy::SecretString;

use super::form::Magic;

/// How hard a passphrase may have been made to guess, as a power of two: what the
/// age tool takes. Some seconds on a fast machine, a minute on a slow one.
const MOST_WORK: u8 = 22;

/// The tar archive in the file at `path`, whatever its form. `ask` is asked for
/// a passphrase if it needs one.
pub(crate) fn open(
    path: &Path,
    ask: impl FnOnce() -> anyhow::Result<SecretString>,
) -> anyhow::Result<Box<dyn Read + Send>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut file = BufReader::new(file);
    if magic(&mut file)? != Magic::Age {
        return decompressed(file);
    }
    let decryptor =
        Decryptor::new_buffered(file).with_context(|| format!("{} is damaged", path.display()))?;
    if !decryptor.is_scrypt() {
        bail!(
            "{} is encrypted for a key, not with a passphrase; decrypt it with the age tool first",
            path.display()
        );
    }
    let mut identity = scrypt::Identity::new(ask()?);
    // Otherwise it depends on the speed of this machine what it would open.
    identity.set_max_work_factor(MOST_WORK);
    let identities = iter::once(&identity as &dyn age::Identity);
    let plain = decryptor.decrypt(identities).map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            anyhow::anyhow!("{} cannot be decrypted: the passphrase is wrong", path.display())
        }
        other => {
            anyhow::Error::new(other).context(format!("{} cannot be decrypted", path.display()))
        }
    })?;
    decompressed(BufReader::new(plain))
}

/// What the first bytes of the file at `path` say.
pub(crate) fn magic_of(path: &Path) -> anyhow::Result<Magic> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(magic(&mut BufReader::new(file))?)
}

fn decompressed<R: BufRead + Send + 'static>(mut input: R) -> anyhow::Result<Box<dyn Read + Send>> {
    Ok(match magic(&mut input)? {
        Magic::Gzip => Box::new(MultiGzDecoder::new(input)),
        Magic::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
        Magic::Other | Magic::Age => Box::new(input),
    })
}

/// Looks ahead. A buffer may hold less than there is only at the end.
fn magic<R: BufRead>(input: &mut R) -> io::Result<Magic> {
    let buffer = input.fill_buf()?;
    Ok(Magic::of(&buffer[..buffer.len().min(Magic::LEN)]))
}
