//! The task that makes an external proxy's table the wanted one.
//!
//! It compares the whole table at start, every half minute, at once after
//! anything went wrong and when the proxy may have been restarted; between that
//! it does only what is new. All changes to the table come from here, one pass
//! after the other, so no two of them cross.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    client::{ApiError, Client},
    path::RoutePath,
    tether::Tether,
    wishes::{Plan, Route, Wishes},
};
use crate::metrics::{Metrics, Work};

/// How often the whole table is compared although nothing seems wrong.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// First pause after a failure; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause after a failure: a proxy that is back serves nobody until we
/// have looked.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Calls at once, as JupyterHub (J-08).
const AT_ONCE: usize = 10;

/// How much of the proxy's table is known.
#[derive(Clone, Copy)]
enum Knowledge {
    /// It is as the wishes say, but for what is marked in them.
    Sure,
    /// Anything may be there.
    Unsure,
}

/// Keeps the table in step for ever.
pub(super) async fn keep(client: Arc<Client>, wishes: watch::Sender<Wishes>, metrics: Metrics) {
    let mut knowledge = Knowledge::Unsure;
    let mut pause = MIN_PAUSE;
    let mut story = Story::default();
    let mut tether = Tether::tie(&client.place().api).await;
    let mut next_check = Instant::now() + CHECK_EVERY;
    loop {
        let began = Instant::now();
        let passed = pass(&client, &wishes, &metrics, knowledge).await;
        if let (Ok(()), Knowledge::Unsure) = (&passed, knowledge) {
            metrics.took(Work::CheckRoutes, began.elapsed());
        }
        match passed {
            Ok(()) => {
                story.went_well(&client, wishes.borrow().len());
                pause = MIN_PAUSE;
                knowledge = wait_for_work(&wishes, &mut tether, next_check).await;
            }
            Err(error) => {
                story.went_wrong(&client, &error);
                knowledge = Knowledge::Unsure;
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
        if let Knowledge::Unsure = knowledge {
            tether = Tether::tie(&client.place().api).await;
            next_check = Instant::now() + CHECK_EVERY;
        }
    }
}

/// Waits until there is something to do, or to look after.
async fn wait_for_work(
    wishes: &watch::Sender<Wishes>,
    tether: &mut Tether,
    next_check: Instant,
) -> Knowledge {
    let mut changes = wishes.subscribe();
    tokio::select! {
        found = changes.wait_for(Wishes::has_work) => match found.is_ok_and(|wishes| wishes.is_check_due()) {
            true => Knowledge::Unsure,
            false => Knowledge::Sure,
        },
        // Nothing happened in time, or the proxy may have ended.
        _ = timeout_at(next_check, tether.lost()) => Knowledge::Unsure,
    }
}

/// Does everything that is to be done now. What fails does not keep the rest from
/// being done; the first failure is returned.
async fn pass(
    client: &Client,
    wishes: &watch::Sender<Wishes>,
    metrics: &Metrics,
    knowledge: Knowledge,
) -> Result<(), ApiError> {
    // Whoever asks from now on wants the table to be read after that.
    let asked = wishes.borrow().checks_asked();
    let Plan { add, remove } = match knowledge {
        Knowledge::Sure => wishes.borrow().work(),
        Knowledge::Unsure => {
            let listed = client.list().await?;
            let mut plan = Plan::default();
            wishes.send_modify(|wishes| plan = wishes.compare(&listed));
            plan
        }
    };
    let additions =
        add.into_iter().map(|(path, route)| place(client, wishes, metrics, knowledge, path, route));
    let removals = remove.into_iter().map(|path| withdraw(client, wishes, metrics, path));
    // A server that waits for its route comes before one that is gone.
    let added: Vec<_> = stream::iter(additions).buffer_unordered(AT_ONCE).collect().await;
    let removed: Vec<_> = stream::iter(removals).buffer_unordered(AT_ONCE).collect().await;
    added.into_iter().chain(removed).collect::<Result<(), _>>()?;
    if let Knowledge::Unsure = knowledge {
        wishes.send_modify(|wishes| wishes.checked(asked));
    }
    Ok(())
}

async fn place(
    client: &Client,
    wishes: &watch::Sender<Wishes>,
    metrics: &Metrics,
    knowledge: Knowledge,
    path: RoutePath,
    route: Route,
) -> Result<(), ApiError> {
    // Adding a route again would make it look used: it may be there from before
    // a restart of the hub.
    let there = match knowledge {
        Knowledge::Sure => client.get(&path).await?.is_some_and(|found| found.is(&route)),
        // It was looked for just now.
        Knowledge::Unsure => false,
    };
    let at = match there {
        true => None,
        false => {
            let began = Instant::now();
            let added = client.add(&path, &route).await;
            // A success is counted by who waits for it, from the wish on.
            if added.is_err() {
                metrics.proxy_add(false, began.elapsed());
            }
            added?;
            client.get(&path).await?.and_then(|found| found.last_activity)
        }
    };
    tracing::debug!(route = %path, upstream = %route.target, "the proxy has the route");
    wishes.send_modify(|wishes| wishes.added(&path, &route, at));
    Ok(())
}

async fn withdraw(
    client: &Client,
    wishes: &watch::Sender<Wishes>,
    metrics: &Metrics,
    path: RoutePath,
) -> Result<(), ApiError> {
    let began = Instant::now();
    let removed = client.remove(&path).await;
    metrics.proxy_delete(removed.is_ok(), began.elapsed());
    removed?;
    tracing::debug!(route = %path, "the proxy has the route no more");
    wishes.send_modify(|wishes| wishes.removed(&path));
    Ok(())
}

/// Tells each turn of events once.
#[derive(Debug, Default)]
struct Story {
    last: Last,
}

#[derive(Debug, Default, PartialEq)]
enum Last {
    #[default]
    Nothing,
    Well,
    Wrong(String),
}

impl Story {
    fn went_well(&mut self, client: &Client, routes: usize) {
        if self.last != Last::Well {
            tracing::info!(api = %client.place().api, routes, "the proxy has the hub's routes");
            self.last = Last::Well;
        }
    }

    fn went_wrong(&mut self, client: &Client, error: &ApiError) {
        let now = Last::Wrong(error.to_string());
        if self.last == now {
            return;
        }
        let what_to_do = match error {
            ApiError::Forbidden => {
                "CONFIGPROXY_AUTH_TOKEN (proxy.auth_token) must be the same for the proxy and the hub"
            }
            ApiError::Unreachable(_) | ApiError::TimedOut => {
                "see whether the proxy runs, and whether proxy.api_url is the address of its API"
            }
            ApiError::Status { .. } | ApiError::Malformed(_) => {
                "see whether proxy.api_url is the address of its API, not of its pages"
            }
            ApiError::Body(_) => "see the proxy's log",
        };
        tracing::error!(
            api = %client.place().api,
            error = error as &(dyn std::error::Error + 'static),
            "the proxy's routes cannot be kept; {what_to_do}. Trying again until it works; running servers are not affected"
        );
        self.last = now;
    }
}
