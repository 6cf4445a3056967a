//! The fake as the hub sees it: a spawner.

use std::{net::IpAddr, sync::MutexGuard, time::Duration};

use async_trait::async_trait;
use hub_names::{ServerKey, UserName};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use url::Url;

use super::{Behaviour, FakeSpawner, Server, State};
use crate::{
    Choice, Exit, Found, Liveness, OnUnhealthy, Preset, Progress, SavedState, SpawnError, Spawner,
    StartRequest, Started, StopMode,
};

/// Nothing listens at the discard port of any machine in our decade.
const SILENT_URL: &str = "http://127.0.0.1:9";

/// Pause between two looks at a log that is followed.
const LOG_PAUSE: Duration = Duration::from_millis(5);

impl FakeSpawner {
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

    async fn may_remove(&self) {
        let mut held = self.shared.removals_held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as self");
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
