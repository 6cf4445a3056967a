//! Certificates that do not come as two files of the operator's.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use hub_proxy::{Overwrite, SelfSigned, TlsKeys};
use hub_spawner::engine::Engine;
use tar::{Archive, EntryType};

use super::{
    files::{CERTIFICATE, Files, KEY},
    operator::Operator,
    release::{self, Source},
    settings::{Settings, Tls},
};
use crate::workspace::shown;

/// What Let's Encrypt's clients call them. `cert.pem`, which the reference
/// deployment named, is the leaf alone: strict clients refuse that (TLS-2).
const CHAIN: &str = "fullchain.pem";
const PRIVATE: &str = "privkey.pem";

/// A volume of certificates is small.
const LARGEST: usize = 16 << 20;

/// Links that lead to links.
const MOST_LINKS: usize = 8;

/// The pair from the operator's volume of certificates, if that is where it is.
pub(super) async fn of_volume(
    operator: &Operator,
    settings: &Settings,
    image: &str,
) -> anyhow::Result<Files> {
    let Tls::Volume(volume) = &settings.tls else { return Ok(Files::new()) };
    if operator.is_dry_run() {
        looking(operator, volume).await?;
        return Ok(Files::new());
    }
    let (chain, key) = read(operator.engine(), volume, image)
        .await
        .with_context(|| format!("SECRETS_VOLUME={volume}"))?;
    let keys = TlsKeys::from_pem_for(&chain, &key, &settings.hosts())
        .with_context(|| format!("SECRETS_VOLUME={volume}: {CHAIN} and {PRIVATE}"))?;
    for warning in remarks(&keys, CHAIN) {
        eprintln!("  warning: SECRETS_VOLUME={volume}: {warning}");
    }
    Ok(Files::from([(CERTIFICATE.to_owned(), chain), (KEY.to_owned(), key)]))
}

/// What is not quite right with a pair that can be used; `certificate` is how the
/// operator calls it.
pub(super) fn remarks(keys: &TlsKeys, certificate: &str) -> Vec<String> {
    let mut remarks: Vec<String> = keys.warnings().iter().map(ToString::to_string).collect();
    if let Some(days) = keys.last_days() {
        let when = keys.not_after();
        remarks.push(format!("{certificate}: expires in {days} days, at {when}; renew it"));
    }
    remarks
}

/// Copies the pair from a volume to where a deployment reads it (ACME-4).
pub(super) async fn import(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
    volume: &str,
    force: bool,
) -> anyhow::Result<()> {
    let (certificate, key) = targets(settings)?;
    let engine = operator.engine();
    let image = any_image(operator, settings, source).await?;
    if operator.is_dry_run() {
        looking(operator, volume).await?;
        for path in [&certificate, &key] {
            super::print(&format!("write {}", shown(path)));
        }
        return Ok(());
    }
    let (chain, private) = read(engine, volume, &image).await?;
    // What is here may be better than what is there.
    let keys = TlsKeys::from_pem_for(&chain, &private, &settings.hosts()).with_context(|| {
        format!("{CHAIN} and {PRIVATE} of the volume {volume} are of no use; nothing was written")
    })?;
    for warning in remarks(&keys, CHAIN) {
        eprintln!("  warning: {volume}: {warning}");
    }
    let files = [(certificate.as_path(), chain, 0o644), (key.as_path(), private, 0o600)];
    keep(&files, force)
}

/// Tells, in a dry run, that a volume is looked into.
async fn looking(operator: &Operator, volume: &str) -> anyhow::Result<()> {
    let call = format!("POST /containers/create and GET archive (helper: {CHAIN} of {volume})");
    operator.change(call, std::future::ready(anyhow::Ok(()))).await?;
    Ok(())
}

/// An image that lends its name to a container that is never started.
async fn any_image(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
) -> anyhow::Result<String> {
    let engine = operator.engine();
    if let Some(hub) = engine.inspect(&settings.layout.hub).await? {
        return Ok(hub.image_id);
    }
    if let Some(image) = settings.server_image()
        && engine.image_exists(image).await?
    {
        return Ok(image.to_owned());
    }
    // The first command on a fresh host.
    Ok(release::ensure(operator, settings, source).await?.image)
}

