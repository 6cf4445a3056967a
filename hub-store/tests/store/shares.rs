use hub_store::{Grantee, NewShareCode, StoreError};

use crate::{at, key, name, user};

fn scopes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

on_every_engine! {
    async fn a_share_grows_and_shrinks(store) {
        user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let (ada, with) = (key("ada", ""), Grantee::User(name("bob")));
        let shares = store.shares();
        let early = shares.grant(&ada, &with, &scopes(&["access:servers"]), at(1)).await;
        assert!(matches!(early, Err(StoreError::Missing { .. })), "{early:?}");
        store.servers().ensure(&ada, at(0)).await.unwrap();

        shares.grant(&ada, &with, &scopes(&["read:servers"]), at(1)).await.unwrap();
        let share =
            shares.grant(&ada, &with, &scopes(&["access:servers", "read:servers"]), at(2)).await;
        let share = share.unwrap();
        assert_eq!(share.scopes, ["access:servers", "read:servers"]);
        assert_eq!((&share.server, &share.with, share.created), (&ada, &with, at(1)));
        assert_eq!(shares.get(&ada, &with).await.unwrap(), Some(share.clone()));
        assert_eq!(shares.with_user(bob.id).await.unwrap(), [share]);

        let left = shares.revoke(&ada, &with, Some(&scopes(&["read:servers"]))).await.unwrap();
        assert_eq!(left.unwrap().scopes, ["access:servers"]);
        assert_eq!(shares.revoke(&ada, &with, None).await.unwrap(), None);
        assert_eq!(shares.get(&ada, &with).await.unwrap(), None);
        assert_eq!(shares.revoke(&ada, &with, None).await.unwrap(), None);
    }

    async fn a_share_with_a_group_is_one_with_its_members(store) {
        user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        store.groups().create("staff", &[bob.id]).await.unwrap();
        let (lab, with) = (key("ada", "lab"), Grantee::Group("staff".to_owned()));
        store.servers().ensure(&lab, at(0)).await.unwrap();
        let shares = store.shares();
        let share =
            shares.grant(&lab, &with, &scopes(&["access:servers"]), at(1)).await.unwrap();
        assert_eq!(shares.with_user(bob.id).await.unwrap(), std::slice::from_ref(&share));
        assert!(shares.with_user_directly(bob.id).await.unwrap().is_empty());
        for listed in [
            shares.with_group("staff").await,
            shares.of_server(&lab).await,
            shares.of_owner(&name("ada")).await,
        ] {
            assert_eq!(listed.unwrap(), std::slice::from_ref(&share));
        }
        let nobody = Grantee::Group("nobody".to_owned());
        let missing = shares.grant(&lab, &nobody, &scopes(&["access:servers"]), at(1)).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");

        assert_eq!(shares.revoke_all(&lab).await.unwrap(), 1);
        shares.grant(&lab, &with, &scopes(&["access:servers"]), at(1)).await.unwrap();
        store.servers().delete(&lab).await.unwrap();
        assert!(shares.with_group("staff").await.unwrap().is_empty());
    }

    async fn a_share_code_counts_until_it_expires(store) {
        user(&store, "ada").await;
        let ada = key("ada", "");
        let codes = store.share_codes();
        let new = NewShareCode {
            server: ada.clone(),
            hash: [1; 32],
            scopes: scopes(&["access:servers"]),
            created: at(0),
            expires_at: at(100),
        };
        let early = codes.create(&new).await;
        assert!(matches!(early, Err(StoreError::Missing { what: "server" })), "{early:?}");
        store.servers().ensure(&ada, at(0)).await.unwrap();
        let code = codes.create(&new).await.unwrap();
        assert_eq!((code.exchange_count, code.last_exchanged), (0, None));
        let twice = codes.create(&new).await;
        assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");

        user(&store, "bob").await;
        let bob = Grantee::User(name("bob"));
        let share = codes.exchange(&[1; 32], &bob, at(5)).await.unwrap().unwrap();
        assert_eq!((&share.server, &share.with), (&ada, &bob));
        assert_eq!(store.shares().get(&ada, &bob).await.unwrap(), Some(share));
        assert_eq!(codes.exchange(&[2; 32], &bob, at(5)).await.unwrap(), None);
        assert_eq!(codes.exchange(&[1; 32], &bob, at(100)).await.unwrap(), None);
        let code = codes.by_hash(&[1; 32], at(99)).await.unwrap().unwrap();
        assert_eq!((code.exchange_count, code.last_exchanged), (1, Some(at(5))));
        assert_eq!(codes.of_server(&ada, at(99)).await.unwrap(), std::slice::from_ref(&code));
        assert_eq!(
            codes.of_owner(&name("ada"), at(99)).await.unwrap(),
            std::slice::from_ref(&code)
        );
        assert_eq!(codes.by_hash(&[1; 32], at(100)).await.unwrap(), None);
        assert!(codes.of_server(&ada, at(100)).await.unwrap().is_empty());

        assert!(codes.revoke(code.id).await.unwrap());
        assert!(!codes.revoke(code.id).await.unwrap());
        codes.create(&new).await.unwrap();
        assert_eq!(codes.revoke_all(&key("bob", "")).await.unwrap(), 0);
        assert_eq!(codes.revoke_all(&ada).await.unwrap(), 1);
        codes.create(&new).await.unwrap();
        assert_eq!(codes.sweep(at(100)).await.unwrap(), 1);
    }
}
