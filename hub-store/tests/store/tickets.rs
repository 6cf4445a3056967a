use hub_store::{NewTicket, StoreError};
use serde_json::json;

use crate::at;

fn invitation(digest: u8, expires: i64) -> NewTicket {
    NewTicket {
        hash: [digest; 32],
        kind: "invitation".to_owned(),
        purpose: json!({"kind": "invitation", "name": null, "groups": ["ä"]}),
        account_id: None,
        created: at(0),
        expires_at: at(expires),
        uses_left: 30,
    }
}

on_every_engine! {
    async fn a_link_is_found_by_its_digest_until_it_expires(store) {
        let tickets = store.tickets();
        let made = tickets.create(&invitation(1, 10)).await.unwrap();
        assert_eq!((made.uses_left, &made.purpose["groups"][0]), (30, &json!("ä")));
        assert_eq!(tickets.by_hash(&[1; 32], at(9)).await.unwrap(), Some(made));
        assert_eq!(tickets.by_hash(&[1; 32], at(10)).await.unwrap(), None);
        assert_eq!(tickets.by_hash(&[2; 32], at(1)).await.unwrap(), None);
        let twice = tickets.create(&invitation(1, 10)).await;
        assert!(matches!(twice, Err(StoreError::Conflict { what: "ticket" })), "{twice:?}");
        let orphan = NewTicket { account_id: Some("none".to_owned()), ..invitation(2, 10) };
        let orphan = tickets.create(&orphan).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "account" })), "{orphan:?}");
    }

    async fn links_are_listed_withdrawn_and_swept(store) {
        let tickets = store.tickets();
        let first = tickets.create(&invitation(1, 10)).await.unwrap();
        tickets.create(&invitation(2, 20)).await.unwrap();
        let set_up = NewTicket { kind: "set_up".to_owned(), ..invitation(3, 20) };
        tickets.create(&set_up).await.unwrap();

        assert_eq!(tickets.of_kind("invitation", at(9)).await.unwrap().len(), 2);
        assert_eq!(tickets.of_kind("invitation", at(10)).await.unwrap().len(), 1);
        assert!(tickets.withdraw(first.id).await.unwrap());
        assert!(!tickets.withdraw(first.id).await.unwrap());
        assert_eq!(tickets.withdraw_kind("set_up").await.unwrap(), 1);
        assert_eq!(tickets.withdraw_of("none").await.unwrap(), 0);
        assert_eq!(tickets.sweep(at(20)).await.unwrap(), 1);
        assert!(tickets.of_kind("invitation", at(1)).await.unwrap().is_empty());
    }
}
