//! Paths that an operator writes for the hub: which of them its container has.
//!
//! What is below the directory of `hub.toml` is copied into the hub's volume with
//! it; what the hub writes has to be in that volume, where no deployment removes
//! it again.

use hub_server::config::key::{self, Kind};

use super::{HubConfig, Problem, hub_config::variable};
use crate::deploy::{
    files::{CONFIG_DIR, SECRETS_DIR},
    variables::Variables,
};

/// The list of users is brought, whichever way it is named.
pub(in crate::deploy) const USERLIST: &str = "auth.userlist";

/// What the hub writes, of which an operator may choose the place.
const WRITTEN: [&str; 2] = ["store.url", "store.cookie_secret_file"];

/// Paths that the hub's container would not have, or would lose.
pub(super) fn problems(config: &HubConfig, variables: &Variables, data_dir: &str) -> Vec<Problem> {
    let read = key::keys()
        .filter(|key| matches!(key.kind, Kind::File | Kind::Directory) && key.name != USERLIST);
    let mut problems: Vec<Problem> = read
        .filter_map(|key| {
            let name = variable(key.name);
            let path = variables.get(&name)?;
            let (table, last) = key.name.rsplit_once('.')?;
            Some(Problem(format!(
                "{name}: {path:?} is a file of this machine, which the hub's container does not \
                 have; put it beside hub.toml and write there, as {last} in [{table}], where it is"
            )))
        })
        .collect();
    for key in WRITTEN {
        let Some((name, value)) = config.get(variables, key) else { continue };
        let Some(path) = file(key, &value) else { continue };
        if !is_kept(path, data_dir) {
            problems.push(Problem(format!(
                "{name}: {value:?} is not in the hub's volume to stay; leave it out, or name a \
                 file below {data_dir}/ that is not in {CONFIG_DIR}/ or {SECRETS_DIR}/ there"
            )));
        }
    }
    problems
}

/// The file that a value names; `None` if it names something else.
fn file<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    if key != "store.url" {
        return Some(value);
    }
    let path = match value.split_once("://") {
        Some(("sqlite", path)) => path,
        Some(_) => return None,
        None => value,
    };
    (path != ":memory:").then_some(path)
}

fn is_kept(path: &str, data_dir: &str) -> bool {
    let path = path.replacen("//", "/", 1);
    let Some(below) = path.strip_prefix(data_dir).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    let first = below.split('/').next().unwrap_or_default();
    ![CONFIG_DIR, SECRETS_DIR, "", ".", ".."].contains(&first) && !below.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &[(&str, &str)]) -> Vec<String> {
        let variables = given.iter().copied().collect();
        let problems = problems(&HubConfig::default(), &variables, "/data");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_would_not_be_in_the_container_is_told_with_its_key() {
        let said = told(&[("HUB__PAGES__TEMPLATES", "pages")]);
        assert!(said[0].starts_with("HUB__PAGES__TEMPLATES"), "{said:?}");
        assert!(said[0].contains("as templates in [pages]"), "{said:?}");
        let said = told(&[("HUB__AUTH__GITHUB__CLIENT_SECRET_FILE", "/run/secret")]);
        assert!(said[0].contains("as client_secret_file in [auth.github]"), "{said:?}");
        assert_eq!(told(&[("HUB__AUTH__USERLIST", "users.txt")]), [""; 0], "is brought");
    }

    #[test]
    fn what_the_hub_writes_stays_in_its_volume() {
        for (name, value, is_fine) in [
            ("HUB__STORE__URL", "sqlite:///data/hub.sqlite", true),
            ("HUB__STORE__URL", "sqlite:////data/hub.sqlite", true),
            ("HUB__STORE__URL", "/data/state/hub.sqlite", true),
            ("HUB__STORE__URL", "postgres://db/hub", true),
            ("HUB__STORE__URL", "sqlite://hub.sqlite", false),
            ("HUB__STORE__URL", "sqlite:///data/config/hub.sqlite", false),
            ("HUB__STORE__URL", "sqlite:///database/hub.sqlite", false),
            ("HUB__STORE__COOKIE_SECRET_FILE", "/data/cookie", true),
            ("HUB__STORE__COOKIE_SECRET_FILE", "cookie", false),
            ("HUB__STORE__COOKIE_SECRET_FILE", "/data/x/../config/cookie", false),
        ] {
            let said = told(&[(name, value)]);
            assert_eq!(said.is_empty(), is_fine, "{value}: {said:?}");
        }
    }
}
