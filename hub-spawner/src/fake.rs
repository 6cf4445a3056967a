//! A spawner in memory, told by a test how its servers behave.

mod beginning;
mod behaviour;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use hub_names::{ServerKey, UserName};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};
use url::Url;

pub use self::behaviour::Behaviour;
use crate::{
    Choice, Exit, Found, Health, Liveness, OnUnhealthy, Preset, Progress, SavedState, SpawnError,
    Spawner, StartRequest, Started, StopMode,
};

/// Nothing listens at the discard port of any machine in our decade.
const SILENT_URL: &str = "http://127.0.0.1:9";

/// Pause between two looks at a log that is followed.
const LOG_PAUSE: Duration = Duration::from_millis(5);

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

    /// From now on nobody is told which server is whose: to [identify](Spawner::identify)
    /// them does not succeed.
    pub fn tells_nobody(&self) {
        self.state().tells_nobody = true;
    }

    /// Holds back everybody who wants to [identify](Spawner::identify) servers, for good.
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

    async fn may_remove(&self) {
        let mut held = self.shared.removals_held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as self");
    }

    /// Whether the backend answers at all. While it does not, every call fails
    /// with [`SpawnError::Unreachable`]; servers go on.
    pub fn set_reachable(&self, reachable: bool) {
        self.state().unreachable = !reachable;
    }

    /// The address given as [`Spawner::host_address`]. Default `127.0.0.1`.
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

    /// The state, unless the backend is out of reach.
    fn reached(&self) -> Result<MutexGuard<'_, State>, SpawnError> {
        let state = self.state();
        if state.unreachable { Err(unreachable()) } else { Ok(state) }
    }

    /// How much a server has printed, in bytes, and whether it has ended.
    fn printed(&self, key: &ServerKey) -> Result<Option<(usize, bool)>, SpawnError> {
        let state = self.reached()?;
        Ok(state.servers.get(key).map(|server| (server.log.len(), server.ended.is_some())))
    }

    /// The server runs from now on.
    fn appear(&self, request: &StartRequest, url: Url) -> Result<Started, SpawnError> {
        let mut state = self.reached()?;
        state.started += 1;
        let first = request.state.number("first_start").map_or(state.started, u64::from);
        let saved = SavedState::default().with("start", state.started).with("first_start", first);
        let kept = state.servers.get(&request.key).filter(|_| !state.replaces_kept);
        let resumed = kept.map(|kept| kept.api_token.clone()).filter(|has| {
            let valid = request.kept_token.as_ref();
            valid.is_some_and(|valid| valid.expose_secret() == has.expose_secret())
        });
        let is_resumed = resumed.is_some();
        let server = Server {
            url: url.clone(),
            api_token: resumed.unwrap_or_else(|| request.api_token.clone()),
            saved: saved.clone(),
            health: None,
            ended: None,
            log: String::new(),
        };
        state.servers.insert(request.key.clone(), server);
        Ok(Started { url, state: saved, resumed: is_resumed })
    }

    fn behaviour(&self, key: &ServerKey) -> Result<Behaviour, SpawnError> {
        let state = self.reached()?;
        Ok(state.special.get(key).unwrap_or(&state.default).clone())
    }
}

