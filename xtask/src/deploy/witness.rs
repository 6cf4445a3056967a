//! What the proxy has seen of open WebSockets: the proof that an upgrade went
//! unnoticed, or that it did not.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{layout::PROXY_API_PORT, operator::Operator, settings::Settings};

/// What a proxy says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Witness {
    /// Changes with each process.
    pub(super) start: String,
    /// Open ones, also those in processes that this one took over from.
    pub(super) websockets: u64,
    /// Those that ended since the container was started.
    websockets_ended: u64,
    /// What browsers get; `None` where TLS ends elsewhere.
    #[serde(default)]
    pub(super) certificate: Option<Served>,
}

/// The certificate that a proxy serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Served {
    /// RFC 3339; `None` while one that the proxy signed itself stands in for an
    /// authority's.
    pub(super) not_after: Option<String>,
    /// How far it is with the authority: `waiting` when all is well.
    pub(super) state: String,
    /// Why the authority did not give one.
    pub(super) problem: Option<String>,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

/// Asks the proxy, from inside its container: it takes orders in the hub's
/// network only.
pub(super) async fn ask(operator: &Operator, settings: &Settings) -> anyhow::Result<Witness> {
    let layout = &settings.layout;
    let api = format!("http://{}:{PROXY_API_PORT}", layout.proxy_host());
    let command = ["/usr/bin/hub-proxy", "status", "--api", &api];
    let said = operator.engine().exec(&layout.proxy, &command).await?;
    anyhow::ensure!(said.code == 0, "the proxy's status: {}", said.output.trim());
    serde_json::from_str(said.output.trim()).context("the proxy's status cannot be read")
}

/// What became of the WebSockets that were open before. `same_container` says
/// whether the proxy's container is the one it was.
pub(super) fn told(before: &Witness, now: &Witness, same_container: bool) -> String {
    let were = before.websockets;
    if !same_container {
        return match were {
            0 => "none was open while the proxy's container was replaced".to_owned(),
            _ => format!(
                "{were} cut, since the proxy's container had to be replaced; browsers \
                 connect again by themselves"
            ),
        };
    }
    let open = now.websockets;
    match now.websockets_ended.saturating_sub(before.websockets_ended) {
        0 => format!("{were} open before, {open} now; none has ended"),
        ended => format!("{were} open before, {open} now; {ended} ended meanwhile"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(websockets: u64, websockets_ended: u64) -> Witness {
        Witness { start: "a".to_owned(), websockets, websockets_ended, certificate: None }
    }

    #[test]
    fn what_became_of_websockets_is_told_as_it_is() {
        let before = witness(3, 10);
        let told = |now, same| told(&before, &now, same);
        assert_eq!(told(witness(4, 10), true), "3 open before, 4 now; none has ended");
        assert_eq!(told(witness(2, 11), true), "3 open before, 2 now; 1 ended meanwhile");
        assert!(told(witness(0, 0), false).starts_with("3 cut, since"));
    }
}
