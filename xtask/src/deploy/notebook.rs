//! The image of the notebook servers.

mod derived;

use anyhow::{Context, bail};
use hub_spawner::engine::{ImageReference, PullMeter};

use super::{
    operator::{Operator, advice},
    settings::Settings,
    trouble::tells_of_full_disk,
};
use crate::step::Step;

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
        // The hub has a default of its own, and pulls it.
        return Ok(());
    }
    pull(operator, settings, always).await?;
    match &settings.derived_image {
        None => Ok(()),
        Some(image) => derived::ensure(operator, settings, image, always).await,
    }
}
