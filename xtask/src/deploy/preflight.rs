//! Whether the hub and the proxy would start with what an operator has, asked of
//! their own code before anything is changed.
//!
//! The files are laid out in a private directory as they will be in the volume,
//! and read with the variables that the container will have.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use hub_proxy::TlsKeys;
use hub_server::{
    chain, check_pages,
    config::{Environment, Loaded, Sources},
};
use tempfile::TempDir;

use super::{
    certificates, checks, environment,
    files::{self, CONFIG_DIR, Files, OPERATOR_TOKEN, PROXY_TOKEN, SECRETS_DIR},
    settings::{Problem, Settings, Tls},
};
use crate::workspace::shown;

/// In place of tokens that are made later: long enough to pass as one.
const ANY_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What there is to say about a configuration that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remarks {
    pub(super) warnings: Vec<String>,
    /// Who may do everything.
    pub(super) administrators: Vec<String>,
    /// Settings that are not safe, and that nobody has said are meant.
    pub(super) refused: Vec<Problem>,
}

/// All that is missing, wrong or weak, in one list (XT-2).
pub(super) fn all(settings: &Settings) -> Result<Remarks, Vec<Problem>> {
    let mut problems = checks::files(settings);
    let remarks = match look(&whole(settings), &settings.accepted()) {
        Ok(mut remarks) => {
            problems.append(&mut remarks.refused);
            remarks
        }
        Err(more) => {
            problems.extend(more);
            Remarks::default()
        }
    };
    if problems.is_empty() { Ok(remarks) } else { Err(problems) }
}

/// The settings with something in the place of each variable that is told to be
/// missing, so that what else is wrong can be found.
fn whole(settings: &Settings) -> Settings {
    let mut whole = settings.clone();
    for (name, _) in checks::missing_variables(settings) {
        let value = match name {
            "OAUTH_CALLBACK_URL" => {
                let host = settings.public_url.as_str().trim_end_matches('/');
                format!("{host}{}hub/oauth_callback", settings.base_url())
            }
            _ => "missing".to_owned(),
        };
        whole.variables.set(name, value);
    }
    whole
}

/// Reads everything as hub and proxy will; `accepted` are weak settings that the
/// operator means to have (security G2). What is missing is told elsewhere.
fn look(settings: &Settings, accepted: &[String]) -> Result<Remarks, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut remarks = Remarks::default();
    match rehearse(settings) {
        Ok(loaded) => {
            remarks.warnings.extend(loaded.warnings);
            let admins = loaded.config.auth.policy.admins();
            remarks.administrators = admins.iter().map(ToString::to_string).collect();
            for weak in loaded.config.weaknesses() {
                let told = match weak.name {
                    // A deployment has no [http.tls].
                    "plain-http" => format!(
                        "weak setting plain-http: {} is not https, so passwords and cookies can be \
                         read on the way; write the https:// address that the server in front has \
                         into HUB_PUBLIC_URL",
                        settings.public_url
                    ),
                    _ => weak.to_string(),
                };
                if accepted.iter().any(|name| name == weak.name) {
                    remarks.warnings.push(told);
                } else {
                    remarks.refused.push(Problem(format!(
                        "{told}. If that is meant, say so: --accept-weak {0}, or \
                         HUB_ACCEPT_WEAK={0} in .env",
                        weak.name
                    )));
                }
            }
        }
        Err(more) => problems.extend(more),
    }
    if let Tls::Acme(acme) = &settings.tls {
        let hosts = settings.hosts();
        let missing = hosts.iter().filter(|host| !acme.domains.contains(host));
        problems.extend(missing.map(|host| {
            Problem(format!(
                "ACME_DOMAINS: {host} is in the hub's address, but not here; people would meet a \
                 certificate for somebody else"
            ))
        }));
    }
    if let Tls::Files { certificate, key } = &settings.tls
        && certificate.is_file()
        && key.is_file()
    {
        match TlsKeys::load_for(certificate, key, settings.hosts()) {
            Ok(keys) => {
                remarks.warnings.extend(certificates::remarks(&keys, &shown(certificate)));
            }
            Err(error) => problems.push(Problem(chain(&error))),
        }
    }
    if problems.is_empty() {
        return Ok(remarks);
    }
    problems.extend(remarks.refused);
    Err(problems)
}

