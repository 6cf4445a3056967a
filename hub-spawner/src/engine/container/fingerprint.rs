//! A short text that differs when a container would.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ContainerSpec;

/// What the hash is of, whatever the daemon's default: a container is not
/// another one since that has changed.
const USUAL_LOG_DRIVER: &str = "json-file";

impl ContainerSpec {
    /// A hash of all that the container would be made from, its name aside; for
    /// a label by which to tell whether a container that is there is the wanted
    /// one (SPN-11). Values of variables count, but cannot be read from it.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        add(&mut hash, &serde_json::to_value(self.body(USUAL_LOG_DRIVER)).unwrap_or_default());
        for end in &self.networks {
            hash.update([0]);
            hash.update(&end.network);
            for alias in &end.aliases {
                hash.update([1]);
                hash.update(alias);
            }
        }
        hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Adds a value with the keys of its maps in order: those of the wire model have
/// none, and each process would see another.
fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hash.update("{");
            for (key, value) in entries {
                hash.update(format!("{key:?}:"));
                add(hash, value);
            }
            hash.update("}");
        }
        Value::Array(values) => {
            hash.update("[");
            values.iter().for_each(|value| add(hash, value));
            hash.update("]");
        }
        plain => hash.update(format!("{plain},")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::NetworkEnd;

    fn spec() -> ContainerSpec {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned().into());
        ContainerSpec {
            env: BTreeMap::from([variable("A", "1"), variable("B", "2")]),
            networks: vec![NetworkEnd { network: "front".to_owned(), aliases: Vec::new() }],
            ..ContainerSpec::new("one", "image")
        }
    }

    #[test]
    fn spn_11_equal_wishes_have_equal_fingerprints_whatever_the_name() {
        let labels = || ["a", "b", "c", "d"].map(|key| (key.to_owned(), key.to_owned())).into();
        let first = ContainerSpec { labels: labels(), ..spec() };
        let renamed = ContainerSpec { name: "two".to_owned(), labels: labels(), ..spec() };
        assert_eq!(first.fingerprint(), renamed.fingerprint());
    }

    #[test]
    fn spn_11_a_value_a_label_or_an_alias_makes_another_one() {
        let first = spec().fingerprint();
        let mut changed = spec();
        changed.env.insert("B".to_owned(), "3".to_owned().into());
        assert_ne!(changed.fingerprint(), first);
        let mut changed = spec();
        changed.labels.insert("k".to_owned(), "v".to_owned());
        assert_ne!(changed.fingerprint(), first);
        let mut changed = spec();
        changed.networks[0].aliases.push("hub".to_owned());
        assert_ne!(changed.fingerprint(), first);
    }
}
