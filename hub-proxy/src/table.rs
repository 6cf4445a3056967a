//! Which prefix leads where: an immutable trie that is replaced as a whole.
//!
//! Readers never wait; a writer copies the nodes on the path to its change, and of
//! their children's maps what has changed, and swaps the root. So a lookup takes no
//! lock and allocates nothing, and a change takes as long in a table of ten thousand
//! routes as in a small one.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rpds::HashTrieMapSync;

use crate::{OpenTunnels, RoutePrefix, Target, clock, closing::Closing, forward::Pool, path};

/// The routes of a proxy. Clones share one table.
#[derive(Clone, Default)]
pub struct RouteTable {
    root: Arc<ArcSwap<Node>>,
}

/// The route a path leads to.
#[derive(Clone, Debug)]
pub struct Resolved {
    route: Arc<Route>,
}

/// One line of [`RouteTable::snapshot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteStatus {
    /// Where the route begins.
    pub prefix: RoutePrefix,
    /// Where it leads.
    pub target: Target,
    /// When it was added.
    pub added: Timestamp,
    /// When data last passed, `None` if none has since it was added.
    pub last_used: Option<Timestamp>,
}

#[derive(Clone, Default)]
struct Node {
    route: Option<Arc<Route>>,
    children: HashTrieMapSync<Arc<str>, Arc<Node>>,
}

/// A route with its time of last use, shared with the exchanges that use it.
#[derive(Debug)]
pub(crate) struct Route {
    prefix: RoutePrefix,
    target: Target,
    added: Timestamp,
    /// Milliseconds since the epoch; [`NEVER`] until used.
    last_used: AtomicI64,
    /// The kept connections to its target, of the proxy that used it first.
    pool: OnceLock<Arc<Pool>>,
    /// How its tunnels are told to close, once there is one or it is to be told.
    closing: OnceLock<Closing>,
    /// Whether it was taken out of the table or led elsewhere.
    has_gone: AtomicBool,
}

const NEVER: i64 = i64::MIN;

impl RouteTable {
    /// Adds a route or replaces the one with that prefix, and returns the
    /// target that was there.
    ///
    /// Adding the same target again changes nothing: the time of last use
    /// stays. The route is live when this returns.
    pub fn insert(&self, prefix: RoutePrefix, target: Target) -> Option<Target> {
        self.insert_with(prefix, target, OpenTunnels::Stay)
    }

    /// As [`insert`](Self::insert); `tunnels` says what becomes of those to another target
    /// that was there.
    pub fn insert_with(
        &self,
        prefix: RoutePrefix,
        target: Target,
        tunnels: OpenTunnels,
    ) -> Option<Target> {
        self.put(prefix, target, clock::now(), tunnels)
    }

    /// As [`insert_with`](Self::insert_with), added at a moment.
    pub(crate) fn put(
        &self,
        prefix: RoutePrefix,
        target: Target,
        added: Timestamp,
        tunnels: OpenTunnels,
    ) -> Option<Target> {
        let before = self.root.rcu(|root| match root.exact(&prefix) {
            Some(existing) if existing.target == target => Arc::clone(root),
            existing => {
                let route = Route::new(prefix.clone(), target.clone(), added, None);
                let route = Arc::new(route.after(existing, tunnels));
                Arc::new(root.with(&mut prefix.segments(), &route))
            }
        });
        let existing = before.exact(&prefix)?;
        if existing.target != target {
            existing.let_go(tunnels);
        }
        Some(existing.target.clone())
    }

    /// Removes the route with exactly this prefix and returns its target. Its unused
    /// connections are closed (K-09).
    ///
    /// Longer and shorter prefixes stay. Open tunnels of the route go on
    /// (WS-11).
    pub fn remove(&self, prefix: &RoutePrefix) -> Option<Target> {
        self.remove_with(prefix, OpenTunnels::Stay)
    }

    /// As [`remove`](Self::remove); `tunnels` says what becomes of the route's.
    pub fn remove_with(&self, prefix: &RoutePrefix, tunnels: OpenTunnels) -> Option<Target> {
        let before = self.root.rcu(|root| match root.exact(prefix) {
            None => Arc::clone(root),
            Some(_) => Arc::new(root.without(&mut prefix.segments())),
        });
        let removed = before.exact(prefix)?;
        removed.let_go(tunnels);
        Some(removed.target.clone())
    }

    /// Makes `routes` the whole table, in one step: no request sees a table
    /// between the old one and the new one.
    ///
    /// Routes that were there with the same target keep their time of last use.
    pub fn replace(&self, routes: impl IntoIterator<Item = (RoutePrefix, Target)>) {
        self.replace_with(routes, OpenTunnels::Stay);
    }

