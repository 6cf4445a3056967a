//! Whether the configuration can be used, and what in it is weak.

use std::path::Path;

use hub_spawner::engine::HostSettings;
use url::Url;

use super::{Examination, Finding, Known, addresses::is_local};
use crate::config::{Config, ConfigError, CookieSecretSource, Loaded, Sources};

/// The sections that steps build on. The callback in `auth` is compared with
/// `http`, and so is `proxy`.
const SECTIONS: [&str; 6] = ["http", "auth", "hub_api", "proxy", "store", "spawner"];

pub(super) fn check(examination: &Examination, known: &mut Known) -> Vec<Finding> {
    match examination.sources.load() {
        Ok(loaded) => {
            let mut findings = vec![Finding::ok(describe(&loaded))];
            let told = loaded.warnings.iter();
            findings.extend(told.map(|text| Finding::warning(text.as_str(), "")));
            let weak = loaded.config.weaknesses().into_iter();
            findings.extend(weak.map(|one| Finding::warning(one.message, "")));
            findings.extend(doubts(&loaded.config));
            known.docker = loaded.config.spawner.host_settings();
            known.config = Some(loaded.config);
            known.sound = SECTIONS.to_vec();
            findings
        }
        Err(error) => {
            known.config = salvage(&examination.sources, &mut known.sound);
            known.docker = host_settings(&examination.sources, &known.sound);
            problems(&error)
        }
    }
}

/// What can be used of a broken configuration, and which sections that is.
fn salvage(sources: &Sources, sound: &mut Vec<&'static str>) -> Option<Config> {
    let mut best = None;
    for section in SECTIONS {
        let sections = [&sound[..], &[section]].concat();
        if let Ok(loaded) = sources.load_sections(&sections) {
            best = Some(loaded.config);
            *sound = sections;
        }
    }
    best
}

/// Where Docker is to be looked for, as far as a broken configuration tells.
fn host_settings(sources: &Sources, sound: &[&str]) -> Option<HostSettings> {
    // What is missing is most often the image, which has no default.
    let named = match sound.contains(&"spawner") {
        true => sources.clone(),
        false => sources.clone().flags(["spawner.docker.image=unknown".to_owned()]),
    };
    match named.load_sections(&["spawner"]) {
        Ok(loaded) => loaded.config.spawner.host_settings(),
        Err(_) => Some(HostSettings::at(sources.variable("DOCKER_HOST").as_deref())),
    }
}

fn describe(loaded: &Loaded) -> String {
    let files: Vec<String> = [&loaded.config_file, &loaded.env_file]
        .into_iter()
        .flatten()
        .map(|file| file.display().to_string())
        .collect();
    match files.as_slice() {
        [] => "the environment alone; --config names a file".to_owned(),
        files => files.join(", "),
    }
}

/// Each error by itself. Their texts say what to do.
fn problems(error: &ConfigError) -> Vec<Finding> {
    let all = error.each().into_iter();
    all.map(|error| {
        let advice = match error {
            ConfigError::Unreadable { .. } => {
                "name the configuration file with --config; the user that runs this must be allowed to read it"
            }
            _ => "",
        };
        Finding::problem(error.to_string(), advice)
    })
    .collect()
}

/// What an operator should know besides about a configuration that can be used.
fn doubts(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut warn = |seen: &str, advice: &str| found.push(Finding::warning(seen, advice));
    let auth = &config.auth;
    let has_form = auth.password.is_some() || auth.local.is_some();
    if auth.github.is_none() && auth.oidc.is_none() && !has_form {
        warn(
            "no way to sign in is configured",
            "set [auth.github], [auth.oidc], [auth.password] or [auth.local]",
        );
    }
    if config.auth.policy.admits_nobody() {
        warn(
            "nobody is allowed to sign in",
            "name people in auth.userlist, auth.allowed_users or auth.admin_users",
        );
    }
    let docker = config.spawner.docker().filter(|docker| !docker.tls_verify);
    if docker.and_then(|docker| docker.host.as_deref()).is_some_and(is_open_to_others) {
        warn(
            "the Docker daemon is reached without TLS; whoever reaches its port is root there",
            "use ssh:// or TLS (DOCKER_TLS_VERIFY), or close the port to others",
        );
    }
    if let CookieSecretSource::Given(_) = config.cookie_secret {
        warn(
            "the cookie secret is in the environment, where other processes of this user can read it",
            "use store.cookie_secret_file; the hub makes the file",
        );
    }
    if !config.metrics.authenticate {
        warn(
            "metrics.authenticate is false; whoever reaches the hub can read how much it is used",
            "give Prometheus a token with the scope read:metrics, or close /hub/metrics in front",
        );
    }
    if let Some(directory) = config.events.file.as_deref().and_then(Path::parent)
        && !directory.is_dir()
    {
        warn(
            &format!(
                "events.file: there is no directory {}, so events are lost",
                directory.display()
            ),
            "make it, and let the hub write there",
        );
    }
    found
}