/// The hub's configuration as the hub will read it.
fn rehearse(settings: &Settings) -> Result<Loaded, Vec<Problem>> {
    if settings.config.file.as_ref().is_some_and(|file| !file.is_file()) {
        return Err(Vec::new());
    }
    let mut there = settings.clone();
    // A list that is missing is told by itself.
    let lacks = !settings.userlist.is_file();
    let nobody = tempfile::NamedTempFile::new().map_err(temporary)?;
    if lacks {
        there.userlist = nobody.path().to_owned();
    }
    let mut files = files::of_hub(&there)?;
    for name in [PROXY_TOKEN, OPERATOR_TOKEN] {
        files.entry(name.to_owned()).or_insert_with(|| ANY_TOKEN.into());
    }
    let config = format!("{CONFIG_DIR}/hub.toml");
    let stage = stage(&files).map_err(temporary)?;
    let root = stage.path().display().to_string();
    there.layout.data_dir.clone_from(&root);
    let environment: Environment = environment::of_hub(&there, &[]).into_iter().collect();
    let told = |said: String| Problem(operators(&said, &root, settings));
    let loaded =
        Sources::new(environment).config_file(Some(stage.path().join(config))).load().map_err(
            |error| error.each().into_iter().map(|one| told(chain(one))).collect::<Vec<_>>(),
        )?;
    check_pages(&loaded.config).map_err(|error| vec![told(chain(&error))])?;
    Ok(loaded)
}

fn temporary(error: impl Into<anyhow::Error>) -> Vec<Problem> {
    vec![Problem(format!("a temporary directory: {:#}", error.into()))]
}

/// Writes files that nobody else can read.
fn stage(files: &Files) -> anyhow::Result<TempDir> {
    let stage = tempfile::Builder::new().prefix("preflight-").tempdir()?;
    for (path, content) in files {
        let path = stage.path().join(path);
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
    }
    Ok(stage)
}