    /// As [`replace`](Self::replace); `tunnels` says what becomes of those of routes that
    /// are not in the new table, or with another target.
    pub fn replace_with(
        &self,
        routes: impl IntoIterator<Item = (RoutePrefix, Target)>,
        tunnels: OpenTunnels,
    ) {
        let added = clock::now();
        let new = |(prefix, target)| RouteStatus { prefix, target, added, last_used: None };
        self.settle(routes.into_iter().map(new).collect(), tunnels);
    }

    /// As [`replace_with`](Self::replace_with), times included; of two times of use, the
    /// later one counts.
    pub(crate) fn settle(&self, wanted: Vec<RouteStatus>, tunnels: OpenTunnels) {
        let mut now = Arc::new(Node::default());
        let before = self.root.rcu(|before| {
            let mut root = Node::default();
            for RouteStatus { prefix, target, added, last_used } in &wanted {
                let old = before.exact(prefix);
                if let Some(kept) = old.filter(|old| old.target == *target) {
                    kept.was_used(*last_used);
                    root.plant(kept);
                } else {
                    let route = Route::new(prefix.clone(), target.clone(), *added, *last_used);
                    root.plant(&Arc::new(route.after(old, tunnels)));
                }
            }
            now = Arc::new(root);
            Arc::clone(&now)
        });
        before.each(&mut |old| {
            if now.exact(&old.prefix).is_none_or(|kept| !Arc::ptr_eq(kept, old)) {
                old.let_go(tunnels);
            }
        });
    }

    /// Makes `routes` the whole table, times included.
    #[cfg(feature = "cli")]
    pub(crate) fn restore(&self, routes: impl IntoIterator<Item = RouteStatus>) {
        let mut root = Node::default();
        for RouteStatus { prefix, target, added, last_used } in routes {
            root.plant(&Arc::new(Route::new(prefix, target, added, last_used)));
        }
        self.root.store(Arc::new(root));
    }

    /// Records a use that another process saw, unless there was a later one.
    #[cfg(feature = "cli")]
    pub(crate) fn used(&self, prefix: &RoutePrefix, at: Timestamp) {
        if let Some(route) = self.root.load().exact(prefix) {
            route.was_used(Some(at));
        }
    }

    /// The route with exactly this prefix.
    #[cfg(feature = "admin")]
    pub(crate) fn get(&self, prefix: &RoutePrefix) -> Option<RouteStatus> {
        self.root.load().exact(prefix).map(|route| route.status())
    }

    /// The route with the longest prefix of `path`, in whole segments.
    ///
    /// `path` is the escaped path of a request, without query. A path that a
    /// proxy would refuse ([`BadPath`](crate::BadPath)) leads nowhere.
    pub fn resolve(&self, path: &str) -> Option<Resolved> {
        self.lookup(&path::decode(path).ok()?).map(|route| Resolved { route })
    }

    /// As [`resolve`](Self::resolve), for a path that is decoded already.
    pub(crate) fn lookup(&self, decoded: &str) -> Option<Arc<Route>> {
        self.root.load().longest(decoded).map(Arc::clone)
    }

    /// When data last passed over the route with this prefix; `None` if there
    /// is no such route or it was not used since it was added.
    pub fn last_used(&self, prefix: &RoutePrefix) -> Option<Timestamp> {
        self.root.load().exact(prefix)?.last_used()
    }

    /// All routes, shorter prefixes before the longer ones they begin.
    pub fn snapshot(&self) -> Vec<RouteStatus> {
        let mut routes = Vec::new();
        self.root.load().collect(&mut routes);
        routes
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.snapshot().into_iter().map(|r| (r.prefix, r.target))).finish()
    }
}

impl Resolved {
    /// The prefix that matched.
    pub fn prefix(&self) -> &RoutePrefix {
        &self.route.prefix
    }

    /// Where the request goes.
    pub fn target(&self) -> &Target {
        &self.route.target
    }
}

impl Route {
    fn new(
        prefix: RoutePrefix,
        target: Target,
        added: Timestamp,
        last_used: Option<Timestamp>,
    ) -> Self {
        let last_used = AtomicI64::new(last_used.map_or(NEVER, Timestamp::as_millisecond));
        let (pool, closing) = (OnceLock::new(), OnceLock::new());
        let has_gone = AtomicBool::new(false);
        Self { prefix, target, added, last_used, pool, closing, has_gone }
    }

