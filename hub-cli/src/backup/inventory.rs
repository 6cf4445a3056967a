//! Which files make up a hub, beside its store.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use hub_server::config::{Config, CookieSecretSource, Setting, TlsSource};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::{
    included,
    manifest::{Fingerprint, Role},
    redact,
};
use crate::{args::Secrets, configuration::Located};

/// What the archive gets, and what it does not.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) items: Vec<Item>,
    /// For people.
    pub(crate) left_out: Vec<String>,
    pub(crate) fingerprints: Vec<Fingerprint>,
}

/// A file on its way into the archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) role: Role,
    /// Relative to the directory of the configuration where it is below that.
    pub(crate) place: PathBuf,
    /// Whether secrets were taken out of it.
    pub(crate) redacted: bool,
    /// Whether its owner may run it.
    pub(crate) executable: bool,
    pub(crate) content: Vec<u8>,
}

impl Item {
    /// A file as it is.
    pub(crate) fn new(role: Role, place: PathBuf, content: Vec<u8>) -> Self {
        Self { role, place, redacted: false, executable: false, content }
    }
}

/// Collects the files of the hub that `located` describes.
///
/// # Errors
///
/// When one of them cannot be read: a backup without it would be missed late.
pub(crate) fn collect(
    located: &Located,
    config: &Config,
    secrets: &Secrets,
) -> anyhow::Result<Inventory> {
    let with_secrets = secrets.with_secrets;
    let mut inventory = Inventory::default();
    let directory = located.directory();
    let env_file = secrets.env_file.clone();
    let beside = || Some(directory.join(".env")).filter(|path| path.is_file());
    let env_file = env_file.or_else(beside);
    let loaded = located.loaded()?;
    let mut table = Table::new();
    if let Some(path) = &loaded.config_file {
        let text = read_text(path)?;
        table = toml::from_str(&text)?;
        inventory.config(path, &text, table.clone(), &directory, with_secrets);
    }
    if let Some(path) = env_file.as_deref() {
        inventory.variables(path, &directory, with_secrets)?;
    }
    let userlist = loaded.settings.get("auth.userlist").map(Setting::to_json);
    if let Some(path) = userlist.as_ref().and_then(|path| path.as_str()) {
        inventory.file(Role::Userlist, &directory.join(path), &directory)?;
    }
    if let Some(TlsSource::Files(tls)) = &config.http.tls {
        inventory.file(Role::Certificate, &tls.certificate, &directory)?;
        inventory.secret(Role::TlsKey, &tls.key, &directory, with_secrets)?;
    }
    match &config.cookie_secret {
        CookieSecretSource::File(path) if path.exists() => {
            inventory.fingerprint("cookie secret", &read(path)?);
            inventory.secret(Role::CookieSecret, path, &directory, with_secrets)?;
        }
        // A hub that has never run has none yet.
        CookieSecretSource::File(_) => {}
        CookieSecretSource::Given(text) => {
            inventory.fingerprint("cookie secret", text.as_bytes());
            inventory.left_out.push("the cookie secret, which is in JPY_COOKIE_SECRET".to_owned());
        }
    }
    let mut secret_files = Vec::new();
    let table = Value::Table(table);
    named_files(&table, &mut secret_files);
    for path in secret_files {
        let path = directory.join(path);
        let known = place(&path, &directory);
        let is_cookie =
            matches!(&config.cookie_secret, CookieSecretSource::File(file) if *file == path);
        if !is_cookie && !inventory.items.iter().any(|item| item.place == known) {
            inventory.secret(Role::SecretFile, &path, &directory, with_secrets)?;
        }
    }
    let mut included = secrets.include.clone();
    if let Some(TlsSource::Acme(acme)) = &config.http.tls {
        included.push(acme.dir.clone());
    }
    included.extend(config.spawner.docker().and_then(|docker| docker.cert_path.clone()));
    // What variables name, for example a secret that is in a file of its own.
    let own = [&loaded.config_file, &loaded.env_file];
    let cookie = match &config.cookie_secret {
        CookieSecretSource::File(path) => Some(path),
        CookieSecretSource::Given(_) => None,
    };
    included.extend(loaded.files.iter().filter(|path| path.is_file()).cloned());
    included
        .retain(|path| !own.iter().any(|own| own.as_ref() == Some(path)) && cookie != Some(path));
    for path in &included {
        inventory.include(path, &directory, with_secrets)?;
    }
    if let Some(templates) = &config.templates {
        inventory.left_out.push(format!("the page templates in {}", templates.display()));
    }
    Ok(inventory)
}

