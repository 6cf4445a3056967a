//! What every spawner must do, runnable: call [`check`] from a test.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use hub_spawner::conformance::{self, Bench};
//! use hub_spawner::fake::{Behaviour, FakeSpawner};
//! use hub_spawner::{Exit, ServerKey, Spawner};
//!
//! #[derive(Debug)]
//! struct Fakes(FakeSpawner);
//!
//! #[async_trait::async_trait]
//! impl Bench for Fakes {
//!     async fn open(&self) -> Box<dyn Spawner> {
//!         Box::new(self.0.clone())
//!     }
//!     async fn kill(&self, key: &ServerKey) {
//!         self.0.die(key, Exit { code: 137, ..Exit::default() });
//!     }
//! }
//!
//! let exit = Exit { code: 3, log_tail: "last words\n".to_owned(), ..Exit::default() };
//! let fake = FakeSpawner::new().behaves_for(conformance::exits_at_once(), Behaviour::Exits(exit));
//! conformance::check(&Fakes(fake)).await;
//! # });
//! ```

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use hub_names::ServerKey;
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    HubLinks, Limits, Liveness, Progress, SavedState, SpawnError, Spawner, StartRequest, Started,
    StopMode,
};

/// How long anything may take before the check gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a notice may take before the event is made to happen again: the
/// first may come before the backend has begun to listen.
const NOTICE_PATIENCE: Duration = Duration::from_secs(2);

/// How often an event is made to happen until a notice comes.
const NOTICE_TRIES: usize = 10;

/// The backend under test, and what only a test may do to it.
#[async_trait]
pub trait Bench: fmt::Debug + Send + Sync {
    /// A spawner over the backend. Called several times: each is what a hub
    /// opens after a restart.
    async fn open(&self) -> Box<dyn Spawner>;

    /// Ends a running server behind the spawner's back.
    async fn kill(&self, key: &ServerKey);
}

/// The server that must print `last words` and end with code 3 as soon as it is
/// started. All others must go on running.
pub fn exits_at_once() -> ServerKey {
    key("exits-at-once", "")
}

/// Runs all checks, one after the other.
///
/// # Panics
///
/// At the first rule that is broken, naming it.
pub async fn check(bench: &impl Bench) {
    let spawner = bench.open().await;
    let spawner = &*spawner;
    nothing_is_there_before_a_start(spawner).await;
    a_started_server_runs(spawner).await;
    a_stopped_server_is_gone_and_can_start_again(spawner).await;
    a_leftover_is_replaced(spawner).await;
    servers_do_not_disturb_each_other(spawner).await;
    servers_outlive_the_hub(bench).await;
    a_forgotten_server_is_known_by_its_token(bench).await;
    a_server_is_stopped_by_its_key_alone(bench).await;
    a_server_that_ends_at_once_says_why(spawner).await;
    a_killed_server_is_noticed(bench).await;
    a_log_is_followed_to_the_end_of_its_server(bench).await;
    an_abandoned_start_leaves_nothing_that_stop_does_not_find(spawner).await;
    a_renamed_server_starts_under_its_new_name(spawner).await;
    limits_change_or_are_refused_and_the_server_goes_on(spawner).await;
    what_is_forgotten_is_gone_and_nothing_else(spawner).await;
    assert_eq!(patient(spawner.found()).await.expect("found"), [], "all is stopped at the end");
}

/// The request the checks start a server with.
pub fn request(key: ServerKey) -> StartRequest {
    let prefix = format!("/user/{}/", key.user());
    StartRequest {
        links: HubLinks {
            api_url: "http://127.0.0.1:8081/hub/api".to_owned(),
            activity_url: format!("http://127.0.0.1:8081/hub/api/users/{}/activity", key.user()),
            base_url: "/".to_owned(),
            client_id: format!("jupyterhub-user-{}", key.user()),
            oauth_callback: format!("{prefix}oauth_callback"),
            service_prefix: prefix,
            ..HubLinks::default()
        },
        key,
        api_token: SecretString::from("conformance"),
        kept_token: None,
        access_scopes: vec![],
        admin_access: false,
        environment: std::collections::BTreeMap::new(),
        options: serde_json::Value::Null,
        preset: crate::Preset::default(),
        state: crate::SavedState::default(),
    }
}

