//! The demo's one account.

use tokio::process::Command;

use super::state::State;
use crate::{process, workspace};

/// A password and what the hub keeps of it.
pub(super) struct Account {
    pub(super) password: String,
    pub(super) hash: String,
}

/// The account, made at the first call.
pub(super) async fn ensure(state: &State) -> anyhow::Result<Account> {
    let password = state.secret("password")?;
    // Hashed anew each time: the format is the hub's business, and it may have
    // changed since the last run.
    let mut command = Command::new(workspace::binary("hub-server"));
    command.arg("hash-password");
    let hash = process::output(&mut command, &password).await?.trim().to_owned();
    Ok(Account { password, hash })
}