impl Inventory {
    /// Adds a configuration file.
    pub(super) fn config_file(
        &mut self,
        path: &Path,
        directory: &Path,
        with_secrets: bool,
    ) -> anyhow::Result<()> {
        let text = read_text(path)?;
        let table = toml::from_str(&text)
            .with_context(|| format!("{} is no configuration", path.display()))?;
        self.config(path, &text, table, directory, with_secrets);
        Ok(())
    }

    /// Adds a file of variables.
    pub(super) fn variables(
        &mut self,
        path: &Path,
        directory: &Path,
        with_secrets: bool,
    ) -> anyhow::Result<()> {
        let text = read_text(path)?;
        let (kept, removed) = redact::variables(&text);
        let place = place(path, directory);
        let content = if with_secrets { text } else { kept };
        if !with_secrets {
            self.left_out
                .extend(removed.iter().map(|name| format!("{name} of {}", path.display())));
        }
        let redacted = !with_secrets && !removed.is_empty();
        self.items.push(Item { redacted, ..Item::new(Role::Env, place, content.into()) });
        Ok(())
    }

    fn config(
        &mut self,
        path: &Path,
        text: &str,
        mut table: Table,
        directory: &Path,
        with_secrets: bool,
    ) {
        let removed = redact::config(&mut table);
        let redacted = !with_secrets && !removed.is_empty();
        let content = if !redacted {
            text.to_owned()
        } else {
            self.left_out.extend(removed.iter().map(|key| format!("{key} of {}", path.display())));
            let list = removed.iter().map(|key| format!("#   {key}\n")).collect::<String>();
            format!("# Restored without its secrets. Set these again:\n{list}\n{table}")
        };
        let place = place(path, directory);
        self.items.push(Item { redacted, ..Item::new(Role::Config, place, content.into()) });
    }

    pub(super) fn file(&mut self, role: Role, path: &Path, directory: &Path) -> anyhow::Result<()> {
        let (place, content) = (place(path, directory), read(path)?);
        self.items.push(Item::new(role, place, content));
        Ok(())
    }

    fn secret(
        &mut self,
        role: Role,
        path: &Path,
        directory: &Path,
        with_secrets: bool,
    ) -> anyhow::Result<()> {
        if with_secrets {
            return self.file(role, path, directory);
        }
        self.left_out.push(path.display().to_string());
        Ok(())
    }

    /// Adds a file, or all files below a directory. Certificates are for everybody,
    /// the rest counts as secret.
    pub(super) fn include(
        &mut self,
        path: &Path,
        directory: &Path,
        with_secrets: bool,
    ) -> anyhow::Result<()> {
        if !path.exists() {
            self.left_out.push(format!("{}, which is not there", path.display()));
            return Ok(());
        }
        for path in included::files(path)? {
            let known = place(&path, directory);
            let shown = path.display().to_string();
            if self.items.iter().any(|item| item.place == known) || self.left_out.contains(&shown) {
                continue;
            }
            match included::is_certificate(&read(&path)?) {
                true => self.file(Role::Certificate, &path, directory)?,
                false => self.secret(Role::Included, &path, directory, with_secrets)?,
            }
        }
        Ok(())
    }

    fn fingerprint(&mut self, of: &str, secret: &[u8]) {
        self.fingerprints.push(fingerprint(of, secret));
    }
}

/// How to recognise a secret: its SHA-256 begins with these digits.
pub(crate) fn fingerprint(of: &str, secret: &[u8]) -> Fingerprint {
    let digest = Sha256::digest(secret.trim_ascii());
    let sha256_begins = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Fingerprint { of: of.to_owned(), sha256_begins }
}

/// The path as the archive keeps it.
fn place(path: &Path, directory: &Path) -> PathBuf {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (path, directory) = (absolute(path), absolute(directory));
    path.strip_prefix(&directory).map(Path::to_owned).unwrap_or(path)
}

