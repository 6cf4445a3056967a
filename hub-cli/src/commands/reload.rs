//! `hub reload`

use anyhow::bail;

use crate::{
    client::{Answer, Client, Reloaded},
    output::Output,
};

pub(super) async fn run(client: &Client, output: &Output) -> anyhow::Result<()> {
    let Answer { json, body } = client.reload().await?;
    if output.is_json() {
        output.json(&json)?;
    } else {
        tell(&body, output)?;
    }
    if body.outcome == "refused" {
        bail!("the configuration has errors; the hub goes on with the old one");
    }
    Ok(())
}

fn tell(report: &Reloaded, output: &Output) -> anyhow::Result<()> {
    if report.outcome == "unchanged" {
        output.line("Nothing has changed.")?;
    }
    for (what, keys) in [
        ("applied", &report.applied),
        ("applied to servers that start from now on", &report.for_new_servers),
        ("needs a restart of the hub", &report.needs_restart),
    ] {
        for key in keys {
            output.line(&format!("{what}: {key}"))?;
        }
    }
    for warning in &report.warnings {
        output.note(&format!("warning: {warning}"));
    }
    for error in &report.errors {
        output.note(&format!("error: {error}"));
    }
    Ok(())
}
