//! The two networks.

use anyhow::{Context, bail};
use hub_spawner::engine::{EngineError, Network, NetworkSpec};

use super::{
    layout::Layout,
    operator::{Operator, advised},
};

/// Makes sure that each is there once (XT-7) and returns the one of hub and
/// proxy; none in a dry run that would make it.
pub(super) async fn ensure(
    operator: &Operator,
    layout: &Layout,
) -> anyhow::Result<Option<Network>> {
    one(operator, layout, &layout.servers, false).await?;
    one(operator, layout, &layout.control, true).await
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
