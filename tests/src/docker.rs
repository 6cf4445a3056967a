//! Docker as the tests use it: what a hub made carries its label, and is removed
//! by that label.

use std::path::Path;

use hub_spawner::engine::{Engine, Labels};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// The label that carries the name of a hub's installation. `cargo xtask test`
/// sweeps by it what a killed test could not.
const DEPLOYMENT: &str = "hub.deployment";

/// How the images of hub and proxy are called.
const RELEASES: &str = "notebook-hub:";

/// Where it listens.
pub const SOCKET: &str = "/var/run/docker.sock";

/// The Docker engine of this machine.
pub async fn engine() -> Engine {
    Engine::connect(None).await.expect("a Docker engine; cargo xtask test starts one")
}

/// The containers of a deployment: name and id.
pub async fn containers(deployment: &str) -> Vec<(String, String)> {
    let found = engine().await.containers(&labels(deployment)).await.unwrap();
    found
        .into_iter()
        .map(|container| (container.name.trim_start_matches('/').to_owned(), container.id))
        .collect()
}

/// The network of a deployment.
pub fn network(deployment: &str) -> String {
    format!("jupyterhub-{deployment}")
}

/// Asks the engine for what its users' library does not make: status and answer.
pub async fn post(path: &str, body: &Value) -> (u16, Value) {
    ask(Path::new(SOCKET), "POST", path, body).await
}

/// The same of the engine at `socket`, by any method. A body of null is none.
pub async fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut engine = UnixStream::connect(socket).await.unwrap();
    engine.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Removes the containers, volumes and networks of a deployment, and the images that
/// it built of `singleuser/`. For destructors.
pub fn sweep(deployment: &str) {
    let name = deployment.to_owned();
    wait_for(async move { remove_all(&name).await });
}

/// Removes volumes that carry no label of ours. For destructors.
pub fn remove_volumes(names: &[String]) {
    let names = names.to_vec();
    wait_for(async move {
        let engine = engine().await;
        for name in names {
            engine.remove_volume(&name).await.ok();
        }
    });
}

/// Takes a name away from an image. For destructors.
pub fn forget_image(name: &str) {
    let name = name.to_owned();
    wait_for(async move {
        engine().await.remove_image(&name).await.ok();
    });
}

/// Waits for `work` on a runtime of its own: the test's cannot be waited for in a
/// destructor.
fn wait_for(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    });
    if thread.join().is_err() {
        eprintln!("what the test made in Docker could not be removed");
    }
}

async fn remove_all(deployment: &str) {
    let Ok(engine) = Engine::connect(None).await else { return };
    for container in engine.containers(&labels(deployment)).await.unwrap_or_default() {
        engine.remove_container(&container.id, true).await.ok();
    }
    for volume in engine.volumes(&labels(deployment)).await.unwrap_or_default() {
        engine.remove_volume(&volume.name).await.ok();
    }
    // A deployment has one for hub and proxy, too. A daemon has room for thirty.
    let mut networks = engine.networks_labelled(&labels(deployment)).await.unwrap_or_default();
    networks.extend(engine.networks(&network(deployment)).await.unwrap_or_default());
    for network in networks {
        engine.remove_network(&network.id).await.ok();
    }
    // Not those of releases: other tests use the one of this build, too.
    for image in engine.images(&labels(deployment)).await.unwrap_or_default() {
        let names = if image.tags.is_empty() { vec![image.id] } else { image.tags };
        for name in names.iter().filter(|name| !name.starts_with(RELEASES)) {
            engine.remove_image(name).await.ok();
        }
    }
}

fn labels(deployment: &str) -> Labels {
    Labels::from([(DEPLOYMENT.to_owned(), deployment.to_owned())])
}
