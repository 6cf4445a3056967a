//! What a hub's archive says of itself: its first member, `manifest.json`.

use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the member.
pub(crate) const NAME: &str = "manifest.json";
/// The name of the member with the store.
pub(crate) const STORE: &str = "store.jsonl";

const FORMAT: &str = "hub-backup";
const VERSION: u32 = 1;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// The program that has written it, with its version.
    pub(crate) program: String,
    pub(crate) created: Timestamp,
    /// Whether secrets are in the archive.
    pub(crate) with_secrets: bool,
    /// In the order in which they follow.
    pub(crate) members: Vec<Member>,
    /// What belongs to the hub and is not in the archive, for people.
    pub(crate) left_out: Vec<String>,
    /// How to recognise secrets that are not in the archive.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

/// A member of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its name in the archive.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Where it came from; the store's place is in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<PathBuf>,
    /// Whether secrets were taken out of it.
    #[serde(default)]
    pub(crate) redacted: bool,
    /// Whether its owner may run it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
    pub(crate) size: u64,
    /// Of its content, as hexadecimal digits.
    pub(crate) sha256: String,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Store,
    /// The configuration file, with or without its secrets.
    Config,
    /// The file of variables.
    Env,
    Userlist,
    Certificate,
    TlsKey,
    CookieSecret,
    /// A file with one secret, that the configuration names.
    SecretFile,
    /// What the image of the servers is made of.
    Image,
    /// What an authority was asked with, what Docker is asked with, and what the
    /// operator named.
    Included,
}

/// The beginning of a secret's SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) of: String,
    pub(crate) sha256_begins: String,
}

impl Role {
    /// Whether the member is nobody's business but the owner's.
    pub(crate) fn is_private(self) -> bool {
        !matches!(self, Self::Userlist | Self::Certificate | Self::Image)
    }
}

impl Manifest {
    pub(crate) fn new(program: String, created: Timestamp, with_secrets: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program,
            created,
            with_secrets,
            members: Vec::new(),
            left_out: Vec::new(),
            fingerprints: Vec::new(),
        }
    }

    /// Reads and checks a manifest.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("{NAME}: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!("{NAME}: the format is {:?}, not {FORMAT:?}", manifest.format));
        }
        if manifest.version != VERSION {
            return Err(format!(
                "{NAME}: the format has version {}, this program knows {VERSION}; use {}",
                manifest.version, manifest.program
            ));
        }
        for member in &manifest.members {
            if let Some(place) = &member.place
                && !is_plain(place)
            {
                return Err(format!("{NAME}: {} is no place for a file", place.display()));
            }
        }
        Ok(manifest)
    }

    pub(crate) fn member(&self, role: Role) -> Option<&Member> {
        self.members.iter().find(|member| member.role == role)
    }
}

impl Member {
    /// Where the member belongs, seen from the directory of the configuration.
    pub(crate) fn target(&self, directory: &Path) -> Option<PathBuf> {
        self.place.as_deref().map(|place| directory.join(place))
    }
}

/// Whether a path names a file without detours.
fn is_plain(path: &Path) -> bool {
    path.file_name().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(place: &str) -> Vec<u8> {
        let mut manifest = Manifest::new("hub 1".to_owned(), Timestamp::UNIX_EPOCH, false);
        manifest.members.push(Member {
            name: "files/1".to_owned(),
            role: Role::Userlist,
            place: Some(place.into()),
            redacted: false,
            executable: false,
            size: 0,
            sha256: String::new(),
        });
        serde_json::to_vec(&manifest).unwrap()
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let read = Manifest::parse(&manifest("userlist")).unwrap();
        assert_eq!(read.member(Role::Userlist).unwrap().name, "files/1");
        let target = read.members[0].target(Path::new("/srv/hub")).unwrap();
        assert_eq!(target, Path::new("/srv/hub/userlist"));
    }

    #[test]
    fn a_place_with_a_detour_is_refused() {
        for place in ["../userlist", "/srv/../etc/passwd", "/", ""] {
            let error = Manifest::parse(&manifest(place)).unwrap_err();
            assert!(error.contains("no place"), "{place:?}: {error}");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let text = String::from_utf8(manifest("userlist")).unwrap();
        let newer = text.replace("\"version\":1", "\"version\":9");
        let error = Manifest::parse(newer.as_bytes()).unwrap_err();
        assert!(error.contains("version 9") && error.contains("hub 1"), "{error}");
    }
}
