//! Every kind of rule against every kind of person, for each way of signing in
//! (security A7).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{people::*, *};

/// One letter for each outcome.
fn letter(outcome: &Outcome) -> char {
    match (&outcome.decision, outcome.admin) {
        (Ok(()), AdminRight::Granted) => 'A',
        (Ok(()), AdminRight::Withdrawn) => 'w',
        (Ok(()), AdminRight::Unchanged) => 'i',
        (Err(Refusal::NotNamed { .. }), AdminRight::Unchanged) => '.',
        (Err(Refusal::NotNamed { .. }), AdminRight::Withdrawn) => '-',
        (Err(Refusal::Unchecked { .. }), AdminRight::Unchanged) => '?',
        (Err(Refusal::Blocked), AdminRight::Unchanged) => 'B',
        (Err(Refusal::ClaimMissing { .. }), AdminRight::Unchanged) => 'R',
        (Err(Refusal::OtherPerson), AdminRight::Unchanged) => 'O',
        (Err(Refusal::InvalidName(_)), AdminRight::Unchanged) => 'N',
        (Err(Refusal::Pattern), AdminRight::Unchanged) => 'P',
        (Err(Refusal::NoWay { .. }), AdminRight::Unchanged) => {
            panic!("whoever is here came by one")
        }
        (Err(refusal), AdminRight::Withdrawn) => panic!("is that a clear no? {refusal}"),
        (Err(_), AdminRight::Granted) => panic!("refused, yet an admin"),
    }
}

#[test]
fn allow_table() {
    let none = AccessRules::default;
    let all = || AccessRules { allow_all: true, ..none() };
    let lab = || allowed_groups("github", &[LAB]);
    let blocked = |names| AccessRules { blocked: set(names), ..none() };
    let everything = || {
        let mut rules = allowed_groups("github", &[LAB]);
        rules.providers.extend(allowed_groups("oidc", &[STAFF]).providers);
        and(
            rules,
            AccessRules {
                blocked: set(&["ada", "dan", "pam"]),
                allowed: set(&["ada"]),
                admins: set(&["pam"]),
                allow_existing: true,
                ..none()
            },
        )
    };
    let rows: [(&str, AccessRules, &str); 31] = [
        ("nothing", none(), "...O.N....."),
        ("allow_all", all(), "iiiOiNiiiii"),
        ("allow_all of one provider", allow_all_of("password"), "...O.N..i.."),
        ("allow_all of another", allow_all_of("github"), "iiiOiN....."),
        ("allowed_users", AccessRules { allowed: set(&["ADA", "pam"]), ..none() }, "i..OiN..i.."),
        ("admin_users", AccessRules { admins: set(&["ada", "dan"]), ..none() }, "A..OANA...."),
        ("allow_existing_users", AccessRules { allow_existing: true, ..none() }, "...OiN..i.i"),
        ("an organization", lab(), "i.?O.N....."),
        ("a team", allowed_groups("github", &[CORE]), "i..O.N....."),
        ("a team or an organization", allowed_groups("github", &[CORE, LAB]), "i.?O.N....."),
        ("a group", allowed_groups("oidc", &[STAFF]), "...O.Ni...."),
        (
            "an organization called like a group elsewhere",
            allowed_groups("oidc", &[LAB]),
            "...O.N.....",
        ),
        ("a group called like an organization", allowed_groups("github", &[STAFF]), "...O.N....."),
        (
            "an organization or a name",
            and(lab(), AccessRules { allowed: set(&["cyd", "ada"]), ..none() }),
            "i.iOiN.....",
        ),
        ("admin_groups", admin_groups("github", &[LAB]), "A.?O-N....."),
        (
            "admin_groups, everybody let in",
            and(admin_groups("github", &[LAB]), all()),
            "AwiOwNiiiii",
        ),
        ("admin_groups elsewhere", and(admin_groups("oidc", &[STAFF]), all()), "iiiOiNAwiii"),
        (
            "admin_groups and admin_users",
            and(
                admin_groups("github", &[LAB]),
                AccessRules { admins: set(&["bob", "ada"]), ..none() },
            ),
            "AA?OAN.....",
        ),
        ("allowed_scopes", allowed_scopes(&["read:org"]), "iiiOiN....."),
        ("allowed_scopes, one too many", allowed_scopes(&["read:org", "user"]), "...O.N....."),
        (
            "blocked",
            and(none(), AccessRules { blocked: set(&["Ada", "dan", "pam"]), ..all() }),
            "BiiOBNBiBii",
        ),
        ("blocked beats every allow", everything(), "B.?OBNB.B.i"),
        (
            "blocked by today's login name",
            AccessRules { blocked: set(&["countess"]), ..all() },
            "iiiOBNiiiii",
        ),
        ("admin_claims", admin_claims(), "...O.NA...."),
        ("admin_claims, everybody let in", and(admin_claims(), all()), "iiiOiNAwiii"),
        ("blocked beats admin_claims", and(admin_claims(), blocked(&["dan"])), "...O.NB...."),
        (
            "a required claim is not switched off by allow_all",
            and(required_claims(), all()),
            "iiiOiNiRiii",
        ),
        ("a required claim lets in nobody by itself", required_claims(), "...O.N.R..."),
        (
            "a pattern for the whole name",
            AccessRules { username_pattern: Some("[a-c].*|d".to_owned()), ..all() },
            "iiiOiNPPPPi",
        ),
        (
            "names are enough",
            and(lab(), AccessRules { identity_key: IdentityKey::Login, ..none() }),
            "i.?i.N.....",
        ),
        (
            "a map of login names",
            AccessRules {
                username_map: BTreeMap::from([
                    ("lee".to_owned(), "ada".to_owned()),
                    ("bob".to_owned(), "ada".to_owned()),
                ]),
                admins: set(&["ada"]),
                ..all()
            },
            "AAiOANiiiii",
        ),
    ];
    for (label, rules, expected) in rows {
        rules.check().unwrap();
        let policy = AccessPolicy::new(rules);
        let decide = |Person { claims, known }: &Person| letter(&policy.decide(claims, known));
        let outcomes: String = people().iter().map(decide).collect();
        assert_eq!(outcomes, expected, "{label}");
    }
}