async fn nothing_is_there_before_a_start(spawner: &dyn Spawner) {
    let (nobody, state) = (key("nobody", ""), SavedState::default());
    assert_eq!(probe(spawner, &nobody, &state).await, Liveness::Missing);
    let log = patient(spawner.log(&nobody, &state, 10)).await.expect("log");
    assert_eq!(log, None, "a missing server has no log");
    stop(spawner, &nobody, &state).await;
}

async fn a_started_server_runs(spawner: &dyn Spawner) {
    let ada = key("ada", "");
    let (progress, mut reports) = Progress::channel();
    let request = request(ada.clone());
    patient(spawner.prepare(&request, &progress)).await.expect("prepare");
    let started = patient(spawner.start(&request, &progress)).await.expect("start");
    drop(progress);

    assert_eq!(started.url.path(), "/", "the URL has no path");
    match probe(spawner, &ada, &started.state).await {
        Liveness::Running { url, .. } => assert_eq!(url, started.url),
        other => panic!("a started server runs: {other:?}"),
    }
    let found = patient(spawner.found()).await.expect("found");
    assert!(found.contains(&ada), "a running server is found");
    let log = patient(spawner.log(&ada, &started.state, 10)).await.expect("log");
    assert!(log.is_some(), "a running server has a log, if an empty one");

    let mut percents = Vec::new();
    while let Some(report) = reports.recv().await {
        percents.extend(report.percent);
    }
    assert!(percents.is_sorted(), "progress does not go back: {percents:?}");
    stop(spawner, &ada, &started.state).await;
}

async fn a_stopped_server_is_gone_and_can_start_again(spawner: &dyn Spawner) {
    let ada = key("ada", "");
    for mode in [StopMode::Graceful, StopMode::Now] {
        let started = start(spawner, &ada).await;
        patient(spawner.stop(&ada, &started.state, mode)).await.expect("stop");
        assert_eq!(probe(spawner, &ada, &started.state).await, Liveness::Missing, "{mode:?}");
        patient(spawner.stop(&ada, &started.state, mode)).await.expect("a second stop succeeds");
    }
}

async fn a_leftover_is_replaced(spawner: &dyn Spawner) {
    let ada = key("ada", "");
    start(spawner, &ada).await;
    let second = start(spawner, &ada).await;
    let found = patient(spawner.found()).await.expect("found");
    assert_eq!(found, std::slice::from_ref(&ada), "one key, one server");
    assert!(is_running(spawner, &ada, &second.state).await);
    stop(spawner, &ada, &second.state).await;
}

async fn servers_do_not_disturb_each_other(spawner: &dyn Spawner) {
    // Names that a careless notation would mix up (B6).
    let keys = [key("a", "b-c"), key("a-b", "c"), key("a-b", ""), key("a_b", ""), key("a", "")];
    let mut started = Vec::new();
    for key in &keys {
        started.push(start(spawner, key).await);
    }
    let found: BTreeSet<ServerKey> =
        patient(spawner.found()).await.expect("found").into_iter().collect();
    assert_eq!(found, keys.iter().cloned().collect(), "each server is found under its own key");

    let mut left: Vec<_> = keys.iter().zip(&started).collect();
    while let Some((key, gone)) = left.pop() {
        stop(spawner, key, &gone.state).await;
        for (other, started) in &left {
            assert!(is_running(spawner, other, &started.state).await, "{other} outlives {key}");
        }
    }
}

async fn servers_outlive_the_hub(bench: &impl Bench) {
    let ada = key("ada", "");
    let before = bench.open().await;
    let started = start(&*before, &ada).await;
    drop(before);

    let after = bench.open().await;
    let found = patient(after.found()).await.expect("found");
    assert_eq!(found, std::slice::from_ref(&ada), "a running server is found after a restart");
    let text = serde_json::to_string(&started.state).expect("a state is JSON");
    let state: SavedState = serde_json::from_str(&text).expect("a state is JSON");
    assert!(is_running(&*after, &ada, &state).await, "found with the remembered state");
    assert!(is_running(&*after, &ada, &SavedState::default()).await, "found without it");
    stop(&*after, &ada, &state).await;
}

