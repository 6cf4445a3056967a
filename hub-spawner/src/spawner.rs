//! The conversation between a hub and whatever runs its servers.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use async_trait::async_trait;
use hub_names::{ServerKey, UserName};
use secrecy::SecretString;
use tokio::sync::mpsc;
use url::Url;

use crate::{Exit, Health, MemoryLimit, OnUnhealthy, Progress, SavedState, SpawnError};

/// Starts, watches and stops single-user servers.
///
/// One value serves all users. Every method may be called again after a crash
/// of the hub with the same key, so each is safe to repeat.
#[async_trait]
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Does what must be done before a start and may take long, such as pulling
    /// the image. Has a time limit of its own and is no part of the start time.
    ///
    /// # Cancellation
    ///
    /// May be dropped at any time; nothing has to be cleaned up.
    ///
    /// # Errors
    ///
    /// [`SpawnError::ImageUnavailable`], [`SpawnError::TimedOut`], or that the
    /// backend is in trouble.
    async fn prepare(&self, request: &StartRequest, progress: &Progress) -> Result<(), SpawnError> {
        let _ = (request, progress);
        Ok(())
    }

    /// Creates the server for `request.key` and returns once the backend has
    /// started it and knows its address; it need not answer HTTP yet.
    ///
    /// A server left over under the same key is replaced.
    ///
    /// # Cancellation
    ///
    /// The hub drops this future when the start timeout passes. Whatever was
    /// created by then is found by [`stop`](Self::stop) from the key alone.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if the options are not allowed here,
    /// [`SpawnError::Exited`] if the server ended while it was starting,
    /// otherwise as the variants say. Nothing is left behind.
    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError>;

    /// Looks at the server now. A missing server is [`Liveness::Missing`], not
    /// an error; an error means the backend could not be asked.
    async fn probe(&self, key: &ServerKey, state: &SavedState) -> Result<Liveness, SpawnError>;

    /// Ends the server and waits until it is gone, so that a start may follow at
    /// once. Succeeds if it was gone. The server is found by its key, also with
    /// an empty `state`.
    async fn stop(
        &self,
        key: &ServerKey,
        state: &SavedState,
        mode: StopMode,
    ) -> Result<(), SpawnError>;

    /// The last `lines` lines the server printed, control codes removed; `None`
    /// if there is no server or it keeps no log.
    async fn log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
    ) -> Result<Option<String>, SpawnError>;

    /// Sends the last `lines` lines the server printed, and then what it prints,
    /// control codes removed, in pieces of whole lines. Returns when the server
    /// ends, at once if there is none, or when the receiver is gone.
    async fn follow_log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
        pieces: mpsc::Sender<String>,
    ) -> Result<(), SpawnError>;

    /// Sends the key of each server that something happened to: it ended, ran
    /// out of memory, was stopped or removed, or its health changed. What exactly, [`probe`](Self::probe)
    /// tells; the same key may come several times.
    ///
    /// Returns when the backend ends the conversation or the receiver is gone.
    /// The caller calls again; what happened in between is made up for where the
    /// backend keeps it.
    async fn watch(&self, notices: mpsc::Sender<ServerKey>) -> Result<(), SpawnError>;

    /// The address under which a process on this host is reached from inside
    /// servers; `None` if that is not known.
    async fn host_address(&self) -> Result<Option<IpAddr>, SpawnError>;

    /// All servers at the backend that belong to this hub, running or not, also
    /// those the hub has forgotten.
    async fn found(&self) -> Result<Vec<ServerKey>, SpawnError>;

    /// What the backend has under `key`, so that a hub that has forgotten the
    /// server can tell whether it is its own. Mostly one; more if a hub was killed
    /// at a bad moment, none if there is nothing.
    async fn identify(&self, key: &ServerKey) -> Result<Vec<Found>, SpawnError>;

    /// The server of `from` is from now on the one of `to`. It does not run, nor
    /// does one of `to`. Whatever the backend keeps of it goes along.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if something cannot go along, such as files in a place
    /// that is named after the server; nothing has changed then.
    async fn rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        let _ = (from, to);
        Ok(())
    }

    /// A user has another name from now on. None of their servers runs. Whatever the
    /// backend keeps of them goes along.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if something cannot go along, such as files in a place
    /// that is named after the user: they would be out of sight, and open to whoever
    /// gets the old name. Nothing has changed then.
    async fn rename_user(&self, from: &UserName, to: &UserName) -> Result<(), SpawnError> {
        let _ = (from, to);
        Ok(())
    }

    /// Changes the limits of a server that runs, until it is stopped.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if the backend cannot do that, or if there is no such
    /// server.
    async fn set_limits(&self, key: &ServerKey, limits: &Limits) -> Result<(), SpawnError> {
        let _ = (key, limits);
        Err(SpawnError::Rejected {
            what: "changing the limits of a server that runs".to_owned(),
            reason: "they count from its next start on".to_owned(),
        })
    }

    /// The limits that the server of `key` would have if it were started now, where the
    /// backend can change those of one that runs; else `None`. With this a hub finds out
    /// whose limits a new configuration changes.
    ///
    /// # Errors
    ///
    /// That `preset` makes no sense, or that the backend could not be asked.
    async fn limits(&self, key: &ServerKey, preset: &Preset) -> Result<Option<Limits>, SpawnError> {
        let _ = (key, preset);
        Ok(None)
    }

    /// A server is deleted for good: ends it, and removes what belongs to it alone, as
    /// far as the operator wants that (SPN-30). Succeeds if there is nothing.
    async fn forget_server(&self, key: &ServerKey) -> Result<(), SpawnError> {
        self.stop(key, &SavedState::default(), StopMode::Now).await
    }

    /// A user is deleted for good: ends all their servers, and removes what belongs to
    /// the user alone, as far as the operator wants that (SPN-30).
    async fn forget_user(&self, user: &UserName) -> Result<(), SpawnError> {
        for key in self.found().await?.iter().filter(|key| key.user() == user) {
            self.forget_server(key).await?;
        }
        Ok(())
    }

    /// Whether a stopped server is kept and goes on at its next start (SPN-25). A hub
    /// then asks [`identify`](Self::identify) for its token and, if it still knows
    /// that, starts it with the same; any other token makes a new server (SPN-12).
    fn will_resume(&self) -> bool {
        false
    }

    /// What of the state of a server outlives the server: it is told again with the
    /// next [start](StartRequest::state). It goes with the server's record.
    fn lasting(&self, state: &SavedState) -> SavedState {
        let _ = state;
        SavedState::default()
    }

    /// Whether the start of `key` that is under way waits for an image which a machine
    /// of the backend fetches for it. That is no part of the start time: the spawner
    /// limits it itself.
    fn is_fetching(&self, key: &ServerKey) -> bool {
        let _ = key;
        false
    }

    /// What a hub does with a server that is [`Health::Unhealthy`] (SPN-28).
    fn on_unhealthy(&self) -> OnUnhealthy {
        OnUnhealthy::Show
    }

    /// The images that the user of `key` may choose from, as the form before a start
    /// shows them; empty if there is nothing to choose.
    fn choices(&self, _key: &ServerKey, _preset: &Preset) -> Vec<Choice> {
        Vec::new()
    }

    /// A short name of the backend, for logs and pages.
    fn kind(&self) -> &'static str;
}

