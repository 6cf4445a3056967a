//! The variables that many programs read to learn about a forward proxy. Several names
//! mean the same, and often more than one of them is set.

use std::{collections::BTreeMap, path::Path};

use toml::Value;

use super::{Assignment, Given, Overlay};
use crate::config::{ConfigError, secret::read_secret};

/// Who names the proxy, the most exact first. `HTTP_PROXY` is about another kind of
/// address, and providers have https.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What these variables set.
pub(super) fn assignments(
    given: &BTreeMap<String, Given>,
    dir: &Path,
    overlay: &mut Overlay,
) -> Result<Vec<Assignment>, ConfigError> {
    let mut found = Vec::new();
    if let Some((_, one)) = strongest(given, PROXY.map(str::to_owned)) {
        found.push(one.sets("auth.outbound.proxy_url", Value::String(one.value.clone())));
    } else if let Some((name, file)) = strongest(given, PROXY.map(|name| format!("{name}_FILE"))) {
        let path = dir.join(&file.value);
        let url =
            read_secret(&name, &path).map_err(|error| error.at(&|_| Some(file.origin.clone())))?;
        overlay.files.push(path);
        found.push(file.sets("auth.outbound.proxy_url", Value::String(url)));
    }
    if let Some((_, one)) = strongest(given, NO_PROXY.map(str::to_owned)) {
        let entries = one.value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        found.push(
            one.sets("auth.outbound.no_proxy", Value::Array(entries.map(Value::from).collect())),
        );
    }
    Ok(found)
}

/// The variable that counts: that of the strongest place, and there the first.
fn strongest<const N: usize>(
    given: &BTreeMap<String, Given>,
    names: [String; N],
) -> Option<(String, &Given)> {
    let set = names.into_iter().filter_map(|name| given.get(&name).map(|one| (name, one)));
    set.reduce(|first, next| if next.1.rank > first.1.rank { next } else { first })
}
