//! The image that an operator builds from `singleuser/`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use bytes::Bytes;
use hub_spawner::engine::Build;
use sha2::{Digest, Sha256};
use tar::{Builder, HeaderMode};

use super::super::{
    operator::Operator,
    settings::{DerivedImage, Settings},
    superseded,
};
use crate::{step::Step, workspace::shown};

/// The label with the hash of what an image was built from.
const BUILT_FROM: &str = "hub.built-from";

/// What a client of Docker's would leave out of the context by this file.
const IGNORE: &str = ".dockerignore";

/// Builds the image, if it is not there or was built from something else.
pub(super) async fn ensure(
    operator: &Operator,
    settings: &Settings,
    image: &DerivedImage,
    always: bool,
) -> anyhow::Result<()> {
    let engine = operator.engine();
    let mut build = Build::new(image.tag.as_str());
    build.args = arguments(settings, image);
    let base = match &settings.notebook_image {
        Some(base) => engine.image_id(base).await?.unwrap_or_default(),
        None => String::new(),
    };
    let context = context(&image.directory)
        .with_context(|| format!("{} cannot be read", shown(&image.directory)))?;
    let built_from = built_from(&context, &build.args, &base);
    if let Some(there) = engine.image(&image.tag).await?
        && !always
    {
        match there.labels.get(BUILT_FROM) {
            Some(label) if *label == built_from => return Ok(()),
            Some(_) => eprintln!("  {}: was built from something else", image.tag),
            None => {
                eprintln!(
                    "  {}: used as it is, it was not built by `{}`",
                    image.tag,
                    settings.command("notebook-image")
                );
                return Ok(());
            }
        }
    }
    build.labels = settings.layout.labels("image").into_iter().collect();
    build.labels.insert(BUILT_FROM.to_owned(), built_from);
    run(operator, image, build, context).await?;
    superseded::remove_builds(operator, settings).await
}

/// Both spellings of the reference deployment's Dockerfile.
fn arguments(settings: &Settings, image: &DerivedImage) -> BTreeMap<String, String> {
    [
        ("DOCKER_NOTEBOOK_IMAGE", settings.notebook_image.as_ref()),
        ("BASE_IMAGE", settings.notebook_image.as_ref()),
        ("JUPYTERHUB_VERSION", image.version.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())))
    .collect()
}

/// Changes with the directory's files, the arguments and the image below.
fn built_from(context: &[u8], arguments: &BTreeMap<String, String>, base: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(context);
    for (name, value) in arguments {
        hash.update(format!("{name}={value}\n"));
    }
    hash.update(base);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

async fn run(
    operator: &Operator,
    image: &DerivedImage,
    build: Build,
    context: Bytes,
) -> anyhow::Result<()> {
    if image.directory.join(IGNORE).exists() {
        eprintln!("  warning: singleuser/{IGNORE} is not looked at; all that is beside it is sent");
    }
    let step = (!operator.is_dry_run()).then(|| Step::begin(format!("building {}", image.tag)));
    let mut at = None;
    operator
        .change(
            format_args!("POST /build?t={} (singleuser/)", image.tag),
            operator.engine().build(context, &build, |line| {
                if let Some(step) = &step {
                    step.line(line);
                }
                // The daemon announces each: `Step 3/8 : RUN ...`
                if line.starts_with("Step ") {
                    at = Some(line.trim_end().to_owned());
                }
            }),
        )
        .await
        .with_context(|| {
            let file = shown(&image.directory.join("Dockerfile"));
            match at {
                Some(step) => format!("{file} failed at {step}"),
                None => file,
            }
        })?;
    if let Some(step) = step {
        step.done("");
    }
    Ok(())
}

/// The directory as a tar archive. The same files give the same bytes, whoever
/// has them and since when.
fn context(directory: &Path) -> io::Result<Bytes> {
    let mut tar = Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.mode(HeaderMode::Deterministic);
    append(&mut tar, directory, Path::new(""))?;
    Ok(Bytes::from(tar.into_inner()?))
}

fn append(tar: &mut Builder<Vec<u8>>, root: &Path, below: &Path) -> io::Result<()> {
    let mut names: Vec<PathBuf> = fs::read_dir(root.join(below))?
        .map(|entry| Ok(below.join(entry?.file_name())))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let path = root.join(&name);
        tar.append_path_with_name(&path, &name)?;
        if fs::symlink_metadata(&path)?.is_dir() {
            append(tar, root, &name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn xt_1_the_same_files_are_the_same_and_others_are_not() {
        let make = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("etc")).unwrap();
            fs::write(dir.path().join("etc/b"), "b").unwrap();
            fs::write(dir.path().join("Dockerfile"), text).unwrap();
            symlink("etc/b", dir.path().join("a")).unwrap();
            context(dir.path()).unwrap()
        };
        let none = BTreeMap::new();
        let some = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let first = built_from(&make("FROM x\n"), &none, "sha256:1");
        assert_eq!(first, built_from(&make("FROM x\n"), &none, "sha256:1"));
        for other in [
            built_from(&make("FROM y\n"), &none, "sha256:1"),
            built_from(&make("FROM x\n"), &some, "sha256:1"),
            built_from(&make("FROM x\n"), &none, "sha256:2"),
        ] {
            assert_ne!(first, other);
        }
        let archive = make("FROM x\n");
        let mut archive = tar::Archive::new(&archive[..]);
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(paths, ["Dockerfile", "a", "etc", "etc/b"]);
    }
}
