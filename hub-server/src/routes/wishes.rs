//! What the proxy's table is to be, and what that takes: pure.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::ServerKey;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::path::RoutePath;

/// A route as we add it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    /// Where it leads.
    pub(super) target: Url,
    /// What is there.
    pub(super) owner: Owner,
}

/// What a route leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Owner {
    /// The hub itself.
    Hub,
    /// A single-user server.
    Server(ServerKey),
    /// A service, by name.
    Service(String),
}

/// A route as the proxy has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// Where it leads, if that is a URL.
    pub(super) target: Option<Url>,
    /// Whether a hub added it; others are left alone.
    pub(super) ours: bool,
    /// When it was last used, or added.
    pub(super) last_activity: Option<Timestamp>,
}

/// The wishes for the whole table.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    routes: BTreeMap<RoutePath, Wish>,
    /// Routes that are known to be there and should not.
    leaving: BTreeSet<RoutePath>,
    /// How many times a look at the whole table was asked for, and which of these
    /// the last look answered.
    checks: (u64, u64),
}

/// The wish for one path.
#[derive(Debug, PartialEq)]
enum Wish {
    /// Whatever there is stays.
    AsFound,
    /// To be there; not known to be.
    Wanted(Route),
    /// There. `added` is the time the proxy gave it when we added it, which is no
    /// use; `None` if it was there before us.
    Placed { route: Route, added: Option<Timestamp> },
}

/// What makes the proxy's table the wanted one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) add: Vec<(RoutePath, Route)>,
    pub(super) remove: Vec<RoutePath>,
}

impl Route {
    /// The body of the request that adds it, as JupyterHub writes it.
    pub(super) fn body(&self) -> Value {
        let target = self.target.as_str().trim_end_matches('/');
        match &self.owner {
            Owner::Hub => json!({ "hub": true, "target": target, "jupyterhub": true }),
            Owner::Service(name) => {
                json!({ "service": name, "target": target, "jupyterhub": true })
            }
            Owner::Server(key) => json!({
                "user": key.user().as_str(),
                "server_name": key.server().as_str(),
                "target": target,
                "jupyterhub": true,
            }),
        }
    }
}

impl Listed {
    /// Whether it is the route that we would add.
    pub(super) fn is(&self, route: &Route) -> bool {
        self.ours && self.target.as_ref() == Some(&route.target)
    }
}

impl Wishes {
    /// Whatever route is there stays.
    pub(super) fn keep(&mut self, path: RoutePath) {
        self.leaving.remove(&path);
        self.routes.entry(path).or_insert(Wish::AsFound);
    }

    /// The route is to be there. Nothing happens if it is.
    pub(super) fn want(&mut self, path: RoutePath, wanted: Route) {
        self.leaving.remove(&path);
        if !matches!(self.routes.get(&path), Some(Wish::Placed { route, .. }) if *route == wanted) {
            self.routes.insert(path, Wish::Wanted(wanted));
        }
    }

    /// No route is to be there.
    pub(super) fn forget(&mut self, path: RoutePath) {
        self.routes.remove(&path);
        self.leaving.insert(path);
    }

    /// Whether nothing remains to be done for this path.
    pub(super) fn is_settled(&self, path: &RoutePath) -> bool {
        !matches!(self.routes.get(path), Some(Wish::Wanted(_))) && !self.leaving.contains(path)
    }

    /// Asks for a look at the whole table; the number of this request.
    pub(super) fn ask_for_check(&mut self) -> u64 {
        self.checks.0 += 1;
        self.checks.0
    }

    /// The number of the last such request.
    pub(super) fn checks_asked(&self) -> u64 {
        self.checks.0
    }

    /// The table was read and mended for all requests up to this one.
    pub(super) fn checked(&mut self, request: u64) {
        self.checks.1 = self.checks.1.max(request);
    }

    /// Whether the table was read and mended after this request.
    pub(super) fn is_checked(&self, request: u64) -> bool {
        self.checks.1 >= request
    }

    /// Whether somebody waits for a look at the whole table.
    pub(super) fn is_check_due(&self) -> bool {
        self.checks.1 < self.checks.0
    }

    /// Whether anything remains to be done that is known without asking.
    pub(super) fn has_work(&self) -> bool {
        self.is_check_due()
            || !self.leaving.is_empty()
            || self.routes.values().any(|wish| matches!(wish, Wish::Wanted(_)))
    }

    /// How many routes there are to be.
    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether a time of last use that the proxy tells is one.
    pub(super) fn is_use(&self, path: &RoutePath, at: Timestamp) -> bool {
        match self.routes.get(path) {
            Some(Wish::Placed { added, .. }) => added.is_none_or(|added| at > added),
            Some(Wish::AsFound) => true,
            Some(Wish::Wanted(_)) | None => false,
        }
    }

    /// What is left to do if all that was done is still there.
    pub(super) fn work(&self) -> Plan {
        let wanted = |(path, wish): (&RoutePath, &Wish)| match wish {
            Wish::Wanted(route) => Some((path.clone(), route.clone())),
            Wish::AsFound | Wish::Placed { .. } => None,
        };
        Plan {
            add: self.routes.iter().filter_map(wanted).collect(),
            remove: self.leaving.iter().cloned().collect(),
        }
    }

    /// Takes up what the proxy says it has, and says what is left to do.
    pub(super) fn compare(&mut self, listed: &BTreeMap<RoutePath, Listed>) -> Plan {
        for (path, wish) in &mut self.routes {
            let found = listed.get(path);
            let (route, added) = match wish {
                Wish::AsFound => continue,
                Wish::Wanted(route) => (route.clone(), None),
                Wish::Placed { route, added } => (route.clone(), *added),
            };
            *wish = match found {
                Some(found) if found.is(&route) => Wish::Placed { route, added },
                Some(_) | None => Wish::Wanted(route),
            };
        }
        self.leaving = listed
            .iter()
            .filter(|(path, found)| found.ours && !self.routes.contains_key(path))
            .map(|(path, _)| path.clone())
            .collect();
        self.work()
    }

    /// The proxy has taken the route, and gave it this time. What was wished
    /// meanwhile counts more.
    pub(super) fn added(&mut self, path: &RoutePath, taken: &Route, at: Option<Timestamp>) {
        if let Some(wish) = self.routes.get_mut(path)
            && matches!(wish, Wish::Wanted(route) if route == taken)
        {
            *wish = Wish::Placed { route: taken.clone(), added: at };
        }
    }

    /// The proxy has no such route any more.
    pub(super) fn removed(&mut self, path: &RoutePath) {
        self.leaving.remove(path);
    }
}

#[cfg(test)]
mod tests;
