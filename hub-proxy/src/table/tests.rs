use proptest::prelude::*;

use super::*;

fn prefix(raw: &str) -> RoutePrefix {
    raw.parse().unwrap()
}

fn target(name: &str) -> Target {
    format!("http://{name}").parse().unwrap()
}

/// A table where each route's target is named by its place in `prefixes`.
fn table(prefixes: &[&str]) -> RouteTable {
    let table = RouteTable::default();
    for (at, raw) in prefixes.iter().enumerate() {
        table.insert(prefix(raw), target(&format!("t{at}")));
    }
    table
}

fn led(table: &RouteTable, path: &str) -> Option<String> {
    table.resolve(path).map(|found| found.prefix().to_string())
}

#[test]
fn p_060_to_p_075_paths_find_their_route() {
    let table = table(&["/p", "/a/b", "/user/a@b", "/x y", "/~t", "/__proto__", "/秀樹"]);
    for (path, expected) in [
        ("/p", Some("/p/")),
        ("/p/", Some("/p/")),
        ("/p/q", Some("/p/")),
        ("/p//q", Some("/p/")),
        ("//p/q", Some("/p/")),
        ("/pq", None),
        ("/P", None),
        ("/%70/q", Some("/p/")),
        ("/a%2Fb/c", Some("/a/b/")),
        ("/a", None),
        ("/a//b", None),
        ("/user/a@b/x", Some("/user/a@b/")),
        ("/user/a%40b/x", Some("/user/a@b/")),
        ("/x%20y/z", Some("/x%20y/")),
        ("/%7Et", Some("/~t/")),
        ("/__proto__/x", Some("/__proto__/")),
        ("/constructor", None),
        ("/%E7%A7%80%E6%A8%B9/", Some("/%E7%A7%80%E6%A8%B9/")),
        ("/", None),
        ("/p/../x", None),
        ("/%", None),
    ] {
        assert_eq!(led(&table, path).as_deref(), expected, "{path}");
    }
}

#[test]
fn p_075_long_paths_are_walked_without_recursion() {
    let table = table(&["/"]);
    let deep = format!("/{}", vec!["s"; 1000].join("/"));
    assert_eq!(led(&table, &deep).as_deref(), Some("/"));
    assert_eq!(led(&table, &format!("/{}", "x".repeat(2048))).as_deref(), Some("/"));
    table.insert(prefix(&deep), target("deep"));
    assert_eq!(table.resolve(&deep).unwrap().target(), &target("deep"));
    assert!(table.remove(&prefix(&deep)).is_some());
}

#[test]
fn p_024_p_025_the_longest_prefix_in_whole_segments_wins() {
    let table = table(&["/", "/b", "/b/c", "/b/c/d"]);
    for (path, expected) in
        [("/b/c/d/e", "/b/c/d/"), ("/b/c/dword", "/b/c/"), ("/bb", "/"), ("/b", "/b/"), ("/", "/")]
    {
        assert_eq!(led(&table, path).as_deref(), Some(expected), "{path}");
    }
}

#[test]
fn p_020_removing_a_route_keeps_those_below_and_above() {
    let table = table(&["/", "/a", "/a/b/c", "/z"]);
    assert_eq!(table.remove(&prefix("/a")), Some(target("t1")));
    assert_eq!(led(&table, "/a/x").as_deref(), Some("/"));
    assert_eq!(led(&table, "/a/b/c/x").as_deref(), Some("/a/b/c/"));
    assert_eq!(table.remove(&prefix("/a")), None);
    assert_eq!(table.remove(&prefix("/a/b/c")), Some(target("t2")));
    assert!(!table.root.load().children.contains_key("a"), "empty nodes are pruned");
    assert_eq!(table.remove(&prefix("/")), Some(target("t0")));
    assert_eq!(led(&table, "/a"), None);
    assert_eq!(led(&table, "/z").as_deref(), Some("/z/"));
}

#[test]
fn p_080_inserting_replaces_and_returns_what_was_there() {
    let table = RouteTable::default();
    assert_eq!(table.insert(prefix("/a"), target("one")), None);
    assert_eq!(table.insert(prefix("/a/"), target("two")), Some(target("one")));
    assert_eq!(table.resolve("/a").unwrap().target(), &target("two"));
    assert_eq!(table.snapshot().len(), 1);
}

#[test]
fn a_new_route_is_unused_and_the_same_target_again_keeps_its_time() {
    let table = table(&["/a"]);
    assert_eq!(table.last_used(&prefix("/a")), None);
    table.lookup("/a").unwrap().touch();
    let used = table.last_used(&prefix("/a"));
    assert!(used.is_some());
    table.insert(prefix("/a"), target("t0"));
    assert_eq!(table.last_used(&prefix("/a")), used);
    table.insert(prefix("/a"), target("other"));
    assert_eq!(table.last_used(&prefix("/a")), None);
}

#[test]
fn clones_share_one_table() {
    let table = table(&[]);
    table.clone().insert(prefix("/a"), target("t"));
    assert_eq!(led(&table, "/a").as_deref(), Some("/a/"));
}

