//! `hub users identities`: whom all accounts belong to. Speaks to no hub.

use hub_server::{
    config::Config,
    identities::everybody::{self, Bound, Everybody, Mode},
};

use crate::{
    args::{ConfigFiles, IdentityChange},
    commands::{config::sources, consent},
    output::Output,
};

pub(super) async fn run(
    output: &Output,
    files: ConfigFiles,
    provider: Option<&str>,
    change: IdentityChange,
) -> anyhow::Result<()> {
    let config = sources(files).load_sections(&["http", "store", "auth"])?.config;
    let IdentityChange { forget, rename, dry_run, yes } = change;
    let mode = if dry_run { Mode::DryRun } else { Mode::ForReal };
    match (forget, rename.as_slice()) {
        (Some(provider), _) => forgotten(output, &config, &provider, mode, yes).await,
        (None, [from, to]) => {
            let moved = everybody::move_all(&config, from, to, mode).await?;
            let did = if dry_run { "Would be" } else { "Now" };
            output.note(&format!("{did} known at {to}: {}.", accounts(moved.len())));
            show(output, &moved)
        }
        (None, _) => {
            let Everybody { bound, gone } = everybody::list_all(&config, provider).await?;
            for id in gone {
                output.note(&format!(
                    "No way of signing in has the id {id}: its people cannot come in. If their \
                     provider has another id now: hub users identities --rename {id} NEW_ID"
                ));
            }
            show(output, &bound)
        }
    }
}

async fn forgotten(
    output: &Output,
    config: &Config,
    provider: &str,
    mode: Mode,
    yes: bool,
) -> anyhow::Result<()> {
    let meant = everybody::forget_all(config, provider, Mode::DryRun).await?;
    let about = accounts(meant.len());
    if mode == Mode::DryRun {
        output.note(&format!("{about} would be nobody's at {provider}."));
        return show(output, &meant);
    }
    let question = format!(
        "Let {about} be nobody's at {provider}? Their owners are signed out, their tokens are \
         void, and whoever signs in with the name of one gets it."
    );
    if !yes && !consent::ask(output, "forget whose these accounts are", &question)? {
        anyhow::bail!("nothing is changed");
    }
    let forgotten = everybody::forget_all(config, provider, mode).await?;
    output.note(&format!(
        "Nobody's at {provider} now: {}. Servers that still run there go on: stop them once the hub \
         runs again (hub servers list).",
        accounts(forgotten.len())
    ));
    show(output, &forgotten)
}

fn accounts(number: usize) -> String {
    match number {
        1 => "1 account".to_owned(),
        number => format!("{number} accounts"),
    }
}

fn show(output: &Output, bound: &[Bound]) -> anyhow::Result<()> {
    if output.is_json() {
        return Ok(output.json(&serde_json::to_value(bound)?)?);
    }
    let rows: Vec<[String; 4]> = bound
        .iter()
        .map(|Bound { user, provider, subject, since }| {
            [user.to_string(), provider.clone(), subject.clone(), since.clone()]
        })
        .collect();
    let empty = "No account belongs to anybody yet.";
    Ok(output.table(["USER", "PROVIDER", "ID", "SINCE"], &rows, empty)?)
}
