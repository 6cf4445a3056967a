//! `hub backup`

mod all;
mod directory;
mod hub;
mod user;

use crate::{args::Backup, output::Output};

pub(crate) async fn run(command: Backup, output: &Output) -> anyhow::Result<()> {
    match command {
        Backup::Hub { output: path, secrets, located } => {
            hub::run(output, &located, &secrets, &path).await
        }
        Backup::User { user, output: path, volume, located } => {
            user::run(output, &located, &user, volume.as_deref(), &path).await
        }
        Backup::Directory { directory, output: path, secrets } => {
            directory::run(output, &directory, &secrets.into(), &path)
        }
        Backup::All {
            output: directory,
            directory: of_operator,
            keep_daily,
            keep_weekly,
            schedule,
            secrets,
            located,
        } => {
            let keep = all::keep(keep_daily, keep_weekly);
            let plan = all::Plan { directory, of_operator, keep, secrets, located };
            all::run(output, &plan, schedule).await
        }
    }
}

/// What wrote an archive.
fn program() -> String {
    format!("hub {}", env!("CARGO_PKG_VERSION"))
}
