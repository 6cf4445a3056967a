//! The image of hub and proxy: built from this checkout, named after what is in
//! it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use hub_spawner::engine::Engine;
use tokio::process::Command;

use super::{elf, layout::UID, operator::Operator, rootfs, scratch::Scratch, settings::Settings};
use crate::{process, programs, step::Step, workspace};

/// The programs in the image.
const PROGRAMS: [&str; 3] = ["hub-server", "hub-proxy", "hub"];

/// The packages they are built from.
const PACKAGES: [&str; 3] = ["hub-server", "hub-proxy", "hub-cli"];

/// How the image is called; its tag is its content.
pub(super) const REPOSITORY: &str = "notebook-hub";

/// Where distributions keep the certificates that programs trust.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Which programs go into the image.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Built now, with this profile of cargo's.
    Profile(String),
    /// Built before, in this directory.
    Directory(PathBuf),
}

/// An image that the daemon has.
#[derive(Debug)]
pub(super) struct Release {
    /// `notebook-hub:` and what is in it.
    pub(super) image: String,
    /// The proxy's program, for a proxy that is replaced while it runs; there as
    /// long as this is.
    pub(super) proxy_program: PathBuf,
    /// Hash of that program.
    pub(super) proxy_hash: String,
    /// Hash of what the programs run on: shared libraries, and the authorities
    /// that are trusted.
    pub(super) runtime_hash: String,
    /// Of this run alone: another one may deploy other programs at the same time.
    pub(super) scratch: Option<Scratch>,
}

/// Builds the programs and the image, as far as they are not there.
pub(super) async fn ensure(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
) -> anyhow::Result<Release> {
    let theirs = architecture(operator.engine(), source).await?;
    let directory = programs(operator, source).await?;
    let scratch = Scratch::new().context("cannot make a directory for the image")?;
    let mut stripped = Vec::new();
    for program in PROGRAMS {
        let built = directory.join(program);
        if !built.is_file() {
            if operator.is_dry_run() {
                return Ok(unbuilt());
            }
            bail!("{} is not there; build it, or leave out --binaries", built.display());
        }
        if check(&built, &theirs)? == Built::Elsewhere {
            // The tools of this machine do not know such programs.
            stripped.push(built);
        } else {
            stripped.push(strip(&built, scratch.path()).await?);
        }
    }
    let libraries = libraries(&stripped).await?;
    let archive = scratch.path().join("rootfs.tar");
    let bundle = CA_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    if bundle.is_none() {
        eprintln!(
            "  warning: this machine has no list of certificate authorities (Debian's package \
             ca-certificates), so the image has none: the hub cannot speak to GitHub over https"
        );
    }
    let content = rootfs::write(&archive, &stripped, &libraries, bundle)
        .with_context(|| format!("cannot write {}", archive.display()))?;
    let image = format!("{REPOSITORY}:{}", &content[..12]);
    if operator.engine().image_id(&image).await?.is_none() {
        let size = fs::metadata(&archive)?.len() >> 20;
        let step = (!operator.is_dry_run())
            .then(|| Step::begin(format!("making the image {image} ({size} MiB)")));
        let user = format!("USER {UID}:{UID}");
        // Which deployment it was made for first; others may use it as well.
        let labels = settings.layout.labels("image");
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("LABEL {key}={value}")).collect();
        let mut changes =
            vec!["ENV PATH=/usr/bin", user.as_str(), "ENTRYPOINT [\"/usr/bin/hub-server\"]"];
        changes.extend(labels.iter().map(String::as_str));
        operator
            .change(
                format_args!(
                    "POST /images/create?fromSrc=-&repo={REPOSITORY}&tag={}",
                    &content[..12]
                ),
                operator.engine().import_file(&archive, &image, &changes),
            )
            .await?;
        if let Some(step) = step {
            step.done("");
        }
    }
    fs::remove_file(&archive)?;
    let proxy = stripped.iter().find(|path| path.ends_with("hub-proxy"));
    let proxy = proxy.context("the proxy is one of the programs")?;
    let runtime = libraries.iter().map(PathBuf::as_path).chain(bundle);
    Ok(Release {
        image,
        proxy_hash: hash([proxy.as_path()])?,
        runtime_hash: hash(runtime)?,
        proxy_program: proxy.clone(),
        scratch: Some(scratch),
    })
}

/// Where the programs are, which are built if need be.
async fn programs(operator: &Operator, source: &Source) -> anyhow::Result<PathBuf> {
    match source {
        Source::Directory(directory) => Ok(directory.clone()),
        Source::Profile(profile) => build(operator, profile, &PACKAGES).await,
    }
}

/// What a dry run works with when nothing was built yet.
fn unbuilt() -> Release {
    Release {
        image: format!("{REPOSITORY}:(as built)"),
        proxy_program: PathBuf::new(),
        proxy_hash: String::new(),
        runtime_hash: String::new(),
        scratch: None,
    }
}

