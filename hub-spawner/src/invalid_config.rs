//! A setting that makes no sense.

/// A setting of a spawner that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct InvalidConfig {
    /// The key of the setting.
    pub key: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

impl InvalidConfig {
    pub(crate) fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}
