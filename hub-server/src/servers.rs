//! The life of all single-user servers: start, stop, watch.
//!
//! Each server that is up, or on its way, has one task ([`worker`]) that owns
//! its [`Phase`]. Everybody else sends it commands and reads a [`View`]; there
//! is no place where two requests start the same server twice.

mod admission;
mod adoption;
mod compatibility;
mod enrolment;
mod events;
mod launch;
mod limits;
mod log;
mod outcome;
mod phase;
pub(crate) mod readiness;
mod removal;
mod renaming;
mod resume;
mod silence;
mod start_time;
mod view;
mod worker;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hub_names::{ServerKey, UserName};
use hub_spawner::{Choice, SpawnError, Spawner};
use hub_store::{Store, StoreError};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    admission::Admission,
    outcome::Wish,
    readiness::Readiness,
    renaming::Reserved,
    worker::{Command, Worker},
};
pub(crate) use self::{
    admission::Crowded,
    launch::Links,
    log::{Followed, Following, Log, LogError},
    outcome::{CullReason, Culled, Failure, Outcome},
    phase::Phase,
    renaming::{Change, too_many},
    view::View,
};
use crate::{
    clock::Clock, events::Events, live::Current, metrics::Metrics, routes::Routes, tasks::Tasks,
};

/// How long the hub's start waits for forgotten servers to be adopted.
const ADOPTION_HEAD_START: Duration = Duration::from_secs(2);

/// All single-user servers. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    shared: Arc<Shared>,
}

/// What servers stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// What runs them.
    pub(crate) spawner: Arc<dyn Spawner>,
    /// What remembers them.
    pub(crate) store: Store,
    /// How they are reached.
    pub(crate) routes: Routes,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where their workers run.
    pub(crate) tasks: Tasks,
    /// What a reload may replace.
    pub(crate) current: Current,
    /// How they find the hub.
    pub(crate) links: Links,
    /// What is counted of them.
    pub(crate) metrics: Metrics,
    /// What is recorded of them.
    pub(crate) records: Events,
}

/// What every worker needs.
#[derive(Debug)]
struct Shared {
    spawner: Arc<dyn Spawner>,
    store: Store,
    routes: Routes,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    current: Current,
    links: Links,
    metrics: Metrics,
    records: Events,
    readiness: Readiness,
    /// Servers that have a worker. A command is sent, and a worker retires, only
    /// under this lock, so no command is lost between the two.
    handles: Mutex<BTreeMap<ServerKey, Handle>>,
    /// What is being changed or deleted, and must not start meanwhile. A start looks at
    /// it under the lock of `handles`.
    reserved: Reserved,
    /// Whether nothing starts any more.
    closed: AtomicBool,
    admission: Admission,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    view: watch::Receiver<View>,
}