/// The kind of the engine's processor; empty if the engine does not tell.
///
/// # Errors
///
/// If programs are to be built here and would be of another kind.
async fn architecture(engine: &Engine, source: &Source) -> anyhow::Result<String> {
    let theirs = engine.info().await?.architecture;
    let theirs = elf::usual_name(&theirs).to_owned();
    let ours = std::env::consts::ARCH;
    if matches!(source, Source::Profile(_)) && !theirs.is_empty() && theirs != ours {
        bail!(
            "the Docker engine at {} runs on {theirs}, and what is built here runs on {ours}; run \
             `cargo xtask deploy` on a machine of that kind, or pass --binaries DIR with programs \
             for it that are linked statically",
            engine.endpoint()
        );
    }
    Ok(theirs)
}

/// Where a program was built, to judge by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Built {
    Here,
    Elsewhere,
}

/// Whether a program runs at the engine: on its processor, with libraries that
/// are here or with none.
fn check(program: &Path, theirs: &str) -> anyhow::Result<Built> {
    let shown = program.display();
    let read = read(program)?.with_context(|| format!("{shown} is no program for Linux"))?;
    let kind = read.machine.unwrap_or("another processor");
    if !theirs.is_empty() && kind != theirs {
        bail!("{shown} is for {kind}, but the Docker engine runs on {theirs}");
    }
    if kind == std::env::consts::ARCH {
        return Ok(Built::Here);
    }
    if !read.is_static {
        bail!(
            "{shown} needs libraries of {kind}, which this machine does not have; link it \
             statically (for example for a musl target), or run `cargo xtask deploy` on a machine \
             of that kind"
        );
    }
    Ok(Built::Elsewhere)
}

fn read(program: &Path) -> anyhow::Result<Option<elf::Program>> {
    let file = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    Ok(elf::Program::read(&file))
}

/// Builds packages with cargo and returns where the programs are.
pub(super) async fn build(
    operator: &Operator,
    profile: &str,
    packages: &[&str],
) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace::root()).args(["build", "--locked", "--profile", profile]);
    for package in packages {
        command.args(["-p", package]);
    }
    if packages.contains(&"hub-proxy") {
        command.args(["--features", "hub-proxy/cli"]);
    }
    let target = target_directory().await?;
    let directory = target.join(directory_of(profile));
    let step = (!operator.is_dry_run()).then(|| {
        Step::begin(format!(
            "building the hub, profile {profile} (some minutes, the first time up to 20)"
        ))
    });
    let shown = process::shown(&command);
    operator
        .change(shown, async {
            match &step {
                Some(step) => process::run(step, &mut command).await,
                None => Ok(()),
            }
        })
        .await?;
    if let Some(step) = step {
        step.done("");
    }
    Ok(directory)
}

/// How cargo calls the directory of a profile.
pub(super) fn directory_of(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

pub(super) async fn target_directory() -> anyhow::Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace::root()).args([
        "metadata",
        "--no-deps",
        "--locked",
        "--format-version",
        "1",
    ]);
    let text = process::output(&mut command, "").await?;
    Ok(serde_json::from_str::<Metadata>(&text)?.target_directory)
}

/// A copy without symbols; the same program where that tool is not installed.
async fn strip(program: &Path, into: &Path) -> anyhow::Result<PathBuf> {
    let name = program.file_name().context("a program has a file name")?;
    let copy = into.join(name);
    match programs::find("strip") {
        Some(strip) => {
            let mut command = Command::new(strip);
            command.arg("-o").arg(&copy).arg(program);
            process::output(&mut command, "").await?;
        }
        None => {
            fs::copy(program, &copy)
                .with_context(|| format!("cannot copy {}", program.display()))?;
        }
    }
    Ok(copy)
}

async fn libraries(programs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for program in programs {
        if read(program)?.is_some_and(|program| program.is_static) {
            continue;
        }
        let mut command = Command::new("ldd");
        command.arg(program);
        all.extend(rootfs::libraries(&process::output(&mut command, "").await?)?);
    }
    all.extend(rootfs::resolver_libraries(&all));
    all.sort();
    all.dedup();
    Ok(all)
}

fn hash<'a>(files: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<String> {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for file in files {
        let mut open =
            fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        std::io::copy(&mut open, &mut Hash(&mut hash))?;
    }
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

struct Hash<'a>(&'a mut sha2::Sha256);

impl std::io::Write for Hash<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::elf::tests::program, *};

    #[test]
    fn dm_1_programs_for_another_processor_have_to_bring_all_they_need() {
        let (ours, number, theirs, other) = match std::env::consts::ARCH {
            "aarch64" => ("aarch64", 183, "x86_64", 62),
            _ => ("x86_64", 62, "aarch64", 183),
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hub-server");
        let check = |content: Vec<u8>, engine: &str| {
            fs::write(&file, content).unwrap();
            check(&file, engine).map_err(|error| format!("{error:#}"))
        };
        let (with_loader, without) = (3, 1);
        assert_eq!(check(program(number, with_loader), ours), Ok(Built::Here));
        assert_eq!(check(program(other, without), theirs), Ok(Built::Elsewhere));
        let said = check(program(other, with_loader), theirs).unwrap_err();
        assert!(said.contains("hub-server") && said.contains("link it statically"), "{said}");
        let said = check(program(number, without), theirs).unwrap_err();
        assert!(said.contains(&format!("is for {ours}")) && said.contains(theirs), "{said}");
        let said = check(b"#!/bin/sh".to_vec(), ours).unwrap_err();
        assert!(said.contains("is no program for Linux"), "{said}");
    }
}
