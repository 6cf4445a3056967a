//! Waiting until what was started is well.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hub_spawner::engine::{ContainerSpec, ContainerState};

use super::{container::last_words, operator::Operator, settings::Settings, trouble::in_container};
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
        let mut restarts = None;
        loop {
            let found = engine.inspect(name).await?.context("the container is gone")?;
            if found.restarts > *restarts.get_or_insert(found.restarts) {
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
            let words = last_words(engine, name).await;
            words.lines().for_each(|line| step.line(line));
            Err(in_container(error.context("its last lines are above"), &words))
        }
    }
}

/// Waits until the hub answers through the proxy, asked in the proxy's
/// container: how this machine reaches it is another question (DM-2).
pub(super) async fn of_hub(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    if operator.is_dry_run() {
        return Ok(());
    }
    let engine = operator.engine();
    let proxy = &settings.layout.proxy;
    let url = settings.inner_url();
    let command = ["/usr/bin/hub-proxy", "healthcheck", "--url", &url];
    let step = Step::begin("asking the hub through the proxy");
    let mut last = "nothing yet".to_owned();
    let well = async {
        loop {
            last = match engine.exec(proxy, &command).await {
                Ok(said) if said.code == 0 => return anyhow::Ok(()),
                Ok(said) => said.output.trim().to_owned(),
                // It does not run at this moment.
                Err(error) if error.is_conflict() => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            step.line(&last);
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(DEADLINE, well).await {
        Ok(outcome) => outcome?,
        Err(_) => {
            for name in [proxy, &settings.layout.hub] {
                step.line(&format!("-- {name}"));
                last_words(engine, name).await.lines().for_each(|line| step.line(line));
            }
            bail!(
                "the hub did not answer through the proxy within {} s; last: {last}",
                DEADLINE.as_secs()
            );
        }
    }
    step.done("");
    if let Some(url) = settings.outer_url()
        && let Err(trouble) = from_here(&url).await
    {
        eprintln!(
            "  warning: all runs, but {url} does not answer this machine: {trouble:#}; if others \
             cannot reach it either, look at firewalls, HUB_BIND_IP and the ports"
        );
    }
    Ok(())
}

/// Asks once, from this machine.
async fn from_here(url: &str) -> anyhow::Result<()> {
    // The name in the certificate is the public one, and a certificate of one's
    // own making is known to nobody: who answers is not in question here.
    let client = reqwest::Client::builder()
        .timeout(ASK_DEADLINE)
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    client.get(url).send().await?.error_for_status()?;
    Ok(())
}
