//! The keys of the configuration, described: type, default, meaning.
//!
//! The descriptions serve everything that talks about keys without reading a
//! configuration: `HUB__SECTION__KEY` variables, `hub config show` and `init`, the
//! reference in the documentation, and what a reload may change. Each section
//! describes its own keys beside the type that reads them; tests compare the two.

mod kind;

pub use self::kind::Kind;
use super::{
    acme, auth, culling, dummy, events, http, local, log, metrics, pages, proxy, roles, servers,
    services, spawner, store,
};

/// A key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The whole name: `http.listen`.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// The value if nobody sets it, as TOML; `None` when there is none.
    pub default: Option<&'static str>,
    /// A value that shows the form, as TOML, for a key without default.
    pub example: Option<&'static str>,
    /// When a change takes effect.
    pub applies: Applies,
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
}

/// When a change of a key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// As soon as the configuration is read again.
    AtOnce,
    /// For servers that start after that; running ones stay as they are.
    NextStart,
    /// When the hub is started again.
    Restart,
}

/// A section of the file: a table with its keys.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name in brackets: `http.tls`.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

/// All sections, in the order an operator meets them.
pub const SECTIONS: &[Section] = &[
    http::SECTION,
    http::TLS_SECTION,
    acme::SECTION,
    http::API_SECTION,
    proxy::SECTION,
    store::SECTION,
    auth::SECTION,
    auth::GITHUB_SECTION,
    auth::OIDC_SECTION,
    auth::OUTBOUND_SECTION,
    auth::PASSWORD_SECTION,
    local::SECTION,
    dummy::SECTION,
    servers::SECTION,
    culling::SECTION,
    culling::RULES_SECTION,
    spawner::SECTION,
    spawner::DOCKER_SECTION,
    spawner::SWARM_SECTION,
    spawner::PROCESS_SECTION,
    services::SECTION,
    roles::SCOPES_SECTION,
    roles::SECTION,
    roles::GROUPS_SECTION,
    pages::SECTION,
    log::SECTION,
    events::SECTION,
    metrics::SECTION,
];

impl Section {
    /// Whether it is written once for each of something: `[[services]]`.
    pub fn repeats(&self) -> bool {
        matches!(self.keys, [key] if key.kind == Kind::Sections && key.name == self.name)
    }
}

impl Key {
    /// A key that may be missing, and whose changes apply at once.
    pub(super) const fn new(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self { name, kind, default: None, example: None, applies: Applies::AtOnce, meaning }
    }

    pub(super) const fn default(self, toml: &'static str) -> Self {
        Self { default: Some(toml), ..self }
    }

    pub(super) const fn example(self, toml: &'static str) -> Self {
        Self { example: Some(toml), ..self }
    }

    pub(super) const fn next_start(self) -> Self {
        Self { applies: Applies::NextStart, ..self }
    }

    pub(super) const fn restart(self) -> Self {
        Self { applies: Applies::Restart, ..self }
    }

    /// The name without its section.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, last)| last)
    }

    /// The variable that sets it: `HUB__HTTP__LISTEN`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::variables::KEY_PREFIX, self.name.replace('.', "__").to_uppercase())
    }
}

/// Every key.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key called `name`.
pub fn key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}

/// The key of a variable, of which `rest` follows `HUB__`.
pub(super) fn of_variable(rest: &str) -> Option<&'static Key> {
    key(&rest.to_lowercase().replace("__", "."))
}

#[cfg(test)]
mod tests;
