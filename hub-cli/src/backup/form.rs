//! The form of an archive: by its name when it is written, by its first bytes
//! when it is read.

use crate::args::UsageError;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a file name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) compression: Compression,
    /// Encrypted with a passphrase, in the format of the `age` tool.
    pub(crate) sealed: bool,
}

impl Form {
    /// Reads the end of a file name: `.tar`, `.tar.gz`, `.tgz` or `.tar.zst`,
    /// each also with `.age`. `-`, standard output, is a plain tar archive.
    pub(crate) fn of_name(name: &str) -> Result<Self, UsageError> {
        if name == "-" {
            return Ok(Self { compression: Compression::None, sealed: false });
        }
        let (rest, sealed) = match name.strip_suffix(".age") {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let compression = [
            (".tar", Compression::None),
            (".tar.gz", Compression::Gzip),
            (".tgz", Compression::Gzip),
            (".tar.zst", Compression::Zstd),
        ]
        .into_iter()
        .find_map(|(suffix, compression)| rest.ends_with(suffix).then_some(compression));
        match compression {
            Some(compression) => Ok(Self { compression, sealed }),
            None => Err(UsageError {
                message: format!("the name {name:?} does not say what kind of archive it is"),
                hint: "end it with .tar, .tar.gz or .tar.zst; and with .age after that for an \
                       encrypted one"
                    .to_owned(),
            }),
        }
    }
}

impl Form {
    /// The end of a name that says this form.
    pub(crate) fn suffix(self) -> &'static str {
        match (self.compression, self.sealed) {
            (Compression::None, false) => ".tar",
            (Compression::None, true) => ".tar.age",
            (Compression::Gzip, false) => ".tar.gz",
            (Compression::Gzip, true) => ".tar.gz.age",
            (Compression::Zstd, false) => ".tar.zst",
            (Compression::Zstd, true) => ".tar.zst.age",
        }
    }
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Magic {
    Age,
    Gzip,
    Zstd,
    /// A tar archive has its mark further back; the reader of tar looks at it.
    Other,
}

impl Magic {
    /// How many bytes [`Magic::of`] wants to see.
    pub(crate) const LEN: usize = 21;

    pub(crate) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            bytes if bytes.starts_with(b"age-encryption.org/v1") => Self::Age,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bak_1_the_suffix_says_the_form() {
        for (name, compression, sealed) in [
            ("a.tar", Compression::None, false),
            ("a.tar.gz", Compression::Gzip, false),
            ("a.tgz", Compression::Gzip, false),
            ("a.b.tar.zst", Compression::Zstd, false),
            ("a.tar.zst.age", Compression::Zstd, true),
            ("-", Compression::None, false),
        ] {
            let form = Form::of_name(name).unwrap();
            assert_eq!(form, Form { compression, sealed }, "{name}");
            assert_eq!(Form::of_name(form.suffix()).unwrap(), form, "{name}");
        }
        for name in ["a", "a.zip", "a.age", "a.tar.bz2", ""] {
            let error = Form::of_name(name).unwrap_err();
            assert!(error.hint.contains(".tar.zst"), "{name}");
        }
    }

    #[test]
    fn the_first_bytes_say_the_form() {
        assert_eq!(Magic::of(b"age-encryption.org/v1\n-> scrypt"), Magic::Age);
        assert_eq!(Magic::of(&[0x1f, 0x8b, 8]), Magic::Gzip);
        assert_eq!(Magic::of(&[0x28, 0xb5, 0x2f, 0xfd, 0]), Magic::Zstd);
        assert_eq!(Magic::of(b"./\0\0"), Magic::Other);
        assert_eq!(Magic::of(b""), Magic::Other);
    }
}
