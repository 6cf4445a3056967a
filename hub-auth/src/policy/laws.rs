//! What holds for all rules and all people.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{people::*, *};

/// Rules made of the names and groups that the people of the table have.
fn rules() -> impl Strategy<Value = AccessRules> {
    let names = || {
        let some = proptest::sample::subsequence(vec!["ada", "bob", "cyd", "dan", "pam"], 0..=5);
        some.prop_map(|names| set::<UserName>(&names))
    };
    let groups = || {
        let some = proptest::sample::subsequence(vec![LAB, CORE, STAFF], 0..=3);
        some.prop_map(|groups| set::<String>(&groups))
    };
    let flags = proptest::array::uniform4(any::<bool>());
    let lists = (names(), names(), names(), groups(), groups());
    (flags, lists).prop_map(|(flags, (allowed, admins, blocked, allowed_groups, admin_groups))| {
        let [allow_all, allow_existing, is_required, of_github] = flags;
        let required_claims = if is_required { lab_domain() } else { BTreeMap::new() };
        let provider = if of_github { "github" } else { "oidc" };
        let rules = ProviderRules {
            allowed_groups,
            admin_groups,
            required_claims,
            ..ProviderRules::default()
        };
        let rest = AccessRules {
            allowed,
            admins,
            blocked,
            allow_all,
            allow_existing,
            ..AccessRules::default()
        };
        and(at(provider, rules), rest)
    })
}

proptest! {
    #[test]
    fn aut_2_blocking_wins_and_allowing_only_widens(one in rules(), other in rules()) {
        // All that lets in of both; what keeps out of the first alone.
        let mut wider = one.clone();
        wider.allowed.extend(other.allowed.clone());
        wider.admins.extend(other.admins.clone());
        wider.allow_all |= other.allow_all;
        wider.allow_existing |= other.allow_existing;
        for (provider, more) in other.providers {
            let own = wider.providers.entry(provider).or_default();
            own.allowed_groups.extend(more.allowed_groups);
            own.admin_groups.extend(more.admin_groups);
        }
        let (narrow, wide) = (AccessPolicy::new(one), AccessPolicy::new(wider));
        for Person { claims, known } in people() {
            let (before, after) = (narrow.decide(&claims, &known), wide.decide(&claims, &known));
            prop_assert!(!before.admits() || after.admits(), "{before}{after}");
            for (policy, outcome) in [(&narrow, &before), (&wide, &after)] {
                let blocked = outcome.account.as_ref().is_some_and(|name| policy.blocks(name));
                prop_assert!(!(blocked && outcome.admits()), "{outcome}");
                prop_assert!(outcome.admits() || outcome.admin != AdminRight::Granted);
                prop_assert!(!(policy.admits_nobody() && outcome.admits()), "{outcome}");
            }
        }
    }
}
