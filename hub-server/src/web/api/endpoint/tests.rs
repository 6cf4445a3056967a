use std::collections::BTreeSet;

use hub_auth::{Role, ScopeName};

use super::*;
use crate::web::api::endpoints;

#[test]
fn every_endpoint_is_there_once_and_says_what_it_does() {
    let mut seen = BTreeSet::new();
    for endpoint in endpoints() {
        assert!(seen.insert((endpoint.path, endpoint.verb)), "{endpoint:?} is there twice");
        assert!(!endpoint.about.is_empty(), "{endpoint:?}");
        if let Needs::AnyOf(scopes) = endpoint.needs {
            assert!(!scopes.is_empty(), "{endpoint:?} can be called by nobody");
            assert!(scopes.iter().all(|scope| !scope.is_metascope()), "{endpoint:?}");
        }
    }
}

#[test]
fn only_what_tells_nothing_is_open_to_everybody() {
    let open: BTreeSet<&str> = endpoints()
        .iter()
        .filter(|endpoint| matches!(endpoint.needs, Needs::Nothing))
        .map(|endpoint| endpoint.path)
        .collect();
    assert_eq!(open, BTreeSet::from(["", "/", "/authorizations/token", "/openapi.json"]));
}

#[test]
fn an_administrator_may_call_everything() {
    let admin = hub_auth::Roles::default().user_scopes(&"root".parse().unwrap(), true, &[]);
    for endpoint in endpoints() {
        let Needs::AnyOf(scopes) = endpoint.needs else { continue };
        let held = |scope: &ScopeName| admin.access(scope.clone()) == hub_auth::Access::All;
        assert!(scopes.iter().any(held), "{endpoint:?} is beyond {}", Role::Admin);
    }
}