proptest! {
    #[test]
    fn p_061_lookup_agrees_with_comparing_segments(
        prefixes in prop::collection::vec("(/[ab]{1,2}){0,3}", 0..8),
        removed in prop::collection::vec("(/[ab]{1,2}){0,3}", 0..3),
        path in "(/[ab]{1,2}){0,4}",
    ) {
        let table = RouteTable::default();
        let mut left = std::collections::BTreeSet::new();
        for raw in &prefixes {
            table.insert(prefix(raw), target("t"));
            left.insert(raw.clone());
        }
        for raw in &removed {
            table.remove(&prefix(raw));
            left.remove(raw);
        }
        let expected = left
            .iter()
            .filter(|p| path == **p || path.starts_with(&format!("{p}/")))
            .max_by_key(|p| p.len())
            .map(|p| prefix(p).to_string());
        prop_assert_eq!(led(&table, &path), expected);
        prop_assert_eq!(table.snapshot().len(), left.len());
    }
}

fn prefixes(table: &RouteTable) -> Vec<String> {
    table.snapshot().into_iter().map(|route| route.prefix.to_string()).collect()
}

#[test]
fn p_021_p_081_p_084_p_089_an_empty_table_has_nothing() {
    let table = RouteTable::default();
    assert!(table.resolve("/").is_none() && table.resolve("/a/b").is_none());
    assert!(table.snapshot().is_empty());
    assert_eq!(table.last_used(&prefix("/a")), None);
    assert_eq!(table.remove(&prefix("/a")), None);
    assert_eq!(table.insert(prefix("/b@r/b%20r"), target("h")), None);
    assert_eq!(table.remove(&prefix("/a")), None, "beside another");
    assert_eq!(prefixes(&table), [prefix("/b@r/b%20r").to_string()], "as it was given");
}

#[test]
fn p_001_to_p_003_p_022_the_root_takes_every_path() {
    let table = table(&["/"]);
    for path in ["", "/", "//", "/any", "/any/random/url", "/a%20b"] {
        let found = table.resolve(path).unwrap();
        assert_eq!(found.prefix().to_string(), "/", "{path:?}");
        assert_eq!(found.target(), &target("t0"), "{path:?}");
    }
}

#[test]
fn p_023_p_026_p_083_routes_of_any_depth_are_kept_and_take_nothing_above() {
    let table = table(&["/foo", "/bar/leaf", "/a/b/c/d"]);
    let mut all = prefixes(&table);
    all.sort();
    assert_eq!(all, ["/a/b/c/d/", "/bar/leaf/", "/foo/"]);
    for path in ["/", "/bar", "/a", "/a/b/c", "/a/b/c/x"] {
        assert_eq!(led(&table, path), None, "{path}");
    }
    for (path, name) in [("/foo/x", "t0"), ("/bar/leaf", "t1"), ("/a/b/c/d/e/f", "t2")] {
        assert_eq!(table.resolve(path).unwrap().target(), &target(name), "{path}");
    }
}

#[test]
fn p_027_a_deeper_route_changes_nothing_above_it() {
    let table = table(&["/"]);
    table.insert(prefix("/prefix/sub/tree"), target("deep"));
    for path in ["/prefix", "/prefix/sub", "/prefix/sub/x"] {
        assert_eq!(led(&table, path).as_deref(), Some("/"), "{path}");
    }
    table.insert(prefix("/prefix"), target("above"));
    for path in ["/prefix", "/prefix/sub", "/prefix/sub/x"] {
        assert_eq!(led(&table, path).as_deref(), Some("/prefix/"), "{path}");
    }
    assert_eq!(led(&table, "/prefix/sub/tree/x").as_deref(), Some("/prefix/sub/tree/"));
}

#[test]
fn p_028_p_029_p_088_without_a_route_its_paths_fall_back_and_the_root_can_go() {
    let table = table(&["/", "/prefix"]);
    assert_eq!(table.remove(&prefix("/prefix/")), Some(target("t1")));
    assert_eq!(led(&table, "/prefix/x").as_deref(), Some("/"));
    assert_eq!(table.remove(&prefix("/")), Some(target("t0")));
    assert_eq!(led(&table, "/prefix/x"), None);
    assert!(table.snapshot().is_empty());
}

#[test]
fn p_082_p_085_p_086_r_30_the_table_is_filled_read_and_replaced_by_its_user() {
    let table = RouteTable::default();
    assert_eq!(table.insert(prefix("/a"), target("one")), None);
    assert_eq!(table.resolve("/a/x").unwrap().target(), &target("one"));
    assert_eq!(table.insert(prefix("/a"), target("two")), Some(target("one")));
    table.insert(prefix("/gone"), target("three"));
    table.lookup("/a").unwrap().touch();
    let used = table.last_used(&prefix("/a"));
    assert!(used.is_some());

    let shared = table.clone();
    table.replace([(prefix("/a"), target("two")), (prefix("/b"), target("four"))]);
    assert_eq!(shared.last_used(&prefix("/a")), used, "what stays keeps its time");
    let mut all = prefixes(&shared);
    all.sort();
    assert_eq!(all, ["/a/", "/b/"]);
    table.replace([(prefix("/a"), target("five"))]);
    assert_eq!(shared.last_used(&prefix("/a")), None, "another server was not used yet");
}

#[test]
fn p_036_p_043_escapes_and_what_they_stand_for_are_one_route() {
    let table = table(&["/b@r/b r"]);
    for path in ["/b%40r/b%20r/x", "/b@r/b%20r/x", "/b@r/b r"] {
        assert!(led(&table, path).is_some(), "{path}");
    }
    assert_eq!(led(&table, "/b%2540r/b%20r"), None, "decoded once");
}
