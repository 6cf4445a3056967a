//! The jobs of a worker: what it takes to start, find, look at and end a server.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use hub_names::ServerKey;
use hub_spawner::{
    HubLinks, Liveness, Progress, ProgressEvent, SavedState, StartRequest, StopMode,
};
use hub_store::StoreError;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use url::Url;

use super::{
    Shared,
    compatibility::{self, Remark},
    enrolment::{Issued, enrol, recognise, settle},
    log,
    outcome::{Failure, Outcome, Remains, Wish},
    phase::Event,
    readiness::{Answer, Greeting},
    resume, silence, start_time,
    view::View,
};
use crate::{
    auth_state::{self, HandedOver},
    config::AuthStateConfig,
    web::paths::{self, Paths, client_id},
};

/// First pause between two tries at a backend that does not answer.
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two tries at a backend that does not answer.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How many lines of a silent server's log are kept.
const LOG_LINES: usize = 50;

/// How servers find the hub.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// The hub's URL space.
    pub paths: Paths,
    /// The API as seen from servers, without a slash at the end.
    pub api_url: String,
    /// What people write to reach the hub, if it is configured.
    pub public_url: Option<Url>,
}

impl Links {
    fn of(&self, key: &ServerKey) -> HubLinks {
        let public = |path: &str| match &self.public_url {
            Some(_) => self.paths.absolute(self.public_url.as_ref(), path),
            None => String::new(),
        };
        HubLinks {
            api_url: self.api_url.clone(),
            activity_url: paths::activity(&self.api_url, key.user()),
            base_url: self.paths.base().to_owned(),
            host: self.paths.hub_host(),
            public_url: public(&self.paths.server(key)),
            public_hub_url: public(&self.paths.hub()),
            oauth_callback: self.paths.server_callback(key),
            client_id: client_id(key),
            service_prefix: self.paths.server_prefix(key),
        }
    }
}

/// A server that answers and has no route yet.
struct Up {
    url: Url,
    state: SavedState,
    remark: Option<Remark>,
}

/// Starts the server and waits until it answers. The start was asked for at `since`.
pub(super) fn spawn(
    shared: Arc<Shared>,
    key: ServerKey,
    since: Timestamp,
    options: Option<Value>,
    view: watch::Sender<View>,
) -> BoxFuture<'static, Event> {
    async move {
        let (sender, mut reported) = mpsc::unbounded_channel();
        let progress = Progress::new(sender);
        let start = start(&shared, &key, since, options, &progress);
        tokio::pin!(start);
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = reported.recv() => push(&view, event),
                result = &mut start => break result,
            }
        };
        while let Ok(event) = reported.try_recv() {
            push(&view, event);
        }
        match result {
            Ok(Up { url, state, remark }) => routed(&shared, &key, url, state, remark).await,
            Err(failure) => Event::StartFailed(failure),
        }
    }
    .boxed()
}