    /// This one in the place of another. Tunnels that stay then belong to the prefix, and
    /// close if somebody wants that later.
    fn after(self, before: Option<&Arc<Self>>, tunnels: OpenTunnels) -> Self {
        match (before, tunnels) {
            (Some(before), OpenTunnels::Stay) => {
                Self { closing: before.closing().clone().into(), ..self }
            }
            _ => self,
        }
    }

    /// Does with the tunnels what is to become of them now that the route is gone, and
    /// ends the tries to connect.
    fn let_go(&self, tunnels: OpenTunnels) {
        self.has_gone.store(true, Ordering::Release);
        match tunnels {
            OpenTunnels::Stay => {}
            OpenTunnels::Close => self.closing().ask(),
        }
    }

    /// How its tunnels are told to close.
    pub(crate) fn closing(&self) -> &Closing {
        self.closing.get_or_init(Closing::default)
    }

    /// Whether its target's address may be another's by now.
    pub(crate) fn has_gone(&self) -> bool {
        self.has_gone.load(Ordering::Acquire)
    }

    pub(crate) fn pool(&self) -> &OnceLock<Arc<Pool>> {
        &self.pool
    }

    pub(crate) fn prefix(&self) -> &RoutePrefix {
        &self.prefix
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Records that data passes now (proxy contract, section 8).
    pub(crate) fn touch(&self) {
        self.last_used.store(clock::now().as_millisecond(), Ordering::Relaxed);
    }

    /// Records a use, unless there was a later one.
    fn was_used(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.last_used.fetch_max(at.as_millisecond(), Ordering::Relaxed);
        }
    }

    fn status(&self) -> RouteStatus {
        RouteStatus {
            prefix: self.prefix.clone(),
            target: self.target.clone(),
            added: self.added,
            last_used: self.last_used(),
        }
    }

    fn last_used(&self) -> Option<Timestamp> {
        match self.last_used.load(Ordering::Relaxed) {
            NEVER => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }
}

impl Node {
    fn exact(&self, prefix: &RoutePrefix) -> Option<&Arc<Route>> {
        let mut node = self;
        for segment in prefix.segments() {
            node = node.children.get(segment)?;
        }
        node.route.as_ref()
    }

    fn longest(&self, decoded: &str) -> Option<&Arc<Route>> {
        let mut node = self;
        let mut found = node.route.as_ref();
        // Leading slashes collapse (P-064); an empty segment further in is an
        // ordinary one, which no route has unless somebody made it so.
        for segment in decoded.trim_start_matches('/').split('/') {
            let Some(child) = node.children.get(segment) else { break };
            node = child;
            found = node.route.as_ref().or(found);
        }
        found
    }

    /// Puts a route into a tree that nobody else sees yet.
    fn plant(&mut self, route: &Arc<Route>) {
        let mut node = self;
        for segment in route.prefix.segments() {
            if !node.children.contains_key(segment) {
                node.children.insert_mut(segment.into(), Arc::default());
            }
            let Some(child) = node.children.get_mut(segment) else { return };
            node = Arc::make_mut(child);
        }
        node.route = Some(Arc::clone(route));
    }

    /// A copy in which the node at the end of `segments` has `route`.
    fn with(&self, segments: &mut dyn Iterator<Item = &str>, route: &Arc<Route>) -> Self {
        let mut copy = self.clone();
        match segments.next() {
            None => copy.route = Some(Arc::clone(route)),
            Some(segment) => {
                let child = match self.children.get(segment) {
                    Some(child) => child.with(segments, route),
                    None => Self::default().with(segments, route),
                };
                copy.children.insert_mut(segment.into(), Arc::new(child));
            }
        }
        copy
    }

    /// A copy in which that node has no route; nodes left empty go with it.
    fn without(&self, segments: &mut dyn Iterator<Item = &str>) -> Self {
        let mut copy = self.clone();
        match segments.next() {
            None => copy.route = None,
            Some(segment) => {
                if let Some(child) = self.children.get(segment) {
                    let child = child.without(segments);
                    if child.route.is_none() && child.children.is_empty() {
                        copy.children.remove_mut(segment);
                    } else {
                        copy.children.insert_mut(segment.into(), Arc::new(child));
                    }
                }
            }
        }
        copy
    }

    fn collect(&self, into: &mut Vec<RouteStatus>) {
        self.each(&mut |route| into.push(route.status()));
    }

    /// All routes, in the order of [`RouteTable::snapshot`].
    fn each(&self, visit: &mut dyn FnMut(&Arc<Route>)) {
        if let Some(route) = &self.route {
            visit(route);
        }
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_unstable_by_key(|(segment, _)| *segment);
        for (_, child) in children {
            child.each(visit);
        }
    }
}

#[cfg(test)]
mod tests;