/// Why a start or stop was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServersError {
    /// It is up already.
    #[error("{0} is already running")]
    AlreadyRunning(ServerKey),
    /// It is on its way up or down.
    #[error("{key} is pending {pending}")]
    Pending {
        /// Which server.
        key: ServerKey,
        /// `spawn`, `stop`, `check` or `rename`.
        pending: &'static str,
    },
    /// It is up or on its way, and must not be for this.
    #[error("{0} is active")]
    Active(ServerKey),
    /// There are too many servers.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// What was asked for cannot be done here.
    #[error("{0}")]
    Refused(String),
    /// What belongs to somebody or something that is deleted is still there.
    #[error("what is to be deleted could not be removed")]
    Left(#[from] SpawnError),
    /// The hub is being stopped.
    #[error("the hub is shutting down")]
    ShuttingDown,
    /// The database did not answer.
    #[error("the server's record could not be read")]
    Store(#[from] StoreError),
}

impl Servers {
    /// Servers over what they stand on.
    pub(crate) fn new(ground: Ground) -> Self {
        let Ground { spawner, store, routes, clock, tasks, current, links, metrics, records } =
            ground;
        let shared = Shared {
            spawner,
            store,
            routes,
            clock,
            tasks,
            current,
            links,
            metrics,
            records,
            readiness: Readiness::new(),
            handles: Mutex::default(),
            reserved: Reserved::default(),
            closed: AtomicBool::new(false),
            admission: Admission::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes up the servers that ran before a restart of the hub (RST-2), and goes on with
    /// stops that were under way. Asks
    /// nobody yet: each server's own task does, so that the hub can listen first
    /// (RST-4).
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) async fn resume(&self) -> Result<usize, StoreError> {
        let records = self.shared.store.servers().active().await?;
        let count = records.len();
        for record in records {
            let since = record.started.unwrap_or_else(|| self.shared.clock.now());
            let wish = record.outcome.and_then(|wish| serde_json::from_value(wish).ok());
            let (phase, remove) = match wish {
                Some(Wish { then, remove }) => (Phase::Stopping { then, since }, remove),
                None => {
                    self.shared.routes.keep(&record.key);
                    (Phase::Checking { since, state: record.state.into() }, false)
                }
            };
            self.shared.employ(&mut self.shared.handles(), record.key.clone(), phase);
            if remove {
                self.forget_when_stopped(&record.key);
            }
        }
        Ok(count)
    }

    /// Takes up servers that run and that the store has forgotten (RST-3). Waits
    /// for that a moment, so that nobody's kernels are replaced by a start that
    /// comes first; goes on in the background where the spawner is slow (RST-4).
    pub(crate) async fn adopt_forgotten(&self) {
        let (done, adopted) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(|stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = adoption::adopt(&shared) => {}
            }
            // Who waited may have had enough.
            let _ = done.send(());
        });
        // Either it is done, or it goes on without being waited for.
        let _ = timeout(ADOPTION_HEAD_START, adopted).await;
    }

    /// Waits until the servers that ran before were looked at, at most `limit`. The
    /// looks go on after that.
    pub(crate) async fn looked_at(&self, limit: Option<Duration>) {
        let looks = async {
            for key in self.active() {
                if let Some(mut view) = self.follow(&key) {
                    // An error means that the worker retired: it has looked.
                    let _ = view.wait_for(|view| view.phase.pending() != Some("check")).await;
                }
            }
        };
        match limit {
            // Who cannot wait goes on without them.
            Some(limit) => drop(timeout(limit, looks).await),
            None => looks.await,
        }
    }

    /// Cancelled when so many starts in a row have failed that the hub is to end.
    pub(crate) fn hopeless(&self) -> CancellationToken {
        self.shared.admission.hopeless()
    }

    /// Keeps listening to the spawner's events until the hub stops.
    pub(crate) fn keep_watching(&self) {
        events::keep_watching(&self.shared);
    }

    /// Begins a start. The result tells whether it was begun, not how it ends:
    /// follow the [`View`] for that. Without `options` the last ones are used.
    ///
    /// # Errors
    ///
    /// When the server is up or pending already, or the hub is stopping.
    pub(crate) async fn start(
        &self,
        key: &ServerKey,
        options: Option<Value>,
    ) -> Result<(), ServersError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut handles = self.shared.handles();
            if let Some(refusal) = self.shared.reserved.refusal(key) {
                return Err(refusal);
            }
            if self.shared.is_closed() {
                return Err(ServersError::ShuttingDown);
            }
            let handle = match handles.get(key) {
                Some(handle) => handle,
                None => {
                    self.shared.employ(&mut handles, key.clone(), Phase::Stopped { last: None })
                }
            };
            handle
                .commands
                .send(Command::Start { options, reply })
                .map_err(|_| ServersError::ShuttingDown)?;
        }
        answer.await.map_err(|_| ServersError::ShuttingDown)?
    }

    /// Begins a stop; nothing happens if the server is not up. When this returns
    /// the server is stopping; follow the [`View`] to see it end.
    pub(crate) async fn stop(&self, key: &ServerKey) {
        let (reply, begun) = oneshot::channel();
        {
            let handles = self.shared.handles();
            let Some(handle) = handles.get(key) else { return };
            // A worker that is gone has nothing left to stop.
            let _ = handle.commands.send(Command::Stop { reply });
        }
        let _ = begun.await;
    }

    /// Begins to stop a server for not being used, if it is up since `since`.
    pub(crate) fn cull(&self, key: &ServerKey, since: Timestamp, culled: Culled) {
        if let Some(handle) = self.shared.handles().get(key) {
            // A worker that is gone has nothing left to stop.
            let _ = handle.commands.send(Command::Cull { since, culled });
        }
    }

    /// From now on nothing starts, not even again. Returns what is up or pending, starts
    /// included that are about to be begun.
    pub(crate) fn close(&self) -> Vec<ServerKey> {
        // A start is handed to its worker under this lock.
        let handles = self.shared.handles();
        self.shared.closed.store(true, Ordering::Relaxed);
        handles.keys().cloned().collect()
    }

    /// The server now. A stopped one's last outcome is read from the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) async fn view(&self, key: &ServerKey) -> Result<View, StoreError> {
        if let Some(view) = self.live(key) {
            return Ok(view);
        }
        let last = match self.shared.store.servers().get(key).await? {
            Some(record) => record.outcome.and_then(|value| serde_json::from_value(value).ok()),
            None => None,
        };
        Ok(View { phase: Phase::Stopped { last }, events: Vec::new() })
    }

    /// The server now, if it is up or pending; without a look into the store.
    pub(crate) fn live(&self, key: &ServerKey) -> Option<View> {
        self.shared.handles().get(key).map(|handle| handle.view.borrow().clone())
    }

    /// Changes of the server from now on; `None` when it is not up or pending.
    pub(crate) fn follow(&self, key: &ServerKey) -> Option<watch::Receiver<View>> {
        self.shared.handles().get(key).map(|handle| handle.view.clone())
    }

    /// Waits until the server is neither pending nor about to be.
    pub(crate) async fn settled(&self, key: &ServerKey) -> Option<View> {
        let mut view = self.follow(key)?;
        // An error means that the worker retired, with the last view in place.
        let _ = view.wait_for(|view| view.phase.pending().is_none()).await;
        let settled = view.borrow().clone();
        Some(settled)
    }

    /// All servers that are up or pending.
    pub(crate) fn active(&self) -> Vec<ServerKey> {
        self.shared.handles().keys().cloned().collect()
    }

    /// How many servers are up.
    pub(crate) fn running(&self) -> usize {
        let handles = self.shared.handles();
        handles.values().filter(|handle| handle.view.borrow().phase.is_ready()).count()
    }

    /// The names of the user's servers that are up or pending.
    pub(crate) fn active_of(&self, user: &UserName) -> Vec<ServerKey> {
        let handles = self.shared.handles();
        // The nameless one sorts before a user's others.
        let from = handles.range(ServerKey::default_of(user.clone())..);
        from.map(|(key, _)| key).take_while(|key| key.user() == user).cloned().collect()
    }

    /// The users who have a server that is up or pending, and those of whom one is
    /// ready.
    pub(crate) fn users_by_state(&self) -> (HashSet<UserName>, HashSet<UserName>) {
        let (mut active, mut ready) = (HashSet::new(), HashSet::new());
        for (key, handle) in self.shared.handles().iter() {
            active.insert(key.user().clone());
            if handle.view.borrow().phase.is_ready() {
                ready.insert(key.user().clone());
            }
        }
        (active, ready)
    }

    /// The images that the user of `key` may choose from; empty if there is nothing to
    /// choose.
    pub(crate) async fn choices(&self, key: &ServerKey) -> Result<Vec<Choice>, StoreError> {
        let groups = launch::groups(&self.shared, key).await?;
        let preset = self.shared.current.get().preset(key.user(), groups);
        Ok(self.shared.spawner.choices(key, &preset))
    }

    /// Which spawner runs them.
    pub(crate) fn spawner_kind(&self) -> &'static str {
        self.shared.spawner.kind()
    }
}

