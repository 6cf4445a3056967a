//! The container that lists attributes.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hub_spawner::engine::{ContainerSpec, Engine, Mount, NetworkEnd};

use super::{Attributes, Unread};
use crate::backup::container_file;

const SCRIPT: &str = include_str!("list.py");
/// Where the volume is mounted.
const VOLUME: &str = "/hub-attributes-of";
/// Where the script leaves its list: in the container, since the daemon may keep
/// no logs.
const LIST: &str = "/hub-attributes";
/// How long it may take to look at all files of a user.
const DEADLINE: Duration = Duration::from_secs(60 * 60);
/// How much of what it complained about is told.
const LINES: usize = 5;

/// Lists the attributes of the files in `volume`. The container has the labels by
/// which that of an interrupted transfer is found.
pub(in crate::backup) async fn list(
    engine: &Engine,
    image: &str,
    volume: &str,
) -> Result<Attributes, Unread> {
    let made = Box::pin(engine.create_container_from(&spec(image, volume))).await;
    let id = made.map_err(|error| Unread::Image(error.into()))?;
    let outcome = Box::pin(listed(engine, &id)).await;
    let removed = engine.remove_container(&id, true).await;
    let attributes = outcome?;
    removed.map_err(|error| Unread::Volume(error.into()))?;
    Ok(attributes)
}

async fn listed(engine: &Engine, id: &str) -> Result<Attributes, Unread> {
    // Fails when the image has no such program.
    engine.start_container(id).await.map_err(|error| Unread::Image(error.into()))?;
    ended(engine, id).await.map_err(Unread::Volume)
}

async fn ended(engine: &Engine, id: &str) -> anyhow::Result<Attributes> {
    let code = tokio::time::timeout(DEADLINE, engine.wait_container(id))
        .await
        .context("it took too long")??;
    if code != 0 {
        let said = engine.logs(id, LINES).await?.unwrap_or_default();
        return Err(anyhow!("its end was {code}: {}", said.trim()));
    }
    let list = container_file::read(engine, id, LIST).await?;
    Attributes::parse(&list).context("the list is damaged")
}

fn spec(image: &str, volume: &str) -> ContainerSpec {
    // Isolated: nothing of the user's is imported.
    let command = ["-I", "-S", "-c", SCRIPT, LIST, VOLUME];
    ContainerSpec {
        entrypoint: Some(vec!["python3".to_owned()]),
        command: Some(command.map(str::to_owned).to_vec()),
        user: Some("0".to_owned()),
        working_dir: Some("/".to_owned()),
        mounts: vec![Mount::volume(volume, VOLUME).read_only()],
        networks: vec![NetworkEnd::new("none")],
        cap_drop: vec!["ALL".to_owned()],
        // To look into what is the user's only.
        cap_add: vec!["DAC_OVERRIDE".to_owned()],
        security_opt: vec!["no-new-privileges".to_owned()],
        labels: Engine::volume_helper_labels(volume),
        ..ContainerSpec::new("", image)
    }
}
