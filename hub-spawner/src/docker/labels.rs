//! The labels on everything we make, by which we find it again (SPN-7).

use hub_names::{ServerKey, ServerName, UserName};

use crate::engine::Labels;

const DEPLOYMENT: &str = "hub.deployment";
const USER: &str = "hub.user";
const SERVER: &str = "hub.server";
const KIND: &str = "hub.kind";
const SPEC_HASH: &str = "hub.spec-hash";
const VERSION: &str = "hub.version";
const GPUS: &str = "hub.gpus";
const PORT: &str = "hub.port";

/// By which all servers of a deployment are found.
pub(super) fn of_servers(deployment: &str) -> Labels {
    labels([(DEPLOYMENT, deployment), (KIND, "server")])
}

/// By which the containers of one server are found.
pub(super) fn of_server(deployment: &str, key: &ServerKey) -> Labels {
    let mut all = of_servers(deployment);
    all.extend(labels([(USER, key.user().as_str()), (SERVER, key.server().as_str())]));
    all
}

/// By which the containers of all servers of a user are found.
pub(super) fn of_servers_of(deployment: &str, user: &UserName) -> Labels {
    let mut all = of_servers(deployment);
    all.extend(labels([(USER, user.as_str())]));
    all
}

/// By which all volumes of a deployment are found.
pub(super) fn of_volumes(deployment: &str) -> Labels {
    labels([(DEPLOYMENT, deployment), (KIND, "volume")])
}

/// By which the volumes of a user are found.
pub(super) fn of_volumes_of(deployment: &str, user: &UserName) -> Labels {
    let mut all = of_volumes(deployment);
    all.extend(labels([(USER, user.as_str())]));
    all
}

/// What a server's container is labelled with. Labels are readable by everyone
/// at the daemon, so nothing secret may be among them.
pub(super) fn for_container(deployment: &str, key: &ServerKey, spec_hash: &str) -> Labels {
    let mut all = of_server(deployment, key);
    all.extend(labels([(SPEC_HASH, spec_hash), (VERSION, env!("CARGO_PKG_VERSION"))]));
    all
}

/// What a network that we make is labelled with.
pub(super) fn of_network(deployment: &str) -> Labels {
    of_kind(deployment, "network")
}

/// What the secret of one server is labelled with.
#[cfg(feature = "swarm")]
pub(super) fn of_secret(deployment: &str, key: &ServerKey) -> Labels {
    let mut all = of_server(deployment, key);
    all.insert(KIND.to_owned(), "secret".to_owned());
    all
}

/// By which all that is of this kind is found, of whatever version of the hub.
pub(super) fn all_of_kind(deployment: &str, kind: &str) -> Labels {
    labels([(DEPLOYMENT, deployment), (KIND, kind)])
}

/// What the network of one user is labelled with.
pub(super) fn of_network_of(deployment: &str, user: &UserName) -> Labels {
    let mut all = of_network(deployment);
    all.insert(USER.to_owned(), user.as_str().to_owned());
    all
}

/// What a container is labelled with that has these for itself alone.
pub(super) fn of_assigned(gpus: Option<&[String]>, port: Option<u16>) -> Labels {
    let gpus = gpus.map(|ids| (GPUS.to_owned(), ids.join(",")));
    let port = port.map(|port| (PORT.to_owned(), port.to_string()));
    gpus.into_iter().chain(port).collect()
}

/// The graphics processors that a container has for itself alone.
pub(super) fn gpus(found: &Labels) -> impl Iterator<Item = String> {
    let ids = found.get(GPUS).map(String::as_str).unwrap_or_default();
    ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The port of the host that a container has for itself alone.
pub(super) fn port(found: &Labels) -> Option<u16> {
    found.get(PORT)?.parse().ok()
}

/// What something of this kind that we make is labelled with.
pub(super) fn of_kind(deployment: &str, kind: &str) -> Labels {
    labels([(DEPLOYMENT, deployment), (KIND, kind), (VERSION, env!("CARGO_PKG_VERSION"))])
}

/// What a volume is labelled with: whose it is, as far as its name says so.
pub(super) fn of_volume(deployment: &str, owner: VolumeOwner<'_>) -> Labels {
    let mut all = of_network(deployment);
    all.insert(KIND.to_owned(), "volume".to_owned());
    if let Some(user) = owner.user {
        all.insert(USER.to_owned(), user.to_owned());
    }
    if let Some(server) = owner.server {
        all.insert(SERVER.to_owned(), server.to_owned());
    }
    all
}

/// Whose a volume is: nobody's, a user's, or one server's.
#[derive(Clone, Copy, Debug)]
pub(super) struct VolumeOwner<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) server: Option<&'a str>,
}

