//! What each test makes at the daemon, under a label of its own, and how it is
//! taken away again.

mod image;

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::FutureExt;
use hub_spawner::{
    ServerKey, Spawner,
    conformance::Bench,
    docker::{DockerConfig, DockerSpawner},
    engine::{Engine, Labels},
};

pub(crate) use image::root;

/// How long a machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// One test's corner of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Corner {
    pub(crate) engine: Engine,
    /// The label, and the name of everything that has one.
    pub(crate) name: String,
}

impl Corner {
    /// The tag of the image that serves.
    pub(crate) fn image(&self) -> String {
        format!("{}:test", self.name)
    }

    /// A configuration that stays in this corner.
    pub(crate) fn config(&self) -> DockerConfig {
        let volume = format!("{}-{{username}}", self.name);
        DockerConfig {
            deployment: self.name.clone(),
            network: self.name.clone(),
            prefix: self.name.clone(),
            volumes: Some([(volume, "/home".into())].into()),
            host: host(),
            ..DockerConfig::new(self.image())
        }
    }

    /// A spawner with this configuration.
    pub(crate) async fn spawner(&self) -> DockerSpawner {
        DockerSpawner::connect(self.config()).await.expect("connect")
    }

    pub(crate) fn labels(&self) -> Labels {
        [("hub.deployment".to_owned(), self.name.clone())].into()
    }

    /// The id of a server's container.
    pub(crate) async fn container(&self, key: &ServerKey) -> String {
        let mut labels = self.labels();
        labels.insert("hub.user".to_owned(), key.user().to_string());
        labels.insert("hub.server".to_owned(), key.server().to_string());
        let found = self.engine.containers(&labels).await.expect("list containers");
        found.into_iter().next().expect("the server has a container").id
    }

    /// A deployment beside this one that is swept with it.
    pub(crate) fn neighbour(&self) -> String {
        format!("{}-x", self.name)
    }

    async fn sweep(&self) {
        let neighbours = [("hub.deployment".to_owned(), self.neighbour())].into();
        for container in self.engine.containers(&neighbours).await.expect("list containers") {
            self.engine.remove_container(&container.id, true).await.expect("remove a container");
        }
        for container in self.engine.containers(&self.labels()).await.expect("list containers") {
            self.engine.remove_container(&container.id, true).await.expect("remove a container");
        }
        for volume in self.engine.volumes(&self.labels()).await.expect("list volumes") {
            self.engine.remove_volume_helpers(&volume.name).await.expect("remove helpers");
            self.engine.remove_volume(&volume.name).await.expect("remove a volume");
        }
        let labelled = self.engine.networks_labelled(&self.labels()).await.expect("networks");
        let back = self.engine.networks(&format!("{}-back", self.name)).await.expect("networks");
        for network in labelled.into_iter().chain(back) {
            self.engine.remove_network(&network.id).await.expect("remove a network");
        }
        for network in self.engine.networks(&self.name).await.expect("list networks") {
            self.engine.remove_network(&network.id).await.expect("remove a network");
        }
        for tag in ["test", "built"] {
            let image = format!("{}:{tag}", self.name);
            self.engine.remove_image(&image).await.expect("remove an image");
        }
    }
}

#[async_trait]
impl Bench for Corner {
    async fn open(&self) -> Box<dyn Spawner> {
        Box::new(self.spawner().await)
    }

    async fn kill(&self, key: &ServerKey) {
        let id = self.container(key).await;
        self.engine.kill(&id).await.expect("kill");
    }
}

/// Where the engine is, if it is not Docker's at its usual place.
#[expect(clippy::disallowed_methods, reason = "tests are told by their runner what to use")]
fn host() -> Option<String> {
    std::env::var("HUB_TEST_ENGINE").ok().filter(|host| !host.is_empty())
}

/// Where that listens.
pub(crate) fn socket() -> String {
    let host = host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://").expect("a socket of this machine").to_owned()
}

/// A connection for what the spawner's own cannot do or say.
pub(crate) fn docker() -> Docker {
    Docker::connect_with_unix(&socket(), PATIENCE.as_secs(), API_DEFAULT_VERSION)
        .expect("an engine is needed")
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}"))
}

/// Runs a test in corners of its own, and removes all it made, also when it
/// fails.
pub(crate) async fn in_a_corner<F: Future<Output = ()>>(test: impl FnOnce(Corner) -> F) {
    let corner = new_corner().await;
    let outcome = AssertUnwindSafe(test(corner.clone())).catch_unwind().await;
    corner.sweep().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn new_corner() -> Corner {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let engine = Engine::connect(host().as_deref()).await.expect("a Docker daemon is needed");
    let corner = Corner { engine, name: format!("hub-test-{}-{count}", std::process::id()) };
    let changes = ["ENV PATH=/bin", r#"CMD ["/bin/serve"]"#];
    // Podman takes a second change for a part of the first.
    let changes = if host().is_some() { &changes[1..] } else { &changes[..] };
    corner.engine.import(root(), &corner.image(), changes).await.expect("import the image");
    corner
}
