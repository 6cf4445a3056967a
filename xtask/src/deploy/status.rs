//! What of a deployment is there (XT-5).

use std::collections::BTreeMap;

use hub_spawner::engine::{ContainerDetails, ContainerState, Engine, Health};
use serde::Serialize;

use super::{
    operator::Operator,
    settings::Settings,
    witness::{self, Served},
};

const UNHEALTHY: &str = "unhealthy";

/// Everything, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    deployment: String,
    url: String,
    hub: Option<Container>,
    proxy: Option<Container>,
    certificate: Option<Served>,
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
    /// Whether hub and proxy run, and are not ill by their own account.
    pub(super) fn is_up(&self) -> bool {
        let runs = |found: &Option<Container>| {
            found.as_ref().is_some_and(|c| c.state == "running" && c.health != Some(UNHEALTHY))
        };
        runs(&self.hub) && runs(&self.proxy)
    }
}

/// Looks at all of it.
pub(super) async fn look(operator: &Operator, settings: &Settings) -> anyhow::Result<Status> {
    let layout = &settings.layout;
    let engine: &Engine = operator.engine();
    let hub = engine.inspect(&layout.hub).await?.map(container);
    let proxy = engine.inspect(&layout.proxy).await?.map(container);
    let certificate = match &proxy {
        // A proxy that does not answer is told by its health.
        Some(proxy) if proxy.state == "running" => {
            witness::ask(operator, settings).await.ok().and_then(|told| told.certificate)
        }
        _ => None,
    };
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
        url: settings.address(),
        hub,
        proxy,
        certificate,
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
            Health::Unhealthy => UNHEALTHY,
            Health::Paused => "paused",
            Health::Restarting => "restarting",
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
pub(super) fn text(status: &Status, settings: &Settings) -> String {
    let absent = || format!("not there; `{}` makes it", settings.command(""));
    let mut lines = vec![format!("{}  {}", status.deployment, status.url)];
    let mut line = |what: &str, text: String| lines.push(format!("  {what:<9} {text}"));
    for (what, logs, found) in
        [("hub", "logs", &status.hub), ("proxy", "logs --proxy", &status.proxy)]
    {
        line(
            what,
            found
                .as_ref()
                .map_or_else(absent, |found| container_text(found, &settings.command(logs))),
        );
    }
    if let Some(served) = &status.certificate {
        line("https", certificate_text(served));
    }
    for (what, all) in [("network", &status.networks), ("volume", &status.volumes)] {
        for one in all {
            let there = if one.exists { String::new() } else { format!("  {}", absent()) };
            line(what, format!("{}{there}", one.name));
        }
    }
    for image in &status.images {
        let id = match image.id.as_deref() {
            Some(id) => id.get(..19).unwrap_or(id).to_owned(),
            None => {
                let command = settings.command("notebook-image");
                format!("not there; `{command}` pulls or builds it")
            }
        };
        line("image", format!("{}  {id}", image.name));
    }
    if status.servers.is_empty() {
        line("servers", "none".to_owned());
    }
    for server in &status.servers {
        let name = match server.server.as_str() {
            "" => server.user.clone(),
            named => format!("{}/{named}", server.user),
        };
        line("server", format!("{name}  {}  {}", server.state, server.container));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn container_text(found: &Container, logs: &str) -> String {
    let mut parts = vec![found.name.clone()];
    let health = found.health.map(|health| format!(", {health}")).unwrap_or_default();
    let since = match (&found.started_at, found.state.as_str()) {
        (Some(at), "running") => format!(" since {}", at.get(..19).unwrap_or(at)),
        _ => String::new(),
    };
    parts.push(format!("{}{since}{health}", found.state));
    let version = found.version.iter().map(|version| format!("version {version}"));
    parts.extend(version.chain([found.image.clone()]));
    if !found.ports.is_empty() {
        let ports: Vec<&str> = found.ports.values().map(String::as_str).collect();
        parts.push(format!("on {}", ports.join(", ")));
    }
    if found.state != "running" || found.health == Some(UNHEALTHY) {
        parts.push(format!("`{logs}` tells why"));
    }
    parts.join("  ")
}

fn certificate_text(served: &Served) -> String {
    let has = match &served.not_after {
        Some(at) => format!("certificate good until {}", at.get(..10).unwrap_or(at)),
        None => format!("no certificate from the authority yet ({}); browsers warn", served.state),
    };
    let more = [&served.problem, &served.advice].into_iter().flatten();
    more.fold(has, |text, more| format!("{text}; {more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: &str, health: Option<&'static str>) -> Container {
        Container {
            name: "hub-proxy".to_owned(),
            id: "0123".to_owned(),
            state: state.to_owned(),
            health,
            started_at: Some("2026-03-01T12:00:00.123Z".to_owned()),
            image: "notebook-hub:abc".to_owned(),
            image_id: "sha256:abc".to_owned(),
            version: Some("1.2.3".to_owned()),
            ports: BTreeMap::from([("8443/tcp".to_owned(), "0.0.0.0:443".to_owned())]),
        }
    }

    #[test]
    fn xt_5_what_is_wrong_is_said_with_what_shows_more() {
        let well = container("running", Some("healthy"));
        assert_eq!(
            container_text(&well, "logs"),
            "hub-proxy  running since 2026-03-01T12:00:00, healthy  version 1.2.3  \
             notebook-hub:abc  on 0.0.0.0:443"
        );
        for ill in [container("running", Some(UNHEALTHY)), container("exited (1)", None)] {
            assert!(container_text(&ill, "logs --proxy").contains("logs --proxy` tells why"));
        }
    }

    #[test]
    fn acme_2_the_days_of_a_certificate_are_told() {
        let mut served = Served {
            not_after: Some("2027-02-21T04:51:13Z".to_owned()),
            state: "waiting".to_owned(),
            problem: None,
            advice: None,
        };
        assert_eq!(certificate_text(&served), "certificate good until 2027-02-21");
        served.not_after = None;
        served.state = "failed".to_owned();
        served.problem = Some("the name is not in the DNS".to_owned());
        served.advice = Some("make an A record".to_owned());
        assert_eq!(
            certificate_text(&served),
            "no certificate from the authority yet (failed); browsers warn; the name is not in \
             the DNS; make an A record"
        );
    }
}
