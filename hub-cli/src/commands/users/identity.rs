//! `hub users identity`: whom an account belongs to. Speaks to no hub.

use hub_server::identities::{self, Changes, KnownAs};
use hub_store::UserName;

use crate::{args::ConfigFiles, commands::config::sources, output::Output};

pub(super) async fn run(
    output: &Output,
    files: ConfigFiles,
    user: &UserName,
    changes: &Changes,
) -> anyhow::Result<()> {
    let config = sources(files).load_sections(&["http", "store", "auth"])?.config;
    let known = match *changes == Changes::default() {
        true => identities::list(&config, user).await?,
        false => identities::change(&config, user, changes).await?,
    };
    if output.is_json() {
        return Ok(output.json(&serde_json::to_value(&known)?)?);
    }
    let rows: Vec<[String; 3]> = known
        .into_iter()
        .map(|KnownAs { provider, subject, since }| [provider, subject, since])
        .collect();
    let empty = format!("{user} belongs to nobody yet: whoever signs in with that name gets it.");
    Ok(output.table(["PROVIDER", "ID", "SINCE"], &rows, &empty)?)
}
