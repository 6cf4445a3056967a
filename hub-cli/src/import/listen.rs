//! Addresses, which JupyterHub has in several settings.

use super::{Outcome, place::Special, value::Value};

/// An address as far as the script tells it.
#[derive(Default)]
pub(super) struct Listen {
    pub(super) ip: Option<String>,
    pub(super) port: Option<i64>,
    /// Where it begins to.
    pub(super) line: Option<usize>,
}

/// Takes a part of an address.
pub(super) fn address(
    listen: &mut Listen,
    special: Special,
    value: &Value,
    line: usize,
) -> Result<(), Outcome> {
    let bad =
        |what: &str| Err(Outcome::Left(format!("is {}, where {what} is needed", value.kind())));
    match (special, value) {
        (Special::PublicIp | Special::HubIp, Value::Text(ip)) => {
            listen.ip = Some(ip.replace('*', ""));
        }
        (Special::PublicIp | Special::HubIp, _) => return bad("an address"),
        (Special::PublicPort | Special::HubPort, Value::Integer(port)) => listen.port = Some(*port),
        (Special::PublicPort | Special::HubPort, _) => return bad("a port"),
        (_, Value::Text(url)) => {
            let Some((ip, port)) = ip_and_port(url) else {
                return Err(Outcome::Left(
                    "is no http:// address; the key is http.listen".to_owned(),
                ));
            };
            listen.ip = Some(ip);
            listen.port = port.or(listen.port);
        }
        _ => return bad("an address"),
    }
    listen.line.get_or_insert(line);
    Ok(())
}

/// Host and port of `http://HOST:PORT/PATH`, whose host may be missing.
fn ip_and_port(url: &str) -> Option<(String, Option<i64>)> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').replace('*', "");
    Some((host, port))
}

/// The path of an address.
pub(super) fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..)).map(str::to_owned)
}