async fn a_forgotten_server_is_known_by_its_token(bench: &impl Bench) {
    let (ada, bob) = (key("ada", "lab"), key("bob", ""));
    let started = start(&*bench.open().await, &ada).await;
    let after = bench.open().await;
    let found = patient(after.identify(&ada)).await.expect("identify");
    let [found] = found.as_slice() else { panic!("one server, one finding: {found:?}") };
    assert!(found.is_running && !found.name.is_empty());
    let token = found.api_token.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(token, Some(request(ada.clone()).api_token.expose_secret()));
    assert_eq!(found.state, started.state, "nothing more has to be remembered");
    assert!(patient(after.identify(&bob)).await.expect("identify").is_empty());

    bench.kill(&ada).await;
    ended(&*after, &ada, &started.state).await;
    let found = patient(after.identify(&ada)).await.expect("identify");
    assert!(found.iter().all(|found| !found.is_running), "{found:?}");
    stop(&*after, &ada, &started.state).await;
    assert!(patient(after.identify(&ada)).await.expect("identify").is_empty());
}

async fn a_server_is_stopped_by_its_key_alone(bench: &impl Bench) {
    let ada = key("ada", "lab");
    let started = start(&*bench.open().await, &ada).await;
    let after = bench.open().await;
    stop(&*after, &ada, &SavedState::default()).await;
    assert_eq!(probe(&*after, &ada, &started.state).await, Liveness::Missing);
}

async fn a_server_that_ends_at_once_says_why(spawner: &dyn Spawner) {
    let key = exits_at_once();
    // It may end before or after its start is over; both are fine.
    let exit = match patient(spawner.start(&request(key.clone()), &Progress::ignored())).await {
        Err(SpawnError::Exited(exit)) => exit,
        Err(error) => panic!("expected Exited, got {error:?}"),
        Ok(started) => ended(spawner, &key, &started.state).await,
    };
    assert_eq!(exit.code, 3);
    assert!(exit.log_tail.contains("last words"), "{exit:?}");
    stop(spawner, &key, &SavedState::default()).await;
}

async fn a_log_is_followed_to_the_end_of_its_server(bench: &impl Bench) {
    let spawner = bench.open().await;
    let ada = key("ada", "");
    let state = start(&*spawner, &ada).await.state;
    let (pieces, mut told) = mpsc::channel(64);
    let mut following = std::pin::pin!(spawner.follow_log(&ada, &state, 10, pieces));
    for _ in 0..3 {
        tokio::select! {
            biased;
            end = &mut following => panic!("the log ended before its server: {end:?}"),
            runs = is_running(&*spawner, &ada, &state) => assert!(runs, "nobody ended it"),
        }
    }
    let listening = async { while told.recv().await.is_some() {} };
    let all = async { tokio::join!(following, listening, bench.kill(&ada)) };
    let (end, (), ()) = patient(all).await;
    end.expect("a log ends with its server");
    stop(&*spawner, &ada, &state).await;

    let (pieces, mut told) = mpsc::channel(64);
    patient(spawner.follow_log(&ada, &state, 10, pieces)).await.expect("nothing to follow");
    assert_eq!(told.recv().await, None, "a missing server says nothing");
}

async fn a_killed_server_is_noticed(bench: &impl Bench) {
    let spawner = bench.open().await;
    let ada = key("ada", "");
    let (notices, mut noticed) = mpsc::channel(64);
    let mut state = SavedState::default();
    let story = async {
        for _ in 0..NOTICE_TRIES {
            state = start(&*spawner, &ada).await.state;
            while noticed.try_recv().is_ok() {}
            bench.kill(&ada).await;
            if let Ok(Some(key)) = timeout(NOTICE_PATIENCE, noticed.recv()).await {
                return key;
            }
        }
        panic!("no notice of a killed server");
    };
    let key = tokio::select! {
        key = story => key,
        end = spawner.watch(notices) => panic!("the watch ended early: {end:?}"),
    };
    assert_eq!(key, ada);
    ended(&*spawner, &ada, &state).await;
    stop(&*spawner, &ada, &state).await;

    let (notices, noticed) = mpsc::channel(1);
    drop(noticed);
    patient(spawner.watch(notices)).await.expect("a watch ends when nobody listens");
}

