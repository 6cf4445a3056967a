use hub_names::{ServerKey, UserName};

use super::*;
use crate::{
    role::{Role, server_scopes},
    roles::Roles,
};

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn key(text: &str) -> ServerKey {
    let (name, server) = text.split_once('/').unwrap();
    ServerKey::new(user(name), server.parse().unwrap())
}

fn user_scopes(user: &UserName, admin: bool) -> ScopeSet {
    Roles::default().user_scopes(user, admin, &[])
}

fn issuer(text: &str) -> Issuer {
    Issuer::Server(key(text))
}

fn owner(name: &str) -> Owner {
    Owner::User(user(name))
}

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn expanded(texts: &[&str]) -> ScopeSet {
    ScopeSet::expand(scopes(texts), &owner("alice"), Some(&issuer("alice/")))
}

#[test]
fn scopes_survive_printing() {
    for text in [
        "self",
        "inherit",
        "admin:auth_state",
        "read:users!user=alice",
        "read:users!user=a!b=c",
        "users!group=staff",
        "access:servers!server=alice/",
        "access:servers!server=alice/lab",
        "access:services!service=culler",
        "tokens!user",
        "access:servers!server",
        "read:services:name!service",
        "custom:grades:read!group=class",
    ] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
    for name in ScopeName::ALL {
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
    }
}

#[test]
fn what_is_not_a_scope_is_an_error() {
    let error = |text: &str| text.parse::<Scope>().unwrap_err();
    for text in ["", "user", "Users", "users ", "all", "custom:", "read:users:email"] {
        assert_eq!(error(text), InvalidScope::UnknownName(text.to_owned()));
    }
    for filter in ["", "me", "user=", "user=a/b", "group=", "group", "server=alice", "role=x"] {
        assert_eq!(
            error(&format!("users!{filter}")),
            InvalidScope::InvalidFilter(filter.to_owned())
        );
    }
    assert_eq!(error("self!user=bob"), InvalidScope::FilterNotAllowed(ScopeName::Own));
}

#[test]
fn self_is_what_a_plain_user_was_recorded_to_hold() {
    let names = [
        "access:servers",
        "delete:servers",
        "read:servers",
        "read:shares",
        "read:tokens",
        "read:users",
        "read:users:activity",
        "read:users:groups",
        "read:users:name",
        "read:users:shares",
        "servers",
        "start:servers",
        "tokens",
        "users:activity",
        "users:shares",
    ];
    let expected = names.map(|name| format!("{name}!user=alice"));
    assert_eq!(user_scopes(&user("alice"), false).to_strings(), expected);
}

#[test]
fn an_admin_holds_everything_without_limits() {
    let set = user_scopes(&user("root"), true);
    for name in ScopeName::ALL.iter().filter(|name| !name.is_metascope()) {
        assert_eq!(set.access(name.clone()), Access::All, "{name}");
    }
}

#[test]
fn implied_scopes_follow_the_table() {
    let rows: [(&str, &[&str]); 9] = [
        ("tokens", &["read:tokens", "tokens"]),
        ("read:servers", &["read:servers", "read:users:name"]),
        (
            "admin:groups",
            &[
                "admin:groups",
                "delete:groups",
                "groups",
                "list:groups",
                "read:groups",
                "read:groups:name",
                "read:roles:groups",
            ],
        ),
        ("users:activity!user", &["read:users:activity!user=alice", "users:activity!user=alice"]),
        ("list:users!group=g", &["list:users!group=g", "read:users:name!group=g"]),
        ("access:servers!server", &["access:servers!server=alice/"]),
        // Under a server filter nothing about the account comes along.
        ("read:servers!server=bob/x", &["read:servers!server=bob/x"]),
        ("read:services:name!service", &[]),
        ("inherit", &[]),
    ];
    for (raw, expected) in rows {
        assert_eq!(expanded(&[raw]).to_strings(), expected, "{raw}");
    }
}

