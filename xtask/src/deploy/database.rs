//! The way back to a release that knows older tables.
//!
//! A hub keeps a copy of a SQLite database before it changes the tables; an older
//! one refuses the changed database. The image has no shell, so the program itself
//! exchanges the two, in a container that ends with it.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::{containers, environment, operator::Operator, report, settings::Settings};

/// How long the exchange may take; nothing is copied.
const DEADLINE: Duration = Duration::from_secs(120);

/// Gives the hub in `image` the database that was kept for it, if the one that is
/// there has newer tables. Nobody may have the database open.
pub(super) async fn put_back(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    owner: u32,
) -> anyhow::Result<()> {
    let Some(url) = environment::database_file(settings) else { return Ok(()) };
    let mut spec = containers::put_back(settings, image, owner, &url);
    spec.labels = operator.helper_labels(&settings.layout);
    let done = operator
        .change(
            format_args!(
                "POST /containers/create and start (helper: hub-server put-back-database --url {url})"
            ),
            operator.engine().run_to_end(&spec, DEADLINE),
        )
        .await
        .context("the database could not be put back")?;
    let Some(done) = done else { return Ok(()) };
    ensure!(done.code == 0, "the database could not be put back: {}", done.output.trim());
    if !done.output.trim().is_empty() {
        report::line("database", done.output.trim());
    }
    Ok(())
}
