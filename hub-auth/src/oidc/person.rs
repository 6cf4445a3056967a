//! From a provider's claims to ours.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::OidcConfig;
use crate::{AuthError, Claims, Membership, Standing, claim};

/// Where groups were seen.
const IN_CLAIMS: &str = "the provider's claims";

/// The immutable id of the person.
pub(super) fn subject(told: &Map<String, Value>, config: &OidcConfig) -> Option<String> {
    claim::at(told, &config.claims.subject).and_then(claim::text)
}

/// Who this is, and in which groups, by what the provider `told`.
pub(super) fn claims(told: Map<String, Value>, config: &OidcConfig) -> Result<Claims, AuthError> {
    let lacks = |key: &str, path: &str| AuthError::Misconfigured {
        provider: config.service.clone(),
        advice: format!(
            "its answer has no claim {path:?} (names are told: {}); ask for the scope that brings \
             it, or set {key} to another",
            told.keys().map(String::as_str).take(20).collect::<Vec<_>>().join(", ")
        ),
    };
    let paths = &config.claims;
    let subject = subject(&told, config).ok_or_else(|| lacks("subject_claim", &paths.subject))?;
    let login = claim::at(&told, &paths.username)
        .and_then(claim::text)
        .ok_or_else(|| lacks("username_claim", &paths.username))?;
    // An address that somebody only claims to have is nobody's name (CVE-2026-33175).
    let verified = told.get("email_verified").is_some_and(is_true);
    if paths.username == "email" && !verified {
        let service = &config.service;
        return Err(AuthError::Denied {
            description: format!(
                "{service} has not verified your mail address; do that there first"
            ),
        });
    }
    let email = told.get("email").and_then(claim::text).filter(|_| verified);
    Ok(Claims {
        login: without_domain(login, &paths.strip_domains),
        display_name: claim::at(&told, &paths.display_name).and_then(claim::text),
        email,
        membership: membership(&told, &paths.groups, &config.service),
        ..Claims { attributes: told, ..Claims::new(config.id.clone(), subject, String::new()) }
    })
}

/// Some providers send the word.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => text == "true",
        _ => false,
    }
}

fn without_domain(login: String, domains: &[String]) -> String {
    let cut = login.rsplit_once('@').and_then(|(name, domain)| {
        let known = domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
        (known && !name.is_empty()).then(|| name.to_owned())
    });
    cut.unwrap_or(login)
}

/// Groups by all `paths`. A claim that is absent means no groups, as in
/// OAuthenticator; one that cannot be read means that nobody knows.
fn membership(told: &Map<String, Value>, paths: &[String], service: &str) -> Membership {
    if paths.is_empty() {
        return Membership::default();
    }
    let mut groups = BTreeSet::new();
    let mut trouble = None;
    let mut absent = None;
    for path in paths {
        match claim::at(told, path).map(|value| (value, claim::texts(value))) {
            Some((_, Some(texts))) => groups.extend(texts),
            Some((_, None)) => {
                trouble = Some(format!(
                    "could not read your groups: the claim {path} of {service} is neither a list nor a text"
                ));
            }
            None if is_elsewhere(told, path) => {
                trouble = Some(format!(
                    "could not read your groups: you are in more than {service} tells; its administrator can limit the claim {path} to groups assigned to this application"
                ));
            }
            None => absent = Some(path),
        }
    }
    let mut membership = Membership::complete(groups, IN_CLAIMS);
    if let Some(reason) = trouble {
        membership.set_rest(Standing::Unchecked { reason });
    } else if let Some(path) = absent {
        let hint = format!("{service} told nothing about your groups (no claim {path})");
        membership.set_rest(Standing::NotMember { hint: Some(hint) });
    }
    membership
}

