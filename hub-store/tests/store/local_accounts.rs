use hub_store::{
    AccountFilter, LocalStatus, NewLocalAccount, NewSession, NewTicket, NewToken, PasswordChange,
    Store, StoreError, TokenOwner,
};
use serde_json::json;

use crate::{at, name, user};

fn account(raw: &str, status: LocalStatus) -> NewLocalAccount {
    NewLocalAccount {
        id: format!("id-of-{raw}"),
        name: name(raw),
        hash: format!("hash-of-{raw}"),
        status,
        admin: false,
        groups: vec![],
    }
}

fn ticket(digest: u8, account_id: Option<&str>, uses_left: u32) -> NewTicket {
    NewTicket {
        hash: [digest; 32],
        kind: if account_id.is_some() { "reset" } else { "invitation" }.to_owned(),
        purpose: json!({"kind": "some"}),
        account_id: account_id.map(str::to_owned),
        created: at(0),
        expires_at: at(100),
        uses_left,
    }
}

async fn add(store: &Store, raw: &str, status: LocalStatus) {
    store.local_accounts().create(&account(raw, status), None, at(1)).await.unwrap();
}

async fn status_of(store: &Store, raw: &str) -> Option<LocalStatus> {
    let found = store.local_accounts().by_name(&name(raw)).await.unwrap();
    found.map(|account| account.status)
}

fn change(raw: &str, old: &str, new: &str) -> PasswordChange {
    PasswordChange {
        account_id: format!("id-of-{raw}"),
        old: old.to_owned(),
        new: new.to_owned(),
        ticket: None,
        keep_session: None,
    }
}

