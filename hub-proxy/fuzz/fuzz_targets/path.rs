//! A prefix and a path: no panic, one way to write each prefix, and no path that
//! leads out of what it says.
#![no_main]

use hub_proxy::{RoutePrefix, RouteTable, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (prefix, path) = input.split_once('\n').unwrap_or(("/p", input));
    let table = RouteTable::default();
    let target: Target = "http://h:1/base".parse().unwrap();
    if let Ok(prefix) = prefix.parse::<RoutePrefix>() {
        let shown = prefix.to_string();
        assert_eq!(shown.parse::<RoutePrefix>().unwrap(), prefix, "{shown}");
        table.insert(prefix.clone(), target.clone());
        let found = table.resolve(&shown).unwrap_or_else(|| panic!("{shown} finds nothing"));
        assert_eq!(*found.prefix(), prefix);
    }
    table.insert("/".parse().unwrap(), target);
    let found = table.resolve(path);
    let plain = path.split('?').next().unwrap_or_default();
    if plain.split('/').any(|segment| matches!(segment, "." | "..")) {
        assert!(found.is_none() || path.contains('?'), "{path}");
    }
    if let Some(found) = found {
        let (prefix, path) = (found.prefix().to_string(), format!("{}x", found.prefix()));
        // That or a longer one: `x` may be a route of its own.
        let below = table.resolve(&path).unwrap().prefix().to_string();
        assert!(below.starts_with(&prefix), "{path} finds {below}");
    }
});