#[test]
fn a_trace_names_every_rule_in_order_and_the_one_that_decided() {
    let rules = and(
        allowed_groups("github", &[CORE, LAB]),
        AccessRules { allowed: set(&["bob"]), blocked: set(&["zoe"]), ..AccessRules::default() },
    );
    let policy = AccessPolicy::new(rules);
    for Person { claims, known } in people() {
        let outcome = policy.decide(&claims, &known);
        let rules: Vec<Rule> = outcome.trace.iter().map(|step| step.rule).collect();
        assert_eq!(rules, Rule::ORDER);
        let step = outcome.trace.iter().find(|step| step.rule == outcome.rule).unwrap();
        let expected = if outcome.admits() { Verdict::Admits } else { Verdict::Refuses };
        assert_eq!(step.verdict, expected, "{outcome}");
    }
    let explain = |index: usize| {
        let Person { claims, known } = &people()[index];
        policy.decide(claims, known).to_string()
    };
    assert_eq!(
        explain(0).trim_start(),
        "\
username             passes      the account is ada
  identity_key         passes      the account belongs to nobody yet
  blocked_users        passes      ada is not on the list
  required_claims      not set
  allow_all            not set
  admin_users          not set
  allowed_users        no match    ada is not on the list
  allow_existing_users not set
> allowed_groups       lets in     member of lab, seen in the list of members
  allowed_scopes       not set
  admin_groups         not set
  admin_claims         not set
  nobody else          no match    let in already
ada is let in by allowed_groups
"
    );
    assert!(explain(3).ends_with(
        "  nobody else          not reached\n\
         ada is refused by identity_key: the account belongs to somebody else\n"
    ));
    assert!(
        explain(2)
            .ends_with("cyd is refused, since no rule lets them in: GitHub is not answering\n")
    );
    assert!(explain(5).contains("> username             refuses     \"a/b\": the name contains"));
}

#[test]
fn changed_rules_tell_whom_they_lock_out() {
    let old = AccessRules {
        allowed: set(&["bob", "dan"]),
        admins: set(&["ada", "cyd"]),
        ..AccessRules::default()
    };
    let new = AccessRules {
        allowed: set(&["dan", "mal", "cyd"]),
        admins: set(&["ada", "dan"]),
        ..AccessRules::default()
    };
    let known: Vec<Person> = people();
    let comparison = AccessPolicy::new(old).compare(&AccessPolicy::new(new), &known);
    let names = |list: &[Change]| -> Vec<String> { list.iter().map(|c| c.who.clone()).collect() };
    assert_eq!(names(&comparison.locked_out), ["bob"]);
    assert_eq!(names(&comparison.let_in), ["mal"]);
    assert_eq!(names(&comparison.admin_lost), ["cyd"]);
    assert_eq!(names(&comparison.admin_gained), ["dan"]);
    assert_eq!(comparison.unchanged, known.len() - 4);
    assert_eq!(comparison.locked_out[0].after.rule, Rule::NobodyElse);
}

#[test]
fn gh_same_login_other_id_refused() {
    let policy = AccessPolicy::new(AccessRules { allow_all: true, ..AccessRules::default() });
    let Person { claims, known } = &people()[3];
    let error = policy.decide(claims, known).into_identity(claims).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the account ada belongs to somebody else than this github account"
    );
}

