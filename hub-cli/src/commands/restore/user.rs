//! `hub restore user`

use std::path::PathBuf;

use anyhow::Context;
use hub_store::UserName;
use secrecy::SecretString;
use serde_json::json;

use crate::{
    args::UsageError,
    backup::{
        progress::{Counted, Progress},
        reader, volume_index,
        volumes::{Volumes, is_alive},
    },
    configuration::Located,
    output::Output,
};

/// What is to be restored, and how.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) user: UserName,
    pub(super) input: PathBuf,
    pub(super) existing: Existing,
    pub(super) stop: bool,
    pub(super) volume: Option<String>,
    pub(super) passphrase: Option<SecretString>,
}

/// What becomes of the files that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// There must be none.
    Refuse,
    Wipe,
    Merge,
}

impl Existing {
    /// From the two flags, of which the command line admits one.
    pub(super) fn new(wipe: bool, merge: bool) -> Self {
        match (wipe, merge) {
            (true, _) => Self::Wipe,
            (false, true) => Self::Merge,
            (false, false) => Self::Refuse,
        }
    }
}

pub(super) async fn run(output: &Output, located: &Located, wanted: Wanted) -> anyhow::Result<()> {
    let Wanted { user, input, .. } = &wanted;
    let passphrase = wanted.passphrase.clone();
    // The whole archive is looked at before anything is stopped or written.
    let ask = || passphrase.clone().context("the archive asks for a passphrase");
    let progress = Progress::new(&format!("reading {}", input.display()));
    let inner = reader::open(input, ask)?;
    let index = volume_index::scan(Counted { inner, progress })
        .with_context(|| format!("{} cannot be restored", input.display()))?;

    let volumes = located.volumes().await?;
    let volume = volumes.ensure_one_of(user, wanted.volume.as_deref()).await?;
    if wanted.existing == Existing::Refuse && !volumes.is_empty(&volume).await? {
        let error = UsageError {
            message: format!("the volume {volume} is not empty"),
            hint: "remove what is in it with --wipe, or lay the archive over it with --merge"
                .to_owned(),
        };
        return Err(error.into());
    }
    end_servers(output, &volumes, &wanted).await?;
    if wanted.existing == Existing::Wipe {
        volumes.wipe(&volume).await?;
    }
    let progress = Progress::new(&format!("restoring {volume}"));
    let (path, counter) = (input.clone(), progress.clone());
    let open = move || {
        let inner = reader::open(&path, || passphrase.context("there is no passphrase"))?;
        Ok(Counted { inner, progress: counter })
    };
    volumes.import(&volume, index, open).await.with_context(|| {
        format!("the volume {volume} is restored in part only; run this again with --wipe")
    })?;
    drop(progress);
    if output.is_json() {
        return Ok(output.json(&json!({
            "user": user.as_str(), "volume": volume,
            "entries": index.entries, "bytes": index.bytes,
        }))?);
    }
    Ok(output.line(&format!(
        "{volume} is restored from {}: {} entries, {} bytes.",
        input.display(),
        index.entries,
        index.bytes
    ))?)
}

async fn end_servers(output: &Output, volumes: &Volumes, wanted: &Wanted) -> anyhow::Result<()> {
    let user = &wanted.user;
    for server in volumes.servers(user).await?.iter().filter(|server| is_alive(&server.state)) {
        if !wanted.stop {
            let error = UsageError {
                message: format!("{user} has a server that runs ({})", server.name),
                hint: "stop it first, or have it stopped with --stop".to_owned(),
            };
            return Err(error.into());
        }
        output.note(&format!("Stopping {} ...", server.name));
        volumes.stop(server).await?;
    }
    Ok(())
}
