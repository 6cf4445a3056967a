//! How mounts are written in a configuration.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

use crate::MemoryLimit;

/// Where a volume or host path is mounted: a path, or a table with `bind`, `mode`
/// and `propagation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeTarget {
    /// The path in the container; a template.
    pub bind: String,
    /// `rw`, `ro`, `z`, `Z` and their like, separated by commas.
    pub mode: Option<String>,
    /// Whether mounts below it are seen on the other side.
    pub propagation: Option<Propagation>,
}

impl From<String> for VolumeTarget {
    fn from(bind: String) -> Self {
        Self { bind, mode: None, propagation: None }
    }
}

impl From<&str> for VolumeTarget {
    fn from(bind: &str) -> Self {
        bind.to_owned().into()
    }
}

/// Whether mounts below a mounted directory are seen on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "these are mount(8)'s words")]
pub enum Propagation {
    Private,
    RPrivate,
    Shared,
    RShared,
    Slave,
    RSlave,
}

impl Propagation {
    pub(in crate::docker) fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::RPrivate => "rprivate",
            Self::Shared => "shared",
            Self::RShared => "rshared",
            Self::Slave => "slave",
            Self::RSlave => "rslave",
        }
    }
}

/// A mount of any kind. All texts are templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MountConfig {
    /// The path in the container.
    pub target: String,
    /// A volume's name or a host path; nothing for a `tmpfs`.
    pub source: String,
    /// The kind.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// Whether servers cannot write there.
    pub read_only: bool,
    /// `default`, `consistent`, `cached` or `delegated`.
    pub consistency: Option<String>,
    /// Of a `bind`: whether mounts below it are seen on the other side.
    pub propagation: Option<Propagation>,
    /// Of a `volume`: whether a new one begins empty, rather than with what the image
    /// has at that place.
    pub no_copy: bool,
    /// Of a `volume`: what a new one is labelled with.
    pub labels: BTreeMap<String, String>,
    /// Of a `volume`: what makes a new one.
    pub driver_config: Option<DriverConfig>,
    /// Of a `volume`: the directory in it that is mounted.
    pub subpath: Option<String>,
    /// Of a `tmpfs`: its size.
    pub tmpfs_size: Option<MemoryLimit>,
    /// Of a `tmpfs`: its mode, such as 0o1770.
    pub tmpfs_mode: Option<u32>,
}

/// The kind of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A named volume.
    #[default]
    Volume,
    /// A path of the daemon's host, which has to exist.
    Bind,
    /// Memory.
    Tmpfs,
}

/// What makes a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriverConfig {
    /// The driver, such as `local`.
    pub name: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// A folder that members of groups share (SPN-10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharedFolder {
    /// A volume's name or a host path; not a template of user's names.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whoever is in one of these has it; none: everybody.
    pub groups: Vec<String>,
    /// Whether servers may write there.
    pub mode: SharedMode,
}

/// What may be done in a shared folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedMode {
    /// Read and write.
    #[default]
    Rw,
    /// Read.
    Ro,
}

impl<'de> Deserialize<'de> for VolumeTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            bind: String,
            mode: Option<String>,
            propagation: Option<Propagation>,
        }

        struct Target;

        impl<'de> de::Visitor<'de> for Target {
            type Value = VolumeTarget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table with bind, mode and propagation")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<VolumeTarget, E> {
                Ok(path.into())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<VolumeTarget, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let Table { bind, mode, propagation } = table;
                Ok(VolumeTarget { bind, mode, propagation })
            }
        }

        deserializer.deserialize_any(Target)
    }
}