/// Whether a volume with these labels may be given to `owner`. One without our
/// labels may: it is older than this hub, or an operator's.
pub(super) fn volume_fits(found: &Labels, deployment: &str, owner: VolumeOwner<'_>) -> bool {
    let fits = |key: &str, wanted: Option<&str>| match (found.get(key), wanted) {
        (Some(found), Some(wanted)) => found == wanted,
        _ => true,
    };
    fits(DEPLOYMENT, Some(deployment)) && fits(USER, owner.user) && fits(SERVER, owner.server)
}

/// Whether a volume with these labels, whose name is made of `user`'s, is this user's
/// alone. One with our labels and no user's is for several.
pub(super) fn volume_is_of(found: &Labels, deployment: &str, user: &UserName) -> bool {
    match found.get(DEPLOYMENT) {
        Some(_) => is_of_deployment(found, deployment) && self::user(found) == Some(user.as_str()),
        None => self::user(found).is_none_or(|owner| owner == user.as_str()),
    }
}

/// Whose these labels say it is.
pub(super) fn user(found: &Labels) -> Option<&str> {
    found.get(USER).map(String::as_str)
}

/// Which of its user's servers these labels say it belongs to.
pub(super) fn server(found: &Labels) -> Option<&str> {
    found.get(SERVER).map(String::as_str)
}

/// Whether these are labels of this deployment.
pub(super) fn is_of_deployment(found: &Labels, deployment: &str) -> bool {
    found.get(DEPLOYMENT).is_some_and(|name| name == deployment)
}

/// Whether these are labels of this server's container.
pub(super) fn is_of_server(found: &Labels, deployment: &str, key: &ServerKey) -> bool {
    of_server(deployment, key).iter().all(|(name, value)| found.get(name) == Some(value))
}

/// The hash of what the container with these labels was made of.
pub(super) fn spec_hash(found: &Labels) -> Option<&str> {
    found.get(SPEC_HASH).map(String::as_str)
}

/// Whose server these labels say it is.
pub(super) fn server_key(found: &Labels) -> Option<ServerKey> {
    let user = found.get(USER)?.parse().ok()?;
    let server: ServerName = found.get(SERVER)?.parse().ok()?;
    Some(ServerKey::new(user, server))
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_7_a_container_tells_whose_it_is() {
        let key = ServerKey::new("ada@x.org".parse().unwrap(), "lab".parse().unwrap());
        let found = for_container("hub", &key, "abc");
        assert_eq!(server_key(&found), Some(key.clone()));
        assert!(is_of_server(&found, "hub", &key));
        assert!(!is_of_server(&found, "other", &key));
        assert!(!is_of_server(&found, "hub", &ServerKey::default_of(key.user().clone())));
    }

    #[test]
    fn b6_a_volume_of_another_user_or_deployment_does_not_fit() {
        let ada = VolumeOwner { user: Some("ada"), server: None };
        let bob = VolumeOwner { user: Some("bob"), server: None };
        let found = of_volume("hub", ada);
        assert!(volume_fits(&found, "hub", ada));
        assert!(!volume_fits(&found, "hub", bob));
        assert!(!volume_fits(&found, "other", ada));
        assert!(volume_fits(&Labels::new(), "hub", bob), "not labelled: nobody's yet");
    }

    #[test]
    fn spn_30_a_volume_of_several_or_of_another_hub_is_not_the_users_alone() {
        let ada: UserName = "ada".parse().unwrap();
        let of = |user| of_volume("hub", VolumeOwner { user, server: None });
        assert!(volume_is_of(&of(Some("ada")), "hub", &ada));
        assert!(volume_is_of(&Labels::new(), "hub", &ada), "of before this hub");
        assert!(!volume_is_of(&of(None), "hub", &ada));
        assert!(!volume_is_of(&of(Some("bob")), "hub", &ada));
        assert!(!volume_is_of(&of(Some("ada")), "other", &ada));
    }
}
