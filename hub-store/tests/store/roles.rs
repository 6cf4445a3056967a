use crate::{name, user};

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
}