/// Whose server to start, and what it is told at birth.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// Whose server, and which of theirs.
    pub key: ServerKey,
    /// The token of a new server for the hub's API; also its OAuth client secret.
    pub api_token: SecretString,
    /// The token that goes on to be valid if the server is started again that was kept
    /// under this key, and that holds it ([`Started::resumed`]).
    pub kept_token: Option<SecretString>,
    /// Where the server finds the hub, and itself.
    pub links: HubLinks,
    /// Scopes of which a visitor needs one to be let in, such as
    /// `access:servers!server=ada/`.
    pub access_scopes: Vec<String>,
    /// Whether administrators may enter without such a scope (clients before 2.0).
    pub admin_access: bool,
    /// Further variables for the server alone; those of the hub and the operator win.
    pub environment: BTreeMap<String, SecretString>,
    /// What the user chose, as JSON; an object or null.
    pub options: serde_json::Value,
    /// What the operator has decided for this server alone.
    pub preset: Preset,
    /// What was [kept](Spawner::lasting) of the server when it last ran.
    pub state: SavedState,
}

/// An image that users may choose: the start option `image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is called.
    pub name: String,
    /// Whether it is what those get who do not choose.
    pub is_default: bool,
}

/// What differs for one server from what the spawner gives to all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preset {
    /// The image it runs from.
    pub image: Option<String>,
    /// Its memory.
    pub memory_limit: Option<MemoryLimit>,
    /// Its processors, such as 1.5.
    pub cpu_limit: Option<f64>,
    /// The groups its user is in: what is set up for them is taken over.
    pub groups: Vec<String>,
    /// The number of its user on the host, where servers run as accounts of it.
    pub uid: Option<u32>,
    /// The number of that user's group.
    pub gid: Option<u32>,
}

/// New limits for a server that runs; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Its memory.
    pub memory: Option<MemoryLimit>,
    /// Its processors, such as 1.5.
    pub cpus: Option<f64>,
}

/// Where a server finds the hub, and where the world finds the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubLinks {
    /// The hub's API as reached from inside the server, without a trailing slash.
    pub api_url: String,
    /// Where the server reports that it is used.
    pub activity_url: String,
    /// The hub's base path, such as `/`.
    pub base_url: String,
    /// `scheme://host[:port]` of the hub if each user has a host of their own,
    /// else empty.
    pub host: String,
    /// The server's full public URL if known, else empty.
    pub public_url: String,
    /// The hub's full public URL if known, else empty.
    pub public_hub_url: String,
    /// The path the server answers under, such as `/user/ada/`.
    pub service_prefix: String,
    /// The server's OAuth client id, such as `jupyterhub-user-ada`.
    pub client_id: String,
    /// The server's OAuth redirect URI, such as `/user/ada/oauth_callback`.
    pub oauth_callback: String,
}

/// A server that was just started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Where it is reached: `http://address:port`, without a path.
    pub url: Url,
    /// What to remember for the later calls.
    pub state: SavedState,
    /// Whether it is a server that was kept, and has [`StartRequest::kept_token`].
    pub resumed: bool,
}

/// A server at the backend, as it is found without being remembered.
#[derive(Clone, Debug)]
pub struct Found {
    /// What people call it at the backend, such as a container's name.
    pub name: String,
    /// Whether it runs.
    pub is_running: bool,
    /// The token that it was started with, if that can be told.
    pub api_token: Option<SecretString>,
    /// What [`Spawner::start`] said was to be remembered.
    pub state: SavedState,
}

/// What a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Running {
        /// Where it is reached now, which may differ from where it started.
        url: Url,
        /// How it is doing, if that is known: most have no health check.
        health: Option<Health>,
    },
    /// It ended by itself or was killed, and can still be asked why.
    Exited(Exit),
    /// There is no such server.
    Missing,
}

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Ask first, so that it can save its work, and end it after a while.
    Graceful,
    /// End it at once.
    Now,
}