async fn an_abandoned_start_leaves_nothing_that_stop_does_not_find(spawner: &dyn Spawner) {
    let ada = key("ada", "");
    for steps in 1..6 {
        let (progress, mut reports) = Progress::channel();
        let request = request(ada.clone());
        let some_steps = async {
            for _ in 0..steps {
                // A start with fewer steps is over before this is.
                if reports.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            _ = spawner.start(&request, &progress) => {}
            () = some_steps => {}
        }
        stop(spawner, &ada, &SavedState::default()).await;
        assert!(!is_running(spawner, &ada, &SavedState::default()).await, "after {steps} steps");
    }
}

async fn a_renamed_server_starts_under_its_new_name(spawner: &dyn Spawner) {
    let (old, new) = (key("ada", "old"), key("ada", "new"));
    for ended in [false, true] {
        if ended {
            // One that ran before, so that there may be something that goes along.
            let started = start(spawner, &old).await;
            stop(spawner, &old, &started.state).await;
        }
        let name = match patient(spawner.rename(&old, &new)).await {
            Ok(()) => &new,
            Err(SpawnError::Rejected { reason, .. }) => {
                assert!(!reason.is_empty(), "a refusal says why");
                &old
            }
            Err(error) => panic!("a rename succeeds or is refused: {error:?}"),
        };
        let state = SavedState::default();
        for key in [&old, &new] {
            assert_eq!(probe(spawner, key, &state).await, Liveness::Missing, "nothing runs");
        }
        let started = start(spawner, name).await;
        let found = patient(spawner.found()).await.expect("found");
        assert_eq!(found, std::slice::from_ref(name), "it is found under one name");
        stop(spawner, name, &started.state).await;
    }
}

async fn limits_change_or_are_refused_and_the_server_goes_on(spawner: &dyn Spawner) {
    let ada = key("ada", "");
    let limits = Limits { cpus: Some(0.5), ..Limits::default() };
    let refused = patient(spawner.set_limits(&ada, &limits)).await;
    assert!(matches!(refused, Err(SpawnError::Rejected { .. })), "there is no server: {refused:?}");
    let started = start(spawner, &ada).await;
    match patient(spawner.set_limits(&ada, &limits)).await {
        Ok(()) | Err(SpawnError::Rejected { .. }) => {}
        Err(error) => panic!("limits change or are refused: {error:?}"),
    }
    assert!(is_running(spawner, &ada, &started.state).await, "it goes on");
    stop(spawner, &ada, &started.state).await;
}

async fn what_is_forgotten_is_gone_and_nothing_else(spawner: &dyn Spawner) {
    let (ada, lab, bob) = (key("ada", ""), key("ada", "lab"), key("bob", ""));
    for key in [&ada, &lab, &bob] {
        start(spawner, key).await;
    }
    patient(spawner.forget_server(&lab)).await.expect("forget a server");
    let found = patient(spawner.found()).await.expect("found");
    assert_eq!(found, [ada.clone(), bob.clone()], "the user's other server stays");
    patient(spawner.forget_user(ada.user())).await.expect("forget a user");
    let found = patient(spawner.found()).await.expect("found");
    assert_eq!(found, std::slice::from_ref(&bob), "another user's server stays");
    patient(spawner.forget_user(ada.user())).await.expect("a second time succeeds");
    patient(spawner.forget_server(&bob)).await.expect("forget a server");
}

/// Waits until a server is seen to have ended.
async fn ended(spawner: &dyn Spawner, key: &ServerKey, state: &SavedState) -> crate::Exit {
    patient(async {
        loop {
            match spawner.probe(key, state).await.expect("probe") {
                Liveness::Exited(exit) => return exit,
                Liveness::Running { .. } => tokio::task::yield_now().await,
                Liveness::Missing => panic!("{key} vanished before anyone could ask why"),
            }
        }
    })
    .await
}

async fn start(spawner: &dyn Spawner, key: &ServerKey) -> Started {
    let request = request(key.clone());
    patient(spawner.start(&request, &Progress::ignored())).await.expect("start")
}

async fn stop(spawner: &dyn Spawner, key: &ServerKey, state: &SavedState) {
    patient(spawner.stop(key, state, StopMode::Now)).await.expect("stop");
}

async fn probe(spawner: &dyn Spawner, key: &ServerKey, state: &SavedState) -> Liveness {
    patient(spawner.probe(key, state)).await.expect("probe")
}

async fn is_running(spawner: &dyn Spawner, key: &ServerKey, state: &SavedState) -> bool {
    matches!(probe(spawner, key, state).await, Liveness::Running { .. })
}

async fn patient<T>(call: impl Future<Output = T>) -> T {
    timeout(PATIENCE, call).await.expect("every call ends within a minute")
}

fn key(user: &str, server: &str) -> ServerKey {
    let user = user.parse().expect("the checks use valid names");
    ServerKey::new(user, server.parse().expect("the checks use valid names"))
}