#[test]
fn unlimited_beats_limited_in_either_order() {
    for texts in [
        ["read:users:name!user=bob", "read:users:name"],
        ["read:users:name", "read:users:name!user=bob"],
    ] {
        assert_eq!(expanded(&texts).to_strings(), ["read:users:name"]);
    }
}

#[test]
fn own_filters_of_a_service_name_the_service() {
    let service = Owner::Service("culler".to_owned());
    let raw =
        scopes(&["self", "read:services:name!service", "servers!user", "users:activity!server"]);
    let set = ScopeSet::expand(raw, &service, None);
    assert_eq!(set.to_strings(), ["read:services:name!service=culler"]);
}

/// Held × needed × target: the filters in all combinations that matter.
#[test]
fn e1_filtered_scope_matrix() {
    use ScopeName::{AccessServers, ListUsers, ReadServicesName, ReadUsersName, Servers};
    let alice = || Target::user(&user("alice"));
    let bob = || Target::user(&user("bob"));
    let alices = || Target::server(&key("alice/"));
    let alices_lab = || Target::server(&key("alice/lab"));
    let rows: [(&str, ScopeName, Target, bool); 26] = [
        ("servers", Servers, alices(), true),
        ("servers", Servers, Target::whole_hub(), true),
        ("servers", AccessServers, alices(), false),
        ("servers!user=alice", Servers, alices(), true),
        ("servers!user=alice", Servers, alices_lab(), true),
        ("servers!user=alice", Servers, bob(), false),
        ("servers!user=alice", Servers, Target::whole_hub(), false),
        ("servers!user=alice", ReadUsersName, alice(), true),
        ("servers!server=alice/", Servers, alices(), true),
        ("servers!server=alice/", Servers, alices_lab(), false),
        ("servers!server=alice/", Servers, alice(), false),
        ("servers!server=alice/", ReadUsersName, alice(), false),
        ("servers!server=alice/lab", Servers, alices(), false),
        ("list:users!group=g", ListUsers, alice(), false),
        ("list:users!group=g", ListUsers, alice().in_groups(["g"]), true),
        ("list:users!group=g", ListUsers, alice().in_groups(["h"]), false),
        ("list:users!group=g", ListUsers, Target::whole_hub(), false),
        ("servers!group=g", Servers, alices_lab().in_groups(["g"]), true),
        ("groups!group=g", ScopeName::Groups, Target::group("g"), true),
        ("groups!group=g", ScopeName::Groups, Target::group("h"), false),
        ("read:services:name!service=alice", ReadServicesName, Target::service("alice"), true),
        // The same name, of another kind.
        ("tokens!service=alice", ScopeName::Tokens, alice(), false),
        ("tokens!user=alice", ScopeName::Tokens, Target::service("alice"), false),
        ("tokens!group=alice", ScopeName::Tokens, alice(), false),
        ("access:servers!user=alice", AccessServers, Target::server(&key("alic/e")), false),
        ("users!user=alice", ScopeName::AdminUsers, alice(), false),
    ];
    for (held, needed, target, expected) in rows {
        assert_eq!(
            expanded(&[held]).has(needed.clone(), &target),
            expected,
            "{held} for {needed} on {target:?}"
        );
    }
}

#[test]
fn lists_can_ask_for_the_filters() {
    let set = expanded(&["list:users!user=bob", "list:users!group=g", "read:hub"]);
    let Access::Filtered(filters) = set.access(ScopeName::ListUsers) else {
        panic!("list:users is limited");
    };
    assert!(filters.users().contains(&user("bob")) && filters.groups().contains("g"));
    assert!(filters.servers().is_empty() && filters.services().is_empty());
    assert_eq!(set.access(ScopeName::ReadHub), Access::All);
    assert_eq!(set.access(ScopeName::Tokens), Access::None);
}

