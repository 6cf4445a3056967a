//! The image of the notebook servers.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, bail};
use bytes::Bytes;
use hub_spawner::engine::{Build, ImageReference, PullMeter};

use super::{
    operator::{Operator, advice},
    settings::{DerivedImage, Settings},
    trouble::tells_of_full_disk,
};
use crate::{step::Step, workspace::shown};

/// Pulls the image; with `always` also one that is there.
pub(super) async fn pull(
    operator: &Operator,
    settings: &Settings,
    always: bool,
) -> anyhow::Result<()> {
    let Some(image) = &settings.notebook_image else {
        bail!("DOCKER_NOTEBOOK_IMAGE is not set: name the image of the notebook servers in .env");
    };
    let engine = operator.engine();
    let there = engine.image_exists(image).await?;
    if there && !always {
        return Ok(());
    }
    let reference: ImageReference =
        image.parse().with_context(|| format!("DOCKER_NOTEBOOK_IMAGE: {image:?}"))?;
    if operator.is_dry_run() {
        let name = reference.name();
        operator
            .change(
                format_args!("POST /images/create?fromImage={name}&tag={}", reference.version()),
                std::future::ready(anyhow::Ok(())),
            )
            .await?;
        return Ok(());
    }
    let step = Step::begin(format!("pulling {image}"));
    let mut meter = PullMeter::default();
    let pulled = engine
        .pull(&reference, |event| {
            let percent = meter.on(&event);
            let (done, all) = meter.bytes();
            step.line(&format!("{percent} %, {} of {} MiB", done >> 20, all >> 20));
        })
        .await;
    match pulled {
        Ok(()) => {
            step.done("");
            Ok(())
        }
        // A registry that is away is no reason not to start what is here.
        Err(error) if there => {
            step.done("");
            eprintln!("  warning: {image} is used as it is here; the registry said: {error}");
            Ok(())
        }
        Err(error) if tells_of_full_disk(&error.to_string()) => Err(error.into()),
        Err(error) => {
            let hint = advice(&error).unwrap_or(
                "if no registry can be reached from here, bring the image with `docker save` and `docker load`",
            );
            Err(anyhow::Error::from(error).context(hint))
        }
    }
}

/// Makes the image that servers run from: pulls it, and builds what the operator
/// adds to it.
pub(super) async fn ensure(
    operator: &Operator,
    settings: &Settings,
    always: bool,
) -> anyhow::Result<()> {
    if settings.notebook_image.is_none() && !always {
        // The hub's configuration names one, and the hub pulls it.
        return Ok(());
    }
    let derived = match &settings.derived_image {
        None => return pull(operator, settings, always).await,
        Some(derived) => derived,
    };
    if !always && operator.engine().image_exists(&derived.tag).await? {
        return Ok(());
    }
    pull(operator, settings, always).await?;
    build(operator, settings, derived).await
}

async fn build(
    operator: &Operator,
    settings: &Settings,
    derived: &DerivedImage,
) -> anyhow::Result<()> {
    let mut build = Build::new(derived.tag.as_str());
    build.labels = settings.layout.labels("image").into_iter().collect();
    let mut args = BTreeMap::new();
    // Both spellings of the reference deployment's Dockerfile.
    for (name, value) in [
        ("DOCKER_NOTEBOOK_IMAGE", settings.notebook_image.as_ref()),
        ("BASE_IMAGE", settings.notebook_image.as_ref()),
        ("JUPYTERHUB_VERSION", derived.version.as_ref()),
    ] {
        if let Some(value) = value {
            args.insert(name.to_owned(), value.clone());
        }
    }
    build.args = args;
    let context = context(&derived.directory)?;
    let step = Step::begin(format!("building {}", derived.tag));
    let mut at = None;
    operator
        .change(
            format_args!("POST /build?t={} (singleuser/)", derived.tag),
            operator.engine().build(context, &build, |line| {
                step.line(line);
                // The daemon announces each: `Step 3/8 : RUN ...`
                if line.starts_with("Step ") {
                    at = Some(line.trim_end().to_owned());
                }
            }),
        )
        .await
        .with_context(|| {
            let file = shown(&derived.directory.join("Dockerfile"));
            match at {
                Some(step) => format!("{file} failed at {step}"),
                None => file,
            }
        })?;
    step.done("");
    Ok(())
}

/// The directory as a tar archive.
fn context(directory: &Path) -> anyhow::Result<Bytes> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    fs::metadata(directory).with_context(|| format!("{}", directory.display()))?;
    tar.append_dir_all(".", directory)?;
    Ok(Bytes::from(tar.into_inner()?))
}
