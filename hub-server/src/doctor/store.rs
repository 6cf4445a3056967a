//! Whether the database can be used, and the cookie secret is the hub's alone.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use hub_store::{Depth, Examination as Seen, Store, StoreError};

use super::{Examination, Finding, Known, space, told};
use crate::{
    config::{Config, CookieSecretSource},
    keys,
};

/// A database grows slowly, but its log may need as much again.
const WANTED_BYTES: u64 = 1 << 30;

pub(super) async fn check(examination: &Examination, known: &mut Known) -> Vec<Finding> {
    let Some(config) = &known.config else { return Vec::new() };
    let depth = if examination.deep { Depth::Full } else { Depth::Quick };
    match Store::examine(&config.store, depth).await {
        Ok(seen) => {
            let mut findings = vec![judge(&config.store.url, &seen)];
            if let Some(directory) = seen.file.as_deref().and_then(Path::parent) {
                let directory = directory_or_here(directory);
                findings.extend(
                    space::free_at(&directory)
                        .map(|free| space::judge("the database", free, WANTED_BYTES)),
                );
            }
            known.servers = Some(seen.servers);
            findings
        }
        Err(error) => vec![judge_failure(&error)],
    }
}

fn directory_or_here(directory: &Path) -> PathBuf {
    if directory == Path::new("") { PathBuf::from(".") } else { directory.to_owned() }
}

fn judge(url: &str, seen: &Seen) -> Finding {
    // Never the URL of a server: it may hold a password.
    let place = match &seen.file {
        Some(file) => file.display().to_string(),
        None if url.starts_with("postgres") => "PostgreSQL".to_owned(),
        None => "in memory".to_owned(),
    };
    let known = seen.known;
    match seen.schema {
        None => Finding::ok(format!("{place}: empty, the hub makes its tables (schema {known})")),
        Some(schema) if schema < known => {
            Finding::ok(format!("{place}: schema {schema}, the hub brings it to {known}"))
        }
        Some(schema) => Finding::ok(format!("{place}: schema {schema}")),
    }
}

fn judge_failure(error: &StoreError) -> Finding {
    let advice = match error {
        StoreError::InvalidUrl { .. } => "correct store.url, or make the directory",
        StoreError::Damaged { .. } => "stop the hub and restore the newest backup",
        StoreError::Newer { .. } => {
            "run the newer version again, or restore a backup made before it"
        }
        StoreError::Unavailable { .. } => {
            "check that the database runs, that store.url is right and that this user may use it"
        }
        _ => "",
    };
    Finding::problem(told(error), advice)
}

pub(super) fn check_cookie_secret(config: &Config) -> Vec<Finding> {
    let path = match &config.cookie_secret {
        CookieSecretSource::Given(_) => return vec![Finding::ok("in the environment")],
        CookieSecretSource::File(path) => path,
    };
    let shown = path.display();
    vec![match fs::metadata(path) {
        Ok(metadata) => match keys::trouble_with_mode(path, metadata.permissions().mode()) {
            Some(trouble) => Finding::problem(format!("{shown}: {trouble}"), ""),
            None => Finding::ok(shown.to_string()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match path.parent().map(directory_or_here) {
                Some(directory) if directory.is_dir() => {
                    Finding::ok(format!("{shown}: not there yet, the hub makes it"))
                }
                _ => Finding::problem(
                    format!("{shown}: the directory does not exist"),
                    "make the directory, or correct store.cookie_secret_file",
                ),
            }
        }
        Err(error) => {
            Finding::problem(format!("{shown}: {error}"), "run this as the user of the hub")
        }
    }]
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[test]
    fn a_schema_is_told_without_a_password() {
        let seen = Seen { file: None, schema: Some(1), known: 2, servers: vec![] };
        let finding = judge("postgres://hub:hunter2@db/hub", &seen);
        assert_eq!(finding.seen, "PostgreSQL: schema 1, the hub brings it to 2");
    }

    #[tokio::test]
    async fn a_missing_directory_is_a_problem_with_a_remedy() {
        let config = hub_store::StoreConfig { url: "sqlite:///nowhere/at/all/hub.sqlite".into() };
        let error = Store::examine(&config, Depth::Quick).await.unwrap_err();
        let finding = judge_failure(&error);
        assert_eq!(finding.outcome, Outcome::Problem);
        assert!(finding.seen.contains("/nowhere/at/all"), "{finding:?}");
        assert!(finding.advice.unwrap().contains("store.url"));
    }
}
