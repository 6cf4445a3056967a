//! `[log]`: what the hub tells its operator.

use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "log",
    about: "What the hub tells its operator, on standard error.",
    keys: &[
        Key::new(
            "log.level",
            Kind::Text,
            "`error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter such as `info,hub_proxy=debug`.",
        )
        .default("\"info\""),
        Key::new("log.format", Kind::Choice(&["text", "json"]), "Lines for people or for programs.")
            .default("\"text\"")
            .restart(),
    ],
};

/// The `[log]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,hub_proxy=debug`.
    pub level: String,
    /// Lines for people or for programs.
    pub format: LogFormat,
}

impl LogConfig {
    /// Finds a level that would silently switch the log off.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        for part in self.level.split(',').map(str::trim) {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
                return Err(ConfigError::value(
                    "log.level",
                    format!("{level:?} is not a level; use one of {}", LEVELS.join(", ")),
                ));
            }
        }
        Ok(())
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