/// Makes a certificate that this deployment signs itself (TLS-4).
pub(super) fn self_signed(
    settings: &Settings,
    domain: Option<&str>,
    force: bool,
    dry_run: bool,
) -> anyhow::Result<()> {
    let (certificate, key) = targets(settings)?;
    let host = domain.or(settings.public_url.host_str()).unwrap_or("localhost");
    if !force && TlsKeys::load_for(&certificate, &key, vec![host.to_owned()]).is_ok() {
        eprintln!("  {} is there already, and good for {host}", shown(&certificate));
        return Ok(());
    }
    refuse_existing(&[&certificate, &key], force)?;
    if dry_run {
        super::print(&format!("write {} and {}", shown(&certificate), shown(&key)));
        return Ok(());
    }
    let made = SelfSigned::new([host])?;
    for dir in [certificate.parent(), key.parent()].into_iter().flatten() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", shown(dir)))?;
    }
    let overwrite = if force { Overwrite::Replace } else { Overwrite::Never };
    made.write(&certificate, &key, overwrite)?;
    eprintln!("  wrote {} and {}", shown(&certificate), shown(&key));
    eprintln!(
        "  for {host}, localhost, 127.0.0.1 and ::1, valid for 397 days; browsers warn of it"
    );
    Ok(())
}

fn targets(settings: &Settings) -> anyhow::Result<(PathBuf, PathBuf)> {
    match &settings.tls {
        Tls::Files { certificate, key } => Ok((certificate.clone(), key.clone())),
        Tls::Volume(volume) => {
            eprintln!(
                "  warning: SECRETS_VOLUME={volume} is set, and the deployment takes its certificate \
                 from that volume; take the line away to have these files used"
            );
            let secrets = settings.dir.join("secrets");
            Ok((secrets.join("jupyterhub.crt"), secrets.join("jupyterhub.key")))
        }
        Tls::Acme(_) => bail!("ACME_DOMAINS is set, so the proxy gets its certificate by itself"),
        Tls::Elsewhere => {
            bail!("HUB_TLS=off: something in front ends TLS, with its own certificate")
        }
    }
}

fn refuse_existing(paths: &[&Path], force: bool) -> anyhow::Result<()> {
    match paths.iter().find(|path| !force && path.exists()) {
        Some(path) => bail!("{} is there already; --force replaces it", shown(path)),
        None => Ok(()),
    }
}

/// Writes files that are not there, or replaces them with `force`; all or none.
/// Those that are there with the same content stay (XT-1).
fn keep(files: &[(&Path, Vec<u8>, u32)], force: bool) -> anyhow::Result<()> {
    let is_same = |path: &Path, content: &[u8]| fs::read(path).is_ok_and(|there| there == content);
    let (same, other): (Vec<_>, Vec<_>) =
        files.iter().partition(|(path, content, _)| is_same(path, content));
    for (path, _, _) in same {
        eprintln!("  {} is there already", shown(path));
    }
    let paths: Vec<&Path> = other.iter().map(|(path, _, _)| *path).collect();
    refuse_existing(&paths, force)?;
    for (path, content, mode) in other {
        write(path, content, *mode)?;
        eprintln!("  wrote {}", shown(path));
    }
    Ok(())
}

fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::PermissionsExt};
    let dir = path.parent().context("a file is in a directory")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", shown(dir)))?;
    let mut file = tempfile::NamedTempFile::new_in(dir)
        .with_context(|| format!("cannot write in {}", shown(dir)))?;
    file.write_all(content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(path).with_context(|| format!("cannot write {}", shown(path)))?;
    Ok(())
}

async fn read(engine: &Engine, volume: &str, image: &str) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut archive = Vec::new();
    let mut parts = engine.export_volume(volume, image).await?;
    while let Some(part) = parts.next().await {
        archive.extend_from_slice(&part?);
        if archive.len() > LARGEST {
            drop(parts);
            engine.remove_volume_helpers(volume).await?;
            bail!("the volume {volume} holds more than certificates");
        }
    }
    let tree = Tree::read(&archive)?;
    let get = |name: &str| {
        tree.file(name).with_context(|| {
            format!("the volume {volume} has no {name}; it should hold {CHAIN} and {PRIVATE} at its top, as Let's Encrypt's clients leave them")
        })
    };
    Ok((get(CHAIN)?, get(PRIVATE)?))
}