impl Shared {
    /// The handles; a panic elsewhere cannot leave a half-made entry in a map.
    fn handles(&self) -> MutexGuard<'_, BTreeMap<ServerKey, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing starts any more.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Gives `key` a worker.
    fn employ<'a>(
        self: &Arc<Self>,
        handles: &'a mut BTreeMap<ServerKey, Handle>,
        key: ServerKey,
        phase: Phase,
    ) -> &'a Handle {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (publish, view) = watch::channel(View { phase: phase.clone(), events: Vec::new() });
        let worker = Worker::new(Arc::clone(self), key.clone(), phase, inbox, publish);
        self.tasks.spawn(|stop| worker.run(stop));
        handles.entry(key).insert_entry(Handle { commands, view }).into_mut()
    }

    /// Takes a stopped worker off the list, unless a command has just come in.
    fn retire(&self, key: &ServerKey, inbox: &mpsc::UnboundedReceiver<Command>) -> bool {
        let mut handles = self.handles();
        let idle = inbox.is_empty();
        if idle {
            handles.remove(key);
        }
        idle
    }

    /// Asks the worker of `key`, or all workers, to look at their server now.
    fn nudge(&self, key: Option<&ServerKey>) {
        let handles = self.handles();
        let send = |handle: &Handle| {
            // A worker that is gone has nothing to look at.
            let _ = handle.commands.send(Command::Look);
        };
        match key {
            Some(key) => handles.get(key).into_iter().for_each(send),
            None => handles.values().for_each(send),
        }
    }
}
