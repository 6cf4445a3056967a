//! Waiting until what was started is well.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hub_spawner::engine::{ContainerSpec, ContainerState};

use super::{container::last_words, operator::Operator, settings::Settings};
use crate::step::Step;

/// How long a container may take until its own check succeeds, and the hub until
/// it answers through the proxy (XT-3).
const DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one request may take.
const ASK_DEADLINE: Duration = Duration::from_secs(5);

/// Waits until the container's own check succeeds. An error has its last words.
///
/// The check is run here rather than read from the daemon, which lets a whole
/// interval pass before it looks for the first time.
pub(super) async fn of_container(operator: &Operator, spec: &ContainerSpec) -> anyhow::Result<()> {
    let name = spec.name.as_str();
    let Some(check) = spec.healthcheck.as_ref().filter(|_| !operator.is_dry_run()) else {
        return Ok(());
    };
    let command: Vec<&str> = check.command.iter().map(String::as_str).collect();
    let step = Step::begin(format!("waiting for {name}"));
    let engine = operator.engine();
    let well = async {
        loop {
            let found = engine.inspect(name).await?.context("the container is gone")?;
            if found.restarts > 0 {
                bail!("{name} ends again and again");
            }
            if let ContainerState::Exited { code, .. } = &found.state {
                bail!("{name} ended with code {code}");
            }
            // It may end between the look and the question.
            if let Ok(said) = engine.exec(name, &command).await {
                if said.code == 0 {
                    return Ok(());
                }
                step.line(&said.output);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let outcome = match tokio::time::timeout(DEADLINE, well).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow!("{name} was not well after {} s", DEADLINE.as_secs())),
    };
    match outcome {
        Ok(()) => {
            step.done("");
            Ok(())
        }
        Err(error) => {
            last_words(engine, name).await.lines().for_each(|line| step.line(line));
            Err(error.context("its last lines are above"))
        }
    }
}

/// Waits until the hub answers where people find it: through the published port
/// and the proxy.
pub(super) async fn of_hub(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    if operator.is_dry_run() {
        return Ok(());
    }
    let url = settings.local_url();
    let step = Step::begin(format!("asking {url}"));
    // The name in the certificate is the public one, and a certificate of one's
    // own making is known to nobody: who answers is not in question here.
    let client = reqwest::Client::builder()
        .timeout(ASK_DEADLINE)
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut last = "nothing yet".to_owned();
    let ask = async {
        loop {
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => last = format!("status {}", answer.status()),
                Err(error) => last = format!("{:#}", anyhow::Error::from(error)),
            }
            step.line(&last);
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(DEADLINE, ask).await.is_err() {
        for name in [&settings.layout.proxy, &settings.layout.hub] {
            step.line(&format!("-- {name}"));
            last_words(operator.engine(), name).await.lines().for_each(|line| step.line(line));
        }
        bail!("{url} did not answer within {} s; last: {last}", DEADLINE.as_secs());
    }
    step.done("");
    Ok(())
}
