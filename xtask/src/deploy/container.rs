//! One container, made to be as wanted: kept, started, made, or replaced in a way
//! that an interruption at any point can be recovered from.

use std::time::Duration;

use anyhow::{Context, bail};
use hub_spawner::engine::{ContainerDetails, ContainerSpec, Engine, EngineError};

use super::{
    decision::{Decision, Found, Recovery, decide, recovery},
    health,
    layout::Layout,
    operator::{Operator, advice},
};
use crate::step::Step;

/// The label with the fingerprint of what a container was made from (SPN-11).
pub(super) const SPEC_HASH: &str = "hub.spec-hash";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    Started,
    Created,
    Replaced,
    /// The container is the same; a newer program has taken over in it.
    HandedOver,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Kept => "runs, unchanged",
            Self::Started => "started again",
            Self::Created => "made and started",
            Self::Replaced => "replaced",
            Self::HandedOver => "runs a newer program",
        }
    }

    /// Whether connections through it went on.
    pub(super) fn kept_connections(self) -> bool {
        matches!(self, Self::Kept | Self::HandedOver)
    }
}

/// Makes the container that `spec` describes run. An older one that does the
/// same job gives up its name, and gets it back if the new one does not come up.
///
/// `fingerprint` is what is compared; usually that of `spec`.
pub(super) async fn ensure(
    operator: &Operator,
    layout: &Layout,
    spec: ContainerSpec,
    fingerprint: &str,
) -> anyhow::Result<Outcome> {
    let mut spec = spec;
    spec.labels.insert(SPEC_HASH.to_owned(), fingerprint.to_owned());
    let engine = operator.engine();
    let previous = format!("{}-previous", spec.name);
    recover(operator, layout, &spec.name, &previous).await?;
    let found = engine.inspect(&spec.name).await?;
    match decide(found.as_ref().map(|found| seen(found, layout)).as_ref(), fingerprint) {
        Decision::Keep => Ok(Outcome::Kept),
        Decision::Refuse => bail!(
            "a container called {} is there, but does not belong to this deployment; \
             rename or remove it, or set HUB_DEPLOY_NAME",
            spec.name
        ),
        Decision::Start => {
            start(operator, &spec).await?;
            health::of_container(operator, &spec).await?;
            Ok(Outcome::Started)
        }
        Decision::Create => {
            create(operator, &spec, &spec.name).await?;
            if let Err(error) = begin(operator, &spec).await {
                // The next run makes a fresh one, from settings that may be better.
                engine.remove_container(&spec.name, true).await?;
                return Err(error);
            }
            Ok(Outcome::Created)
        }
        Decision::Replace => {
            replace(operator, &spec, &previous).await?;
            Ok(Outcome::Replaced)
        }
    }
}

fn seen(found: &ContainerDetails, layout: &Layout) -> Found {
    let ours = found.labels.get("hub.deployment") == Some(&layout.name);
    Found {
        spec_hash: ours.then(|| found.labels.get(SPEC_HASH).cloned().unwrap_or_default()),
        running: found.is_running(),
    }
}

/// Goes on from where an interrupted replacement ended.
async fn recover(
    operator: &Operator,
    layout: &Layout,
    name: &str,
    previous: &str,
) -> anyhow::Result<()> {
    let engine = operator.engine();
    let ours = |found: &ContainerDetails| found.labels.get("hub.deployment") == Some(&layout.name);
    let current = engine.inspect(name).await?.is_some();
    let old = engine.inspect(previous).await?.filter(ours);
    match recovery(current, old.is_some()) {
        Recovery::None => {}
        Recovery::RenameBack => {
            operator
                .change(
                    format_args!("POST /containers/{previous}/rename?name={name}"),
                    engine.rename_container(previous, name),
                )
                .await?;
        }
        Recovery::RemovePrevious => remove(operator, previous).await?,
    }
    Ok(())
}

async fn replace(operator: &Operator, spec: &ContainerSpec, previous: &str) -> anyhow::Result<()> {
    let engine = operator.engine();
    let name = spec.name.as_str();
    let fresh = format!("{name}-next");
    remove_if_there(operator, &fresh).await?;
    // Made under another name first: whatever is wrong with it shows while the
    // old one still runs.
    create(operator, spec, &fresh).await?;
    stop(operator, name, spec.stop_grace.unwrap_or_default()).await?;
    for (from, to) in [(name, previous), (fresh.as_str(), name)] {
        operator
            .change(
                format_args!("POST /containers/{from}/rename?name={to}"),
                engine.rename_container(from, to),
            )
            .await?;
    }
    if let Err(error) = begin(operator, spec).await {
        engine.remove_container(name, true).await?;
        engine.rename_container(previous, name).await?;
        engine.start_container(name).await?;
        return Err(
            error.context(format!("the new {name} did not come up; the old one runs again"))
        );
    }
    remove(operator, previous).await
}

/// Starts a new container and waits until it is well.
async fn begin(operator: &Operator, spec: &ContainerSpec) -> anyhow::Result<()> {
    start(operator, spec).await?;
    health::of_container(operator, spec).await
}

async fn create(operator: &Operator, spec: &ContainerSpec, name: &str) -> anyhow::Result<()> {
    let mut named = spec.clone();
    named.name = name.to_owned();
    let engine = operator.engine();
    operator
        .change(
            format_args!("POST /containers/create?name={name} (image {})", spec.image),
            engine.create_container_from(&named),
        )
        .await
        .map_err(explained)
        .with_context(|| format!("the container {name} could not be made"))?;
    Ok(())
}

async fn start(operator: &Operator, spec: &ContainerSpec) -> anyhow::Result<()> {
    let engine = operator.engine();
    let name = spec.name.as_str();
    operator
        .change(format_args!("POST /containers/{name}/start"), engine.start_container(name))
        .await
        .map_err(explained)
        .with_context(|| format!("the container {name} could not be started"))?;
    Ok(())
}

/// Asks a container to end; open requests and WebSockets may take all of `grace`.
pub(super) async fn stop(operator: &Operator, name: &str, grace: Duration) -> anyhow::Result<()> {
    let engine = operator.engine();
    let seconds = grace.as_secs();
    let step = (!operator.is_dry_run())
        .then(|| Step::begin(format!("stopping {name} (open connections have {seconds} s)")));
    operator
        .change(
            format_args!("POST /containers/{name}/stop?t={seconds}"),
            engine.stop_container(name, grace),
        )
        .await?;
    if let Some(step) = step {
        step.done("");
    }
    Ok(())
}

/// Removes a container, running or not.
pub(super) async fn remove(operator: &Operator, name: &str) -> anyhow::Result<()> {
    operator
        .change(
            format_args!("DELETE /containers/{name}?force=true"),
            operator.engine().remove_container(name, true),
        )
        .await?;
    Ok(())
}

async fn remove_if_there(operator: &Operator, name: &str) -> anyhow::Result<()> {
    if operator.engine().inspect(name).await?.is_some() {
        remove(operator, name).await?;
    }
    Ok(())
}

/// The engine's error with what can be done about it.
fn explained(error: EngineError) -> anyhow::Error {
    match advice(&error) {
        Some(advice) => anyhow::Error::from(error).context(advice),
        None => error.into(),
    }
}

/// The newest lines that a container wrote.
pub(super) async fn last_words(engine: &Engine, name: &str) -> String {
    const LINES: usize = 30;
    match engine.logs(name, LINES).await {
        Ok(Some(text)) if !text.trim().is_empty() => text,
        Ok(_) => "(it wrote nothing)".to_owned(),
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}
