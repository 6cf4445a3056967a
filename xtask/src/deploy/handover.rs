//! A newer proxy in the place of a running one, without cutting a connection.
//!
//! The running proxy starts the new program and hands it its listeners and
//! routes; open connections end in the old process when they end. That needs the
//! same container, so it is the way only if nothing but the program has changed:
//! a program built for newer libraries would not start on those that are there,
//! and a correction in a library reaches the proxy only with another container.

use std::{fs, time::Duration};

use anyhow::{Context, bail};
use hub_spawner::engine::{ContainerDetails, ContainerSpec};

use super::{
    container::{SPEC_HASH, last_words},
    ear::Ear,
    files::Files,
    layout::{PROGRAM_DIR, UID},
    operator::Operator,
    release::Release,
    settings::Settings,
    volume::Volume,
    witness::{self, Witness},
};
use crate::step::Step;

/// The newer program, below [`PROGRAM_DIR`].
pub(super) const PROGRAM: &str = "bin/hub-proxy";

/// The hash of the program there that has taken over.
const PROGRAM_HASH: &str = "bin/hub-proxy.hash";

/// How long the new program may take to take over.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the running program says when nobody took over.
const GOES_ON: [&str; 2] = ["this one goes on", "this process goes on"];

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The label with the hash of the program in the image a proxy was made from.
const MADE_WITH: &str = "hub.program";

/// The label with the hash of the libraries that the program runs on.
const RUNTIME: &str = "hub.runtime";

/// How the wanted proxy comes to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    HandOver,
    Ensure,
}

/// Notes in a proxy to be what it is made with.
pub(super) fn labelled(mut spec: ContainerSpec, release: &Release) -> ContainerSpec {
    spec.labels.insert(MADE_WITH.to_owned(), release.proxy_hash.clone());
    spec.labels.insert(RUNTIME.to_owned(), release.runtime_hash.clone());
    spec
}

/// Whether a container was made from this, whatever the program in it.
pub(super) fn is_made_from(found: &ContainerDetails, mut spec: ContainerSpec) -> bool {
    let runtime = found.labels.get(RUNTIME).cloned().unwrap_or_default();
    spec.labels.insert(RUNTIME.to_owned(), runtime);
    found.labels.get(SPEC_HASH) == Some(&fingerprint(&spec))
}

/// What a proxy's container is made from, apart from the program in it.
pub(super) fn fingerprint(spec: &ContainerSpec) -> String {
    let mut without = spec.clone();
    without.image = String::new();
    without.labels.remove(MADE_WITH);
    without.fingerprint()
}

/// Compares the running proxy with the wanted one.
pub(super) async fn needed(
    operator: &Operator,
    settings: &Settings,
    spec: &ContainerSpec,
    release: &Release,
) -> anyhow::Result<Way> {
    let Some(found) = operator.engine().inspect(&settings.layout.proxy).await? else {
        return Ok(Way::Ensure);
    };
    let same = found.labels.get(SPEC_HASH) == Some(&fingerprint(spec));
    if !same || !found.is_running() || release.proxy_hash.is_empty() {
        return Ok(Way::Ensure);
    }
    let newer = running_program(operator, &found).await?.as_ref() != Some(&release.proxy_hash);
    Ok(if newer { Way::HandOver } else { Way::Ensure })
}

/// The hash of the program that runs in a container: what was handed over to
/// last, or what it was made with.
async fn running_program(
    operator: &Operator,
    found: &ContainerDetails,
) -> anyhow::Result<Option<String>> {
    let there = programs(operator, &found.id).read(&["bin"]).await?;
    let put = there.get(PROGRAM_HASH).map(|hash| String::from_utf8_lossy(hash).into_owned());
    Ok(put.or_else(|| found.labels.get(MADE_WITH).cloned()))
}

fn programs<'a>(operator: &'a Operator, container: &str) -> Volume<'a> {
    Volume::of_container(operator.engine(), container, PROGRAM_DIR)
}

/// What a container that is started again would run instead of its image's
/// program: what is there, or that program itself.
async fn kept_program(operator: &Operator, name: &str) -> anyhow::Result<Files> {
    let there = programs(operator, name).read(&[PROGRAM]).await?;
    if !there.is_empty() {
        return Ok(there);
    }
    Volume::of_container(operator.engine(), name, "/usr").read(&[PROGRAM]).await
}

/// Gives the running proxy the program and has it start that.
pub(super) async fn run(
    operator: &Operator,
    settings: &Settings,
    release: &Release,
) -> anyhow::Result<()> {
    let engine = operator.engine();
    let name = settings.layout.proxy.as_str();
    let before = witness::ask(operator, settings).await?;
    let old = kept_program(operator, name).await?;
    let program = fs::read(&release.proxy_program)
        .with_context(|| format!("{}", release.proxy_program.display()))?;
    let new = Files::from([(PROGRAM.to_owned(), program)]);
    operator
        .change(
            format_args!("PUT /containers/{name}/archive?path={PROGRAM_DIR} ({PROGRAM})"),
            programs(operator, name).write(&new, UID),
        )
        .await?;
    let ear = Ear::begin(engine, name).await?;
    operator
        .change(
            format_args!("POST /containers/{name}/kill?signal=SIGUSR2"),
            engine.signal(name, "SIGUSR2"),
        )
        .await?;
    if operator.is_dry_run() {
        return Ok(());
    }
    let step = Step::begin("handing over to the new proxy");
    let outcome = tokio::time::timeout(DEADLINE, async {
        tokio::select! {
            () = another(operator, settings, &before, &step) => Ok(()),
            refused = ear.until(&GOES_ON) => Err(refused),
        }
    });
    match outcome.await {
        Ok(Ok(())) => {
            let hash = release.proxy_hash.clone().into_bytes();
            let hash = Files::from([(PROGRAM_HASH.to_owned(), hash)]);
            programs(operator, name).write(&hash, UID).await?;
            step.done(&format!("{} WebSockets go on", before.websockets));
            return Ok(());
        }
        Ok(Err(lines)) => lines?.iter().for_each(|line| step.line(line)),
        Err(_) => last_words(engine, name).await.lines().for_each(|line| step.line(line)),
    }
    // The container may be started again, by the next boot of its host.
    programs(operator, name).write(&old, UID).await?;
    bail!(
        "the new proxy did not take over; the old one goes on, and nothing else was changed. \
         `{}` makes another container instead; open WebSockets are cut then",
        settings.command("upgrade --replace-proxy")
    )
}

/// Waits until another process than `before` answers.
async fn another(operator: &Operator, settings: &Settings, before: &Witness, step: &Step) {
    loop {
        match witness::ask(operator, settings).await {
            Ok(now) if now.start != before.start => return,
            Ok(_) => {}
            Err(error) => step.line(&format!("{error:#}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
