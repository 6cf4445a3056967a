//! The parameters of a request, each at most once.

use std::collections::BTreeMap;

/// Parameters by name. Those we do not know are ignored (RFC 6749 section 3.1).
#[derive(Default)]
pub(super) struct Params {
    values: BTreeMap<&'static str, String>,
    repeated: Vec<&'static str>,
}

impl Params {
    /// Keeps the `known` ones of `pairs`. An empty value counts as absent, as the
    /// RFC says.
    pub(super) fn read<K, V>(
        pairs: impl IntoIterator<Item = (K, V)>,
        known: &[&'static str],
    ) -> Self
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let mut params = Self::default();
        for (name, value) in pairs {
            let Some(&name) = known.iter().find(|known| **known == name.as_ref()) else {
                continue;
            };
            let value = value.into();
            if value.is_empty() {
                continue;
            }
            if params.values.insert(name, value).is_some() {
                params.repeated.push(name);
            }
        }
        params
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    /// Whether `name` came more than once, which no parameter may: two readers
    /// could pick different ones.
    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.repeated.contains(&name)
    }

    pub(super) fn any_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }
}
