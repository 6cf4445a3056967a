//! Whether the hub can have its ports, or who has them.

mod holder;

use std::{io, net::SocketAddr};

use hub_spawner::engine::Engine;
use tokio::net::TcpListener;

use self::holder::Holder;
use super::{Finding, Known, addresses};
use crate::config::{ApiListen, Config, ListenAddr};

/// What a look at one address has shown.
#[derive(Debug)]
enum Seen {
    Free,
    /// Somebody listens there, as far as it can be told who.
    Held(Option<Holder>),
    /// The system lets nobody but root listen there.
    Forbidden,
    /// The address is not one of this machine.
    Elsewhere,
    Failed(io::Error),
}

/// One of the hub's listeners.
#[derive(Debug)]
struct Listening {
    key: &'static str,
    address: SocketAddr,
}

pub(super) async fn check(known: &Known) -> Vec<Finding> {
    let Some(config) = &known.config else { return Vec::new() };
    let (listeners, mut findings) = listeners(config, known).await;
    findings.extend(collisions(&listeners));
    // The first one is where the hub has answered, if it has.
    let hub = listeners.first().filter(|_| known.serves).and_then(|one| holder::of(one.address));
    for Listening { key, address } in listeners {
        if address.port() == 0 {
            continue;
        }
        let mut seen = look(address).await;
        if let (Seen::Held(Some(holder)), Some(engine)) = (&mut seen, &known.engine)
            && holder.is_docker()
        {
            holder.container = container_at(engine, address).await;
        }
        let is_the_hubs = match &seen {
            Seen::Held(Some(holder)) => known.serves && hub.as_ref() == Some(holder),
            // Who holds it cannot be told, but the hub answered there.
            Seen::Held(None) => known.serves && hub.is_none(),
            _ => false,
        };
        findings.push(judge(key, address, &seen, is_the_hubs));
    }
    findings
}

/// The addresses of the hub's listeners, the public one first, and the names
/// that have none.
async fn listeners(config: &Config, known: &Known) -> (Vec<Listening>, Vec<Finding>) {
    let gateway = known.gateway();
    let api = match &config.hub_api.listen {
        ApiListen::At(address) => Some(address.clone()),
        ApiListen::Auto { .. } => addresses::api(config, gateway).map(|api| api.listen),
    };
    let redirect = config.http.redirect_listen.map(ListenAddr::from);
    let wanted = [
        ("http.listen", Some(config.http.listen.clone())),
        ("http.redirect_listen", redirect),
        ("hub_api.listen", api),
    ];
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    for (key, wanted) in wanted.into_iter().filter_map(|(key, one)| Some((key, one?))) {
        match wanted.resolve().await {
            Ok(addresses) => {
                found.extend(addresses.first().map(|&address| Listening { key, address }));
            }
            Err(error) => findings.push(Finding::problem(
                format!("{key} {wanted}: the name has no address here ({error})"),
                "a name works in the hub's container; run this there, or write IP:PORT",
            )),
        }
    }
    (found, findings)
}

fn collisions(listeners: &[Listening]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, one) in listeners.iter().enumerate() {
        for other in &listeners[index + 1..] {
            if addresses::collide(one.address, other.address) {
                findings.push(Finding::problem(
                    format!(
                        "{} {} and {} {} are in each other's way",
                        one.key, one.address, other.key, other.address
                    ),
                    "give one of them another port",
                ));
            }
        }
    }
    findings
}

async fn look(address: SocketAddr) -> Seen {
    match TcpListener::bind(address).await {
        Ok(_) => Seen::Free,
        Err(error) => match error.kind() {
            io::ErrorKind::AddrInUse => Seen::Held(holder::of(address)),
            io::ErrorKind::PermissionDenied => Seen::Forbidden,
            io::ErrorKind::AddrNotAvailable => Seen::Elsewhere,
            _ => Seen::Failed(error),
        },
    }
}

/// The container that Docker listens for at `address`.
async fn container_at(engine: &Engine, address: SocketAddr) -> Option<String> {
    for container in engine.containers(&Default::default()).await.ok()? {
        if container.state != "running" {
            continue;
        }
        let details = engine.inspect(&container.id).await.ok()??;
        if details.published.values().any(|there| there.port() == address.port()) {
            return Some(details.name);
        }
    }
    None
}

fn judge(key: &str, address: SocketAddr, seen: &Seen, is_the_hubs: bool) -> Finding {
    match seen {
        Seen::Free => Finding::ok(format!("{key} {address}: free")),
        Seen::Held(holder) => {
            let who = match holder {
                Some(holder) => holder.to_string(),
                None => "somebody; root can see who".to_owned(),
            };
            match is_the_hubs {
                true => Finding::ok(format!("{key} {address}: the hub's")),
                false => Finding::problem(
                    format!("{key} {address}: in use by {who}"),
                    format!("end that program, or set {key} to another port"),
                ),
            }
        }
        Seen::Forbidden => Finding::problem(
            format!("{key} {address}: this user may not listen on ports below 1024"),
            "run the hub in its container or as a service with CAP_NET_BIND_SERVICE, or take a higher port",
        ),
        Seen::Elsewhere => Finding::problem(
            format!("{key} {address}: not an address of this machine"),
            format!("correct {key}; if the hub runs in a container, run this there"),
        ),
        Seen::Failed(error) => {
            Finding::problem(format!("{key} {address}: {error}"), format!("correct {key}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_port_is_free_or_held_by_somebody_who_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        let Seen::Held(Some(holder)) = look(address).await else { panic!("held, and by us") };
        assert_eq!(holder.pid, std::process::id());
        let finding = judge("http.listen", address, &Seen::Held(Some(holder)), false);
        assert_eq!(finding.outcome, Outcome::Problem);
        let pid = format!("PID {}", std::process::id());
        assert!(finding.seen.contains(&pid), "{finding:?}");
        // Of all addresses, also those that somebody holds alone.
        let all = SocketAddr::new([0, 0, 0, 0].into(), address.port());
        assert!(matches!(look(all).await, Seen::Held(Some(_))));
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_told() {
        let address = at("192.0.2.1:8081");
        let seen = look(address).await;
        assert!(matches!(seen, Seen::Elsewhere), "{seen:?}");
        assert_eq!(judge("hub_api.listen", address, &seen, false).outcome, Outcome::Problem);
    }

    #[test]
    fn the_hubs_own_port_is_in_order() {
        let finding = judge("http.listen", at("0.0.0.0:80"), &Seen::Held(None), true);
        assert_eq!(finding.outcome, Outcome::Ok);
        assert!(judge("x", at("0.0.0.0:80"), &Seen::Forbidden, false).seen.contains("1024"));
    }

    #[test]
    fn one_port_cannot_serve_two_listeners() {
        let all = [("a", "0.0.0.0:80"), ("b", "127.0.0.1:81"), ("c", "127.0.0.1:80")];
        let all = all.map(|(key, address)| Listening { key, address: at(address) });
        let found = collisions(&all);
        assert_eq!(found.len(), 1);
        assert!(found[0].seen.contains("a 0.0.0.0:80 and c 127.0.0.1:80"), "{found:?}");
    }
}