/// A complaint about the copies, about the files they were made from.
fn operators(said: &str, root: &str, settings: &Settings) -> String {
    let config = settings.config.file.as_deref();
    let dir = config.and_then(Path::parent).unwrap_or(&settings.dir);
    let config = config.map_or_else(|| "hub.toml".to_owned(), shown);
    said.replace(&format!("{root}/{CONFIG_DIR}/userlist"), &shown(&settings.userlist))
        .replace(&format!("{root}/{CONFIG_DIR}/hub.toml"), &config)
        .replace(&format!("{root}/{CONFIG_DIR}"), &shown(dir))
        .replace(&format!("{root}/{SECRETS_DIR}/"), "")
        .replace(root, &settings.layout.data_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(files: &[(&str, &str)], accepted: &[&str]) -> Result<Remarks, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "ada admin\n").unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let variables = [
            ("HUB_TLS", "off"),
            ("HUB_PUBLIC_URL", "https://hub.example.org"),
            ("DOCKER_NOTEBOOK_IMAGE", "lab"),
            ("GITHUB_CLIENT_ID", "id"),
            ("GITHUB_CLIENT_SECRET", "secret"),
            ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback"),
        ];
        let settings = Settings::read(dir.path(), variables.into_iter().collect()).unwrap();
        let accepted: Vec<String> = accepted.iter().map(|&name| name.to_owned()).collect();
        look(&settings, &accepted).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            all.join("\n").replace(&dir.path().display().to_string(), "DIR")
        })
    }

    #[test]
    fn what_the_reference_deployment_has_is_in_order() {
        let administrators = vec!["ada".to_owned()];
        assert_eq!(look_at(&[], &[]), Ok(Remarks { administrators, ..Remarks::default() }));
    }

    #[test]
    fn xt_2_missing_wrong_and_weak_things_are_told_in_one_round() {
        let dir = tempfile::tempdir().unwrap();
        let config = "[spawner.docker]\nimage = \"lab\"\nmem_limit = \"none\"\n[auth.github]\nclient_id = \"a\"\nclient_secret = \"b\"\ncallback_url = \"https://hub.example.org/hub/oauth_callback\"\n";
        let write = |text: &str| fs::write(dir.path().join("hub.toml"), text).unwrap();
        let told = || {
            let settings =
                Settings::read(dir.path(), [("HUB_CONFIG", "hub.toml")].into_iter().collect());
            all(&settings.unwrap()).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        write(config);
        let said = told();
        for part in ["jupyterhub.crt", "jupyterhub.key", "userlist", "no-memory-limit"] {
            assert_eq!(
                said.iter().filter(|line| line.contains(part)).count(),
                1,
                "{part} in {said:#?}"
            );
        }
        write(&format!("{config}[servers]\nstart_timeout_seconds = \"soon\"\n"));
        let said = told();
        for part in ["jupyterhub.crt", "userlist", "hub.toml:9"] {
            assert!(said.iter().any(|line| line.contains(part)), "{part} in {said:#?}");
        }

        // Variables that are missing are told once, by how to get them.
        fs::remove_file(dir.path().join("hub.toml")).unwrap();
        let settings = Settings::read(
            dir.path(),
            [("HUB__SERVERS__START_TIMEOUT_SECONDS", "soon")].into_iter().collect(),
        );
        let said: Vec<String> =
            all(&settings.unwrap()).unwrap_err().iter().map(ToString::to_string).collect();
        for part in
            ["DOCKER_NOTEBOOK_IMAGE", "GITHUB_CLIENT_SECRET", "HUB__SERVERS__START_TIMEOUT_SECONDS"]
        {
            assert_eq!(
                said.iter().filter(|line| line.contains(part)).count(),
                1,
                "{part} in {said:#?}"
            );
        }
    }

    #[test]
    fn xt_2_what_the_hub_would_refuse_is_told_before_anything_is_done() {
        let text = "[servers]\nstart_timeout_seconds = \"soon\"\n";
        let said = look_at(&[("hub.toml", text)], &[]).unwrap_err();
        assert!(said.contains("hub.toml:2:"), "with its line: {said}");
        assert!(!said.contains("preflight"), "no temporary path: {said}");

        let said = look_at(&[("userlist", "ada\nno/body\n")], &[]).unwrap_err();
        assert!(said.contains("userlist"), "{said}");
        assert!(!said.contains("preflight"), "no temporary path: {said}");
    }

    #[test]
    fn xt_2_a_template_that_the_hub_would_refuse_is_told_with_its_line() {
        let pages = "[pages]\ntemplates = \"pages\"\n";
        let template = [("hub.toml", pages), ("pages/login.html", "fine\n{% block %}\n")];
        let said = look_at(&template, &[]).unwrap_err();
        assert!(said.contains("DIR/pages/login.html:2"), "{said}");
        assert!(!said.contains("preflight"), "no temporary path: {said}");
    }

    #[test]
    fn tls_2_a_certificate_for_somebody_else_is_told_with_its_file() {
        use hub_proxy::{Overwrite, SelfSigned};
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "ada admin\n").unwrap();
        fs::create_dir(dir.path().join("secrets")).unwrap();
        let place = |name: &str| dir.path().join("secrets").join(name);
        let (certificate, key) = (place("jupyterhub.crt"), place("jupyterhub.key"));
        let variables = [
            ("DOCKER_NOTEBOOK_IMAGE", "lab"),
            ("HUB_PUBLIC_URL", "https://hub.example.org"),
            ("HUB_CONFIG", "hub.toml"),
        ];
        fs::write(dir.path().join("hub.toml"), "").unwrap();
        let settings = Settings::read(dir.path(), variables.into_iter().collect()).unwrap();
        for (host, expected) in [("other.example.org", false), ("hub.example.org", true)] {
            let made = SelfSigned::new([host]).unwrap();
            made.write(&certificate, &key, Overwrite::Replace).unwrap();
            match look(&settings, &[]) {
                Ok(_) => assert!(expected, "{host}"),
                Err(problems) => {
                    assert!(!expected, "{problems:?}");
                    assert!(problems[0].0.contains("jupyterhub.crt"), "{problems:?}");
                    assert!(problems[0].0.contains("hub.example.org"), "{problems:?}");
                }
            }
        }
    }

    #[test]
    fn g2_a_weak_setting_has_to_be_meant() {
        let text = "[spawner.docker]\nmem_limit = \"none\"\n";
        let remarks = look_at(&[("hub.toml", text)], &[]).unwrap();
        assert!(remarks.refused[0].0.contains("--accept-weak no-memory-limit"), "{remarks:?}");
        let remarks = look_at(&[("hub.toml", text)], &["no-memory-limit"]).unwrap();
        assert_eq!(remarks.refused, []);
        assert!(remarks.warnings[0].contains("no-memory-limit"), "{remarks:?}");
    }
}