/// The server of somebody in the group asks for the filter with their name.
#[test]
fn somebody_who_is_named_stays_so_beside_a_group_that_both_have() {
    let mut groups = Groups::default();
    groups.add(user("alice"), "g");
    groups.add(user("carol"), "g");
    let held = expanded(&["access:servers!group=g", "access:servers!user=alice"]);
    let asked = expanded(&["access:servers!group=g"]);
    let both = ["access:servers!group=g", "access:servers!user=alice"];
    assert_eq!(asked.intersect(&held, &groups).to_strings(), both);
    assert_eq!(held.intersect(&asked, &groups).to_strings(), both);
    assert!(asked.intersect(&held, &groups).is_within(&asked, &groups));
}

#[test]
fn intersection_keeps_the_smaller_side() {
    let mut groups = Groups::default();
    groups.add(user("alice"), "g");
    groups.add(user("carol"), "g");
    groups.add(user("carol"), "h");
    let rows: [(&str, &str, &[&str]); 13] = [
        ("tokens", "tokens!user=bob", &["read:tokens!user=bob", "tokens!user=bob"]),
        ("read:hub", "proxy", &[]),
        ("shutdown", "shutdown", &["shutdown"]),
        ("start:servers!user=alice", "start:servers!user=bob", &[]),
        (
            "start:servers!server=alice/x",
            "start:servers!user=alice",
            &["start:servers!server=alice/x"],
        ),
        ("start:servers!server=alice/x", "start:servers!server=alice/", &[]),
        ("start:servers!server=bob/", "start:servers!user=alice", &[]),
        ("start:servers!group=g", "start:servers!user=alice", &["start:servers!user=alice"]),
        ("start:servers!group=g", "start:servers!user=bob", &[]),
        (
            "start:servers!group=g",
            "start:servers!server=alice/x",
            &["start:servers!server=alice/x"],
        ),
        ("start:servers!group=g", "start:servers!group=h", &["start:servers!user=carol"]),
        ("start:servers!group=g", "start:servers!group=g", &["start:servers!group=g"]),
        ("proxy!service=alice", "proxy!user=alice", &[]),
    ];
    for (left, right, expected) in rows {
        let (a, b) = (expanded(&[left]), expanded(&[right]));
        assert_eq!(a.intersect(&b, &groups).to_strings(), expected, "{left} and {right}");
        assert_eq!(b.intersect(&a, &groups).to_strings(), expected, "{right} and {left}");
    }
}

#[test]
fn c2_the_token_of_a_server_holds_what_was_recorded_and_no_more() {
    let held = user_scopes(&user("alice"), false);
    let raw: Vec<Scope> =
        server_scopes(&key("alice/")).iter().map(|s| s.parse().unwrap()).collect();
    let resolved = |raw: &[Scope]| {
        resolve_token(raw, &owner("alice"), &held, Some(&issuer("alice/")), &Groups::default())
            .to_strings()
    };
    let expected = [
        "access:servers!server=alice/",
        "read:users:activity!user=alice",
        "read:users:groups!user=alice",
        "read:users:name!user=alice",
        "users:activity!user=alice",
    ];
    assert_eq!(resolved(&raw), expected);
    assert_eq!(resolved(&Role::Server.scopes()), expected);
}

#[test]
fn an_oauth_token_of_a_visitor_opens_that_server_only() {
    let resolved = |held: &ScopeSet| {
        let client = issuer("alice/");
        resolve_token(&[], &owner("bob"), held, Some(&client), &Groups::default()).to_strings()
    };
    let identify = ["read:users:groups!user=bob", "read:users:name!user=bob"];
    let admin = resolved(&user_scopes(&user("bob"), true));
    assert_eq!(admin, ["access:servers!server=alice/", identify[0], identify[1]]);
    // Somebody without access to the server does not get it through the token.
    assert_eq!(resolved(&user_scopes(&user("bob"), false)), identify);
}

#[test]
fn b3_a_token_is_never_stronger_than_its_owner() {
    let held = user_scopes(&user("alice"), false);
    let resolve = |texts: &[&str]| {
        resolve_token(&scopes(texts), &owner("alice"), &held, None, &Groups::default())
    };
    assert_eq!(resolve(&["inherit"]), held);
    let wide = resolve(&["admin:users", "servers", "proxy", "tokens!user=bob"]);
    assert!(wide.is_within(&held, &Groups::default()));
    assert!(!wide.has(ScopeName::Proxy, &Target::whole_hub()));
    assert!(!wide.has(ScopeName::Tokens, &Target::user(&user("bob"))));
    assert!(wide.has(ScopeName::Servers, &Target::server(&key("alice/"))));
}

