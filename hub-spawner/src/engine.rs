//! A connection to a Docker engine: the few calls a notebook hub needs.
//!
//! `DockerSpawner` is built on it, and so are the tools
//! that deploy and test a hub, so that there is one way to talk to the daemon.
//! No type of the client library is in a public signature.
//!
//! Each call has a deadline of its own; reads are tried again when the
//! connection breaks, changes never are (API-5). At most sixteen calls are under
//! way at once, four of them creating or starting something (SPN-32); streams
//! (pull, build, log, events) and the long wait of a stop do not count.
//!
//! Requests carry no API version in their path, so the daemon answers in its
//! newest one: version 29 refuses a client that asks for less than 1.44, and
//! 20.10 one that asks for more than 1.41 (API-1).

mod archive;
mod container;
mod credentials;
mod dialect;
mod error;
mod events;
mod host;
mod image;
mod info;
mod log;
mod network;
mod permissions;
mod pull;
mod reference;
#[cfg(feature = "swarm")]
mod service;
mod transport;
mod usage;
mod volume;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use bollard::Docker;
use tokio::sync::Semaphore;

pub use crate::Health;
pub use container::{
    ContainerDetails, ContainerLimits, ContainerMount, ContainerRecipe, ContainerSpec,
    ContainerState, ContainerSummary, ExecOutput, HealthCheck, Interactive, LogRotation, Mount,
    MountSource, NetworkEnd, PublishedPort, RestartPolicy, RunOutput, Streams,
};
pub use credentials::{Credentials, RegistryLogin};
pub use error::EngineError;
pub use host::{DockerHost, HostSettings};
pub use image::{Build, ImageDetails, ImageSummary};
pub use info::EngineInfo;
pub use network::{Network, NetworkSpec};
pub use permissions::{ENDPOINTS, Endpoint, EndpointUser};
pub use pull::{PullEvent, PullMeter};
pub use reference::{ImageReference, InvalidReference};
pub use volume::{VolumeArchive, VolumeSummary};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The oldest API we know how to talk to: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// How long an ordinary call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// How long creating or starting may take: a busy disk makes these slow.
const CHANGE_DEADLINE: Duration = Duration::from_secs(60);

/// Upper bound inside the client library; our own deadlines are shorter. It
/// also bounds the sending of an archive, which may be a large volume on a slow
/// line.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Calls under way at once (SPN-32).
const CALLS_IN_FLIGHT: usize = 16;

/// Creating and starting calls under way at once (SPN-32).
const CHANGES_IN_FLIGHT: usize = 4;

/// How often a read is tried before its error counts (API-5).
const READ_TRIES: u32 = 3;

/// A connection to a Docker engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    shared: Arc<Shared>,
}

/// Key-value pairs on a container, volume or network.
pub type Labels = BTreeMap<String, String>;

/// What the daemon says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineVersion {
    /// The product's version, such as `20.10.24`.
    pub engine: String,
    /// The newest API it speaks, such as `1.41`.
    pub api: String,
}

#[derive(Debug)]
struct Shared {
    endpoint: String,
    /// The way to the daemon; tests have none.
    host: Option<DockerHost>,
    calls: Semaphore,
    changes: Semaphore,
    /// One network is made at a time by this process.
    networks: tokio::sync::Mutex<()>,
    /// Held by who gives a volume away; volumes are spread over them by name.
    volumes: [tokio::sync::Mutex<()>; 16],
}

impl Engine {
    /// Connects to the daemon at `host`, or at [`DEFAULT_HOST`], and asks it
    /// for its version. See [`Engine::connect_to`] for TLS and contexts.
    ///
    /// # Errors
    ///
    /// As [`Engine::connect_to`], and [`EngineError::Misconfigured`] if `host` is
    /// no address.
    pub async fn connect(host: Option<&str>) -> Result<Self, EngineError> {
        let host = DockerHost::resolve(&HostSettings::at(host))?;
        Self::connect_to(&host).await
    }

    /// Connects to a daemon and asks it for its version.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unreachable`] with advice for the operator if there is no
    /// daemon or it does not know us, [`EngineError::TooOld`] if it is older
    /// than Docker 20.10.
    pub async fn connect_to(host: &DockerHost) -> Result<Self, EngineError> {
        let endpoint = host.address();
        let docker =
            transport::client(host).map_err(|cause| error::classify("connect", endpoint, cause))?;
        let engine = Self::over(docker, endpoint, Some(host.clone()));
        let version = engine.version().await?;
        match parse_api(&version.api) {
            Some(api) if api < OLDEST_API => Err(EngineError::TooOld {
                endpoint: endpoint.to_owned(),
                api: version.api,
                oldest: format!("{}.{}", OLDEST_API.0, OLDEST_API.1),
            }),
            _ => Ok(engine),
        }
    }

    fn over(docker: Docker, endpoint: &str, host: Option<DockerHost>) -> Self {
        let shared = Shared {
            endpoint: endpoint.to_owned(),
            host,
            calls: Semaphore::new(CALLS_IN_FLIGHT),
            changes: Semaphore::new(CHANGES_IN_FLIGHT),
            networks: tokio::sync::Mutex::default(),
            volumes: Default::default(),
        };
        Self { docker: docker.with_timeout(CLIENT_TIMEOUT), shared: Arc::new(shared) }
    }

