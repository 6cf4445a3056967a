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