#[async_trait]
impl Spawner for FakeSpawner {
    async fn prepare(&self, request: &StartRequest, progress: &Progress) -> Result<(), SpawnError> {
        progress.report(10, "Preparing");
        match self.behaviour(&request.key)? {
            Behaviour::FailsToPrepare(error) => Err(error()),
            _ => Ok(()),
        }
    }

    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let behaviour = self.behaviour(&request.key)?;
        self.state().requests.push(request.clone());
        progress.report(50, "Starting");
        let mut held = self.shared.held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as self");
        let url = match behaviour {
            Behaviour::Answers(ref url) | Behaviour::RunsUntold(ref url) => url.clone(),
            Behaviour::NeverAnswers | Behaviour::FailsToPrepare(_) => silent_url(),
            Behaviour::NeverStarts => std::future::pending().await,
            Behaviour::Fails(error) => return Err(error()),
            Behaviour::Exits(exit) => return Err(SpawnError::Exited(exit)),
        };
        let started = self.appear(request, url)?;
        if let Behaviour::RunsUntold(_) = behaviour {
            return std::future::pending().await;
        }
        progress.report(80, "Started");
        Ok(started)
    }

    async fn probe(&self, key: &ServerKey, _state: &SavedState) -> Result<Liveness, SpawnError> {
        let mut state = self.reached()?;
        state.probes += 1;
        Ok(match state.servers.get(key) {
            None => Liveness::Missing,
            Some(Server { ended: Some(exit), .. }) => Liveness::Exited(exit.clone()),
            Some(Server { url, health, .. }) => {
                Liveness::Running { url: url.clone(), health: *health }
            }
        })
    }

    async fn stop(
        &self,
        key: &ServerKey,
        _state: &SavedState,
        mode: StopMode,
    ) -> Result<(), SpawnError> {
        let mut state = self.reached()?;
        state.stops.push((key.clone(), mode));
        let is_kept = state.keeps_stopped;
        let was_there = match state.servers.get_mut(key) {
            Some(server) if is_kept => {
                server.ended.get_or_insert_with(Exit::default);
                true
            }
            _ => state.servers.remove(key).is_some(),
        };
        if was_there {
            state.tell(key);
        }
        Ok(())
    }

    async fn log(
        &self,
        key: &ServerKey,
        _state: &SavedState,
        lines: usize,
    ) -> Result<Option<String>, SpawnError> {
        let state = self.reached()?;
        Ok(state.servers.get(key).map(|server| {
            let all: Vec<&str> = server.log.lines().collect();
            let last = &all[all.len().saturating_sub(lines)..];
            last.iter().map(|line| format!("{line}\n")).collect()
        }))
    }

    async fn follow_log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
        pieces: mpsc::Sender<String>,
    ) -> Result<(), SpawnError> {
        let mut piece = self.log(key, state, lines).await?.unwrap_or_default();
        let mut told = self.printed(key)?.map_or(0, |(length, _)| length);
        loop {
            if !piece.is_empty() && pieces.send(std::mem::take(&mut piece)).await.is_err() {
                return Ok(());
            }
            let Some((length, ended)) = self.printed(key)? else { return Ok(()) };
            if length > told {
                piece = self.reached()?.servers.get(key).map_or_else(String::new, |server| {
                    server.log.get(told..length).unwrap_or_default().to_owned()
                });
                told = length;
            } else if ended || pieces.is_closed() {
                return Ok(());
            } else {
                tokio::time::sleep(LOG_PAUSE).await;
            }
        }
    }

    async fn watch(&self, notices: mpsc::Sender<ServerKey>) -> Result<(), SpawnError> {
        let mut broken = self.shared.broken.subscribe();
        self.reached()?.watchers.push(notices.clone());
        tokio::select! {
            () = notices.closed() => Ok(()),
            _ = broken.changed() => Err(unreachable()),
        }
    }

    async fn host_address(&self) -> Result<Option<IpAddr>, SpawnError> {
        Ok(self.reached()?.host_address)
    }

    async fn found(&self) -> Result<Vec<ServerKey>, SpawnError> {
        Ok(self.reached()?.servers.keys().cloned().collect())
    }

    async fn identify(&self, key: &ServerKey) -> Result<Vec<Found>, SpawnError> {
        let mut held = self.shared.looks_held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as self");
        let state = self.reached()?;
        if state.tells_nobody {
            return Err(unreachable());
        }
        let found = state.servers.get(key).map(|server| Found {
            name: format!("fake {key}"),
            is_running: server.ended.is_none(),
            api_token: Some(server.api_token.clone()),
            state: server.saved.clone(),
        });
        Ok(found.into_iter().collect())
    }

    async fn rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        self.reached()?.renames.push((from.clone(), to.clone()));
        Ok(())
    }

    async fn rename_user(&self, from: &UserName, _to: &UserName) -> Result<(), SpawnError> {
        match self.reached()?.with_files.contains(from) {
            false => Ok(()),
            true => Err(SpawnError::Rejected {
                what: "renaming this user".to_owned(),
                reason: format!("files of {from} would stay behind"),
            }),
        }
    }

    async fn forget_server(&self, key: &ServerKey) -> Result<(), SpawnError> {
        self.may_remove().await;
        let mut state = self.reached()?;
        state.forgotten.push(key.clone());
        if state.servers.remove(key).is_some() {
            state.tell(key);
        }
        Ok(())
    }

    async fn forget_user(&self, user: &UserName) -> Result<(), SpawnError> {
        self.may_remove().await;
        for key in self.found().await?.iter().filter(|key| key.user() == user) {
            self.forget_server(key).await?;
        }
        self.state().forgotten_users.push(user.clone());
        Ok(())
    }

    /// The number of its first start.
    fn lasting(&self, state: &SavedState) -> SavedState {
        let first = state.number("first_start");
        first.map_or_else(SavedState::default, |n| SavedState::default().with("first_start", n))
    }

    fn will_resume(&self) -> bool {
        self.state().keeps_stopped
    }

    fn on_unhealthy(&self) -> OnUnhealthy {
        self.state().on_unhealthy
    }

    fn choices(&self, _key: &ServerKey, preset: &Preset) -> Vec<Choice> {
        let mut choices = self.state().choices.clone();
        if let Some(image) = preset.image.as_ref().filter(|_| !choices.is_empty()) {
            if choices.iter().all(|choice| choice.name != *image) {
                choices.insert(0, Choice { name: image.clone(), is_default: true });
            }
            choices.iter_mut().for_each(|choice| choice.is_default = choice.name == *image);
        }
        choices
    }

    fn kind(&self) -> &'static str {
        "fake"
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

fn silent_url() -> Url {
    Url::parse(SILENT_URL).expect("the address is well formed")
}

fn unreachable() -> SpawnError {
    SpawnError::Unreachable {
        endpoint: "memory".to_owned(),
        advice: "the test wants it so".to_owned(),
        source: "set_reachable(false)".into(),
    }
}