#[test]
fn covering_compares_scopes_as_written() {
    let covers =
        |held: &str, wanted: &str| held.parse::<Scope>().unwrap().covers(&wanted.parse().unwrap());
    for (held, wanted, expected) in [
        ("read:users", "read:users:name", true),
        ("read:users", "read:users:name!user", true),
        ("read:users!user", "read:users:name!user", true),
        ("read:users!user", "read:users:name", false),
        ("read:users!user", "read:users!user=alice", false),
        ("read:users:name", "read:users", false),
        ("access:servers!server=a/", "access:servers!server=a/", true),
        ("access:servers!server=a/", "access:servers", false),
        ("servers!server=a/", "read:users:name!server=a/", false),
        ("inherit", "inherit", true),
        ("self", "inherit", false),
    ] {
        assert_eq!(covers(held, wanted), expected, "{held} for {wanted}");
    }
}

/// Rights as they are written, what they are about, and whether they reach it.
#[test]
fn a_right_reaches_what_its_filter_says() {
    let in_g = |target: Target| target.in_groups(["g"]);
    let targets: [(&str, Target); 8] = [
        ("the hub", Target::whole_hub()),
        ("alice", Target::user(&user("alice"))),
        ("carol of g", in_g(Target::user(&user("carol")))),
        ("alice/", Target::server(&key("alice/"))),
        ("alice/x", Target::server(&key("alice/x"))),
        ("carol/ of g", in_g(Target::server(&key("carol/")))),
        ("service alice", Target::service("alice")),
        ("group g", Target::group("g")),
    ];
    let all: Vec<&str> = targets.iter().map(|(label, _)| *label).collect();
    let rows: [(&str, &[&str]); 9] = [
        ("", &all),
        ("!user=alice", &["alice", "alice/", "alice/x"]),
        ("!user", &["alice", "alice/", "alice/x"]),
        ("!user=bob", &[]),
        ("!group=g", &["carol of g", "carol/ of g", "group g"]),
        ("!server=alice/", &["alice/"]),
        ("!server", &["alice/"]),
        ("!server=alice/x", &["alice/x"]),
        ("!service=alice", &["service alice"]),
    ];
    for name in ScopeName::ALL.iter().filter(|name| !name.is_metascope()) {
        for (filter, reached) in &rows {
            let held = expanded(&[&format!("{name}{filter}")]);
            for implied in name.closure() {
                for (label, target) in &targets {
                    let dropped = filter.starts_with("!server")
                        && implied != *name
                        && implied.as_str().starts_with("read:user");
                    let expected = reached.contains(label) && !dropped;
                    assert_eq!(
                        held.has(implied.clone(), target),
                        expected,
                        "{name}{filter}: {implied} on {label}"
                    );
                }
            }
            let others = ScopeName::ALL.iter().filter(|other| !name.closure().contains(other));
            for other in others {
                assert_eq!(held.access(other.clone()), Access::None, "{name}{filter}: {other}");
            }
        }
    }
}

#[test]
fn a_token_for_a_service_may_use_that_service() {
    let mut roles = Roles::default();
    let more = ["access:services!service=grader".to_owned()];
    roles.define("grading", None, Some(&more)).unwrap();
    let held = roles.user_scopes(&user("bob"), false, &["grading".to_owned()]);
    let client = Issuer::Service("grader".to_owned());
    let raw = scopes(&["read:services:name!service"]);
    let token = resolve_token(&raw, &owner("bob"), &held, Some(&client), &Groups::default());
    assert_eq!(
        token.to_strings(),
        [
            "access:services!service=grader",
            "read:users:groups!user=bob",
            "read:users:name!user=bob"
        ]
    );
}