#[test]
fn gh_rename_keeps_account() {
    let policy = AccessPolicy::new(AccessRules { allowed: set(&["ada"]), ..Default::default() });
    let Person { claims, known } = &people()[4];
    let identity = policy.decide(claims, known).into_identity(claims).unwrap();
    assert_eq!((claims.login.as_str(), identity.name.as_str()), ("countess", "ada"));
    assert_eq!(claims.stable_id().to_string(), "github:1");
}

#[test]
fn gh_a_membership_that_cannot_be_checked_is_a_refusal_with_a_reason() {
    let rules = allowed_groups("github", &[LAB]);
    let policy = AccessPolicy::new(rules);
    let Person { claims, known } = &people()[2];
    let error = policy.decide(claims, known).into_identity(claims).unwrap_err();
    assert!(matches!(error, AuthError::Unchecked { .. }));
    assert_eq!(
        error.to_string(),
        "could not check whether cyd may sign in, try again: GitHub is not answering"
    );
}

#[test]
fn gh_5_a_refusal_tells_what_an_owner_of_the_organization_can_do() {
    let rules = allowed_groups("github", &[LAB]);
    let Person { claims, known } = &people()[1];
    let error = AccessPolicy::new(rules).decide(claims, known).into_identity(claims).unwrap_err();
    let AuthError::NotAllowed { user, reason } = error else { panic!("{error:?}") };
    assert_eq!(user, "bob");
    assert!(reason.ends_with("; ask an owner"), "{reason}");
}

#[test]
fn groups_are_replaced_only_by_a_complete_list() {
    let rules = AccessRules { manage_groups: true, allow_all: true, ..AccessRules::default() };
    let policy = AccessPolicy::new(rules);
    let groups = |index: usize| {
        let Person { claims, known } = &people()[index];
        policy.decide(claims, known).groups
    };
    assert_eq!(groups(6), Some(set(&[STAFF])));
    assert_eq!(groups(7), Some(set(&[])));
    assert_eq!(groups(0), None, "only two groups were asked about");
    assert_eq!(groups(2), None, "one could not be checked");
    let off = AccessPolicy::new(AccessRules { allow_all: true, ..AccessRules::default() });
    let Person { claims, known } = &people()[6];
    assert_eq!(off.decide(claims, known).groups, None);
}

#[test]
fn a_required_claim_is_compared_whole() {
    // Suffixes and look-alikes of a domain are other domains (CVE-2024-29033).
    let wanted = BTreeSet::from(["lab.test".to_owned(), "Ada Lab".to_owned()]);
    let required_claims = BTreeMap::from([("org.names".to_owned(), wanted)]);
    let rules = at("oidc", ProviderRules { required_claims, ..ProviderRules::default() });
    let rules = and(rules, AccessRules { allow_all: true, ..AccessRules::default() });
    let policy = AccessPolicy::new(rules);
    let admits = |value: serde_json::Value| {
        let mut claims = Claims::new("oidc", "x", "dan");
        claims.attributes.insert("org".to_owned(), json!({ "names": value }));
        policy.decide(&claims, &Known::default()).admits()
    };
    assert!(admits(json!("lab.test")));
    assert!(admits(json!(["other", "lab.test"])));
    assert!(admits(json!("Ada Lab")));
    for bad in [json!("evil-lab.test"), json!("lab.test.evil"), json!("LAB.test"), json!(null)] {
        assert!(!admits(bad.clone()), "{bad}");
    }
    assert!(!admits(json!({ "lab.test": true })));
}

#[test]
fn look_alike_names_are_one_name() {
    let policy = AccessPolicy::default();
    for login in ["café", "cafe\u{301}", "CAFÉ", "ｃａｆé"] {
        assert_eq!(policy.normalise(login).unwrap().as_str(), "café", "{login}");
    }
}

#[test]
fn a_pattern_that_is_none_lets_in_nobody_and_is_found_at_start() {
    let rules = AccessRules {
        username_pattern: Some("a)|(b".to_owned()),
        allow_all: true,
        ..AccessRules::default()
    };
    assert!(rules.check().unwrap_err().to_string().starts_with("username_pattern: "));
    let outcome = AccessPolicy::new(rules).decide(&Claims::new("x", "1", "b"), &Known::default());
    assert_eq!(outcome.decision, Err(Refusal::Pattern));
}

#[test]
fn names_of_one_character_are_worth_a_warning() {
    let rules = AccessRules { allowed: set(&["a", "d", "ada"]), ..AccessRules::default() };
    assert_eq!(rules.warnings().len(), 2);
    assert!(AccessRules::default().warnings().is_empty());
}
