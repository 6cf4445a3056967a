//! The kept connections of one target, and how many requests it may have at once.
//!
//! They belong to the routes that have used it, so they are closed when no route leads
//! there any more (K-09), once the last exchange has ended.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::{link::Link, places::Places};
use crate::{ProxyConfig, Target, body::ClientBody, descriptors};

/// How often unused connections are looked at: those that have ended, or have waited
/// for too long, are closed.
const ROUND: Duration = Duration::from_secs(5);

/// The pools of one proxy, for as long as somebody else holds them.
#[derive(Debug, Default)]
pub(super) struct Pools {
    all: Mutex<HashMap<Origin, Weak<Pool>>>,
    /// How many connections are unused in all of them.
    unused: Arc<AtomicUsize>,
}

/// What connections are kept under: scheme and authority, as an URI without a path.
type Origin = http::Uri;

/// What the routes to one target keep for the proxy that used them first.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Among which it is.
    pub(super) owner: Arc<Pools>,
    origin: Origin,
    unused: Mutex<Unused>,
    pub(super) places: Places,
    /// How many unused ones are kept, and for how long.
    most: usize,
    longest: Duration,
    /// How many are kept at all targets.
    most_of_all: usize,
}

/// Those used last are at the back.
#[derive(Debug, Default)]
struct Unused {
    links: VecDeque<Resting>,
    /// Whether somebody goes round.
    is_looked_after: bool,
}

/// A connection that nobody uses.
#[derive(Debug)]
struct Resting {
    link: Box<Link<ClientBody>>,
    since: Instant,
    _counted: Counted,
}

/// One more, until it is dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Resting {
    /// Whether it is good for another request.
    fn is_good(&mut self, longest: Duration, cx: &mut Context<'_>) -> bool {
        self.since.elapsed() < longest && self.link.is_free(cx)
    }
}

impl Pools {
    /// The pool of `target`.
    pub(super) fn of(self: &Arc<Self>, target: &Target, config: &ProxyConfig) -> Arc<Pool> {
        let origin = target.uri_for(None, false);
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&origin).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = Arc::new(Pool {
            owner: Arc::clone(self),
            origin: origin.clone(),
            unused: Mutex::default(),
            places: Places::new(config),
            most: config.pool_idle_per_target,
            longest: config.pool_idle_timeout,
            most_of_all: config.pool_idle_total,
        });
        pools.insert(origin, Arc::downgrade(&pool));
        pool
    }

    /// Nothing in here can be half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Weak<Pool>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a connection whose answer is complete, if it may be used again and somebody
/// keeps it.
pub(super) fn keep(mut link: Box<Link<ClientBody>>, pool: Option<Arc<Pool>>) {
    // Whoever takes it polls it with a waker of their own.
    let is_free = link.is_free(&mut Context::from_waker(Waker::noop()));
    if let Some(pool) = pool.filter(|_| is_free) {
        pool.put(link);
    }
}

impl Pool {
    /// A connection that may be used again.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Option<Box<Link<ClientBody>>> {
        loop {
            let mut resting = self.unused().links.pop_back()?;
            if resting.is_good(self.longest, cx) {
                return Some(resting.link);
            }
        }
    }

    fn put(self: &Arc<Self>, link: Box<Link<ClientBody>>) {
        let count = &self.owner.unused;
        if self.most == 0 || count.load(Ordering::Relaxed) >= self.most_of_all {
            return;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(count));
        let resting = Resting { link, since: Instant::now(), _counted: counted };
        let (surplus, begins) = {
            let mut unused = self.unused();
            unused.links.push_back(resting);
            let surplus = (unused.links.len() > self.most).then(|| unused.links.pop_front());
            (surplus, !std::mem::replace(&mut unused.is_looked_after, true))
        };
        // Closing it takes no lock.
        drop(surplus);
        if begins {
            TaskTracker::new().spawn(go_round(Arc::downgrade(self)));
        }
    }

    /// Closes all of them: what they take is needed.
    fn let_go(&self) {
        let links = std::mem::take(&mut self.unused().links);
        drop(links);
    }

    /// Closes what is of no use any more; whether something is left.
    fn tidy(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut unused = self.unused();
        let longest = self.longest;
        unused.links.retain_mut(|resting| {
            // Those that are used all the time keep their buffers.
            resting.link.rest();
            resting.is_good(longest, &mut cx)
        });
        unused.is_looked_after = !unused.links.is_empty();
        unused.is_looked_after
    }

    /// Nothing in here can be half done.
    fn unused(&self) -> MutexGuard<'_, Unused> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the unused connections of a pool as long as there are any.
async fn go_round(pool: Weak<Pool>) {
    loop {
        let Some(pause) = pool.upgrade().map(|pool| pool.longest.min(ROUND)) else { return };
        let is_lacking = tokio::select! {
            () = sleep(pause) => false,
            () = descriptors::lack() => true,
        };
        let Some(pool) = pool.upgrade() else { return };
        if is_lacking {
            pool.let_go();
        }
        if !pool.tidy() {
            return;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut pools = self.owner.lock();
        // Another may have taken its place.
        if pools.get(&self.origin).is_some_and(|pool| pool.strong_count() == 0) {
            pools.remove(&self.origin);
        }
    }
}
