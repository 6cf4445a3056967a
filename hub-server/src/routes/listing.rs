//! The proxy's routes as the REST API shows them: pure.

use std::collections::BTreeMap;

use hub_names::ServerKey;
use hub_proxy::RouteTable;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::path::RoutePath;
use crate::web::paths::Paths;

/// A route of this hub.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RouteShown {
    /// Where it begins: escaped, with a slash at its end.
    pub(crate) routespec: String,
    /// Where it leads.
    pub(crate) target: String,
    /// What is kept about it, the time of last use included.
    pub(crate) data: Map<String, Value>,
}

/// The routes of a table in this process. Whose each is follows from where it begins;
/// all else goes to the hub, whose own address is where its API is, and which is in
/// use `now`: it is being asked.
pub(super) fn of_table(
    paths: &Paths,
    api_url: &str,
    table: &RouteTable,
    servers: &[ServerKey],
    now: Timestamp,
) -> Vec<RouteShown> {
    let origin = |url: Url| url.origin().ascii_serialization();
    let own = RouteShown {
        routespec: paths.hub_route().to_owned(),
        target: Url::parse(api_url).map(origin).unwrap_or_default(),
        data: data(json!({ "hub": true }), now),
    };
    let owners: BTreeMap<RoutePath, &ServerKey> =
        servers.iter().map(|key| (RoutePath::of_escaped(&paths.server_route(key)), key)).collect();
    let routes = table.snapshot().into_iter().map(|route| {
        let path = RoutePath::of_escaped(&route.prefix.to_string());
        let owner = match owners.get(&path) {
            Some(key) => json!({
                "user": key.user().as_str(), "server_name": key.server().as_str(),
            }),
            None => match paths.service_of(paths.route_path(&route.prefix.to_string())) {
                Some(service) => json!({ "service": service }),
                None => json!({}),
            },
        };
        RouteShown {
            routespec: spec(paths, &path),
            target: plain(route.target.as_url().as_str()),
            data: data(owner, route.last_used.unwrap_or(route.added)),
        }
    });
    std::iter::once(own).chain(routes).collect()
}

/// The routes of a proxy elsewhere that a hub has added.
pub(super) fn of_proxy(paths: &Paths, table: BTreeMap<RoutePath, Value>) -> Vec<RouteShown> {
    let ours = table.into_iter().filter_map(|(path, value)| {
        let Value::Object(mut data) = value else { return None };
        data.remove("jupyterhub").filter(|mark| *mark == Value::Bool(true))?;
        let target = data.remove("target").and_then(|target| target.as_str().map(plain));
        Some(RouteShown { routespec: spec(paths, &path), target: target.unwrap_or_default(), data })
    });
    ours.collect()
}

fn spec(paths: &Paths, path: &RoutePath) -> String {
    match path.is_root() {
        true => path.to_string(),
        false => format!("{}/", paths.routespec(&path.to_string())),
    }
}

fn plain(target: &str) -> String {
    target.trim_end_matches('/').to_owned()
}

fn data(owner: Value, at: Timestamp) -> Map<String, Value> {
    let Value::Object(mut data) = owner else { return Map::new() };
    let text = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    data.insert("last_activity".to_owned(), Value::String(text));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_here_and_a_proxy_elsewhere_look_alike() {
        let paths = Paths::new("/jupyter/");
        let key = ServerKey::default_of("al.ice+x".parse().unwrap());
        let table = RouteTable::default();
        for (prefix, target) in [
            (paths.server(&key), "http://127.0.0.1:4711"),
            ("/jupyter/services/a%20b/".to_owned(), "http://127.0.0.1:4712"),
        ] {
            let target: Url = target.parse().unwrap();
            table.insert(prefix.parse().unwrap(), target.try_into().unwrap());
        }
        let here = of_table(
            &paths,
            "http://10.0.0.1:8081/jupyter/hub/api",
            &table,
            &[key],
            Timestamp::UNIX_EPOCH,
        );
        let listed = [
            (
                "/jupyter",
                json!({ "hub": true, "target": "http://10.0.0.1:8081", "jupyterhub": true }),
            ),
            (
                "/jupyter/services/a b",
                json!({
                    "service": "a b", "target": "http://127.0.0.1:4712", "jupyterhub": true,
                }),
            ),
            (
                "/jupyter/user/al.ice+x",
                json!({
                    "user": "al.ice+x", "server_name": "", "target": "http://127.0.0.1:4711",
                    "jupyterhub": true,
                }),
            ),
            ("/foreign", json!({ "target": "http://127.0.0.1:9" })),
        ];
        let listed = listed.map(|(path, data)| (RoutePath::of_listed(path), data));
        let elsewhere = of_proxy(&paths, listed.into_iter().collect());
        let timeless = |routes: Vec<RouteShown>| -> Vec<RouteShown> {
            let strip = |mut route: RouteShown| {
                route.data.remove("last_activity");
                route
            };
            routes.into_iter().map(strip).collect()
        };
        let specs: Vec<&str> = here.iter().map(|route| route.routespec.as_str()).collect();
        assert_eq!(specs, ["/jupyter/", "/jupyter/services/a%20b/", "/jupyter/user/al.ice%2Bx/"]);
        assert_eq!(timeless(here), timeless(elsewhere));
    }
}
