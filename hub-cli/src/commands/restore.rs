//! `hub restore`

mod files;
mod hub;
mod user;

use crate::{args::Restore, output::Output};

pub(crate) async fn run(command: Restore, output: &Output) -> anyhow::Result<()> {
    match command {
        Restore::Hub { input, force, passphrase_file, located } => {
            hub::run(output, &located, &input, force, passphrase_file.as_deref()).await
        }
        Restore::User { user, input, wipe, merge, stop, volume, passphrase_file, located } => {
            let wanted = user::Wanted {
                user,
                input,
                existing: user::Existing::new(wipe, merge),
                stop,
                volume,
                passphrase_file,
            };
            user::run(output, &located, wanted).await
        }
    }
}
