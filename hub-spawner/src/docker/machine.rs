//! Where the daemon's host is, if it is another one (DM-2).

use std::net::IpAddr;

use super::DockerConfig;
use crate::{InvalidConfig, engine::DockerHost};

/// The address of the daemon's machine; `None` for this one.
///
/// # Errors
///
/// If its name has no address; `host_ip` then has to say where published ports
/// are reached. A name that only `ssh` knows is such a case.
pub(super) async fn find(
    host: &DockerHost,
    config: &DockerConfig,
) -> Result<Option<IpAddr>, InvalidConfig> {
    let Some(name) = host.machine() else {
        return Ok(None);
    };
    if let Ok(ip) = name.parse() {
        return Ok(Some(ip));
    }
    // The port is of no interest; the look-up wants one.
    let found: Vec<IpAddr> = match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => Vec::new(),
    };
    let ip = found.iter().find(|ip| ip.is_ipv4()).or(found.first()).copied();
    match ip.or(config.host_ip) {
        Some(ip) => Ok(Some(ip)),
        None => Err(InvalidConfig::new(
            "host_ip",
            format!("is needed: the name {name} of the daemon's machine has no address here"),
        )),
    }
}
