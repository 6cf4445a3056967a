//! The end of a user, with all that is theirs (SPN-30), and what else is done to its end
//! also when whoever asked for it has gone away.

use std::time::Duration;

use hub_names::UserName;
use hub_store::User;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

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
        let (servers, user) = (self.clone(), user.clone());
        self.to_its_end(async move |stop| servers.end_of_user(&user, patience, &stop).await).await
    }

    /// The same for somebody who is not there and has no server up or on its way: they stay
    /// if that has changed, in the store or here, since they were read. Returns whether they
    /// are gone.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) async fn delete_unused(&self, user: &User) -> Result<bool, ServersError> {
        let (servers, user) = (self.clone(), user.clone());
        self.to_its_end(async move |_| servers.end_of_unused(&user).await).await
    }

    /// Does `work` beside the one who waits for it, who may go away: half a removal leaves
    /// what nobody asks for again. It is handed a token that is cancelled when the hub begins
    /// to end, for what may wait for a server that long; what it has begun to change it
    /// finishes, as far as the hub's end leaves it the time.
    pub(super) async fn to_its_end<T, F>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<T, ServersError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServersError>> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        self.shared.tasks.spawn(|stop| {
            let work = work(stop);
            async move {
                if let Err(Err(error)) = done.send(work.await) {
                    tracing::warn!(
                        error = &error as &(dyn std::error::Error + 'static),
                        "what was asked for by somebody who has gone away did not succeed"
                    );
                }
            }
        });
        outcome.await.map_err(|_| ServersError::ShuttingDown)?
    }

    async fn end_of_user(
        &self,
        user: &User,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), ServersError> {
        let _reservation = self.reserve_user(&user.name)?;
        self.end_all_of(&user.name, patience, stop).await?;
        self.remove_all_of(user).await
    }

    async fn end_of_unused(&self, user: &User) -> Result<bool, ServersError> {
        // From here on nothing starts.
        let _reservation = self.reserve_user(&user.name)?;
        let known = self.shared.store.users().by_name(&user.name).await?;
        if known.as_ref() != Some(user) || !self.active_of(&user.name).is_empty() {
            return Ok(false);
        }
        self.remove_all_of(user).await?;
        Ok(true)
    }

    /// What belongs to somebody without servers, and then the account.
    async fn remove_all_of(&self, user: &User) -> Result<(), ServersError> {
        self.shared.spawner.forget_user(&user.name).await?;
        self.shared.store.users().delete(user.id).await?;
        tracing::info!(user = %user.name, "user deleted");
        Ok(())
    }

    /// Stops the user's servers and waits for it: what must not happen is an account that is
    /// gone while its server runs.
    async fn end_all_of(
        &self,
        user: &UserName,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), ServersError> {
        for key in self.active_of(user) {
            self.stop(&key).await;
            let settled = tokio::select! {
                // Its stop may take longer than the hub has left; and its worker ends then.
                biased;
                () = stop.cancelled() => return Err(ServersError::ShuttingDown),
                settled = timeout(patience, self.settled(&key)) => settled,
            };
            if settled.is_err() || self.live(&key).is_some_and(|view| view.phase.is_active()) {
                return Err(ServersError::Refused(format!(
                    "{user}'s server is still stopping; the user was not deleted. Try again in a \
                     moment"
                )));
            }
            self.retired(&key, stop).await?;
        }
        Ok(())
    }
}