/// What all keys that end in `_file` say.
fn named_files<'t>(value: &'t Value, found: &mut Vec<&'t str>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::String(path) if key.ends_with("_file") => found.push(path),
                    other => named_files(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named_files(item, found)),
        _ => {}
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub with everything that can be on a disk.
    fn hub(directory: &Path) -> Located {
        let write = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let certificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        write("userlist", "ada admin\n");
        write("github-secret", "hunter2");
        write("acme/account.json", "{\"key\": \"hunter2\"}");
        write("acme/hub.example.org/fullchain.pem", certificate);
        write("acme/hub.example.org/privkey.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
        write("docker/ca.pem", certificate);
        write("docker/key.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
        write("pages/login.html", "<p>");
        write("cookie", "hunter2hunter2");
        write(
            "hub.toml",
            "[http]\nlisten = \"0.0.0.0:443\"\nredirect_listen = \"0.0.0.0:80\"\n\
             public_url = \"https://hub.example.org\"\n\
             [http.acme]\ndomains = [\"hub.example.org\"]\nagree_tos = true\ndir = \"DIR/acme\"\n\
             [store]\ncookie_secret_file = \"cookie\"\n[auth]\nuserlist = \"userlist\"\n\
             [auth.github]\nclient_id = \"x\"\nclient_secret_file = \"github-secret\"\n\
             [pages]\ntemplates = \"pages\"\n[spawner.docker]\nimage = \"lab\"\n\
             host = \"tcp://docker:2376\"\ntls_verify = true\ncert_path = \"docker\"\n"
                .replace("DIR", &directory.display().to_string())
                .as_str(),
        );
        Located { file: Some(directory.join("hub.toml")), ..Located::default() }
    }

    fn collected(located: &Located, with_secrets: bool) -> Inventory {
        let secrets =
            Secrets { with_secrets, passphrase_file: None, env_file: None, include: Vec::new() };
        collect(located, &located.load().unwrap(), &secrets).unwrap()
    }

    fn places(inventory: &Inventory) -> Vec<(Role, &str)> {
        let items = inventory.items.iter();
        items.map(|item| (item.role, item.place.to_str().unwrap())).collect()
    }

    #[test]
    fn bak_3_with_secrets_everything_is_there_and_without_none_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let located = hub(directory.path());
        let open = [
            (Role::Config, "hub.toml"),
            (Role::Userlist, "userlist"),
            (Role::Certificate, "acme/hub.example.org/fullchain.pem"),
            (Role::Certificate, "docker/ca.pem"),
        ];
        let all = [
            (Role::Config, "hub.toml"),
            (Role::Userlist, "userlist"),
            (Role::CookieSecret, "cookie"),
            (Role::SecretFile, "github-secret"),
            (Role::Included, "acme/account.json"),
            (Role::Certificate, "acme/hub.example.org/fullchain.pem"),
            (Role::Included, "acme/hub.example.org/privkey.pem"),
            (Role::Certificate, "docker/ca.pem"),
            (Role::Included, "docker/key.pem"),
        ];
        let without = collected(&located, false);
        assert_eq!(places(&without), open);
        for item in &without.items {
            assert!(!String::from_utf8_lossy(&item.content).contains("hunter2"), "{item:?}");
        }
        let left_out = without.left_out.join("\n");
        for secret in ["cookie", "github-secret", "account.json", "privkey.pem", "key.pem", "pages"]
        {
            assert_eq!(
                left_out.matches(&format!("/{secret}")).count(),
                1,
                "{secret} in {left_out}"
            );
        }

        let with = collected(&located, true);
        assert_eq!(places(&with), all);
        assert_eq!(with.left_out.len(), 1, "the templates: {:?}", with.left_out);
    }

    #[test]
    fn places_below_the_configuration_are_relative() {
        let directory = Path::new("/srv/hub");
        assert_eq!(place(Path::new("/srv/hub/tls/a.crt"), directory), Path::new("tls/a.crt"));
        assert_eq!(place(Path::new("/data/cookie"), directory), Path::new("/data/cookie"));
    }

    #[test]
    fn files_are_found_by_the_ending_of_their_keys() {
        let table: Table =
            toml::from_str("[a]\nx_file = \"1\"\n[[b]]\ny_file = \"2\"\nz = \"3\"\n").unwrap();
        let table = Value::Table(table);
        let mut found = Vec::new();
        named_files(&table, &mut found);
        assert_eq!(found, ["1", "2"]);
    }

    #[test]
    fn bak_3_a_fingerprint_does_not_depend_on_the_last_newline() {
        assert_eq!(fingerprint("x", b"abc\n"), fingerprint("x", b"abc"));
        assert_eq!(fingerprint("x", b"abc").sha256_begins, "ba7816bf");
    }
}