/// After a restart of the hub: whether the server is still there and answers.
/// Asks until the backend can tell.
pub(super) fn check(
    shared: Arc<Shared>,
    key: ServerKey,
    state: SavedState,
) -> BoxFuture<'static, Event> {
    async move {
        let url = match probe(&shared, &key, &state).await {
            Liveness::Running { url, .. } => url,
            gone => return Event::Probed(gone),
        };
        // A server that is there is never ended for being slow: a busy one may take
        // longer than this to say a word, and its kernels are somebody's work.
        let (doubt, state) = recognise(&shared, &key, state).await;
        let remark = match wait(&shared, &key, &state, &url).await {
            Answer::Up(greeting) => doubt.or_else(|| remark(&shared, &key, &greeting)),
            Answer::Exited(exit) => return Event::Probed(Liveness::Exited(exit)),
            Answer::Missing => return Event::Probed(Liveness::Missing),
            Answer::Silent(silence) => {
                tracing::warn!(server = %key, ?silence, "the server runs but does not answer yet");
                None
            }
        };
        let mut pause = MIN_PAUSE;
        let saved = state.clone().into();
        while let Err(error) = shared.store.servers().record_running(&key, url.as_str(), &saved).await {
            tracing::warn!(server = %key, error = &error as &(dyn std::error::Error + 'static), "the server could not be written down; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        routed(&shared, &key, url, state, remark).await
    }
    .boxed()
}

/// Puts the route of a server in place. While the proxy cannot be reached this
/// takes as long as it takes: nobody could get to the server, which is fine.
async fn routed(
    shared: &Shared,
    key: &ServerKey,
    url: Url,
    state: SavedState,
    remark: Option<Remark>,
) -> Event {
    shared.routes.add(key, &url).await;
    Event::Routed { url, state, remark }
}

/// One look at a ready server, which was at `known` until now.
pub(super) fn look(
    shared: Arc<Shared>,
    key: ServerKey,
    state: SavedState,
    known: Url,
) -> BoxFuture<'static, Event> {
    async move {
        let began = Instant::now();
        let seen = probe(&shared, &key, &state).await;
        let running = matches!(seen, Liveness::Running { .. });
        shared.metrics.poll(running, began.elapsed());
        if let Liveness::Running { url, .. } = &seen
            && *url != known
        {
            // The route follows in any case; a hub that is started finds out itself.
            let saved = state.into();
            if let Err(error) =
                shared.store.servers().record_running(&key, url.as_str(), &saved).await
            {
                tracing::warn!(server = %key, error = &error as &(dyn std::error::Error + 'static), "the server's new address could not be written down");
            }
        }
        Event::Probed(seen)
    }
    .boxed()
}

/// What the server is doing. A backend that cannot be asked proves nothing, so it
/// is asked until it answers.
async fn probe(shared: &Shared, key: &ServerKey, state: &SavedState) -> Liveness {
    let mut pause = MIN_PAUSE;
    loop {
        match shared.spawner.probe(key, state).await {
            Ok(liveness) => return liveness,
            Err(error) => {
                tracing::warn!(server = %key, error = &error as &(dyn std::error::Error + 'static), "cannot look at the server; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// Keeps the log, ends whatever runs under the key, then forgets its secrets and says how it
/// ended. Goes on until the backend and the store have both confirmed. The run that ends was
/// asked for at `since`.
pub(super) fn stop(
    shared: Arc<Shared>,
    key: ServerKey,
    since: Timestamp,
    state: SavedState,
    then: Outcome,
) -> BoxFuture<'static, Event> {
    async move {
        note(&shared, &key, since, &then, false).await;
        log::keep(&shared, &key, &state, &then).await;
        let mut pause = MIN_PAUSE;
        loop {
            let began = Instant::now();
            let ended = end(&shared, &key, &state, &then).await;
            shared.metrics.stop(ended.is_ok(), began.elapsed());
            match ended {
                Ok(()) => return Event::StopFinished,
                Err(error) => {
                    tracing::warn!(server = %key, error = &*error, "the server could not be stopped yet; trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }
    .boxed()
}

/// As the stop that is under way began by itself, and somebody wants it now: it must not
/// end in a start, in a hub that is started meanwhile neither.
pub(super) fn note_again(shared: &Arc<Shared>, key: &ServerKey, since: Timestamp, then: Outcome) {
    let (of_task, key) = (Arc::clone(shared), key.clone());
    shared.tasks.spawn(|_| async move { note(&of_task, &key, since, &then, true).await });
}

/// Writes down how the run that was asked for at `since` is to end: a hub that is started
/// before it has goes on with that. Where it cannot be written the stop goes on without.
async fn note(
    shared: &Shared,
    key: &ServerKey,
    since: Timestamp,
    then: &Outcome,
    before_others: bool,
) {
    let noted = async {
        let wish = serde_json::to_value(Wish { then: then.clone(), remove: false })?;
        Ok(shared.store.servers().record_stopping(key, since, &wish, before_others).await?)
    };
    let noted: Result<(), Box<dyn std::error::Error + Send + Sync>> = noted.await;
    if let Err(error) = noted {
        tracing::warn!(server = %key, error = &*error, "that the server is to be stopped could not be written down");
    }
}

async fn end(
    shared: &Shared,
    key: &ServerKey,
    state: &SavedState,
    then: &Outcome,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared.spawner.stop(key, state, StopMode::Graceful).await?;
    if matches!(then, Outcome::Cancelled | Outcome::Failed(_)) {
        // A create request that was under way when the start was given up may take
        // effect after the first look found nothing.
        sleep(MIN_PAUSE).await;
        shared.spawner.stop(key, state, StopMode::Now).await?;
    }
    let known = shared.store.servers().get(key).await?;
    // What the spawner keeps goes on with the token it has (SPN-25).
    let is_kept = shared.spawner.will_resume()
        && match then.remains() {
            Remains::Itself => true,
            Remains::Earlier => resume::take_back(shared, key, known.as_ref()).await?,
            Remains::Nothing => false,
        };
    if !is_kept {
        shared.store.oauth().delete_client(&client_id(key)).await?;
    }
    let outcome = serde_json::to_value(then)?;
    // Of a start that came to nothing the row has what the server before it left.
    let state = known.map(|record| SavedState::from(record.state));
    let lasting = shared.spawner.lasting(&state.unwrap_or_default()).into();
    match shared.store.servers().record_stopped(key, Some(&outcome), &lasting).await {
        Ok(()) => Ok(seen(shared, key).await?),
        // The user was deleted meanwhile, and the row with it.
        Err(StoreError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn start(
    shared: &Shared,
    key: &ServerKey,
    since: Timestamp,
    options: Option<Value>,
    progress: &Progress,
) -> Result<Up, Failure> {
    progress.report(0, "Server requested");
    let enrolled =
        enrol(shared, key, since, options).await.map_err(|error| store_failure(&error))?;
    let groups = groups(shared, key).await.map_err(|error| store_failure(&error))?;
    let live = shared.current.get();
    let handed_over = match &live.auth_state {
        Some(config) => handed_over(shared, key, config).await,
        None => Ok(HandedOver::default()),
    };
    let handed_over = handed_over.map_err(|error| store_failure(&error))?;
    let mut preset = live.preset(key.user(), groups);
    preset.uid = handed_over.uid.or(preset.uid);
    preset.gid = handed_over.gid.or(preset.gid);
    let request = StartRequest {
        key: key.clone(),
        api_token: enrolled.fresh.secret(),
        kept_token: enrolled.kept.as_ref().map(Issued::secret),
        links: shared.links.of(key),
        access_scopes: vec![
            format!("access:servers!server={key}"),
            format!("access:servers!user={}", key.user()),
        ],
        admin_access: live.limits.admin_access,
        environment: handed_over.environment,
        options: enrolled.options.clone(),
        preset,
        state: enrolled.state.clone(),
    };
    let spawner = &*shared.spawner;
    spawner.prepare(&request, progress).await.map_err(|error| spawn_failure(key, &error))?;

    let limit = live.limits.start_timeout;
    let start = spawner.start(&request, progress);
    let started = start_time::within(limit, || spawner.is_fetching(key), start)
        .await
        .ok_or_else(|| {
            timed_out(format!("Your server was not started within {} seconds.", limit.as_secs()))
        })?
        .map_err(|error| spawn_failure(key, &error))?;
    settle(shared, key, &enrolled, started.resumed).await.map_err(|error| store_failure(&error))?;

    let greeting = answers(shared, key, &started.state, &started.url).await?;
    let remark = remark(shared, key, &greeting);
    if let Some(Remark { message, hint }) = &remark {
        progress.report(90, format!("Warning: {message} {hint}"));
    }
    shared
        .store
        .servers()
        .record_running(key, started.url.as_str(), &started.state.clone().into())
        .await
        .map_err(|error| store_failure(&error))?;
    Ok(Up { url: started.url, state: started.state, remark })
}

/// A start and a stop are signs of life of the server and its user (hub-contract 7.4):
/// cullers and lists go by them.
pub(super) async fn seen(shared: &Shared, key: &ServerKey) -> Result<(), StoreError> {
    let now = shared.clock.now();
    shared.store.servers().touch(key, now).await?;
    match shared.store.users().by_name(key.user()).await? {
        Some(user) => shared.store.users().touch(user.id, now).await,
        None => Ok(()),
    }
}

/// The groups of the server's user, for which a spawner may have settings.
pub(super) async fn groups(shared: &Shared, key: &ServerKey) -> Result<Vec<String>, StoreError> {
    match shared.store.users().by_name(key.user()).await? {
        Some(user) => shared.store.groups().of_user(user.id).await,
        None => Ok(Vec::new()),
    }
}

/// What the server gets of its user's sign-in.
async fn handed_over(
    shared: &Shared,
    key: &ServerKey,
    config: &AuthStateConfig,
) -> Result<HandedOver, StoreError> {
    match shared.store.users().by_name(key.user()).await? {
        Some(user) => auth_state::hand_over(&shared.store, config, user.id).await,
        None => Ok(HandedOver::default()),
    }
}

/// Waits until the server answers, at most `http_timeout`.
async fn wait(shared: &Shared, key: &ServerKey, state: &SavedState, url: &Url) -> Answer {
    let prefix = shared.links.paths.server_prefix(key);
    let limit = shared.current.get().limits.http_timeout;
    shared.readiness.wait(&*shared.spawner, key, state, url, &prefix, limit).await
}

/// How a new server answers.
async fn answers(
    shared: &Shared,
    key: &ServerKey,
    state: &SavedState,
    url: &Url,
) -> Result<Greeting, Failure> {
    match wait(shared, key, state, url).await {
        Answer::Up(greeting) => Ok(greeting),
        Answer::Exited(exit) => Err(spawn_failure(key, &hub_spawner::SpawnError::Exited(exit))),
        Answer::Missing => Err(Failure::new("Your server was removed while it was starting.")),
        Answer::Silent(seen) => {
            let log = log::of(shared, key, state, LOG_LINES).await;
            let failure =
                silence::explain(seen, url.port(), shared.current.get().limits.http_timeout, log);
            tracing::warn!(server = %key, "the start failed: {}", failure.message);
            Err(failure)
        }
    }
}

/// What is odd about a server that answered, also written to the hub's log.
fn remark(shared: &Shared, key: &ServerKey, greeting: &Greeting) -> Option<Remark> {
    let prefix = shared.links.paths.server_prefix(key);
    let remark = compatibility::remark(greeting, &prefix, crate::COMPATIBLE_VERSION)?;
    tracing::warn!(server = %key, "{} {}", remark.message, remark.hint);
    Some(remark)
}

fn spawn_failure(key: &ServerKey, error: &hub_spawner::SpawnError) -> Failure {
    tracing::warn!(server = %key, error = error as &(dyn std::error::Error + 'static), "the start failed");
    Failure::from_spawn(error)
}

fn store_failure(error: &StoreError) -> Failure {
    tracing::error!(
        error = error as &(dyn std::error::Error + 'static),
        "the database failed during a start"
    );
    let mut failure = Failure::new("The hub's database did not answer.");
    failure.hint = Some("Try again in a moment.".to_owned());
    failure
}

fn timed_out(message: String) -> Failure {
    let mut failure = Failure::new(message);
    failure.hint = Some("Try again; if it happens again, tell your administrator.".to_owned());
    failure
}

/// Adds an event to the replayable list. A pull reports many; of a run of
/// events with a percentage only the newest message of the same text is news.
fn push(view: &watch::Sender<View>, event: ProgressEvent) {
    view.send_modify(|view| match view.events.last_mut() {
        Some(last) if last.message == event.message => *last = event,
        _ => view.events.push(event),
    });
}
