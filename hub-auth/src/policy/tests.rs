use std::collections::BTreeMap;

use super::{
    people::{STAFF, admin_groups, and, openid, set},
    *,
};
use crate::Standing;

fn names(list: &[&str]) -> BTreeSet<UserName> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

fn claims(login: &str) -> Claims {
    Claims::new("github", "4711", login)
}

/// How a decision reads in the tables below.
fn verdict(rules: AccessRules, login: &str, exists: bool) -> &'static str {
    match AccessPolicy::new(rules).admit(&claims(login), exists) {
        Ok(Identity { admin: true, .. }) => "admin",
        Ok(_) => "in",
        Err(AuthError::NotAllowed { .. }) => "out",
        Err(AuthError::InvalidName { .. }) => "bad name",
        Err(_) => "another error",
    }
}

#[test]
fn a7_allow_table() {
    let none = AccessRules::default;
    let ada = || AccessRules { allowed: names(&["ada"]), ..none() };
    let admin = || AccessRules { admins: names(&["ada"]), ..none() };
    let all = || AccessRules { allow_all: true, ..none() };
    let existing = || AccessRules { allow_existing: true, ..none() };
    let blocking = |rules| AccessRules { blocked: names(&["ada"]), ..rules };
    let rows: [(&str, AccessRules, &str, bool, &str); 18] = [
        ("nothing configured", none(), "ada", false, "out"),
        ("nothing configured, has an account", none(), "ada", true, "out"),
        ("listed", ada(), "ada", false, "in"),
        ("listed, other case", ada(), "ADA", false, "in"),
        ("not listed", ada(), "bob", false, "out"),
        ("not listed, has an account", ada(), "bob", true, "out"),
        ("prefix of a listed name", ada(), "ad", false, "out"),
        ("admin", admin(), "ada", false, "admin"),
        ("not the admin", admin(), "bob", false, "out"),
        ("everybody", all(), "bob", false, "in"),
        ("existing", existing(), "bob", true, "in"),
        ("not existing", existing(), "bob", false, "out"),
        ("blocked beats listed", blocking(ada()), "ada", true, "out"),
        ("blocked beats admin", blocking(admin()), "ada", true, "out"),
        ("blocked beats everybody", blocking(all()), "Ada", true, "out"),
        ("blocked beats existing", blocking(existing()), "ada", true, "out"),
        ("somebody else is blocked", blocking(all()), "bob", false, "in"),
        ("not a name", all(), "../etc", false, "bad name"),
    ];
    for (label, rules, login, exists, expected) in rows {
        assert_eq!(verdict(rules, login, exists), expected, "{label}");
    }
}

#[test]
fn usr_3_rules_are_compared_after_normalisation() {
    let rules =
        AccessRules { allowed: names(&["Ada"]), blocked: names(&["BOB"]), ..Default::default() };
    assert_eq!(verdict(rules.clone(), "ada", false), "in");
    let open = AccessRules { allow_all: true, ..rules };
    assert_eq!(verdict(open, "bob", false), "out");
}

#[test]
fn a_mapped_login_is_judged_by_its_account_name() {
    let map = BTreeMap::from([("Octo-Cat".to_owned(), "cat".to_owned())]);
    let rules =
        AccessRules { allowed: names(&["cat"]), username_map: map, ..AccessRules::default() };
    let policy = AccessPolicy::new(rules);
    let identity = policy.admit(&claims("OCTO-cat"), false).unwrap();
    assert_eq!(identity.name.as_str(), "cat");
    assert_eq!((identity.provider.as_str(), identity.subject.as_str()), ("github", "4711"));
}

