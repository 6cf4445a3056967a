//! A spawner in memory, told by a test how its servers behave.

mod beginning;
mod behaviour;
mod spawning;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use hub_names::{ServerKey, UserName};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use url::Url;

pub use self::behaviour::Behaviour;
use crate::{Choice, Exit, Health, OnUnhealthy, SavedState, SpawnError, StartRequest, StopMode};

/// Remembers which servers run, without running any.
///
/// Clones share everything, so that a second one is what a hub finds after its
/// restart. Passes [`conformance`](crate::conformance) like the real ones.
#[derive(Clone, Debug, Default)]
pub struct FakeSpawner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Whether starts are held back.
    held: watch::Sender<bool>,
    /// Whether removals of what belongs to users and servers are held back.
    removals_held: watch::Sender<bool>,
    /// Whether looks at what there is of a server are held back.
    looks_held: watch::Sender<bool>,
    /// How often the streams of those who watch were broken.
    broken: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    default: Behaviour,
    special: HashMap<ServerKey, Behaviour>,
    servers: BTreeMap<ServerKey, Server>,
    requests: Vec<StartRequest>,
    stops: Vec<(ServerKey, StopMode)>,
    watchers: Vec<mpsc::Sender<ServerKey>>,
    started: u64,
    unreachable: bool,
    host_address: Option<IpAddr>,
    choices: Vec<Choice>,
    renames: Vec<(ServerKey, ServerKey)>,
    /// Users whose files have their names.
    with_files: Vec<UserName>,
    forgotten: Vec<ServerKey>,
    forgotten_users: Vec<UserName>,
    probes: usize,
    on_unhealthy: OnUnhealthy,
    keeps_stopped: bool,
    replaces_kept: bool,
    tells_nobody: bool,
}

#[derive(Clone, Debug)]
struct Server {
    url: Url,
    api_token: SecretString,
    saved: SavedState,
    health: Option<Health>,
    ended: Option<Exit>,
    log: String,
}

impl FakeSpawner {
    /// From now on the files of `user` are in a place with the name in its own.
    pub fn keeps_files_of(&self, user: &UserName) {
        self.state().with_files.push(user.clone());
    }

    /// A spawner whose servers run but never answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on servers are reached at `url`.
    #[must_use]
    pub fn answers_with(self, url: Url) -> Self {
        self.behaves(Behaviour::Answers(url))
    }

    /// From now on servers run and never answer.
    #[must_use]
    pub fn never_answers(self) -> Self {
        self.behaves(Behaviour::NeverAnswers)
    }

    /// From now on starts fail with what `error` makes.
    #[must_use]
    pub fn fails_with(self, error: impl Fn() -> SpawnError + Send + Sync + 'static) -> Self {
        self.behaves(Behaviour::Fails(Arc::new(error)))
    }

    /// From now on servers end while they start.
    #[must_use]
    pub fn exits(self, exit: Exit) -> Self {
        self.behaves(Behaviour::Exits(exit))
    }

    /// From now on servers behave like this.
    #[must_use]
    pub fn behaves(self, behaviour: Behaviour) -> Self {
        self.state().default = behaviour;
        self
    }

    /// From now on this one server behaves like this.
    #[must_use]
    pub fn behaves_for(self, key: ServerKey, behaviour: Behaviour) -> Self {
        self.state().special.insert(key, behaviour);
        self
    }

    /// Holds all starts back until [`FakeSpawner::let_starts_go`].
    pub fn hold_starts(&self) {
        self.shared.held.send_replace(true);
    }

    /// Lets held starts, and all later ones, go on.
    pub fn let_starts_go(&self) {
        self.shared.held.send_replace(false);
    }

    /// Holds back all removals of what belongs to users and servers who are deleted, until
    /// [`FakeSpawner::let_removals_go`].
    pub fn hold_removals(&self) {
        self.shared.removals_held.send_replace(true);
    }

    /// Lets held removals, and all later ones, go on.
    pub fn let_removals_go(&self) {
        self.shared.removals_held.send_replace(false);
    }

    /// From now on nobody is told which server is whose: to [identify](crate::Spawner::identify)
    /// them does not succeed.
    pub fn tells_nobody(&self) {
        self.state().tells_nobody = true;
    }

    /// Holds back everybody who wants to [identify](crate::Spawner::identify) servers, for good.
    pub fn hold_looks(&self) {
        self.shared.looks_held.send_replace(true);
    }

    /// How many such looks are held back now.
    pub fn looks_waiting(&self) -> usize {
        self.shared.looks_held.receiver_count()
    }

    /// How many removals are held back now.
    pub fn removals_waiting(&self) -> usize {
        self.shared.removals_held.receiver_count()
    }

