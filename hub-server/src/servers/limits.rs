//! Limits of servers that run, after the configuration has changed.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use hub_names::ServerKey;
use hub_spawner::Limits;

use super::{Servers, Shared, launch};

/// So many servers are seen to at a time.
const AT_A_TIME: usize = 8;

/// The limits of some servers.
pub(crate) type LimitsOf = BTreeMap<ServerKey, Limits>;

impl Servers {
    /// What the limits of each ready server would be if it were started now. Leaves out
    /// those of which that cannot be told, or changed.
    pub(crate) async fn limits(&self) -> LimitsOf {
        let ready = self
            .active()
            .into_iter()
            .filter(|key| self.live(key).is_some_and(|view| view.phase.is_ready()));
        let all = stream::iter(ready.collect::<Vec<_>>()).map(|key| async move {
            match wanted(&self.shared, &key).await {
                Ok(limits) => limits.map(|limits| (key, limits)),
                Err(error) => {
                    tracing::warn!(server = %key, error = &*error, "the server's limits could not be told");
                    None
                }
            }
        });
        all.buffer_unordered(AT_A_TIME).filter_map(|one| async move { one }).collect().await
    }

    /// Gives those servers new limits whose limits are not what they were `before`.
    pub(crate) async fn renew_limits(&self, before: &LimitsOf) {
        let now = self.limits().await;
        let changes = stream::iter(changed(before, now)).map(|(key, limits)| async move {
            match self.shared.spawner.set_limits(&key, &limits).await {
                Ok(()) => {
                    let (memory, cpus) = (limits.memory.map(|memory| memory.bytes()), limits.cpus);
                    tracing::info!(server = %key, memory, cpus, "the running server has new limits");
                }
                Err(error) => tracing::warn!(
                    server = %key, error = &error as &(dyn std::error::Error + 'static),
                    "the running server keeps its limits until its next start"
                ),
            }
        });
        changes.buffer_unordered(AT_A_TIME).collect::<()>().await;
    }
}

async fn wanted(
    shared: &Shared,
    key: &ServerKey,
) -> Result<Option<Limits>, Box<dyn std::error::Error + Send + Sync>> {
    let groups = launch::groups(shared, key).await?;
    let preset = shared.current.get().preset(key.user(), groups);
    Ok(shared.spawner.limits(key, &preset).await?)
}

/// Which limits are not as before, and are there at all: a limit that is taken away counts
/// until the next start. Pure.
fn changed(before: &LimitsOf, now: LimitsOf) -> Vec<(ServerKey, Limits)> {
    let differs = |(key, now): (ServerKey, Limits)| {
        let before = before.get(&key)?;
        let new = Limits {
            memory: now.memory.filter(|_| before.memory != now.memory),
            cpus: now.cpus.filter(|_| before.cpus != now.cpus),
        };
        (new != Limits::default()).then_some((key, new))
    };
    now.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: &str, cpus: Option<f64>) -> Limits {
        Limits { memory: memory.parse().ok(), cpus }
    }

    #[test]
    fn only_what_is_different_is_changed() {
        let key = |name: &str| ServerKey::default_of(name.parse().unwrap());
        let all = |limits: [(&str, Limits); 4]| -> LimitsOf {
            limits.into_iter().map(|(name, limits)| (key(name), limits)).collect()
        };
        let before = all([
            ("ada", limits("1G", Some(1.0))),
            ("bob", limits("1G", None)),
            ("eve", limits("1G", Some(1.0))),
            ("gone", limits("1G", None)),
        ]);
        let now = all([
            ("ada", limits("1G", Some(1.0))),
            ("bob", limits("2G", Some(0.5))),
            // Without a limit from its next start on.
            ("eve", limits("", None)),
            ("new", limits("4G", None)),
        ]);
        assert_eq!(changed(&before, now), [(key("bob"), limits("2G", Some(0.5)))]);
    }
}
