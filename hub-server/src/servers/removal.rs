//! The end of a user, with all that is theirs (SPN-30).

use std::time::Duration;

use hub_names::UserName;
use hub_store::User;
use tokio::time::timeout;

use super::{Servers, ServersError};

impl Servers {
    /// Deletes a user: ends their servers, removes what belongs to them as far as the
    /// operator wants that, and then the account, so that nobody has the name before. Each
    /// server may take `patience` to stop.
    ///
    /// # Errors
    ///
    /// When a server does not stop in time, or something could not be removed; the account
    /// is still there then, and can be deleted again.
    pub(crate) async fn delete_user(
        &self,
        user: &User,
        patience: Duration,
    ) -> Result<(), ServersError> {
        let _reservation = self.reserve_user(&user.name)?;
        self.end_all_of(&user.name, patience).await?;
        self.shared.spawner.forget_user(&user.name).await?;
        self.shared.store.users().delete(user.id).await?;
        tracing::info!(user = %user.name, "user deleted");
        Ok(())
    }

    /// Stops the user's servers and waits for it: what must not happen is an account that is
    /// gone while its server runs.
    async fn end_all_of(&self, user: &UserName, patience: Duration) -> Result<(), ServersError> {
        for key in self.active_of(user) {
            self.stop(&key).await;
            let settled = timeout(patience, self.settled(&key)).await;
            if settled.is_err() || self.live(&key).is_some_and(|view| view.phase.is_active()) {
                return Err(ServersError::Refused(format!(
                    "{user}'s server is still stopping; the user was not deleted. Try again in a \
                     moment"
                )));
            }
            self.retired(&key).await;
        }
        Ok(())
    }
}
