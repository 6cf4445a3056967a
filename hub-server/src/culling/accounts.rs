//! Removes accounts that nobody uses, where the operator wants that, as if an
//! administrator had deleted them: so does a culler of JupyterHub with `--cull-users`.

use std::time::Duration;

use hub_store::{StoreError, UserFilter, UserOrder};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::hub::Hub;

/// How often. It takes a look at every account.
const EVERY: Duration = Duration::from_secs(3600);
/// Accounts that are read at once.
const PAGE: u64 = 200;

/// When it was last done.
#[derive(Debug, Default)]
pub(super) struct Accounts(Option<Instant>);

impl Accounts {
    /// Removes what is to be removed, if it is time for that.
    pub(super) async fn round(&mut self, hub: &Hub) -> Result<(), StoreError> {
        let live = hub.live();
        let config = &live.culling;
        if !config.remove_users || self.0.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        self.0 = Some(Instant::now());
        let now = hub.clock.now();
        let mut unused = Vec::new();
        let mut filter =
            UserFilter { name_contains: None, offset: 0, limit: PAGE, order: UserOrder::Added };
        loop {
            let page = hub.store.users().page(&filter).await?;
            if page.is_empty() {
                break;
            }
            filter.offset += PAGE;
            for user in page.into_iter().filter(|user| !user.admin) {
                let groups = match config.asks_for_groups() {
                    true => hub.store.groups().of_user(user.id).await?,
                    false => Vec::new(),
                };
                let timeout = config.limits_of(&user.name, &groups).timeout;
                let seen = user.last_activity.map_or(user.created, |at| at.max(user.created));
                if is_over(seen, timeout, now) && hub.servers.active_of(&user.name).is_empty() {
                    unused.push(user);
                }
            }
        }
        for user in unused {
            match hub.servers.delete_unused(&user).await {
                Ok(true) => tracing::info!(user = %user.name, "was not seen for a long time"),
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    user = %user.name, error = &error as &(dyn std::error::Error + 'static),
                    "an account that nobody uses was not removed; trying again later"
                ),
            }
        }
        Ok(())
    }
}

fn is_over(seen: Timestamp, timeout: Option<SignedDuration>, now: Timestamp) -> bool {
    timeout.is_some_and(|timeout| now.duration_since(seen) >= timeout)
}