/// Microsoft Entra leaves out groups of people who are in many, and names another
/// place instead (OpenID Connect Core section 5.6.2).
fn is_elsewhere(told: &Map<String, Value>, path: &str) -> bool {
    told.get("_claim_names")
        .and_then(Value::as_object)
        .is_some_and(|names| names.contains_key(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::ClaimPaths;

    fn config(claims: ClaimPaths) -> OidcConfig {
        let callback = "https://hub.test/hub/oauth_callback".parse().unwrap();
        let config = OidcConfig::new("https://id.test", "hub", "secret".into(), callback);
        OidcConfig { claims, service: "Keycloak".to_owned(), ..config }
    }

    fn of(told: Value, paths: ClaimPaths) -> Result<Claims, AuthError> {
        let Value::Object(told) = told else { panic!("an object") };
        claims(told, &config(paths))
    }

    fn paths(username: &str, groups: &[&str]) -> ClaimPaths {
        ClaimPaths {
            username: username.to_owned(),
            groups: groups.iter().map(|path| (*path).to_owned()).collect(),
            strip_domains: vec!["Lab.test".to_owned()],
            ..ClaimPaths::default()
        }
    }

    #[test]
    fn oidc_2_claims_become_name_groups_and_mail_address() {
        let told = json!({
            "sub": "4711",
            "preferred_username": "Ada",
            "name": "Ada L.",
            "email": "ada@lab.test",
            "email_verified": true,
            "groups": "staff, owls",
            "realm_access": { "roles": ["hub-admin"] },
        });
        let claims =
            of(told, paths("preferred_username", &["groups", "realm_access.roles"])).unwrap();
        assert_eq!(claims.stable_id().to_string(), "oidc:4711");
        assert_eq!(
            (claims.login.as_str(), claims.display_name.as_deref()),
            ("Ada", Some("Ada L."))
        );
        assert_eq!(claims.email.as_deref(), Some("ada@lab.test"));
        assert!(claims.membership.groups().into_iter().eq(["hub-admin", "owls", "staff"]));
        assert!(claims.membership.is_complete());
        assert_eq!(claims.attributes["sub"], "4711");
    }

    #[test]
    fn names_lose_the_domains_that_the_operator_names_and_no_other() {
        let login =
            |name: &str| of(json!({ "sub": "1", "upn": name }), paths("upn", &[])).unwrap().login;
        assert_eq!(login("ada@lab.TEST"), "ada");
        assert_eq!(login("ada@evil-lab.test"), "ada@evil-lab.test");
        assert_eq!(login("ada@lab.test@evil.test"), "ada@lab.test@evil.test");
        assert_eq!(login("@lab.test"), "@lab.test");
    }

    #[test]
    fn a_mail_address_is_a_name_only_if_it_is_verified() {
        let told = |verified: Value| json!({ "sub": "1", "email": "ada@lab.test", "email_verified": verified });
        assert_eq!(of(told(json!(true)), paths("email", &[])).unwrap().login, "ada");
        assert_eq!(of(told(json!("true")), paths("email", &[])).unwrap().login, "ada");
        for unverified in [json!(false), json!("false"), json!(null), json!(1)] {
            let result = of(told(unverified.clone()), paths("email", &[]));
            assert!(matches!(result, Err(AuthError::Denied { .. })), "{unverified}");
            // Nor is it told to anybody.
            let mut other = told(unverified);
            other["preferred_username"] = json!("ada");
            assert_eq!(of(other, paths("preferred_username", &[])).unwrap().email, None);
        }
    }

    #[test]
    fn a_missing_claim_is_an_error_that_names_it() {
        for (told, key) in [
            (json!({ "sub": "1" }), "username_claim"),
            (json!({ "sub": "1", "preferred_username": " " }), "username_claim"),
            (json!({ "sub": "1", "preferred_username": ["a"] }), "username_claim"),
            (json!({ "preferred_username": "ada" }), "subject_claim"),
        ] {
            let error = of(told, ClaimPaths::default()).unwrap_err();
            assert!(
                matches!(&error, AuthError::Misconfigured { advice, .. } if advice.contains(key)),
                "{error}"
            );
        }
    }

    #[test]
    fn groups_that_cannot_be_read_are_not_no_groups() {
        let of = |groups: Value| {
            let mut told = json!({ "sub": "1", "preferred_username": "ada" });
            told.as_object_mut().unwrap().extend(groups.as_object().unwrap().clone());
            of(told, paths("preferred_username", &["groups"])).unwrap().membership
        };
        assert!(matches!(of(json!({})).of("x"), Standing::NotMember { hint: Some(_) }));
        assert!(matches!(of(json!({ "groups": [] })).of("x"), Standing::NotMember { hint: None }));
        assert!(matches!(
            of(json!({ "groups": { "x": true } })).of("x"),
            Standing::Unchecked { .. }
        ));
        let overage = json!({ "_claim_names": { "groups": "src1" } });
        assert!(matches!(of(overage).of("x"), Standing::Unchecked { .. }));
    }
}
