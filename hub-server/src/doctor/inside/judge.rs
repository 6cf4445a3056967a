//! What the call from a container says about the way to the hub. Pure.

use hub_spawner::engine::Network;
use serde_json::Value;
use url::Url;

use super::{Reached, stand_in::WORDS};
use crate::{config::ListenAddr, doctor::Finding};

/// Who listens at the API's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// The doctor, for a hub that does not run.
    StandIn,
    /// Somebody: the hub, if all is well.
    Somebody,
    /// The address is not this machine's; the hub may be a container.
    Elsewhere,
}

/// The way from a server to the hub.
#[derive(Debug)]
pub(super) struct Way<'w> {
    /// What servers are told to call.
    pub(super) url: &'w str,
    pub(super) network: Option<&'w Network>,
    /// Where the hub listens.
    pub(super) listen: &'w ListenAddr,
    pub(super) listener: Listener,
}

pub(super) fn judge(way: &Way<'_>, reached: &Reached) -> Finding {
    let Way { url, .. } = way;
    let problem = |seen: &str, advice: String| Finding::problem(format!("{url}: {seen}"), advice);
    match reached {
        Reached::Answer { body, .. } if body == WORDS => Finding::ok(format!(
            "{url} leads from there to this machine; the doctor listened in the hub's place"
        )),
        Reached::Answer { status: 200, body } if is_a_hub(body) => {
            Finding::ok(format!("{url}: the hub answers"))
        }
        Reached::Answer { status, .. } => problem(
            &format!("not the hub answers from there, but something else (status {status})"),
            "correct hub_api.url or hub_api.listen, or end the other program".to_owned(),
        ),
        Reached::Refused => {
            problem("refused from there: nothing listens at that address", unheard(way))
        }
        Reached::Timeout if is_walled_in(way) => {
            problem("no answer from there within 10 s", walled_in(way))
        }
        Reached::Timeout => problem("no answer from there within 10 s", firewall(way)),
        Reached::Name => problem(
            "the name is not known there",
            format!(
                "write an address into hub_api.url, or put the hub's container into {} under that name and start it",
                network_name(way)
            ),
        ),
        Reached::Unreachable { why } => problem(
            &format!("there is no way from there ({why})"),
            match is_walled_in(way) {
                true => walled_in(way),
                false => "correct hub_api.url; leave hub_api.listen at `auto:PORT`".to_owned(),
            },
        ),
        Reached::Failed { why } => {
            problem(&format!("the call failed ({why})"), "correct hub_api.url".to_owned())
        }
    }
}

/// What the hub says to whoever asks for nothing in particular.
fn is_a_hub(body: &str) -> bool {
    serde_json::from_str::<Value>(body).is_ok_and(|body| body["version"].is_string())
}

fn network_name<'w>(way: &Way<'w>) -> &'w str {
    way.network.map_or("the servers' network", |network| &network.name)
}

/// Whether the network lets nothing out, and the way leads out.
fn is_walled_in(way: &Way<'_>) -> bool {
    let Some(network) = way.network.filter(|network| network.internal) else { return false };
    let url = Url::parse(way.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    network.gateway.is_none_or(|gateway| gateway.to_string() != host)
}

fn walled_in(way: &Way<'_>) -> String {
    format!(
        "the network {} is internal: from there only addresses in it are reached; leave hub_api.listen at `auto:PORT` and hub_api.url away",
        network_name(way)
    )
}

fn unheard(way: &Way<'_>) -> String {
    match way.listener {
        _ if way.listen.is_loopback() => format!(
            "hub_api.listen is {}, which is each container's own; write `auto:{}`",
            way.listen,
            way.listen.port()
        ),
        Listener::Elsewhere => {
            "start the hub there; hub_api.listen has to be the address that hub_api.url leads to"
                .to_owned()
        }
        Listener::StandIn | Listener::Somebody => format!(
            "hub_api.listen is {}; it has to be where hub_api.url leads to. Also look for a firewall that rejects",
            way.listen
        ),
    }
}

fn firewall(way: &Way<'_>) -> String {
    let port = way.listen.port();
    match way.network.and_then(bridge) {
        Some(bridge) => format!(
            "a firewall drops it; allow it: `iptables -I INPUT -i {bridge} -p tcp --dport {port} -j ACCEPT`, with ufw `ufw allow in on {bridge} to any port {port} proto tcp`"
        ),
        None => format!("a firewall drops it; allow TCP from the servers' network to port {port}"),
    }
}

/// The host's interface to a bridge network.
fn bridge(network: &Network) -> Option<String> {
    (network.driver == "bridge" && network.name != "bridge")
        .then(|| format!("br-{}", network.id.get(..12).unwrap_or(&network.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    fn judged(listen: &str, listener: Listener, reached: &Reached) -> Finding {
        let url = "http://172.20.0.1:8081/hub/api";
        let listen = &ListenAddr::Ip(listen.parse().unwrap());
        judge(&Way { url, network: None, listen, listener }, reached)
    }

    fn answer(status: u16, body: &str) -> Reached {
        Reached::Answer { status, body: body.to_owned() }
    }

    #[test]
    fn the_hub_or_its_stand_in_has_to_answer() {
        let outcome = |reached| judged("172.20.0.1:8081", Listener::Somebody, &reached).outcome;
        assert_eq!(outcome(answer(200, r#"{"version": "6.1.1"}"#)), Outcome::Ok);
        assert_eq!(outcome(answer(200, WORDS)), Outcome::Ok);
        assert_eq!(outcome(answer(200, "<html>")), Outcome::Problem);
        assert_eq!(outcome(answer(404, r#"{"version": "6.1.1"}"#)), Outcome::Problem);
        assert_eq!(outcome(Reached::Name), Outcome::Problem);
    }

    #[test]
    fn each_failure_has_its_own_advice() {
        let advice = |listen, listener, reached| judged(listen, listener, &reached).advice.unwrap();
        let gateway = "172.20.0.1:8081";
        let loopback = advice("127.0.0.1:8081", Listener::StandIn, Reached::Refused);
        assert!(loopback.contains("auto:8081"), "{loopback}");
        let elsewhere = advice(gateway, Listener::Elsewhere, Reached::Refused);
        assert!(elsewhere.contains("start the hub"), "{elsewhere}");
        let dropped = advice(gateway, Listener::StandIn, Reached::Timeout);
        assert!(dropped.contains("firewall") && dropped.contains("8081"), "{dropped}");
        let no_way = Reached::Unreachable { why: "x".to_owned() };
        assert!(advice(gateway, Listener::StandIn, no_way).contains("hub_api"));
    }
}
