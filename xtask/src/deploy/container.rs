//! One container, made to be as wanted: kept, started, made, or replaced in a way
//! that an interruption at any point can be recovered from.

use std::{error::Error, time::Duration};

use anyhow::{Context, bail};
use hub_server::chain;
use hub_spawner::engine::{ContainerDetails, ContainerSpec, Engine, EngineError};

use super::{
    decision::{Decision, Found, Holder, Recovery, decide, recovery},
    health,
    layout::Layout,
    operator::{Operator, advised},
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
/// `fingerprint` is what is compared; usually that of `spec`. `undo` is what has
/// to be done before the older one runs again.
pub(super) async fn ensure(
    operator: &Operator,
    layout: &Layout,
    spec: ContainerSpec,
    fingerprint: &str,
    undo: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let mut spec = spec;
    spec.labels.insert(SPEC_HASH.to_owned(), fingerprint.to_owned());
    let names = Names::of(&spec.name);
    if recover(operator, layout, &names, fingerprint).await? == Recovery::Finish {
        if let Err(error) = begin(operator, &spec).await {
            return Err(roll_back(operator, &names, undo, error).await);
        }
        remove(operator, &names.previous).await?;
        return Ok(Outcome::Replaced);
    }
    let found = operator.engine().inspect(&spec.name).await?;
    match decide(found.as_ref().map(|found| seen(found, layout)).as_ref(), fingerprint) {
        Decision::Keep => {
            health::of_container(operator, &spec).await?;
            Ok(Outcome::Kept)
        }
        Decision::Refuse => bail!(
            "a container called {} is there, but does not belong to this deployment; \
             rename or remove it, or set HUB_DEPLOY_NAME",
            spec.name
        ),
        Decision::Start => {
            begin(operator, &spec).await?;
            Ok(Outcome::Started)
        }
        Decision::Create => {
            create(operator, &spec, &spec.name).await?;
            if let Err(error) = begin(operator, &spec).await {
                // The next run makes a fresh one, from settings that may be better.
                let removed = operator.engine().remove_container(&spec.name, true).await;
                let trouble = removed.as_ref().err().map(|error| error as &dyn Error);
                return Err(with_trouble(error, trouble));
            }
            Ok(Outcome::Created)
        }
        Decision::Replace => {
            replace(operator, &spec, &names, undo).await?;
            Ok(Outcome::Replaced)
        }
    }
}

/// What a container is called, and what the two are called between which a
/// replacement changes it.
struct Names {
    name: String,
    /// The one to be, while it was never started.
    next: String,
    /// The one that was, until the new one is well.
    previous: String,
}

impl Names {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            next: format!("{name}-next"),
            previous: format!("{name}-previous"),
        }
    }
}

fn is_ours(found: &ContainerDetails, layout: &Layout) -> bool {
    found.labels.get("hub.deployment") == Some(&layout.name)
}

fn seen(found: &ContainerDetails, layout: &Layout) -> Found {
    Found {
        spec_hash: is_ours(found, layout)
            .then(|| found.labels.get(SPEC_HASH).cloned().unwrap_or_default()),
        running: found.is_running(),
    }
}

/// Undoes what an interrupted replacement did, or tells that it can be finished.
async fn recover(
    operator: &Operator,
    layout: &Layout,
    names: &Names,
    fingerprint: &str,
) -> anyhow::Result<Recovery> {
    let engine = operator.engine();
    let ours = |found: &ContainerDetails| is_ours(found, layout);
    if engine.inspect(&names.next).await?.as_ref().is_some_and(ours) {
        remove(operator, &names.next).await?;
    }
    let holder = match engine.inspect(&names.name).await? {
        None => Holder::Nobody,
        Some(found) if !ours(&found) => Holder::Stranger,
        Some(found) if found.labels.get(SPEC_HASH).is_some_and(|hash| hash == fingerprint) => {
            Holder::Wanted
        }
        Some(_) => Holder::Another,
    };
    let previous = engine.inspect(&names.previous).await?.as_ref().is_some_and(ours);
    let recovery = recovery(holder, previous);
    match recovery {
        Recovery::None | Recovery::Finish => {}
        Recovery::GiveBack => rename(operator, &names.previous, &names.name).await?,
        Recovery::Undo => {
            remove(operator, &names.name).await?;
            rename(operator, &names.previous, &names.name).await?;
        }
    }
    Ok(recovery)
}

async fn replace(
    operator: &Operator,
    spec: &ContainerSpec,
    names: &Names,
    undo: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Made under another name first: whatever is wrong with it shows while the
    // old one still runs.
    create(operator, spec, &names.next).await?;
    stop(operator, &names.name, spec.stop_grace.unwrap_or_default()).await?;
    rename(operator, &names.name, &names.previous).await?;
    rename(operator, &names.next, &names.name).await?;
    if let Err(error) = begin(operator, spec).await {
        return Err(roll_back(operator, names, undo, error).await);
    }
    remove(operator, &names.previous).await
}

/// Lets the old container run again where the new one did not come up, and adds
/// to `error` what became of that.
async fn roll_back(
    operator: &Operator,
    names: &Names,
    undo: impl AsyncFnOnce() -> anyhow::Result<()>,
    error: anyhow::Error,
) -> anyhow::Error {
    let engine = operator.engine();
    let name = &names.name;
    let back = async {
        engine.remove_container(name, true).await?;
        engine.rename_container(&names.previous, name).await?;
        undo().await?;
        engine.start_container(name).await?;
        anyhow::Ok(())
    };
    match back.await {
        Ok(()) => error.context(format!("the new {name} did not come up; the old one runs again")),
        Err(trouble) => with_trouble(error, Some(&*trouble)),
    }
}

fn is_unreachable(trouble: &(dyn Error + 'static)) -> bool {
    matches!(trouble.downcast_ref(), Some(EngineError::Unreachable { .. }))
}

/// An error, and what else went wrong while tidying up after it.
fn with_trouble(error: anyhow::Error, trouble: Option<&(dyn Error + 'static)>) -> anyhow::Error {
    match trouble {
        None => error,
        // The same trouble, most likely, which the error tells already.
        Some(trouble) if is_unreachable(trouble) => error,
        Some(trouble) => error.context(format!("tidying up failed, too ({})", chain(trouble))),
    }
}

/// Starts a container, if it does not run, and waits until it is well.
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
        .map_err(advised)
        .with_context(|| format!("the container {name} could not be made"))?;
    Ok(())
}

async fn start(operator: &Operator, spec: &ContainerSpec) -> anyhow::Result<()> {
    let engine = operator.engine();
    let name = spec.name.as_str();
    operator
        .change(format_args!("POST /containers/{name}/start"), engine.start_container(name))
        .await
        .map_err(advised)
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

async fn rename(operator: &Operator, from: &str, to: &str) -> anyhow::Result<()> {
    operator
        .change(
            format_args!("POST /containers/{from}/rename?name={to}"),
            operator.engine().rename_container(from, to),
        )
        .await?;
    Ok(())
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
