//! `hub users identity`: whom an account belongs to. Speaks to no hub.

use hub_server::identities::{self, Changed, Changes, KnownAs};
use hub_store::UserName;

use crate::{args::ConfigFiles, commands::config::sources, output::Output};

pub(super) async fn run(
    output: &Output,
    files: ConfigFiles,
    user: &UserName,
    changes: &Changes,
) -> anyhow::Result<()> {
    let config = sources(files).load_sections(&["http", "store", "auth"])?.config;
    let (known, changed_hands) = match *changes == Changes::default() {
        true => (identities::list(&config, user).await?, false),
        false => {
            let Changed { known, changed_hands } =
                identities::change(&config, user, changes).await?;
            (known, changed_hands)
        }
    };
    if changed_hands {
        output.note(&format!(
            "Whoever used {user} is signed out, and tokens that they made are void. Servers of \
             {user} that still run go on, with tokens of their own: stop them once the hub runs \
             again (hub servers stop {user}; named ones on the admin page)."
        ));
    }
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