    /// The users who were deleted for good, oldest first.
    pub fn forgotten_users(&self) -> Vec<UserName> {
        self.state().forgotten_users.clone()
    }

    /// Whether the backend answers at all. While it does not, every call fails
    /// with [`SpawnError::Unreachable`]; servers go on.
    pub fn set_reachable(&self, reachable: bool) {
        self.state().unreachable = !reachable;
    }

    /// The address given as [`Spawner::host_address`](crate::Spawner::host_address). Default `127.0.0.1`.
    pub fn set_host_address(&self, address: Option<IpAddr>) {
        self.state().host_address = address;
    }

    /// Lets the health check of a running server say this, and tells those who
    /// watch. Does nothing if it does not run.
    pub fn set_health(&self, key: &ServerKey, health: Option<Health>) {
        let mut state = self.state();
        if let Some(server) = state.servers.get_mut(key) {
            server.health = health;
            state.tell(key);
        }
    }

    /// Gives a running server another address, and tells those who watch. Does
    /// nothing if it does not run.
    pub fn moves(&self, key: &ServerKey, url: Url) {
        let mut state = self.state();
        if let Some(server) = state.servers.get_mut(key) {
            server.url = url;
            state.tell(key);
        }
    }

    /// Breaks the streams of all who watch, as a backend that restarts does.
    pub fn break_watches(&self) {
        self.state().watchers.clear();
        self.shared.broken.send_modify(|times| *times += 1);
    }

    /// Ends a running server behind the hub's back and tells those who watch.
    /// Does nothing if it does not run.
    pub fn die(&self, key: &ServerKey, exit: Exit) {
        let mut state = self.state();
        if let Some(server) = state.servers.get_mut(key)
            && server.ended.is_none()
        {
            server.ended = Some(exit);
            state.tell(key);
        }
    }

    /// Removes a server behind the hub's back and tells those who watch.
    pub fn vanish(&self, key: &ServerKey) {
        let mut state = self.state();
        if state.servers.remove(key).is_some() {
            state.tell(key);
        }
    }

    /// Removes a server behind the hub's back, and no notice of that gets through.
    pub fn vanish_unnoticed(&self, key: &ServerKey) {
        self.state().servers.remove(key);
    }

    /// Puts `text` into the log of a server that is there.
    pub fn prints(&self, key: &ServerKey, text: &str) {
        if let Some(server) = self.state().servers.get_mut(key) {
            server.log.push_str(text);
        }
    }

    /// From now on users may choose one of these images; the first is the default.
    #[must_use]
    pub fn offers(self, images: &[&str]) -> Self {
        let choice = |(index, name): (usize, &&str)| Choice {
            name: (*name).to_owned(),
            is_default: index == 0,
        };
        self.state().choices = images.iter().enumerate().map(choice).collect();
        self
    }

    /// From now on this is what a hub does with unhealthy servers.
    #[must_use]
    pub fn on_unhealthy(self, what: OnUnhealthy) -> Self {
        self.state().on_unhealthy = what;
        self
    }

    /// From now on stopped servers are kept, and go on at their next start.
    #[must_use]
    pub fn keeps_stopped(self) -> Self {
        self.state().keeps_stopped = true;
        self
    }

    /// From now on what was kept is replaced at the next start, as if its settings had
    /// changed.
    pub fn replaces_kept(&self) {
        self.state().replaces_kept = true;
    }

    /// The servers that were deleted for good, oldest first.
    pub fn forgotten(&self) -> Vec<ServerKey> {
        self.state().forgotten.clone()
    }

    /// How often servers were looked at so far.
    pub fn probes(&self) -> usize {
        self.state().probes
    }

    /// All renames so far, oldest first.
    pub fn renames(&self) -> Vec<(ServerKey, ServerKey)> {
        self.state().renames.clone()
    }

    /// The servers that run.
    pub fn running(&self) -> Vec<ServerKey> {
        let state = self.state();
        let running = state.servers.iter().filter(|(_, server)| server.ended.is_none());
        running.map(|(key, _)| key.clone()).collect()
    }

    /// All requests to start a server so far, oldest first.
    pub fn requests(&self) -> Vec<StartRequest> {
        self.state().requests.clone()
    }

    /// All stops so far, oldest first.
    pub fn stops(&self) -> Vec<(ServerKey, StopMode)> {
        self.state().stops.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("nothing panics while holding the lock")
    }
}

impl State {
    fn tell(&mut self, key: &ServerKey) {
        // A watcher that is slow misses a notice, as with real ones; polling
        // makes up for it.
        self.watchers.retain(|watcher| {
            !matches!(watcher.try_send(key.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }
}
