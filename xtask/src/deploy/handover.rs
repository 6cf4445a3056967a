//! A newer proxy in the place of a running one, without cutting a connection.
//!
//! The running proxy starts the new program from its volume and hands it its
//! listeners and routes; open connections end in the old process when they end.
//! That needs the same container, so it is the way only if nothing but the
//! program has changed.

use std::{fs, time::Duration};

use anyhow::{Context, bail};
use hub_spawner::engine::ContainerSpec;

use super::{
    container::{SPEC_HASH, last_words},
    files::Files,
    layout::{Layout, PROXY_API_PORT, PROXY_DIR, UID},
    operator::Operator,
    release::Release,
    settings::Settings,
    volume,
};
use crate::step::Step;

/// Which program runs: the hash of what was put into the volume.
const PROGRAM: &str = "bin/program";

/// How long the new program may take to take over.
const DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The label with the hash of the program in the image a proxy was made from.
pub(super) const MADE_WITH: &str = "hub.program";

/// How the wanted proxy comes to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    HandOver,
    Ensure,
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
    let layout = &settings.layout;
    let Some(found) = operator.engine().inspect(&layout.proxy).await? else {
        return Ok(Way::Ensure);
    };
    let same = found.labels.get(SPEC_HASH) == Some(&fingerprint(spec));
    if !same || !found.is_running() {
        return Ok(Way::Ensure);
    }
    let running = running_program(operator, settings, &found.image_id).await?;
    let running = running.or_else(|| found.labels.get(MADE_WITH).cloned());
    let newer = !release.proxy_hash.is_empty() && running.as_deref() != Some(&release.proxy_hash);
    Ok(if newer { Way::HandOver } else { Way::Ensure })
}

/// What was handed over to last, if anything was.
async fn running_program(
    operator: &Operator,
    settings: &Settings,
    image: &str,
) -> anyhow::Result<Option<String>> {
    let layout = &settings.layout;
    volume::with(operator.engine(), layout, image, (&layout.keys, PROXY_DIR), async |keys| {
        let there = keys.read(PROGRAM).await?;
        Ok(there.get(PROGRAM).map(|hash| String::from_utf8_lossy(hash).into_owned()))
    })
    .await
}

/// Puts the program into the volume and has the running proxy start it.
pub(super) async fn run(
    operator: &Operator,
    settings: &Settings,
    release: &Release,
) -> anyhow::Result<()> {
    let layout = &settings.layout;
    let engine = operator.engine();
    let name = layout.proxy.as_str();
    let before = status(operator, layout).await?;
    let program = fs::read(&release.proxy_program)
        .with_context(|| format!("{}", release.proxy_program.display()))?;
    let files = Files::from([
        ("bin/hub-proxy".to_owned(), program),
        (PROGRAM.to_owned(), release.proxy_hash.clone().into_bytes()),
    ]);
    operator
        .change(
            format_args!("PUT /containers/(helper)/archive?path={PROXY_DIR} (bin/hub-proxy)"),
            volume::with(engine, layout, &release.image, (&layout.keys, PROXY_DIR), async |keys| {
                keys.write(&files, UID).await
            }),
        )
        .await?;
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
    let took_over = async {
        loop {
            match status(operator, layout).await {
                Ok(now) if now.start != before.start => return now,
                Ok(_) => {}
                Err(error) => step.line(&format!("{error:#}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(DEADLINE, took_over).await {
        Ok(now) => {
            step.done(&format!("{} open connections go on in the old process", before.websockets));
            let _ = now;
            Ok(())
        }
        Err(_) => {
            last_words(engine, name).await.lines().for_each(|line| step.line(line));
            bail!(
                "the new proxy did not take over within {} s; the old one goes on",
                DEADLINE.as_secs()
            )
        }
    }
}

/// What a proxy says about itself.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Status {
    pub(super) start: String,
    pub(super) websockets: u64,
}

/// Asks the proxy, from inside its container: its orders come from the hub's
/// network only.
pub(super) async fn status(operator: &Operator, layout: &Layout) -> anyhow::Result<Status> {
    let api = format!("http://{}:{PROXY_API_PORT}", layout.proxy_host());
    let command = ["/usr/bin/hub-proxy", "status", "--api", &api];
    let said = operator.engine().exec(&layout.proxy, &command).await?;
    anyhow::ensure!(said.code == 0, "the proxy's status: {}", said.output.trim());
    serde_json::from_str(said.output.trim()).context("the proxy's status cannot be read")
}
