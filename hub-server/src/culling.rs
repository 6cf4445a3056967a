//! Stops servers that nobody uses, and says so before.
//!
//! What becomes of a server is decided in [`decision`]; here it is found out what
//! there is to know, and done.

mod accounts;
mod decision;
mod inquiry;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, stream};
use hub_names::ServerKey;
use hub_store::{ServerRecord, StoreError, User};
use jiff::Timestamp;
use tokio::time::sleep;

pub(crate) use self::decision::Notice;
use self::{
    decision::{Facts, Inside, Rules, Verdict, decide},
    inquiry::Inquirer,
};
use crate::{
    config::CullingConfig,
    hub::Hub,
    routes::Routes,
    servers::{Culled, Phase},
    tasks::Tasks,
};

/// So many servers are asked at a time: one that is slow to answer keeps no other waiting.
const AT_A_TIME: usize = 16;

/// Which servers end soon. Written by the culler, read by pages and the API.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<HashMap<ServerKey, Notice>>);

impl Notices {
    /// When and why the server is stopped, if that is soon.
    pub(crate) fn of(&self, key: &ServerKey) -> Option<Notice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Replaces all; returns those that were not there before.
    fn replace(&self, new: HashMap<ServerKey, Notice>) -> Vec<(ServerKey, Notice)> {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = new
            .iter()
            .filter(|(key, _)| !notices.contains_key(*key))
            .map(|(key, notice)| (key.clone(), *notice))
            .collect();
        *notices = new;
        news
    }
}

/// Looks at all servers from time to time, until the hub stops.
pub(crate) fn keep_culling(tasks: &Tasks, hub: &Arc<Hub>, routes: Routes) {
    let hub = Arc::clone(hub);
    tasks.spawn(|stop| async move {
        let culler = Culler { hub, routes, inquirer: Inquirer::new() };
        let mut accounts = accounts::Accounts::default();
        loop {
            // Not at once: after a restart servers and browsers find back first.
            let pause = culler.hub.live().culling.interval;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            let rounds = async {
                culler.round().await?;
                accounts.round(&culler.hub).await
            };
            let done: Result<(), StoreError> = tokio::select! {
                () = stop.cancelled() => return,
                done = rounds => done,
            };
            if let Err(error) = done {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "idle servers could not be looked for; trying again"
                );
            }
        }
    });
}

struct Culler {
    hub: Arc<Hub>,
    routes: Routes,
    inquirer: Inquirer,
}

impl Culler {
    async fn round(&self) -> Result<(), StoreError> {
        let live = self.hub.live();
        let config = &live.culling;
        let mut notices = HashMap::new();
        if config.is_on() {
            let active = self.hub.servers.active();
            // To the second: what the store knows is up to a minute old.
            let used = self.routes.last_used(&active).await;
            let records = self.hub.store.servers().active().await?;
            let used = &used;
            let verdicts = stream::iter(records).map(|record| async move {
                let last_used = used.get(&record.key).copied().max(record.last_activity);
                self.look(config, record, last_used).await
            });
            let mut verdicts = verdicts.buffer_unordered(AT_A_TIME);
            while let Some(notice) = verdicts.next().await {
                notices.extend(notice?);
            }
        }
        for (key, notice) in self.hub.notices.replace(notices) {
            tracing::info!(server = %key, at = %notice.at, because = notice.why.as_str(), "the server will be stopped");
        }
        Ok(())
    }

    /// Stops the server if it is time for that; returns what to tell of one that ends soon.
    async fn look(
        &self,
        config: &CullingConfig,
        record: ServerRecord,
        last_used: Option<Timestamp>,
    ) -> Result<Option<(ServerKey, Notice)>, StoreError> {
        let key = record.key;
        Ok(match self.judge(config, &key, last_used).await? {
            Some((_, Verdict::Warn(notice))) => Some((key, notice)),
            Some((since, Verdict::Cull(notice))) => {
                self.cull(&key, &notice, since);
                None
            }
            Some((_, Verdict::Keep | Verdict::Ask)) | None => None,
        })
    }

    /// Since when the server is up, and what is to be done; `None` if it is none of our
    /// business.
    async fn judge(
        &self,
        config: &CullingConfig,
        key: &ServerKey,
        last_used: Option<Timestamp>,
    ) -> Result<Option<(Timestamp, Verdict)>, StoreError> {
        let Some(view) = self.hub.servers.live(key) else { return Ok(None) };
        let Phase::Ready { url, since, .. } = &view.phase else { return Ok(None) };
        let Some(user) = self.hub.store.users().by_name(key.user()).await? else {
            return Ok(None);
        };
        if config.exempt_admins && user.admin {
            return Ok(None);
        }
        let rules = Rules {
            limits: config.limits_of(key.user(), &self.groups(config, &user).await?),
            warn: config.warn,
            keep_connected: config.keep_connected,
        };
        // To start it was to use it.
        let last_used = last_used.map_or(*since, |at| at.max(*since));
        let now = self.hub.clock.now();
        let mut facts = Facts { now, started: *since, last_used, inside: Inside::NotAsked };
        let mut verdict = decide(&facts, &rules);
        if verdict == Verdict::Ask {
            facts.inside = self.inquirer.ask(&self.hub, &user, key, url).await?;
            verdict = decide(&facts, &rules);
        }
        if let Verdict::Cull(_) = verdict {
            // Asking may have taken long, and somebody may have come meanwhile.
            let used = self.routes.last_used(std::slice::from_ref(key)).await;
            let record = self.hub.store.servers().get(key).await?;
            let told = record.and_then(|record| record.last_activity);
            let latest = used.get(key).copied().max(told);
            facts.last_used = latest.map_or(last_used, |at| at.max(last_used));
            verdict = decide(&facts, &rules);
        }
        Ok(Some((*since, verdict)))
    }

    async fn groups(&self, config: &CullingConfig, user: &User) -> Result<Vec<String>, StoreError> {
        match config.asks_for_groups() {
            true => self.hub.store.groups().of_user(user.id).await,
            false => Ok(Vec::new()),
        }
    }

    /// Stops the run of the server that began at `since`.
    fn cull(&self, key: &ServerKey, notice: &Notice, since: Timestamp) {
        let culled = Culled { why: notice.why, minutes: notice.after.as_mins() };
        tracing::info!(server = %key, minutes = culled.minutes, because = notice.why.as_str(), "the server is stopped: {}", culled.message());
        self.hub.servers.cull(key, since, culled);
    }
}
