//! Whether all that a deployment needs is there: every missing thing in one run,
//! each with how to get it (XT-2).

use std::{fs, io, path::Path};

use hub_server::config::key::{self, Kind};
use url::Url;

use super::settings::{Problem, Settings, Tls};
use crate::workspace::shown;

/// What is missing or wrong among the operator's files and variables.
pub(super) fn files(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Tls::Files { certificate, key } = &settings.tls {
        let how = format!(
            "put your certificate there (leaf first, then intermediates; SSL_CERT and SSL_KEY name \
             other places), or make one with `{}`, or set ACME_DOMAINS to have one issued",
            settings.command("self-signed-cert")
        );
        readable(certificate, "the certificate", &how, &mut problems);
        readable(key, "the certificate's key", &how, &mut problems);
    }
    readable(
        &settings.userlist,
        "the list of users",
        "write one name a line, administrators with the word admin behind it:\n      zoe admin\n      wash",
        &mut problems,
    );
    if let Some(config) = &settings.config.file {
        readable(
            config,
            "the hub's configuration",
            "correct HUB_CONFIG, or leave it out",
            &mut problems,
        );
    }
    problems.extend(missing_variables(settings).into_iter().map(|(_, problem)| problem));
    problems.extend(
        settings.variables.forwarded().filter_map(|(name, value)| shown_by_docker(name, value)),
    );
    problems
}

/// The variables that nobody has set, each with how to get its value.
pub(super) fn missing_variables(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let mut missing = Vec::new();
    if settings.server_image().is_none() && settings.config.file.is_none() {
        let problem = Problem(
            "DOCKER_NOTEBOOK_IMAGE is not set: name the image of the notebook servers in .env, for \
             example jupyter/scipy-notebook:latest"
                .to_owned(),
        );
        missing.push(("DOCKER_NOTEBOOK_IMAGE", problem));
    }
    let other_sign_in = |name: &str| {
        ["HUB__AUTH__PASSWORD__", "HUB__AUTH__DUMMY__"].iter().any(|start| name.starts_with(start))
    };
    if settings.config.file.is_none() && !settings.variables.names().any(other_sign_in) {
        for (name, how) in [
            ("GITHUB_CLIENT_ID", "register an OAuth app at GitHub and copy its client id"),
            ("GITHUB_CLIENT_SECRET", "generate a client secret for the OAuth app"),
            (
                "OAUTH_CALLBACK_URL",
                "https://YOUR.HOST/hub/oauth_callback, as registered for the app",
            ),
        ] {
            let file = format!("{name}_FILE");
            if settings.variables.get(name).is_none() && settings.variables.get(&file).is_none() {
                let problem = Problem(format!(
                    "{name} is not set: {how}, or describe another way to sign in in hub.toml"
                ));
                missing.push((name, problem));
            }
        }
    }
    missing
}

/// A secret key of the configuration in a variable: `docker inspect` would show it
/// (security C11).
fn shown_by_docker(name: &str, value: &str) -> Option<Problem> {
    let key = key::key(&name.strip_prefix("HUB__")?.to_lowercase().replace("__", "."))?;
    let secret = match key.kind {
        Kind::DatabaseUrl | Kind::ProxyUrl => {
            Url::parse(value).is_ok_and(|url| url.password().is_some())
        }
        kind => kind.is_secret(),
    };
    secret.then(|| {
        let (table, last) = key.name.rsplit_once('.').unwrap_or_default();
        Problem(format!(
            "{name} is a secret, and `docker inspect` shows the variables of a container: write \
             it into hub.toml, as {last} in [{table}]"
        ))
    })
}

fn readable(path: &Path, what: &str, how: &str, problems: &mut Vec<Problem>) {
    let trouble = match fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => return,
        Ok(_) => "is not a file".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
        Err(error) => format!("cannot be read ({error})"),
    };
    problems.push(Problem(format!("{} ({what}) {trouble}: {how}", shown(path))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path, given: &[(&str, &str)]) -> Settings {
        Settings::read(dir, given.iter().copied().collect()).unwrap()
    }

    #[test]
    fn xt_2_all_missing_files_are_named_with_how_to_make_them() {
        let dir = tempfile::tempdir().unwrap();
        let problems = files(&settings(dir.path(), &[]));
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for part in [
            "secrets/jupyterhub.crt",
            "secrets/jupyterhub.key",
            "userlist",
            "zoe admin",
            "DOCKER_NOTEBOOK_IMAGE",
            "GITHUB_CLIENT_ID",
            "GITHUB_CLIENT_SECRET",
            "OAUTH_CALLBACK_URL",
        ] {
            assert!(text.iter().any(|line| line.contains(part)), "{part} in {text:#?}");
        }
    }

    #[test]
    fn img_3_certificate_files_are_not_asked_for_where_they_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        for given in [("SECRETS_VOLUME", "v"), ("HUB_TLS", "off")] {
            let problems = files(&settings(dir.path(), &[given]));
            assert!(problems.iter().all(|p| !p.0.contains("jupyterhub.crt")), "{problems:?}");
        }
    }

    #[test]
    fn c11_a_secret_that_docker_would_show_is_refused() {
        let told = |name, value| shown_by_docker(name, value).map(|problem| problem.0);
        let said = told("HUB__AUTH__GITHUB__CLIENT_SECRET", "x").unwrap();
        assert!(said.ends_with("as client_secret in [auth.github]"), "{said}");
        assert!(told("HUB__STORE__URL", "postgres://hub:pw@db/hub").is_some());
        assert_eq!(told("HUB__STORE__URL", "sqlite:///data/hub.sqlite"), None);
        assert_eq!(told("HUB__AUTH__GITHUB__CLIENT_ID", "x"), None);
        assert_eq!(told("GITHUB_CLIENT_ID", "x"), None);
    }

    #[test]
    fn a_complete_directory_has_no_problem() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("secrets")).unwrap();
        for file in ["secrets/jupyterhub.crt", "secrets/jupyterhub.key", "userlist"] {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let settings = settings(
            dir.path(),
            &[
                ("DOCKER_NOTEBOOK_IMAGE", "lab"),
                ("GITHUB_CLIENT_ID", "id"),
                ("GITHUB_CLIENT_SECRET_FILE", "secret"),
                ("OAUTH_CALLBACK_URL", "https://h/hub/oauth_callback"),
            ],
        );
        assert_eq!(files(&settings), []);
    }
}
