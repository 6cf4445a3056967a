//! What a reload did, for people and programs.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Serialize;

use crate::config::{
    Loaded,
    key::{Applies, Key},
};

/// What became of a configuration that was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In a word.
    pub outcome: Outcome,
    /// Keys whose change took effect.
    pub applied: Vec<String>,
    /// Keys whose change takes effect for servers that start from now on.
    pub for_new_servers: Vec<String>,
    /// Keys whose change takes effect when the hub is started again.
    pub needs_restart: Vec<String>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
    /// Why nothing was changed.
    pub errors: Vec<String>,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Something changed.
    Applied,
    /// Nothing had changed.
    Unchanged,
    /// There are errors, and nothing was changed.
    Refused,
}

impl Report {
    pub(super) fn refused(errors: Vec<String>) -> Self {
        Self {
            outcome: Outcome::Refused,
            applied: Vec::new(),
            for_new_servers: Vec::new(),
            needs_restart: Vec::new(),
            warnings: Vec::new(),
            errors,
        }
    }

    /// From `before` to `next`, where `wanted` was asked for. `files` have other
    /// contents than before.
    pub(super) fn new(
        before: &Loaded,
        wanted: &Loaded,
        next: &Loaded,
        files: BTreeSet<PathBuf>,
    ) -> Self {
        let mut changed: BTreeSet<&'static str> =
            next.settings.differing(&before.settings).iter().map(|key| key.name).collect();
        // A path that needs a restart is no obstacle to what the file holds, but for
        // the database's.
        let contents = next.keys_of_files(&files);
        let (later, now): (Vec<_>, Vec<_>) =
            contents.into_iter().partition(|name| *name == "store.url_file");
        changed.extend(now);
        let names = |applies: Applies| -> Vec<String> {
            changed
                .iter()
                .filter(|name| applies_of(name) == applies)
                .map(|name| (*name).to_owned())
                .collect()
        };
        let mut applied = names(Applies::AtOnce);
        applied.extend(names(Applies::Restart));
        let for_new_servers = names(Applies::NextStart);
        let pending = wanted.settings.differing(&next.settings);
        let needs_restart: Vec<String> =
            pending.iter().map(|key| key.name).chain(later).map(str::to_owned).collect();
        let is_news = !(applied.is_empty() && for_new_servers.is_empty());
        let mut warnings = wanted.warnings.clone();
        warnings.extend(next.config.weaknesses().iter().map(ToString::to_string));
        Self {
            outcome: if is_news { Outcome::Applied } else { Outcome::Unchanged },
            applied,
            for_new_servers,
            needs_restart,
            warnings,
            errors: Vec::new(),
        }
    }

    /// Tells the operator.
    pub(super) fn log(&self) {
        for error in &self.errors {
            tracing::error!("{error}");
        }
        if self.outcome == Outcome::Refused {
            tracing::error!("the configuration was not reloaded; the old one stays");
            return;
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            applied = self.applied.join(", "),
            for_new_servers = self.for_new_servers.join(", "),
            "configuration reloaded"
        );
        if !self.needs_restart.is_empty() {
            tracing::warn!(keys = self.needs_restart.join(", "), "these need a restart of the hub");
        }
    }
}

fn applies_of(name: &str) -> Applies {
    crate::config::key::key(name).map_or(Applies::AtOnce, |key: &Key| key.applies)
}
