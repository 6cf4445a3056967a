//! The notebook image, its older sisters and its broken relatives.

use anyhow::Context as _;
use bytes::Bytes;
use hub_spawner::engine::{Build, Engine, EngineError};
use sha2::{Digest, Sha256};

use super::{base, build_host::BuildHost, context::Context};
use crate::step::Step;

const DOCKERFILE: &str = include_str!("../../docker/notebook.Dockerfile");
const INSTALL: &str = include_str!("../../docker/install-environment.sh");
const REQUIREMENTS: &str = include_str!("../../docker/requirements.txt");

/// Part of the hash: raise it when the way the image is built changes and none
/// of the files does.
const RECIPE: &str = "1";

/// A notebook image: what it is called and which Python packages it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edition {
    /// The image's name, without a tag.
    pub(super) repository: &'static str,
    /// A requirements file of pip.
    pub(super) requirements: &'static str,
}

/// The one that the demo and most tests use.
pub(super) const NEWEST: Edition =
    Edition { repository: "hub-notebook", requirements: REQUIREMENTS };

/// An image that cannot serve, made from the notebook image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    name: &'static str,
    command: &'static str,
}

/// Ends at once, and says why.
pub(super) const EXITS: Broken = Broken {
    name: "hub-notebook-exits",
    command: r#"["sh", "-c", "echo 'notebook: the licence file is missing' >&2; exit 3"]"#,
};

/// Runs, but nothing ever listens.
pub(super) const SILENT: Broken =
    Broken { name: "hub-notebook-silent", command: r#"["sleep", "infinity"]"# };

/// Makes sure that a notebook image is there, under its hash and as `latest`.
pub(super) async fn ensure(engine: &Engine, edition: &Edition) -> anyhow::Result<String> {
    let Edition { repository, requirements } = *edition;
    let image = format!("{repository}:{}", content_hash(requirements));
    if !engine.image_exists(&image).await? {
        let host = BuildHost::look().await;
        let base = base::ensure(engine, &host).await?;
        let context = Context::default()
            .file("Dockerfile", DOCKERFILE)
            .file("install-environment.sh", INSTALL)
            .file("requirements.txt", requirements);
        let mut build = Build::new(&image);
        build.args = host.apt_arguments();
        build.args.insert("BASE".to_owned(), base.to_owned());
        let step = Step::begin(format!("building {image} (a minute or more, once)"));
        run(engine, &step, host.add_to(context).to_tar()?, build)
            .await
            .with_context(|| format!("cannot build the notebook image {repository}"))?;
        step.done("");
    }
    engine.tag(&image, &format!("{repository}:latest")).await?;
    Ok(image)
}

/// Makes sure that a broken image is there.
pub(super) async fn ensure_broken(
    engine: &Engine,
    notebook: &str,
    broken: &Broken,
) -> anyhow::Result<String> {
    let (_, hash) = notebook.rsplit_once(':').unwrap_or((notebook, "latest"));
    let dockerfile = format!("FROM {notebook}\nCMD {}\n", broken.command);
    let image = format!("{}:{hash}-{}", broken.name, short_hash(&[&dockerfile]));
    if !engine.image_exists(&image).await? {
        let context = Context::default().file("Dockerfile", dockerfile).to_tar()?;
        engine.build(context, &Build::new(&image), |_| {}).await?;
    }
    engine.tag(&image, &format!("{}:latest", broken.name)).await?;
    Ok(image)
}

async fn run(
    engine: &Engine,
    step: &Step,
    context: Bytes,
    mut build: Build,
) -> Result<(), EngineError> {
    // The host's own network: proxies and resolvers on its loopback address
    // work, and so does a machine whose firewall drops what containers send.
    build.network = Some("host".to_owned());
    match engine.build(context.clone(), &build, |line| step.line(line)).await {
        // A daemon that maps user ids cannot share the host's network.
        Err(error) if error.text().is_some_and(|text| text.contains("namespace")) => {
            step.line(&error.to_string());
            build.network = None;
            engine.build(context, &build, |line| step.line(line)).await
        }
        result => result,
    }
}

fn content_hash(requirements: &str) -> String {
    short_hash(&[RECIPE, DOCKERFILE, INSTALL, requirements])
}

/// Enough of a SHA-256 to tell recipes apart; lengths keep parts from running
/// into each other.
fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_every_part_and_on_where_it_ends() {
        let hash = short_hash(&["a", "bc"]);
        assert_eq!(hash.len(), 12);
        assert_ne!(hash, short_hash(&["ab", "c"]));
        assert_ne!(hash, short_hash(&["a", "bd"]));
        assert_eq!(hash, short_hash(&["a", "bc"]));
    }

    #[test]
    fn the_final_stage_copies_nothing_of_the_build_host() {
        let (_, last) = DOCKERFILE.rsplit_once("\nFROM ").unwrap();
        assert!(!last.contains("host/") && !last.contains("build-host"), "{last}");
        assert!(last.contains("COPY --from=wheels /opt/notebook"));
    }
}
