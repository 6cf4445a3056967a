//! `[metrics]`: numbers for Prometheus.

use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "metrics",
    about: "Numbers for Prometheus, at `/hub/metrics`.",
    keys: &[
        Key::new(
            "metrics.authenticate",
            Kind::Boolean,
            "Whether they are shown only to those with the scope `read:metrics`, by token or cookie. Without it everybody who reaches the hub may read them.",
        )
        .default("true"),
        Key::new("metrics.prefix", Kind::Text, "What the names of the hub's own numbers begin with.")
            .default("\"jupyterhub\"")
            .restart(),
    ],
};

/// The `[metrics]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Whether they are shown only to those with the scope `read:metrics`.
    pub authenticate: bool,
    /// What the names of the hub's own numbers begin with.
    pub prefix: String,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { authenticate: true, prefix: "jupyterhub".to_owned() }
    }
}

impl MetricsConfig {
    /// Finds a prefix with which Prometheus could read no name.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let prefix = self.prefix.as_bytes();
        let good =
            prefix.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
                && prefix.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if good {
            return Ok(());
        }
        Err(ConfigError::value(
            "metrics.prefix",
            format!(
                "{:?} cannot begin a name; use letters, digits and `_`, and no digit first",
                self.prefix
            ),
        ))
    }
}