    /// The address this connection was made with.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.read("ping", || self.docker.ping()).await.map(drop)
    }

    /// Asks the daemon for its version.
    pub async fn version(&self) -> Result<EngineVersion, EngineError> {
        let version = self.read("ask for its version", || self.docker.version()).await?;
        Ok(EngineVersion {
            engine: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
        })
    }

    /// Performs a call that changes nothing, again if the connection breaks.
    async fn read<T, F>(&self, action: &'static str, call: impl Fn() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let mut tried = 1;
        loop {
            match self.once(action, CALL_DEADLINE, Box::pin(call())).await {
                Err(error) if error.is_broken_connection() && tried < READ_TRIES => {
                    tokio::time::sleep(pause(tried)).await;
                    tried += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Performs a call that creates or starts something. Never repeated: after
    /// a time-out the caller must look at what is there first (API-5).
    async fn change<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let _permit = self.shared.changes.acquire().await.expect("the semaphore is never closed");
        self.once(action, CHANGE_DEADLINE, Box::pin(call)).await
    }

    /// Performs a call once, within the limit on calls in flight. A future that is handed
    /// on takes its room at every step, so callers put large ones on the heap.
    async fn once<T>(
        &self,
        action: &'static str,
        deadline: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let _permit = self.shared.calls.acquire().await.expect("the semaphore is never closed");
        self.within(action, deadline, call).await
    }

    /// Performs a call within `deadline`, outside the limit on calls in flight.
    async fn within<T>(
        &self,
        action: &'static str,
        deadline: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(|cause| self.failed(action, cause)),
            Err(_) => Err(EngineError::TimedOut { action, after: deadline }),
        }
    }

    fn failed(&self, action: &'static str, cause: bollard::errors::Error) -> EngineError {
        error::classify(action, &self.shared.endpoint, cause)
    }
}

/// `label=` filters as the API wants them: `{"label": ["key=value", ..]}`.
fn label_filters(labels: &Labels) -> std::collections::HashMap<&'static str, Vec<String>> {
    let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    std::collections::HashMap::from([("label", wanted)])
}

/// Longer with each try, and different for two callers that failed together.
fn pause(tried: u32) -> Duration {
    // A fresh `RandomState` is the standard library's only source of chance.
    let jitter = RandomState::new().build_hasher().finish() % 100;
    Duration::from_millis(u64::from(tried) * 100 + jitter)
}

fn parse_api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard::{API_DEFAULT_VERSION, BollardRequest, errors::Error};
    use futures_util::future::join_all;

    use super::*;

    /// An engine over a transport that notes each request and refuses it.
    fn noting() -> (Engine, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let transport = move |request: BollardRequest| {
            notes.lock().unwrap().push(request.uri().to_string());
            std::future::ready(Err(Error::SocketNotFoundError("nowhere".to_owned())))
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some("http://docker"),
            5,
            API_DEFAULT_VERSION,
        )
        .unwrap();
        (Engine::over(docker, "test", None), seen)
    }

    #[tokio::test(start_paused = true)]
    async fn api_1_requests_carry_no_version_in_their_path() {
        let (engine, seen) = noting();
        assert!(engine.inspect("abc").await.is_err());
        assert_eq!(seen.lock().unwrap()[0], "http://docker/containers/abc/json");
    }

    #[tokio::test(start_paused = true)]
    async fn api_5_reads_are_tried_three_times_and_changes_once() {
        let (engine, seen) = noting();
        assert!(engine.ping().await.is_err());
        assert_eq!(seen.lock().unwrap().len(), 3);
        assert!(engine.start_container("abc").await.is_err());
        assert_eq!(seen.lock().unwrap().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn spn_32_sixteen_calls_are_under_way_at_once_and_four_of_them_change_something() {
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        // A daemon that takes requests and answers none.
        let transport = move |_: BollardRequest| {
            *count.lock().unwrap() += 1;
            std::future::pending::<Result<_, Error>>()
        };
        let address = Some("http://docker");
        let docker =
            Docker::connect_with_custom_transport(transport, address, 600, API_DEFAULT_VERSION);
        let engine = Engine::over(docker.unwrap(), "test", None);
        let a_moment = Duration::from_millis(100);
        let mut changes = join_all((0..10).map(|_| engine.start_container("abc")));
        tokio::time::timeout(a_moment, &mut changes).await.unwrap_err();
        assert_eq!(*asked.lock().unwrap(), 4);
        let looks = join_all((0..30).map(|_| engine.inspect("abc")));
        tokio::time::timeout(a_moment, looks).await.unwrap_err();
        assert_eq!(*asked.lock().unwrap(), 16);
    }

    #[tokio::test]
    async fn a_missing_socket_is_explained() {
        let error = Engine::connect(Some("unix:///nowhere/docker.sock")).await.unwrap_err();
        let EngineError::Unreachable { endpoint, advice, .. } = error else {
            panic!("expected Unreachable, got {error:?}");
        };
        assert_eq!(endpoint, "unix:///nowhere/docker.sock");
        assert!(advice.contains("no socket"), "{advice}");
    }

    #[test]
    fn api_versions_compare_as_numbers() {
        assert!(parse_api("1.9").unwrap() < OLDEST_API);
        assert!(parse_api("1.153").unwrap() > OLDEST_API);
        assert_eq!(parse_api(""), None);
    }
}
