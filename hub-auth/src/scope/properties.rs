//! What must hold for all scopes, not only for those in the tables.

use hub_names::{ServerKey, UserName};
use proptest::{prelude::*, sample::select};

use super::*;

/// Few names, so that two draws often meet. The service and the group called
/// `ada` are there to be confused with the user.
const USERS: [&str; 3] = ["ada", "bob", "cy"];
const GROUPS: [&str; 2] = ["ada", "staff"];

fn user() -> impl Strategy<Value = UserName> {
    select(&USERS[..]).prop_map(|name| name.parse().unwrap())
}

fn key() -> impl Strategy<Value = ServerKey> {
    (user(), select(vec!["", "lab"]))
        .prop_map(|(user, server)| ServerKey::new(user, server.parse().unwrap()))
}

fn filter() -> impl Strategy<Value = Option<Filter>> {
    prop_oneof![
        2 => Just(None),
        3 => user().prop_map(|user| Some(Filter::User(user))),
        2 => select(&GROUPS[..]).prop_map(|group| Some(Filter::Group(group.to_owned()))),
        3 => key().prop_map(|key| Some(Filter::Server(key))),
        1 => Just(Some(Filter::Service("ada".to_owned()))),
        1 => Just(Some(Filter::OwnUser)),
        1 => Just(Some(Filter::OwnServer)),
    ]
}

fn set() -> impl Strategy<Value = ScopeSet> {
    let names: Vec<ScopeName> =
        ScopeName::ALL.iter().filter(|name| !name.is_metascope()).cloned().collect();
    let scope = (select(names), filter()).prop_map(|(name, filter)| Scope { name, filter });
    (prop::collection::vec(scope, 0..6), user(), key()).prop_map(|(raw, user, client)| {
        ScopeSet::expand(raw, &Owner::User(user), Some(&Issuer::Server(client)))
    })
}

fn groups() -> impl Strategy<Value = Groups> {
    prop::collection::vec((user(), select(&GROUPS[..])), 0..4).prop_map(|pairs| {
        let mut groups = Groups::default();
        for (user, group) in pairs {
            groups.add(user, group);
        }
        groups
    })
}

/// Every target there is under these names, with its groups filled in.
fn targets(groups: &Groups) -> Vec<Target> {
    let mut all = vec![Target::whole_hub(), Target::service("ada")];
    all.extend(GROUPS.map(Target::group));
    for name in USERS {
        let user: UserName = name.parse().unwrap();
        let lab = ServerKey::new(user.clone(), "lab".parse().unwrap());
        let own = [
            Target::user(&user),
            Target::server(&ServerKey::default_of(user.clone())),
            Target::server(&lab),
        ];
        all.extend(own.map(|target| target.in_groups(groups.of(&user))));
    }
    all
}

/// Every question that `set` answers with yes.
fn answers(set: &ScopeSet, groups: &Groups) -> Vec<(ScopeName, usize)> {
    let targets = targets(groups);
    let ask = |name: &'static ScopeName| {
        targets
            .iter()
            .enumerate()
            .filter(move |(_, t)| set.has(name.clone(), t))
            .map(move |(at, _)| (name.clone(), at))
    };
    ScopeName::ALL.iter().flat_map(ask).collect()
}

proptest! {
    #[test]
    fn an_intersection_grants_what_both_sides_grant(a in set(), b in set(), groups in groups()) {
        let both = answers(&a.intersect(&b, &groups), &groups);
        let (a, b) = (answers(&a, &groups), answers(&b, &groups));
        let expected: Vec<_> = a.into_iter().filter(|question| b.contains(question)).collect();
        prop_assert_eq!(both, expected);
    }

    #[test]
    fn without_known_groups_an_intersection_only_shrinks(a in set(), b in set(), groups in groups()) {
        let blind = answers(&a.intersect(&b, &Groups::default()), &groups);
        let seeing = answers(&a.intersect(&b, &groups), &groups);
        prop_assert!(blind.iter().all(|question| seeing.contains(question)));
    }

    #[test]
    fn an_intersection_is_within_both_sides(a in set(), b in set(), groups in groups()) {
        let both = a.intersect(&b, &groups);
        prop_assert!(both.is_within(&a, &groups) && both.is_within(&b, &groups));
    }

    #[test]
    fn a_set_is_within_another_only_if_it_grants_no_more(a in set(), b in set(), groups in groups()) {
        if a.is_within(&b, &groups) {
            let b = answers(&b, &groups);
            prop_assert!(answers(&a, &groups).iter().all(|question| b.contains(question)));
        }
    }

    #[test]
    fn intersection_does_not_mind_the_order(a in set(), b in set(), groups in groups()) {
        prop_assert_eq!(a.intersect(&b, &groups), b.intersect(&a, &groups));
    }

    #[test]
    fn intersection_with_itself_changes_nothing(a in set(), groups in groups()) {
        prop_assert_eq!(a.intersect(&a, &groups), a);
    }

    #[test]
    fn intersection_is_monotone(a in set(), more in set(), b in set(), groups in groups()) {
        let smaller = a.intersect(&more, &groups);
        let small = answers(&smaller.intersect(&b, &groups), &groups);
        let large = answers(&a.intersect(&b, &groups), &groups);
        prop_assert!(small.iter().all(|question| large.contains(question)));
    }

    #[test]
    fn a_printed_set_reads_back_the_same(a in set()) {
        let raw: Vec<Scope> = a.to_strings().iter().map(|text| text.parse().unwrap()).collect();
        let owner = Owner::User("ada".parse().unwrap());
        prop_assert_eq!(ScopeSet::expand(raw, &owner, None), a);
    }
}
