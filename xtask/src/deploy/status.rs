//! What of a deployment is there (XT-5).

use std::collections::BTreeMap;

use hub_spawner::engine::{ContainerDetails, ContainerState, Engine, Health};
use serde::Serialize;

use super::settings::Settings;

/// Everything, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    deployment: String,
    url: String,
    hub: Option<Container>,
    proxy: Option<Container>,
    networks: Vec<Named>,
    volumes: Vec<Named>,
    images: Vec<Image>,
    servers: Vec<Server>,
}

#[derive(Debug, Serialize)]
struct Container {
    name: String,
    id: String,
    state: String,
    health: Option<&'static str>,
    started_at: Option<String>,
    image: String,
    image_id: String,
    version: Option<String>,
    ports: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    exists: bool,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Image {
    name: String,
    id: Option<String>,
    digests: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Server {
    user: String,
    server: String,
    container: String,
    state: String,
    labels: BTreeMap<String, String>,
}

impl Status {
    /// Whether hub and proxy run.
    pub(super) fn is_up(&self) -> bool {
        let runs = |found: &Option<Container>| found.as_ref().is_some_and(|c| c.state == "running");
        runs(&self.hub) && runs(&self.proxy)
    }
}

/// Looks at all of it.
pub(super) async fn look(engine: &Engine, settings: &Settings) -> anyhow::Result<Status> {
    let layout = &settings.layout;
    let hub = engine.inspect(&layout.hub).await?.map(container);
    let proxy = engine.inspect(&layout.proxy).await?.map(container);
    let mut networks = Vec::new();
    for name in [&layout.servers, &layout.control] {
        let found = engine.networks(name).await?;
        networks.push(Named {
            name: name.clone(),
            exists: !found.is_empty(),
            labels: found.into_iter().next().map(|network| network.labels).unwrap_or_default(),
        });
    }
    let mut volumes = Vec::new();
    for name in [&layout.data, &layout.keys] {
        let found = engine.volume(name).await?;
        volumes.push(Named {
            name: name.clone(),
            exists: found.is_some(),
            labels: found.map(|volume| volume.labels).unwrap_or_default(),
        });
    }
    let mut images = Vec::new();
    let hub_image = hub.as_ref().map(|hub| hub.image.as_str());
    for name in hub_image.into_iter().chain(settings.server_image()) {
        let found = engine.image(name).await?;
        images.push(Image {
            name: name.to_owned(),
            id: found.as_ref().map(|image| image.id.clone()),
            digests: found.map(|image| image.digests).unwrap_or_default(),
        });
    }
    let label =
        |labels: &BTreeMap<String, String>, key: &str| labels.get(key).cloned().unwrap_or_default();
    let mut servers: Vec<Server> = engine
        .containers(&layout.servers_labels())
        .await?
        .into_iter()
        .map(|found| Server {
            user: label(&found.labels, "hub.user"),
            server: label(&found.labels, "hub.server"),
            container: found.name,
            state: found.state,
            labels: found.labels,
        })
        .collect();
    servers.sort_by(|a, b| (&a.user, &a.server).cmp(&(&b.user, &b.server)));
    Ok(Status {
        deployment: layout.name.clone(),
        url: settings.public_url.as_str().trim_end_matches('/').to_owned(),
        hub,
        proxy,
        networks,
        volumes,
        images,
        servers,
    })
}

fn container(found: ContainerDetails) -> Container {
    Container {
        state: match &found.state {
            ContainerState::Created => "created".to_owned(),
            ContainerState::Running => "running".to_owned(),
            ContainerState::Exited { code, .. } => format!("exited ({code})"),
            ContainerState::Removing => "removing".to_owned(),
        },
        health: found.health.map(|health| match health {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }),
        version: found.labels.get("hub.version").cloned(),
        ports: found.published.iter().map(|(port, at)| (port.clone(), at.to_string())).collect(),
        name: found.name,
        id: found.id,
        started_at: found.started_at,
        image: found.image,
        image_id: found.image_id,
    }
}

/// The same for people.
pub(super) fn text(status: &Status) -> String {
    let mut text = format!("{}  {}\n", status.deployment, status.url);
    for (what, found) in [("hub", &status.hub), ("proxy", &status.proxy)] {
        text += &match found {
            Some(found) => {
                let health = found.health.map(|health| format!(", {health}")).unwrap_or_default();
                let ports: Vec<&str> = found.ports.values().map(String::as_str).collect();
                let ports = if ports.is_empty() {
                    String::new()
                } else {
                    format!("  on {}", ports.join(", "))
                };
                format!(
                    "  {what:<8} {}  {}{health}  {}{ports}\n",
                    found.name, found.state, found.image
                )
            }
            None => format!("  {what:<8} not there\n"),
        };
    }
    for (what, all) in [("network", &status.networks), ("volume", &status.volumes)] {
        for one in all {
            let there = if one.exists { "" } else { "  not there" };
            text += &format!("  {what:<8} {}{there}\n", one.name);
        }
    }
    for image in &status.images {
        let id = image.id.as_deref().map_or("not there", |id| id.get(..19).unwrap_or(id));
        text += &format!("  image    {}  {id}\n", image.name);
    }
    match status.servers.len() {
        0 => text += "  servers  none\n",
        _ => {
            for server in &status.servers {
                let name = match server.server.as_str() {
                    "" => server.user.clone(),
                    named => format!("{}/{named}", server.user),
                };
                text += &format!("  server   {name}  {}  {}\n", server.state, server.container);
            }
        }
    }
    text
}
