//! People and rules that the tests of decisions share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::{Membership, Standing, Subject};

pub(super) const LAB: &str = "lab";
pub(super) const CORE: &str = "lab:core";
pub(super) const STAFF: &str = "staff";

pub(super) fn set<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(texts: &[&str]) -> BTreeSet<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn person(claims: Claims) -> Person {
    Person { claims, known: Known::default() }
}

/// Somebody at GitHub; each of the two groups was asked about.
pub(super) fn octo(id: &str, login: &str, lab: Standing, core: Standing) -> Person {
    let mut claims = Claims::new("github", id, login);
    claims.membership.set(LAB, lab);
    claims.membership.set(CORE, core);
    claims.scopes = set(&["read:org"]);
    person(claims)
}

/// Somebody at an OpenID provider that tells all groups.
pub(super) fn openid(id: &str, login: &str, groups: &[&str], domain: &str) -> Person {
    let mut claims = Claims::new("oidc", id, login);
    claims.membership = Membership::complete(groups.iter().map(|g| (*g).to_owned()), "the claims");
    claims.attributes.insert("hd".to_owned(), json!(domain));
    person(claims)
}

/// The columns of the table, in order.
pub(super) fn people() -> Vec<Person> {
    let member = || Standing::Member { seen_in: "the list of members" };
    let no = || Standing::NotMember { hint: Some("ask an owner".to_owned()) };
    let lost = || Standing::Unchecked { reason: "GitHub is not answering".to_owned() };
    let ada: Subject = "github:1".parse().unwrap();

    // Took the name that somebody else gave up.
    let mut taker = octo("9", "ada", member(), member());
    taker.known = Known { exists: true, owners: [ada.clone()].into(), ..Known::default() };
    // Ada, renamed.
    let mut renamed = octo("1", "countess", no(), no());
    renamed.known.own_account = Some("ada".parse().unwrap());
    let mut local = person(Claims::new("password", "pam", "pam"));
    local.known = Known { exists: true, owners: set(&["password:pam"]), ..Known::default() };
    // Signed up with the hub itself, under a name that is mapped for others.
    let mut own = person(Claims::new("local", "l1", "Lee"));
    own.known = Known { exists: true, owners: set(&["local:l1"]), ..Known::default() };
    vec![
        octo("1", "Ada", member(), member()),
        octo("2", "bob", no(), no()),
        octo("3", "cyd", lost(), no()),
        taker,
        renamed,
        octo("7", "a/b", member(), member()),
        openid("x", "dan", &[STAFF], "lab.test"),
        openid("y", "mal", &[], "evil.test"),
        local,
        person(Claims::new("dummy", "dum", "dum")),
        own,
    ]
}

/// Rules about what one provider says.
pub(super) fn at(provider: &str, rules: ProviderRules) -> AccessRules {
    AccessRules { providers: [(provider.to_owned(), rules)].into(), ..AccessRules::default() }
}

/// `rules` and `more`, where `more` is about names and accounts only.
pub(super) fn and(rules: AccessRules, more: AccessRules) -> AccessRules {
    AccessRules { providers: rules.providers, ..more }
}

pub(super) fn allowed_groups(provider: &str, groups: &[&str]) -> AccessRules {
    at(provider, ProviderRules { allowed_groups: set(groups), ..ProviderRules::default() })
}

pub(super) fn admin_groups(provider: &str, groups: &[&str]) -> AccessRules {
    at(provider, ProviderRules { admin_groups: set(groups), ..ProviderRules::default() })
}

pub(super) fn allowed_scopes(scopes: &[&str]) -> AccessRules {
    at("github", ProviderRules { allowed_scopes: set(scopes), ..ProviderRules::default() })
}

pub(super) fn allow_all_of(provider: &str) -> AccessRules {
    at(provider, ProviderRules { allow_all: true, ..ProviderRules::default() })
}

pub(super) fn lab_domain() -> BTreeMap<String, BTreeSet<String>> {
    BTreeMap::from([("hd".to_owned(), BTreeSet::from(["lab.test".to_owned()]))])
}

pub(super) fn required_claims() -> AccessRules {
    at("oidc", ProviderRules { required_claims: lab_domain(), ..ProviderRules::default() })
}

pub(super) fn admin_claims() -> AccessRules {
    at("oidc", ProviderRules { admin_claims: lab_domain(), ..ProviderRules::default() })
}
