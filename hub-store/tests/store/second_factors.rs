use hub_store::{LocalStatus, NewLocalAccount, NewSecondFactor, NewTicket, Store, StoreError};
use serde_json::json;

use crate::{at, name};

const ID: &str = "id-of-ada";

async fn ada(store: &Store) {
    let account = NewLocalAccount {
        id: ID.to_owned(),
        name: name("ada"),
        hash: "hash-of-ada".to_owned(),
        status: LocalStatus::Active,
        admin: false,
        groups: vec![],
    };
    store.local_accounts().create(&account, None, at(1)).await.unwrap();
}

fn factor() -> NewSecondFactor {
    NewSecondFactor {
        account_id: ID.to_owned(),
        sealed: "sealed".to_owned(),
        last_step: 7,
        recovery: vec!["one".to_owned(), "two".to_owned()],
    }
}

async fn ticket(store: &Store, digest: u8) -> [u8; 32] {
    let hash = [digest; 32];
    let new = NewTicket {
        hash,
        kind: "second_factor".to_owned(),
        purpose: json!({"kind": "some"}),
        account_id: Some(ID.to_owned()),
        created: at(0),
        expires_at: at(100),
        uses_left: 1,
    };
    store.tickets().create(&new).await.unwrap();
    hash
}

async fn is_valid(store: &Store, ticket: &[u8; 32]) -> bool {
    store.tickets().by_hash(ticket, at(2)).await.unwrap().is_some()
}

on_every_engine! {
    async fn a_second_factor_belongs_to_an_account_and_goes_with_it(store) {
        let factors = store.second_factors();
        let orphan = factors.add(&factor(), None, at(2)).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "account" })), "{orphan:?}");
        ada(&store).await;
        let account = store.local_accounts().by_id(ID).await.unwrap().unwrap();
        assert!(!account.has_second_factor);
        factors.add(&factor(), None, at(2)).await.unwrap();
        let found = factors.get(ID).await.unwrap().unwrap();
        assert_eq!((found.sealed.as_str(), found.last_step), ("sealed", 7));
        assert_eq!((found.recovery.len(), found.created), (2, at(2)));
        let twice = factors.add(&factor(), None, at(2)).await;
        assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
        let account = store.local_accounts().by_id(ID).await.unwrap().unwrap();
        assert!(account.has_second_factor);

        let user = store.users().by_name(&name("ada")).await.unwrap().unwrap();
        store.users().rename(user.id, &name("eve")).await.unwrap();
        let renamed = store.local_accounts().by_name(&name("eve")).await.unwrap().unwrap();
        assert!(renamed.has_second_factor);
        assert!(store.local_accounts().delete(ID).await.unwrap());
        assert_eq!(factors.get(ID).await.unwrap(), None);
    }

    async fn rfc_6238_5_2_a_step_is_accepted_once(store) {
        ada(&store).await;
        let factors = store.second_factors();
        assert!(!factors.accept_step(ID, 8, None, at(2)).await.unwrap(), "there is none");
        factors.add(&factor(), None, at(2)).await.unwrap();
        let first = ticket(&store, 1).await;
        for step in [6, 7] {
            assert!(!factors.accept_step(ID, step, Some(&first), at(2)).await.unwrap());
        }
        assert!(is_valid(&store, &first).await, "a wrong code uses nothing up");
        assert!(factors.accept_step(ID, 8, Some(&first), at(2)).await.unwrap());
        assert!(!is_valid(&store, &first).await);
        let again = factors.accept_step(ID, 9, Some(&first), at(2)).await;
        assert!(matches!(again, Err(StoreError::Missing { what: "ticket" })), "{again:?}");
        assert_eq!(factors.get(ID).await.unwrap().unwrap().last_step, 8);
    }

    async fn recovery_codes_are_replaced_by_who_saw_them_last(store) {
        ada(&store).await;
        let factors = store.second_factors();
        factors.add(&factor(), None, at(2)).await.unwrap();
        let (old, new) = (factor().recovery, vec!["two".to_owned()]);
        let first = ticket(&store, 1).await;
        assert!(factors.replace_recovery(ID, &old, &new, Some(&first), at(2)).await.unwrap());
        assert!(!is_valid(&store, &first).await);
        assert!(!factors.replace_recovery(ID, &old, &new, None, at(2)).await.unwrap());
        assert_eq!(factors.get(ID).await.unwrap().unwrap().recovery, new);
    }

    async fn turning_it_off_ends_sign_ins_that_are_under_way(store) {
        ada(&store).await;
        let factors = store.second_factors();
        let spent = ticket(&store, 1).await;
        factors.add(&factor(), Some(&spent), at(2)).await.unwrap();
        assert!(!is_valid(&store, &spent).await);
        let under_way = ticket(&store, 2).await;
        assert!(factors.remove(ID).await.unwrap());
        assert!(!factors.remove(ID).await.unwrap());
        assert!(!is_valid(&store, &under_way).await);
        let account = store.local_accounts().by_id(ID).await.unwrap().unwrap();
        assert!(!account.has_second_factor);
    }
}