/// Files and links of an archive. Let's Encrypt's clients link
/// `fullchain.pem -> live/DOMAIN/fullchain.pem -> ../../archive/...`.
#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Vec<u8>>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Tree {
    fn read(archive: &[u8]) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        for entry in Archive::new(archive).entries()? {
            let mut entry = entry?;
            let path = normal(&entry.path()?);
            match entry.header().entry_type() {
                EntryType::Regular => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content)?;
                    tree.files.insert(path, content);
                }
                EntryType::Symlink => {
                    let to = entry.link_name()?.context("a link leads somewhere")?.into_owned();
                    tree.links.insert(path, to);
                }
                _ => {}
            }
        }
        Ok(tree)
    }

    /// What is called `name` at the top, through links. Absolute ones mean the
    /// place where the reference deployment mounts the volume.
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let mut path = PathBuf::from(name);
        for _ in 0..MOST_LINKS {
            if let Some(content) = self.files.get(&path) {
                return Some(content.clone());
            }
            let to = self.links.get(&path)?;
            path = match to.strip_prefix("/etc/letsencrypt") {
                Ok(inside) => normal(inside),
                Err(_) => normal(&path.parent().unwrap_or(Path::new("")).join(to)),
            };
        }
        None
    }
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acme_4_links_of_a_lets_encrypt_directory_are_followed() {
        let tree = Tree {
            files: BTreeMap::from([
                (PathBuf::from("archive/h/fullchain1.pem"), b"chain".to_vec()),
                (PathBuf::from("archive/h/privkey1.pem"), b"key".to_vec()),
            ]),
            links: BTreeMap::from([
                (PathBuf::from("fullchain.pem"), PathBuf::from("live/h/fullchain.pem")),
                (
                    PathBuf::from("live/h/fullchain.pem"),
                    PathBuf::from("../../archive/h/fullchain1.pem"),
                ),
                (
                    PathBuf::from("privkey.pem"),
                    PathBuf::from("/etc/letsencrypt/live/h/privkey.pem"),
                ),
                (
                    PathBuf::from("live/h/privkey.pem"),
                    PathBuf::from("../../archive/h/privkey1.pem"),
                ),
                (PathBuf::from("round"), PathBuf::from("round")),
            ]),
        };
        assert_eq!(tree.file("fullchain.pem").as_deref(), Some(b"chain".as_slice()));
        assert_eq!(tree.file("privkey.pem").as_deref(), Some(b"key".as_slice()));
        assert_eq!(tree.file("round"), None);
        assert_eq!(tree.file("cert.pem"), None);
    }

    #[test]
    fn xt_1_a_certificate_that_is_there_and_good_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::read(dir.path(), [("HUB_TLS", "files")].into_iter().collect());
        let settings = settings.unwrap();
        let make = |domain: &str, force, dry| self_signed(&settings, Some(domain), force, dry);
        let key = || fs::read(dir.path().join("secrets/jupyterhub.key")).ok();
        make("hub.example.org", false, true).unwrap();
        assert_eq!(key(), None, "a dry run");
        make("hub.example.org", false, false).unwrap();
        let first = key().unwrap();
        make("hub.example.org", false, false).unwrap();
        assert_eq!(key().unwrap(), first);
        for dry in [true, false] {
            let refused = make("other.example.org", false, dry).unwrap_err().to_string();
            assert!(refused.contains("--force"), "{refused}");
        }
        assert_eq!(key().unwrap(), first);
        make("other.example.org", true, false).unwrap();
        assert_ne!(key().unwrap(), first);
    }

    #[test]
    fn xt_1_files_that_are_there_with_the_same_content_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("a.crt"), dir.path().join("a.key"));
        let files = |text: &str| {
            [(one.as_path(), b"chain".to_vec(), 0o644), (two.as_path(), text.into(), 0o600)]
        };
        keep(&files("key"), false).unwrap();
        keep(&files("key"), false).unwrap();
        assert!(keep(&files("another"), false).is_err());
        assert_eq!(fs::read(&two).unwrap(), b"key");
        keep(&files("another"), true).unwrap();
        assert_eq!(fs::read(&two).unwrap(), b"another");
    }

    #[test]
    fn tls_4_nothing_is_overwritten_by_accident() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets/jupyterhub.key");
        write(&path, b"old", 0o600).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
