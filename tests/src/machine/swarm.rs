//! Machines beside each other, and such that form a swarm.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Machine, run};
use crate::docker;

/// Where managers listen for each other and for workers.
const PORT: u16 = 2377;

impl Machine {
    /// Lays a cable to another machine; the addresses at both ends.
    pub fn cable(&self, other: &Self) -> (Ipv4Addr, Ipv4Addr) {
        let id = Uuid::new_v4();
        let [.., low, last] = *id.as_bytes();
        // Of the range that is shared behind providers, apart from the cables to this one.
        let end = |end: u8| Ipv4Addr::new(100, 64 | (low & 63), low, (last & !3) | end);
        let (here, there) = (end(1), end(2));
        let (first, second) = (self.first, other.first);
        run(&format!("ip link add eth1 netns {first} type veth peer name eth1 netns {second}"));
        for (machine, address) in [(self, here), (other, there)] {
            machine.run(&format!("ip address add {address}/30 dev eth1"));
            machine.run("ip link set eth1 up");
        }
        (here, there)
    }

    /// Runs a command in the machine's network; none of its words has a space.
    pub fn run(&self, line: &str) {
        run(&format!("nsenter --target {} --net {line}", self.first));
    }

    /// Makes this machine the manager of a swarm that `worker` joins, with a cable
    /// between them. We reach the worker at the address it has there, too.
    pub async fn form_swarm(&self, worker: &Self) {
        let (own, other) = self.cable(worker);
        run(&format!("ip route add {other}/32 via {}", worker.address));
        let at = |address: Ipv4Addr| json!({"ListenAddr": format!("{address}:{PORT}"), "AdvertiseAddr": address});
        self.ask("POST", "/swarm/init", &at(own)).await;
        let swarm = self.ask("GET", "/swarm", &Value::Null).await;
        let mut join = at(other);
        join["RemoteAddrs"] = json!([format!("{own}:{PORT}")]);
        join["JoinToken"] = swarm["JoinTokens"]["Worker"].clone();
        worker.ask("POST", "/swarm/join", &join).await;
    }

    /// The names of the services that it manages.
    pub async fn services(&self) -> Vec<String> {
        let found = self.ask("GET", "/services", &Value::Null).await;
        let name = |service: &Value| service["Spec"]["Name"].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(name).collect()
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = docker::ask(&self.socket(), method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}
