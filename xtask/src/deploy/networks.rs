//! The two networks.

use std::net::IpAddr;

use anyhow::{Context, bail};
use hub_spawner::engine::{Engine, EngineError, Network, NetworkSpec};

use super::{
    layout::Layout,
    operator::{Operator, advised},
};

/// What others have to know of the networks; nothing of those that a dry run
/// does not make.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks {
    /// The addresses of the network in which hub and proxy are alone: from there
    /// the hub believes what is said about a browser.
    pub(super) of_proxy: Vec<String>,
    /// Who comes through a port that is published on the host's loopback address.
    pub(super) host: Option<IpAddr>,
}

impl Networks {
    fn new(servers: Option<Network>, control: Option<Network>) -> Self {
        Self {
            of_proxy: control.map(|network| network.subnets).unwrap_or_default(),
            host: servers.and_then(|network| network.gateway),
        }
    }
}

/// Those that are there.
pub(super) async fn look(engine: &Engine, layout: &Layout) -> Result<Networks, EngineError> {
    let servers = engine.network(&layout.servers).await?;
    Ok(Networks::new(servers, engine.network(&layout.control).await?))
}

/// Makes sure that each is there once (XT-7).
pub(super) async fn ensure(operator: &Operator, layout: &Layout) -> anyhow::Result<Networks> {
    let servers = one(operator, layout, &layout.servers, false).await?;
    Ok(Networks::new(servers, one(operator, layout, &layout.control, true).await?))
}

async fn one(
    operator: &Operator,
    layout: &Layout,
    name: &str,
    internal: bool,
) -> anyhow::Result<Option<Network>> {
    let engine = operator.engine();
    let found = match engine.network(name).await {
        Ok(found) => found,
        Err(error @ EngineError::Ambiguous { .. }) => {
            bail!("{error}; remove all but one of them by id")
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(found) = found {
        if internal && !found.internal {
            bail!(
                "the network {name} is there, but not internal; it is for hub and proxy only. \
                 Remove it, or choose another DOCKER_NETWORK_NAME"
            );
        }
        return Ok(Some(found));
    }
    let spec = NetworkSpec {
        name: name.to_owned(),
        labels: layout.labels("network"),
        internal,
        subnet: None,
    };
    let what = if internal { ", internal" } else { "" };
    let made = operator
        .change(
            format_args!("POST /networks/create (name {name}, driver bridge{what})"),
            engine.ensure_network_from(&spec),
        )
        .await
        .map_err(advised)
        .with_context(|| format!("the network {name} could not be made"))?;
    if made.is_some() {
        eprintln!("  network {name}: made");
    }
    Ok(made)
}
