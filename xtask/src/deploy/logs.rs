//! What the containers print (FAQ-1).

use std::io::Write;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use hub_spawner::engine::Engine;

use super::settings::Settings;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// The user whose server's log is shown; without one, the hub's.
    #[arg(value_name = "USER")]
    user: Option<String>,

    /// The user's server of this name, instead of the default one.
    #[arg(long, value_name = "NAME", requires = "user")]
    server: Option<String>,

    /// The proxy's log instead of the hub's.
    #[arg(long, conflicts_with = "user")]
    proxy: bool,

    /// Go on until Ctrl-C.
    #[arg(long, short)]
    follow: bool,

    /// How many of the newest lines to begin with.
    #[arg(long, value_name = "LINES", default_value_t = 200)]
    tail: usize,
}

pub(super) async fn run(
    engine: &Engine,
    settings: &Settings,
    args: &LogsArgs,
) -> anyhow::Result<()> {
    let layout = &settings.layout;
    let id = match &args.user {
        None if args.proxy => layout.proxy.clone(),
        None => layout.hub.clone(),
        Some(user) => {
            let mut labels = layout.servers_labels();
            labels.insert("hub.user".to_owned(), user.to_lowercase());
            labels.insert("hub.server".to_owned(), args.server.clone().unwrap_or_default());
            let found = engine.containers(&labels).await?;
            let Some(found) = found.into_iter().next() else {
                bail!(
                    "{user} has no running server; what it wrote last is kept by the hub: `{}`",
                    settings.command(&format!("hub servers logs {user}"))
                );
            };
            found.id
        }
    };
    if engine.inspect(&id).await?.is_none() {
        bail!("there is no container {id}; `{}` makes it", settings.command(""));
    }
    let mut lines = std::pin::pin!(engine.logs_follow(&id, Some(args.tail), args.follow));
    let mut out = std::io::stdout().lock();
    while let Some(part) = lines.next().await {
        let part = part.context("the log broke off")?;
        // Whoever reads may have read enough.
        if out.write_all(&part).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}
