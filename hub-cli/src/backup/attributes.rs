//! Attributes of the kind `user.*` of files in a volume.
//!
//! The engine takes them in an archive but does not give them in one, so a
//! container made of the servers' image lists them: every such image has Python.

mod list;

use std::{collections::BTreeMap, io};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

pub(super) use self::list::list;

/// What GNU tar and the engine call an attribute in an archive.
const PLAIN: &str = "SCHILY.xattr.";
/// What libarchive calls one whose value is written in Base64: for those with a
/// line feed, at which our reader would end.
const ENCODED: &str = "LIBARCHIVE.xattr.";
/// The only attributes that are looked for.
const KIND: &str = "user.";

/// Base64 with or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The attributes of files, by their names inside of the volume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<Vec<u8>, Vec<(String, Vec<u8>)>>);

/// Why there are none.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The image cannot list any: it will not for other volumes either.
    Image(anyhow::Error),
    /// It was not possible for this volume.
    Volume(anyhow::Error),
}

/// A line of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The name of the file below the volume's directory, in Base64.
    path: String,
    name: String,
    /// In Base64.
    value: String,
}

impl Attributes {
    /// Whether no file has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an archive says before the file called `name`.
    pub(super) fn records_of(&self, name: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.0.get(name).into_iter().flatten().map(|(attribute, value)| {
            match value.contains(&b'\n') {
                true => (format!("{ENCODED}{attribute}"), BASE64.encode(value).into_bytes()),
                false => (format!("{PLAIN}{attribute}"), value.clone()),
            }
        })
    }

    /// Reads the list, an object of JSON in each line.
    fn parse(list: &[u8]) -> io::Result<Self> {
        let mut all = Self::default();
        for line in serde_json::Deserializer::from_slice(list).into_iter::<Line>() {
            let Line { path, name, value } = line?;
            if !name.starts_with(KIND) {
                return Err(io::Error::other(format!("the attribute {name} was not asked for")));
            }
            let path = BASE64.decode(path).map_err(io::Error::other)?;
            let value = BASE64.decode(value).map_err(io::Error::other)?;
            all.0.entry(path).or_default().push((name, value));
        }
        Ok(all)
    }
}

/// The record that the engine takes for one whose value is in Base64; `None` for
/// any other.
pub(super) fn encoded(key: &str, value: &[u8]) -> Option<(String, Vec<u8>)> {
    let name = key.strip_prefix(ENCODED).filter(|name| name.starts_with(KIND))?;
    // A file of libarchive's has both; this one only adds what the other cannot.
    let value = BASE64.decode(value).ok().filter(|value| value.contains(&b'\n'))?;
    Some((format!("{PLAIN}{name}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bak_1_a_list_becomes_records_and_back() {
        let list = br#"{"path": "YS9i", "name": "user.one", "value": "AP89"}
            {"path": "YS9i", "name": "user.two", "value": "eAp5"}
            {"path": "/w==", "name": "user.x", "value": ""}"#;
        let found = Attributes::parse(list).unwrap();
        let records: Vec<_> = found.records_of(b"a/b").collect();
        assert_eq!(
            records,
            [
                ("SCHILY.xattr.user.one".to_owned(), vec![0, 255, b'=']),
                ("LIBARCHIVE.xattr.user.two".to_owned(), b"eAp5".to_vec()),
            ]
        );
        let two = Some(("SCHILY.xattr.user.two".to_owned(), b"x\ny".to_vec()));
        assert_eq!(encoded(&records[1].0, &records[1].1), two);
        assert_eq!(encoded(&records[0].0, &records[0].1), None);
        assert_eq!(encoded("LIBARCHIVE.xattr.security.capability", b"eAp5"), None);
        assert_eq!(found.records_of(&[255]).count(), 1);
        assert_eq!(found.records_of(b"a").count(), 0);
        assert!(Attributes::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        for list in [
            "Traceback",
            r#"{"path": "YQ==", "name": "security.capability", "value": ""}"#,
            r#"{"path": "-", "name": "user.x", "value": ""}"#,
            r#"{"path": "YQ==", "name": "user.x"}"#,
        ] {
            assert!(Attributes::parse(list.as_bytes()).is_err(), "{list}");
        }
    }
}