on_every_engine! {
    async fn an_active_account_has_a_user_with_its_rights_and_groups(store) {
        let new = NewLocalAccount {
            admin: true,
            groups: vec!["staff".to_owned()],
            ..account("ada", LocalStatus::Active)
        };
        assert!(!store.local_accounts().has_admin().await.unwrap());
        store.local_accounts().create(&new, None, at(1)).await.unwrap();

        let ada = store.users().by_identity("local", "id-of-ada").await.unwrap().unwrap();
        assert_eq!((ada.name, ada.admin), (name("ada"), true));
        assert_eq!(store.groups().of_user(ada.id).await.unwrap(), ["staff"]);
        assert!(store.local_accounts().has_admin().await.unwrap());
        assert_eq!(store.users().admin_providers().await.unwrap(), ["local"]);
        let found = store.local_accounts().by_id("id-of-ada").await.unwrap().unwrap();
        assert_eq!((found.hash.as_str(), found.created), ("hash-of-ada", at(1)));
        let twice = store.local_accounts().create(&new, None, at(2)).await;
        assert!(matches!(twice, Err(StoreError::Conflict { what: "account" })), "{twice:?}");
    }

    async fn nat_2_the_dearest_of_the_old_hashes_is_known(store) {
        assert_eq!(store.local_accounts().bcrypt_cost().await.unwrap(), None);
        let new = |raw, hash: &str| NewLocalAccount {
            hash: hash.to_owned(),
            ..account(raw, LocalStatus::Active)
        };
        let argon2 = new("ada", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA");
        store.local_accounts().create(&argon2, None, at(1)).await.unwrap();
        assert_eq!(store.local_accounts().bcrypt_cost().await.unwrap(), None);
        for (raw, hash) in [("bob", "$2y$10$x"), ("cyd", "$2b$12$x"), ("dan", "$2a$04$x")] {
            store.local_accounts().create(&new(raw, hash), None, at(1)).await.unwrap();
        }
        assert_eq!(store.local_accounts().bcrypt_cost().await.unwrap().as_deref(), Some("12"));
    }

    async fn a_waiting_account_is_nobodys_until_it_is_approved(store) {
        add(&store, "ada", LocalStatus::Waiting).await;
        assert_eq!(store.users().by_name(&name("ada")).await.unwrap(), None);
        let accounts = store.local_accounts();
        accounts.set_status("id-of-ada", LocalStatus::Active, at(2)).await.unwrap();
        assert!(store.users().by_identity("local", "id-of-ada").await.unwrap().is_some());
        let nobody = accounts.set_status("other", LocalStatus::Active, at(2)).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "account" })), "{nobody:?}");
    }

    async fn gh_3_an_account_does_not_get_the_user_of_somebody_else(store) {
        let ada = user(&store, "ada").await;
        store.users().bind_identity(ada.id, "github", "1", at(0)).await.unwrap();
        let refused = store
            .local_accounts()
            .create(&account("ada", LocalStatus::Active), None, at(1))
            .await;
        assert!(matches!(refused, Err(StoreError::Conflict { what: "identity" })), "{refused:?}");
        assert_eq!(status_of(&store, "ada").await, None);

        add(&store, "bob", LocalStatus::Waiting).await;
        let bob = user(&store, "bob").await;
        store.users().bind_identity(bob.id, "github", "2", at(0)).await.unwrap();
        let refused =
            store.local_accounts().set_status("id-of-bob", LocalStatus::Active, at(2)).await;
        assert!(matches!(refused, Err(StoreError::Conflict { what: "identity" })), "{refused:?}");
        assert_eq!(status_of(&store, "bob").await, Some(LocalStatus::Waiting));
    }

    async fn nat_1_a_link_is_used_up_together_with_what_it_is_for(store) {
        store.tickets().create(&ticket(1, None, 2)).await.unwrap();
        let accounts = store.local_accounts();
        accounts
            .create(&account("ada", LocalStatus::Active), Some(&[1; 32]), at(1))
            .await
            .unwrap();
        let left = store.tickets().by_hash(&[1; 32], at(1)).await.unwrap().unwrap();
        assert_eq!(left.uses_left, 1);
        // What fails uses nothing.
        let again = account("ada", LocalStatus::Active);
        accounts.create(&again, Some(&[1; 32]), at(1)).await.unwrap_err();
        accounts
            .create(&account("bob", LocalStatus::Active), Some(&[1; 32]), at(1))
            .await
            .unwrap();
        assert_eq!(store.tickets().by_hash(&[1; 32], at(1)).await.unwrap(), None);

        store.tickets().create(&ticket(2, None, 1)).await.unwrap();
        for (digest, now) in [(1, at(1)), (2, at(100))] {
            let cyd = account("cyd", LocalStatus::Active);
            let refused = accounts.create(&cyd, Some(&[digest; 32]), now).await;
            assert!(matches!(refused, Err(StoreError::Missing { what: "ticket" })), "{refused:?}");
        }
        assert_eq!(status_of(&store, "cyd").await, None);
    }

    async fn nat_1_the_last_use_of_a_link_is_for_one(store) {
        store.tickets().create(&ticket(1, None, 1)).await.unwrap();
        let people = ["ada", "bob", "cyd", "dan"].map(|raw| account(raw, LocalStatus::Active));
        let tries = people.iter().map(|new| {
            let store = &store;
            async move { store.local_accounts().create(new, Some(&[1; 32]), at(1)).await }
        });
        let done = futures_util::future::join_all(tries).await;
        assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1, "{done:?}");
        assert_eq!(store.local_accounts().count(None).await.unwrap(), 1);
    }

    async fn a_hash_is_replaced_only_while_it_is_the_old_one(store) {
        add(&store, "ada", LocalStatus::Active).await;
        let accounts = store.local_accounts();
        assert!(!accounts.rehash(&name("ada"), "other", "new").await.unwrap());
        assert!(accounts.rehash(&name("ada"), "hash-of-ada", "new").await.unwrap());
        let late = accounts.set_password(&change("ada", "hash-of-ada", "newer"), at(2)).await;
        assert!(matches!(late, Err(StoreError::Missing { what: "account" })), "{late:?}");
        accounts.set_password(&change("ada", "new", "newer"), at(3)).await.unwrap();
        let found = accounts.by_name(&name("ada")).await.unwrap().unwrap();
        assert_eq!((found.hash.as_str(), found.changed), ("newer", at(3)));
    }

    async fn a_new_password_ends_sessions_tokens_and_links(store) {
        add(&store, "ada", LocalStatus::Active).await;
        let ada = store.users().by_name(&name("ada")).await.unwrap().unwrap();
        for (digest, session) in [(1, "keep"), (2, "end")] {
            let session = NewSession {
                hash: [digest; 32],
                user: ada.id,
                sign_outs: 0,
                provider: "github".to_owned(),
                session_id: session.to_owned(),
                created: at(1),
                expires_at: at(100),
            };
            store.sessions().create(&session).await.unwrap();
        }
        // By the API, of a server, in either session.
        for (digest, client, session) in [
            (1, None, None),
            (2, Some("server"), None),
            (3, Some("server"), Some("keep")),
            (4, Some("server"), Some("end")),
        ] {
            let token = NewToken {
                owner: TokenOwner::User(ada.id),
                hash: [digest; 32],
                client_id: client.map(str::to_owned),
                session_id: session.map(str::to_owned),
                note: String::new(),
                scopes: vec![],
                created: at(1),
                expires_at: None,
            };
            store.tokens().issue(&token).await.unwrap();
        }
        for digest in [7, 8] {
            store.tickets().create(&ticket(digest, Some("id-of-ada"), 1)).await.unwrap();
        }
        let change = PasswordChange {
            ticket: Some([7; 32]),
            keep_session: Some("keep".to_owned()),
            ..change("ada", "hash-of-ada", "new")
        };
        store.local_accounts().set_password(&change, at(2)).await.unwrap();

        let (sessions, tokens, tickets) = (store.sessions(), store.tokens(), store.tickets());
        for (digest, stays) in [(1, true), (2, false)] {
            let found = sessions.by_hash(&[digest; 32], at(3)).await.unwrap();
            assert_eq!(found.is_some(), stays, "session {digest}");
        }
        for (digest, stays) in [(1, false), (2, true), (3, true), (4, false)] {
            let found = tokens.by_hash(&[digest; 32], at(3)).await.unwrap();
            assert_eq!(found.is_some(), stays, "token {digest}");
        }
        for digest in [7, 8] {
            assert_eq!(tickets.by_hash(&[digest; 32], at(3)).await.unwrap(), None);
        }
        let closed = LocalStatus::Closed;
        store.local_accounts().set_status("id-of-ada", closed, at(4)).await.unwrap();
        assert_eq!(sessions.by_hash(&[1; 32], at(5)).await.unwrap(), None);
    }

    async fn password_change_ends_sessions_that_are_about_to_begin(store) {
        add(&store, "ada", LocalStatus::Active).await;
        let (accounts, users) = (store.local_accounts(), store.users());
        let before = users.by_name(&name("ada")).await.unwrap().unwrap();
        let session = |hash, sign_outs| NewSession {
            hash: [hash; 32],
            user: before.id,
            sign_outs,
            provider: "github".to_owned(),
            session_id: format!("s{hash}"),
            created: at(1),
            expires_at: at(100),
        };
        store.sessions().create(&session(1, 0)).await.unwrap();
        let keep = PasswordChange {
            keep_session: Some("s1".to_owned()),
            ..change("ada", "hash-of-ada", "new")
        };
        accounts.set_password(&keep, at(2)).await.unwrap();
        let late = store.sessions().create(&session(2, 0)).await;
        assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");
        // The session that goes on is somebody who is signed in now.
        let kept = store.sessions().by_hash(&[1; 32], at(3)).await.unwrap().unwrap();
        store.sessions().create(&session(3, kept.user.sign_outs)).await.unwrap();

        let closed = LocalStatus::Closed;
        accounts.set_status("id-of-ada", closed, at(4)).await.unwrap();
        let late = store.sessions().create(&session(4, kept.user.sign_outs)).await;
        assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");
        // To open it again ends nothing.
        let closed = users.by_id(before.id).await.unwrap().unwrap();
        accounts.set_status("id-of-ada", LocalStatus::Active, at(5)).await.unwrap();
        store.sessions().create(&session(5, closed.sign_outs)).await.unwrap();
    }

    async fn an_account_goes_with_its_user_and_is_renamed_with_it(store) {
        add(&store, "ada", LocalStatus::Active).await;
        add(&store, "bob", LocalStatus::Waiting).await;
        let ada = store.users().by_name(&name("ada")).await.unwrap().unwrap();
        let taken = store.users().rename(ada.id, &name("bob")).await;
        assert!(matches!(taken, Err(StoreError::Conflict { what: "user" })), "{taken:?}");
        store.users().rename(ada.id, &name("lovelace")).await.unwrap();
        assert_eq!(status_of(&store, "ada").await, None);
        assert_eq!(status_of(&store, "lovelace").await, Some(LocalStatus::Active));

        store.tickets().create(&ticket(1, Some("id-of-ada"), 1)).await.unwrap();
        assert!(store.users().delete(ada.id).await.unwrap());
        assert_eq!(status_of(&store, "lovelace").await, None);
        assert_eq!(store.tickets().by_hash(&[1; 32], at(1)).await.unwrap(), None);
        // One that waits for a user who was added by hand.
        let bob = user(&store, "bob").await;
        assert!(store.users().delete(bob.id).await.unwrap());
        assert_eq!(status_of(&store, "bob").await, None);
    }

    async fn accounts_are_listed_by_status(store) {
        add(&store, "cyd", LocalStatus::Waiting).await;
        add(&store, "ada", LocalStatus::Active).await;
        add(&store, "bob", LocalStatus::Waiting).await;
        let accounts = store.local_accounts();
        for (status, offset, expected) in [
            (None, 0, vec!["ada", "bob", "cyd"]),
            (Some(LocalStatus::Waiting), 0, vec!["bob", "cyd"]),
            (Some(LocalStatus::Waiting), 1, vec!["cyd"]),
            (Some(LocalStatus::Closed), 0, vec![]),
        ] {
            let filter = AccountFilter { status, offset, limit: 10 };
            let page = accounts.page(&filter).await.unwrap();
            let names: Vec<&str> = page.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, expected, "{status:?} {offset}");
        }
        assert_eq!(accounts.count(Some(LocalStatus::Waiting)).await.unwrap(), 2);
        assert!(accounts.delete("id-of-bob").await.unwrap());
        assert!(!accounts.delete("id-of-bob").await.unwrap());
    }
}
