use hub_store::{StoreError, UserId};
use serde_json::json;

use crate::{name, user};

on_every_engine! {
    async fn a_group_is_made_with_members_or_not_at_all(store) {
        let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
        let staff = store.groups().create("staff", &[bob.id, ada.id]).await.unwrap();
        assert_eq!((staff.name.as_str(), &staff.properties), ("staff", &json!({})));
        assert_eq!(store.groups().member_names("staff").await.unwrap(), [name("ada"), name("bob")]);
        assert_eq!(store.groups().by_name("staff").await.unwrap(), Some(staff));

        let twice = store.groups().create("staff", &[]).await;
        assert!(matches!(twice, Err(StoreError::Conflict { what: "group" })), "{twice:?}");
        let nobody = store.groups().create("other", &[UserId::new(99)]).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
        assert_eq!(store.groups().by_name("other").await.unwrap(), None);
        assert_eq!(store.groups().count().await.unwrap(), 1);
    }

    async fn members_come_and_go(store) {
        let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
        let groups = store.groups();
        let staff = groups.create("staff", &[ada.id]).await.unwrap();
        groups.add(staff.id, &[ada.id, bob.id]).await.unwrap();
        assert_eq!(groups.of_user(bob.id).await.unwrap(), ["staff"]);
        let nobody = groups.add(staff.id, &[bob.id, UserId::new(99)]).await;
        assert!(matches!(nobody, Err(StoreError::Missing { .. })), "{nobody:?}");
        groups.remove(staff.id, &[ada.id, UserId::new(99)]).await.unwrap();
        assert_eq!(groups.member_names("staff").await.unwrap(), [name("bob")]);
        groups.replace(staff.id, &[ada.id]).await.unwrap();
        assert_eq!(groups.member_names("staff").await.unwrap(), [name("ada")]);

        groups.replace_of_user(ada.id, &["b".to_owned(), "a".to_owned()]).await.unwrap();
        assert_eq!(groups.of_user(ada.id).await.unwrap(), ["a", "b"]);
        assert!(groups.member_names("staff").await.unwrap().is_empty());
    }

    async fn groups_go_with_what_refers_to_them(store) {
        let ada = user(&store, "ada").await;
        let groups = store.groups();
        let staff = groups.create("staff", &[ada.id]).await.unwrap();
        groups.create("other", &[]).await.unwrap();
        groups.set_properties(staff.id, &json!({"a": [1]})).await.unwrap();
        assert_eq!(groups.ensure("staff").await.unwrap().properties, json!({"a": [1]}));
        store.roles().replace_groups("helper", &["staff".to_owned()]).await.unwrap();
        let all: Vec<_> = groups.page(0, 10).await.unwrap().into_iter().map(|g| g.name).collect();
        assert_eq!(all, ["staff", "other"]);
        assert_eq!(groups.page(1, 1).await.unwrap()[0].name, "other");

        assert!(groups.delete(staff.id).await.unwrap());
        assert!(!groups.delete(staff.id).await.unwrap());
        assert!(groups.of_user(ada.id).await.unwrap().is_empty());
        assert!(store.roles().of_groups_of(ada.id).await.unwrap().is_empty());
        let gone = groups.set_properties(staff.id, &json!({})).await;
        assert!(matches!(gone, Err(StoreError::Missing { what: "group" })), "{gone:?}");
        store.users().delete(ada.id).await.unwrap();
    }
}
