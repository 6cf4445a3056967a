//! What the daemon is asked for, as data: an operator who puts a filter before
//! the daemon's socket allows these and nothing else (API-7).

use std::fmt;

/// A kind of request to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The method, such as `GET`.
    pub method: &'static str,
    /// The path, without a version; `{}` stands for one name or id, which for
    /// images may hold slashes.
    pub path: &'static str,
    /// Who asks.
    pub user: EndpointUser,
    /// What for.
    pub purpose: &'static str,
}

/// Who sends a request to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointUser {
    /// The hub, to run servers.
    Hub,
    /// The hub, for servers whose settings need it.
    Options,
    /// The hub, where Podman stands in for Docker.
    Podman,
    /// The hub, where servers are services of a swarm; of what [`Hub`](Self::Hub) asks
    /// for it then needs what [`Endpoint::is_for_swarm`] says.
    Swarm,
    /// Copies of volumes.
    Backup,
    /// The commands that build images and deploy a hub.
    Deploy,
}

impl fmt::Display for EndpointUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hub => "hub",
            Self::Options => "options",
            Self::Podman => "podman",
            Self::Swarm => "swarm",
            Self::Backup => "backup",
            Self::Deploy => "deploy",
        })
    }
}

const fn hub(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Hub, purpose }
}

const fn option(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Options, purpose }
}

const fn podman(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Podman, purpose }
}

const fn swarm(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Swarm, purpose }
}

const fn backup(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Backup, purpose }
}

const fn deploy(method: &'static str, path: &'static str, purpose: &'static str) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Deploy, purpose }
}

/// Everything the daemon is asked for. Copies and deployments also ask for what
/// the hub asks for.
pub const ENDPOINTS: &[Endpoint] = &[
    hub("GET", "/version", "check that the daemon is new enough"),
    hub("GET", "/_ping", "look whether the daemon is there"),
    hub("GET", "/info", "learn how much memory there is, and where logs go"),
    hub("GET", "/events", "notice when a server ends"),
    hub("GET", "/containers/json", "find servers by their labels"),
    hub("POST", "/containers/create", "make a server's container"),
    hub("GET", "/containers/{}/json", "see whether a server runs, and where"),
    hub("POST", "/containers/{}/start", "start a server"),
    hub("POST", "/containers/{}/stop", "stop a server"),
    hub("POST", "/containers/{}/kill", "stop a server at once"),
    hub("DELETE", "/containers/{}", "remove a stopped server's container"),
    hub("GET", "/containers/{}/logs", "show a server's log and last words"),
    hub("GET", "/images/{}/json", "see whether an image is there, and its command"),
    hub("POST", "/images/create", "pull an image; not needed with pull_policy never or skip"),
    hub("GET", "/networks", "find the servers' network"),
    hub("POST", "/networks/create", "make the servers' network; not needed if it is there"),
    hub("GET", "/volumes/{}", "look for a user's volume of an older spawner"),
    hub("POST", "/volumes/create", "make a user's volume"),
    hub("HEAD", "/containers/{}/archive", "see whether the image has a new volume's place"),
    hub("PUT", "/containers/{}/archive", "give a new volume to its user; also copy files into it"),
    hub("POST", "/containers/{}/update", "change the limits of a running server"),
    option("POST", "/containers/{}/exec", "run post_start_cmd; also what an operator runs"),
    option("POST", "/exec/{}/start", "run that command"),
    option("GET", "/exec/{}/json", "read that command's exit code"),
    option("POST", "/networks/{}/connect", "take a container into a user's or further network"),
    option("POST", "/networks/{}/disconnect", "take the hub out of a user's network"),
    option("DELETE", "/networks/{}", "remove the network of a user without servers"),
    hub("GET", "/volumes", "find a deleted user's volumes; also disk limits and copies"),
    option("GET", "/system/df", "measure users' volumes"),
    option("DELETE", "/volumes/{}", "remove a deleted user's volume"),
    podman("POST", "/containers/{}/unpause", "stop a server that is paused"),
    swarm("GET", "/nodes", "see which machines there are, and whether they answer"),
    swarm("GET", "/services", "find servers by their labels"),
    swarm("POST", "/services/create", "make a server's service"),
    swarm("GET", "/services/{}", "see whether a name is taken"),
    swarm("DELETE", "/services/{}", "stop a server"),
    swarm("GET", "/services/{}/logs", "show a server's log and last words"),
    swarm("GET", "/tasks", "see whether servers run, and where"),
    swarm("GET", "/secrets", "find the secret of a server; only with token_secrets"),
    swarm("POST", "/secrets/create", "keep a server's token; only with token_secrets"),
    swarm("DELETE", "/secrets/{}", "remove that secret; only with token_secrets"),
    backup("GET", "/containers/{}/archive", "copy files out of a volume"),
    deploy("POST", "/build", "build an image"),
    deploy("POST", "/images/{}/tag", "name an image"),
    deploy("DELETE", "/images/{}", "remove an image"),
    deploy("POST", "/containers/{}/rename", "keep the old container until the new one works"),
    deploy("POST", "/containers/{}/wait", "wait for a job's end"),
];

impl Endpoint {
    /// Whether a hub whose servers are services of a swarm asks for it.
    pub fn is_for_swarm(&self) -> bool {
        let is_common =
            matches!(self.path, "/version" | "/_ping" | "/info" | "/networks" | "/networks/create");
        self.user == EndpointUser::Swarm || self.user == EndpointUser::Hub && is_common
    }

    /// Whether a request with this method and path, without query, is of this
    /// kind.
    pub fn allows(&self, method: &str, path: &str) -> bool {
        method == self.method
            && match self.path.split_once("{}") {
                None => path == self.path,
                Some((before, after)) => {
                    path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(
                        |name| !name.is_empty() && (before == "/images/" || !name.contains('/')),
                    )
                }
            }
    }
}

impl fmt::Display for Endpoint {
    /// Method and path, as in a filter's configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6} {}", self.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Vec<&'static str> {
        ENDPOINTS.iter().filter(|one| one.allows(method, path)).map(|one| one.path).collect()
    }

    #[test]
    fn api_7_of_what_a_hub_asks_for_some_is_for_a_swarm() {
        let is_for_swarm = |method: &str, path: &str| {
            let is_it = |one: &&Endpoint| (one.method, one.path) == (method, path);
            ENDPOINTS.iter().find(is_it).unwrap().is_for_swarm()
        };
        for (method, path) in [("GET", "/info"), ("GET", "/tasks"), ("POST", "/services/create")] {
            assert!(is_for_swarm(method, path), "{path}");
        }
        for (method, path) in [("POST", "/containers/create"), ("GET", "/volumes/{}")] {
            assert!(!is_for_swarm(method, path), "{path}");
        }
    }

    #[test]
    fn api_7_a_request_is_of_one_kind_at_most() {
        assert_eq!(found("GET", "/containers/abc/json"), ["/containers/{}/json"]);
        assert_eq!(found("GET", "/containers/json"), ["/containers/json"]);
        assert_eq!(found("GET", "/images/r.example/a/b:1/json"), ["/images/{}/json"]);
        assert_eq!(found("POST", "/containers/abc/start"), ["/containers/{}/start"]);
        assert!(found("POST", "/containers/abc/attach").is_empty());
        assert!(found("GET", "/containers/a/b/json").is_empty());
        assert_eq!(found("GET", "/services/abc/logs"), ["/services/{}/logs"]);
        assert_eq!(found("GET", "/services/abc"), ["/services/{}"]);
        assert!(found("GET", "/containers//json").is_empty());
    }
}
