use hub_store::{NewToken, TokenOwner};

use crate::{at, name, user};

on_every_engine! {
    async fn a_list_of_members_replaces_those_of_its_kind_only(store) {
        let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
        store.groups().create("staff", &[bob.id]).await.unwrap();
        let roles = store.roles();
        roles.replace_users("helper", &[name("ada"), name("nobody")]).await.unwrap();
        roles.replace_groups("helper", &["staff".to_owned()]).await.unwrap();
        roles.replace_services("helper", &["culler".to_owned()]).await.unwrap();
        assert_eq!(roles.of_user(ada.id).await.unwrap(), ["helper"]);
        assert_eq!(roles.of_groups_of(bob.id).await.unwrap(), ["helper"]);
        assert_eq!(roles.of_group("staff").await.unwrap(), ["helper"]);
        assert_eq!(roles.of_service("culler").await.unwrap(), ["helper"]);

        roles.replace_users("helper", &[name("bob")]).await.unwrap();
        assert!(roles.of_user(ada.id).await.unwrap().is_empty());
        assert_eq!(roles.of_user(bob.id).await.unwrap(), ["helper"]);
        assert_eq!(roles.of_group("staff").await.unwrap(), ["helper"]);
    }

    async fn a_role_that_is_no_longer_configured_is_forgotten(store) {
        let ada = user(&store, "ada").await;
        let roles = store.roles();
        roles.replace_users("helper", &[name("ada")]).await.unwrap();
        roles.replace_users("reader", &[name("ada")]).await.unwrap();
        roles.forget_except(&["reader"]).await.unwrap();
        assert_eq!(roles.of_user(ada.id).await.unwrap(), ["reader"]);
        // A renamed user keeps it.
        store.users().rename(ada.id, &name("eve")).await.unwrap();
        assert_eq!(roles.of_user(ada.id).await.unwrap(), ["reader"]);
    }

    async fn many_users_are_asked_about_at_once(store) {
        let mut users = Vec::new();
        for number in 0..120 {
            users.push(user(&store, &format!("u{number}")).await);
        }
        let ids: Vec<_> = users.iter().map(|user| user.id).collect();
        store.groups().create("b", &ids[..110]).await.unwrap();
        store.groups().create("a", &ids[100..]).await.unwrap();
        store.roles().replace_users("helper", &[name("u119")]).await.unwrap();

        let groups = store.groups().of_users(&ids).await.unwrap();
        for (number, id) in ids.iter().enumerate() {
            let expected: &[&str] = match number {
                0..100 => &["b"],
                100..110 => &["a", "b"],
                _ => &["a"],
            };
            assert_eq!(groups[id], expected, "{number}");
        }
        let roles = store.roles().of_users(&ids).await.unwrap();
        assert_eq!(roles.len(), 1);
        assert_eq!(roles[&ids[119]], ["helper"]);
        assert!(store.groups().of_users(&[]).await.unwrap().is_empty());
        assert_eq!(store.groups().of_users(&ids[..1]).await.unwrap().len(), 1);
    }

    async fn every_change_is_counted_and_nothing_else(store) {
        let mut before = store.changes();
        let mut changed = |what: &str, expected: bool| {
            let now = store.changes();
            assert_eq!(now != before, expected, "{what}");
            before = now;
        };
        let ada = user(&store, "ada").await;
        changed("a user is added", true);
        store.users().by_name(&name("ada")).await.unwrap();
        store.roles().of_user(ada.id).await.unwrap();
        changed("somebody looks", false);
        store.roles().replace_users("helper", &[name("ada")]).await.unwrap();
        changed("a transaction", true);
        let token = NewToken {
            owner: TokenOwner::User(ada.id),
            hash: [1; 32],
            client_id: None,
            session_id: None,
            note: String::new(),
            scopes: Vec::new(),
            created: at(0),
            expires_at: None,
        };
        store.tokens().issue(&token).await.unwrap();
        changed("a row that is returned", true);
        store.clone().users().touch(ada.id, at(1)).await.unwrap();
        changed("through a clone", true);
        store.tokens().issue(&token).await.unwrap_err();
        changed("one that failed may have changed something", true);
        store.ping().await.unwrap();
        changed("a look at the database", false);
    }
}