#[test]
fn mappings_that_cannot_work_are_found_at_start() {
    let with = |pairs: &[(&str, &str)]| AccessRules {
        username_map: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..AccessRules::default()
    };
    assert!(with(&[("a", "ada"), ("A", "ada")]).check().is_ok());
    let error = with(&[("a", "a/b")]).check().unwrap_err().to_string();
    assert_eq!(error, r#"username_map: "a" is mapped to "a/b": the name contains `/`"#);
    assert!(with(&[("a", "ada"), ("A", "bob")]).check().is_err());
}

#[test]
fn usr_5_a_policy_without_names_admits_nobody_and_says_so() {
    let nobody = |rules| AccessPolicy::new(rules).admits_nobody();
    assert!(nobody(AccessRules::default()));
    assert!(nobody(AccessRules {
        allowed: names(&["ada"]),
        blocked: names(&["ada"]),
        ..AccessRules::default()
    }));
    assert!(!nobody(AccessRules { allowed: names(&["ada"]), ..AccessRules::default() }));
    assert!(!nobody(AccessRules { admins: names(&["ada"]), ..AccessRules::default() }));
    assert!(!nobody(AccessRules { allow_all: true, ..AccessRules::default() }));
    assert!(!nobody(AccessRules { allow_existing: true, ..AccessRules::default() }));
}

#[test]
fn a_claim_that_says_yes_or_no_is_written_so() {
    let said = |value: serde_json::Value| {
        let mut claims = claims("ada");
        claims.attributes.insert("site_admin".to_owned(), value);
        let wanted = BTreeMap::from([("site_admin".to_owned(), ["true".to_owned()].into())]);
        let rules = ProviderRules { admin_claims: wanted, ..ProviderRules::default() };
        let providers = [("github".to_owned(), rules)].into();
        let policy = AccessPolicy::new(AccessRules { providers, ..AccessRules::default() });
        policy.decide(&claims, &Known::default()).admits()
    };
    assert!(said(true.into()) && said("true".into()));
    assert!(!said(false.into()) && !said(1.into()) && !said(serde_json::Value::Null));
}

#[test]
fn aut_1_names_that_no_login_becomes_are_told_from_others() {
    let rules = AccessRules {
        username_pattern: Some("[A-Za-z]+".to_owned()),
        username_map: BTreeMap::from([("root".to_owned(), "Chief".to_owned())]),
        ..AccessRules::default()
    };
    let policy = AccessPolicy::new(rules);
    for (name, expected) in [("ada", true), ("Ada", false), ("ada2", false), ("Chief", true)] {
        assert_eq!(policy.can_be_account(&name.parse().unwrap()), expected, "{name}");
    }
}

#[test]
fn whoever_is_refused_loses_what_their_provider_takes_back() {
    let rules = || AccessRules {
        manage_groups: true,
        ..and(admin_groups("oidc", &[STAFF]), AccessRules::default())
    };
    let ada = openid("x", "ada", &["guests"], "lab.test").claims;
    let own = Known { own_account: Some("ada".parse().unwrap()), ..Known::default() };
    let named = Known { exists: true, ..Known::default() };
    let decide = |rules: AccessRules, claims: &Claims, known: &Known| {
        let outcome = AccessPolicy::new(rules).decide(claims, known);
        assert!(!outcome.admits(), "{outcome}");
        (outcome.admin, outcome.groups)
    };
    let guests = Some(set(&["guests"]));
    let lost = (AdminRight::Withdrawn, guests.clone());
    assert_eq!(decide(rules(), &ada, &own), lost);
    let blocked = AccessRules { blocked: set(&["ada"]), ..rules() };
    assert_eq!(decide(blocked, &ada, &own), lost);
    let by_name = || AccessRules { identity_key: IdentityKey::Login, ..rules() };
    let bound = Known { owners: set(&["oidc:x"]), ..named.clone() };
    assert_eq!(decide(by_name(), &ada, &bound), lost);

    let nothing = (AdminRight::Unchanged, None);
    assert_eq!(decide(rules(), &ada, &named), nothing, "the account may be somebody else's");
    let others = Known { owners: set(&["oidc:y"]), ..named.clone() };
    assert_eq!(decide(rules(), &ada, &others), nothing);
    assert_eq!(decide(by_name(), &ada, &others), nothing, "a name is not enough");
    let listed = AccessRules { admins: set(&["ada"]), blocked: set(&["ada"]), ..rules() };
    assert_eq!(decide(listed, &ada, &own), (AdminRight::Unchanged, guests), "by name");
    let mut unsure = ada.clone();
    let reason = "the provider is not answering".to_owned();
    unsure.membership.set(STAFF, Standing::Unchecked { reason });
    assert_eq!(decide(rules(), &unsure, &own).0, AdminRight::Unchanged);
}

#[test]
fn nat_1_a_local_account_is_not_mapped_to_another() {
    let policy = AccessPolicy::new(AccessRules {
        admins: ["root".parse().unwrap()].into(),
        username_map: [("mallory".to_owned(), "root".to_owned())].into(),
        username_pattern: Some("[^y]+".to_owned()),
        allow_existing: true,
        ..AccessRules::default()
    });
    let known = Known { exists: true, ..Known::default() };
    for login in ["mallory", "Mallory"] {
        let local = policy.decide(&Claims::new("local", "17", login), &known);
        assert!(local.admits(), "{local}");
        assert_eq!(local.account.unwrap().as_str(), "mallory");
        assert_eq!(local.admin, AdminRight::Unchanged);
    }
    let mapped = policy.decide(&Claims::new("github", "17", "mallory"), &known);
    assert_eq!(mapped.account.unwrap().as_str(), "root");
}

#[test]
fn nat_1_a_local_account_is_not_blocked_as_another() {
    let policy = AccessPolicy::new(AccessRules {
        blocked: ["root".parse().unwrap()].into(),
        username_map: [("mallory".to_owned(), "root".to_owned())].into(),
        allow_existing: true,
        ..AccessRules::default()
    });
    let own_account = Some("mallory".parse().unwrap());
    let known = Known { exists: true, own_account, ..Known::default() };
    assert!(policy.decide(&Claims::new("local", "17", "mallory"), &known).admits());
    assert!(!policy.decide(&Claims::new("github", "17", "mallory"), &known).admits());
}