/// Whether a daemon is asked over a network.
fn is_open_to_others(host: &str) -> bool {
    let Some(rest) = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) else {
        return false;
    };
    // As http, so that an address is read as one.
    Url::parse(&format!("http://{rest}")).is_ok_and(|url| !is_local(&url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment: Environment =
            variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        parse(text, "hub.toml", Path::new("/srv"), &environment, false).map(|loaded| loaded.config)
    }

    #[test]
    fn env_4_what_is_missing_is_told_all_at_once() {
        let error = parsed("[http]\nlisten = \"x\"\n", &[]).unwrap_err();
        let seen: Vec<String> = problems(&error).into_iter().map(|finding| finding.seen).collect();
        for part in ["http.listen", "DOCKER_NOTEBOOK_IMAGE"] {
            assert!(seen.iter().any(|seen| seen.contains(part)), "{part} in {seen:?}");
        }
    }

    #[test]
    fn env_4_an_unset_client_secret_and_a_wrong_callback_are_problems() {
        let hub = "[http]\npublic_url = \"https://hub.example.org\"\n\
                   [spawner.docker]\nimage = \"lab\"\n";
        let id = ("GITHUB_CLIENT_ID", "id");
        let secret = ("GITHUB_CLIENT_SECRET", "hush");
        let callback = |url| ("OAUTH_CALLBACK_URL", url);
        for (variables, part) in [
            (vec![id], "client_secret: is missing"),
            (vec![id, secret, callback("https://hub.example.org/oauth")], "/hub/oauth_callback"),
            (vec![id, secret, callback("https://h.org/hub/oauth_callback")], "state cookie"),
        ] {
            let error = parsed(hub, &variables).unwrap_err();
            let findings = problems(&error);
            assert!(findings.iter().any(|f| f.seen.contains(part)), "{part} in {findings:?}");
            assert!(!format!("{findings:?}").contains("hush"));
        }
    }

    #[test]
    fn what_is_sound_in_a_broken_configuration_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hub.toml");
        let salvaged = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let environment = Environment::from_iter([
                ("GITHUB_CLIENT_ID", "id".to_owned()),
                ("DOCKER_HOST", "unix:///run/x".to_owned()),
            ]);
            let sources = Sources::new(environment).config_file(Some(file.clone()));
            assert!(sources.load().is_err(), "{text}");
            let mut sound = Vec::new();
            let config = salvage(&sources, &mut sound);
            let docker = host_settings(&sources, &sound).unwrap();
            assert_eq!(docker.host.as_deref(), Some("unix:///run/x"));
            (sound, config.map(|config| config.spawner.docker().unwrap().image.clone()))
        };
        let lab = "[spawner.docker]\nimage = \"lab\"\n";
        assert_eq!(
            salvaged(lab),
            (vec!["http", "hub_api", "proxy", "store", "spawner"], Some("lab".to_owned()))
        );
        assert_eq!(
            salvaged("[http]\nlisten = \"x\"\n"),
            (vec!["hub_api", "proxy", "store"], Some("unknown".to_owned()))
        );
        assert_eq!(salvaged("[http"), (vec![], None));
    }

    #[test]
    fn what_works_and_is_of_no_use_is_a_warning() {
        let text = "[spawner.docker]\nimage = \"lab\"\nhost = \"tcp://192.0.2.7:2375\"\n";
        let findings = doubts(&parsed(text, &[]).unwrap());
        let seen: Vec<&str> = findings.iter().map(|finding| finding.seen.as_str()).collect();
        for part in ["sign in", "nobody", "without TLS"] {
            assert!(seen.iter().any(|seen| seen.contains(part)), "{part} in {seen:?}");
        }
        let sound = "[auth]\nallowed_users = [\"ada\"]\n[auth.password.accounts]\n\
                     ada = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA\"\n\
                     [spawner.docker]\nimage = \"lab\"\nhost = \"tcp://127.0.0.1:2375\"\n";
        assert_eq!(doubts(&parsed(sound, &[]).unwrap()), []);
    }

    #[test]
    fn open_numbers_and_events_without_a_place_are_doubted() {
        let told = |text: &str| -> Vec<String> {
            let text = format!("[spawner.docker]\nimage = \"lab\"\n{text}");
            let config = parsed(&text, &[]).unwrap();
            doubts(&config).into_iter().map(|finding| finding.seen).collect()
        };
        let has = |text: &str, part: &str| told(text).iter().any(|seen| seen.contains(part));
        assert!(has("[metrics]\nauthenticate = false", "metrics.authenticate"));
        assert!(has("[events]\nfile = \"/none/such/events.jsonl\"", "events.file"));
        assert!(!has("", "metrics.authenticate") && !has("", "events.file"));
    }
}
