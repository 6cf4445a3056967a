use hub_store::{StoreError, UserFilter, UserId, UserOrder};

use crate::{at, key, name, user};

fn all() -> UserFilter {
    UserFilter { name_contains: None, offset: 0, limit: 100, order: UserOrder::Added }
}

fn containing(text: &str) -> UserFilter {
    UserFilter { name_contains: Some(text.to_owned()), ..all() }
}

async fn names(store: &hub_store::Store, filter: &UserFilter) -> Vec<String> {
    let users = store.users().page(filter).await.unwrap();
    users.into_iter().map(|user| user.name.to_string()).collect()
}

on_every_engine! {
    async fn a_created_user_is_found_by_name_and_id(store) {
        let created = store.users().create(&name("ada"), true, at(5)).await.unwrap();

        assert!(created.admin);
        assert_eq!(created.created, at(5));
        assert_eq!(created.last_activity, None);
        assert_eq!(store.users().by_name(&name("ada")).await.unwrap(), Some(created.clone()));
        assert_eq!(store.users().by_id(created.id).await.unwrap(), Some(created));
        assert_eq!(store.users().by_name(&name("Ada")).await.unwrap(), None);
        assert_eq!(store.users().by_id(UserId::new(99)).await.unwrap(), None);
    }

    async fn a_name_is_given_once(store) {
        user(&store, "ada").await;
        let again = store.users().create(&name("ada"), false, at(1)).await;
        assert!(matches!(again, Err(StoreError::Conflict { what: "user" })), "{again:?}");
    }

    async fn times_are_kept_to_the_microsecond(store) {
        let precise = "2026-01-01T00:00:00.123456789Z".parse().unwrap();
        let created = store.users().create(&name("ada"), false, precise).await.unwrap();
        assert_eq!(created.created, "2026-01-01T00:00:00.123456Z".parse().unwrap());
    }

    async fn ensuring_a_user_creates_them_once(store) {
        let (first, created) = store.users().ensure(&name("ada"), at(0)).await.unwrap();
        let (second, again) = store.users().ensure(&name("ada"), at(9)).await.unwrap();
        assert!(created && !again);
        assert_eq!(first, second);
        assert!(!first.admin);
    }

    async fn concurrent_sign_ins_create_one_user(store) {
        let (users, ada) = (store.users(), name("ada"));
        let (a, b, c) = tokio::join!(
            users.ensure(&ada, at(0)),
            users.ensure(&ada, at(0)),
            users.ensure(&ada, at(0)),
        );
        let outcomes = [a.unwrap(), b.unwrap(), c.unwrap()];
        assert_eq!(outcomes.iter().filter(|(_, created)| *created).count(), 1);
        assert_eq!(store.users().count(None).await.unwrap(), 1);
    }

    async fn the_admin_role_is_given_and_taken(store) {
        let ada = user(&store, "ada").await;
        store.users().set_admin(ada.id, true).await.unwrap();
        assert!(store.users().by_id(ada.id).await.unwrap().unwrap().admin);
        store.users().set_admin(ada.id, false).await.unwrap();
        assert!(!store.users().by_id(ada.id).await.unwrap().unwrap().admin);

        let nobody = store.users().set_admin(UserId::new(99), true).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
    }

    async fn a_renamed_user_keeps_servers_and_id(store) {
        let ada = user(&store, "ada").await;
        store.servers().ensure(&key("ada", "lab"), at(0)).await.unwrap();

        store.users().rename(ada.id, &name("Lovelace")).await.unwrap();

        assert_eq!(store.users().by_name(&name("ada")).await.unwrap(), None);
        assert_eq!(store.users().by_id(ada.id).await.unwrap().unwrap().name, name("Lovelace"));
        assert!(store.servers().get(&key("Lovelace", "lab")).await.unwrap().is_some());
        assert_eq!(names(&store, &containing("love")).await, ["Lovelace"]);
    }

    async fn renaming_to_a_taken_name_is_a_conflict(store) {
        let ada = user(&store, "ada").await;
        user(&store, "bob").await;
        let taken = store.users().rename(ada.id, &name("bob")).await;
        assert!(matches!(taken, Err(StoreError::Conflict { what: "user" })), "{taken:?}");
        let nobody = store.users().rename(UserId::new(99), &name("eve")).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
    }

    async fn the_id_of_a_deleted_user_is_not_given_again(store) {
        let first = user(&store, "ada").await;
        assert!(store.users().delete(first.id).await.unwrap());
        assert!(!store.users().delete(first.id).await.unwrap());
        let second = user(&store, "ada").await;
        assert!(second.id > first.id);
    }

    async fn a_page_is_a_part_of_the_users_in_order(store) {
        for raw in ["cyd", "ada", "bob", "dan"] {
            user(&store, raw).await;
        }
        assert_eq!(names(&store, &all()).await, ["cyd", "ada", "bob", "dan"]);
        let middle = UserFilter { offset: 1, limit: 2, ..all() };
        assert_eq!(names(&store, &middle).await, ["ada", "bob"]);
        let beyond = UserFilter { offset: u64::MAX, limit: u64::MAX, ..all() };
        assert_eq!(names(&store, &beyond).await, [""; 0]);
        assert_eq!(store.users().count(None).await.unwrap(), 4);
    }

    async fn a_search_is_literal_and_ignores_case(store) {
        for raw in ["Ada", "a%b", "a_b", "aXb", "Ä-Name", r"back\slash"] {
            user(&store, raw).await;
        }
        for (needle, expected) in [
            ("aDA", vec!["Ada"]),
            ("a%b", vec!["a%b"]),
            ("a_b", vec!["a_b"]),
            ("%", vec!["a%b"]),
            ("_", vec!["a_b"]),
            (r"\", vec![r"back\slash"]),
            ("ä-n", vec!["Ä-Name"]),
            ("\0", vec![]),
        ] {
            assert_eq!(names(&store, &containing(needle)).await, expected, "{needle:?}");
            let count = store.users().count(Some(needle)).await.unwrap();
            assert_eq!(count, expected.len() as u64, "{needle:?}");
        }
    }

    async fn activity_only_moves_forward(store) {
        let ada = user(&store, "ada").await;
        for seconds in [10, 5, 20, 15] {
            store.users().touch(ada.id, at(seconds)).await.unwrap();
        }
        let ada = store.users().by_id(ada.id).await.unwrap().unwrap();
        assert_eq!(ada.last_activity, Some(at(20)));
    }

    async fn a_bound_identity_leads_to_its_user(store) {
        let ada = user(&store, "ada").await;
        store.users().bind_identity(ada.id, "github", "42", at(0)).await.unwrap();
        store.users().bind_identity(ada.id, "github", "42", at(1)).await.unwrap();

        let found = store.users().by_identity("github", "42").await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(ada.id));
        assert_eq!(store.users().by_identity("oidc", "42").await.unwrap(), None);
        assert_eq!(store.users().by_identity("github", "4\0").await.unwrap(), None);
        let subject = store.users().subject_of(ada.id, "github").await.unwrap();
        assert_eq!(subject.as_deref(), Some("42"));
        assert_eq!(store.users().subject_of(ada.id, "oidc").await.unwrap(), None);
    }

    async fn gh_3_an_identity_is_one_users_and_a_user_has_one_per_provider(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        store.users().bind_identity(ada.id, "github", "42", at(0)).await.unwrap();

        let stolen = store.users().bind_identity(bob.id, "github", "42", at(1)).await;
        assert!(matches!(stolen, Err(StoreError::Conflict { what: "identity" })), "{stolen:?}");
        let second = store.users().bind_identity(ada.id, "github", "43", at(1)).await;
        assert!(matches!(second, Err(StoreError::Conflict { what: "identity" })), "{second:?}");
        let nobody = store.users().bind_identity(UserId::new(99), "github", "44", at(1)).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
        store.users().bind_identity(ada.id, "oidc", "42", at(1)).await.unwrap();
    }

    async fn a6_of_two_people_who_claim_an_account_at_once_one_gets_it(store) {
        for (round, exists) in (0..20).zip([true, false].into_iter().cycle()) {
            let account = name(&format!("ada{round}"));
            if exists {
                store.users().create(&account, false, at(0)).await.unwrap();
            }
            let subject = round.to_string();
            let claim = |provider| {
                let (store, account, subject) = (store.clone(), account.clone(), subject.clone());
                async move { store.users().claim(&account, provider, &subject, at(1)).await }
            };
            let (one, other) = tokio::join!(claim("github"), claim("oidc"));
            let claimed = [one, other];
            let won = claimed.iter().filter(|claim| claim.is_ok()).count();
            assert_eq!(won, 1, "{claimed:?}");
            let lost = claimed.iter().find_map(|claim| claim.as_ref().err());
            assert!(matches!(lost, Some(StoreError::Conflict { what: "identity" })), "{lost:?}");
        }
        // Whoever has an account gets no second one, and comes back to the first.
        let users = store.users();
        let ada = users.claim(&name("ada"), "github", "a", at(1)).await.unwrap();
        let again = users.claim(&name("ada"), "github", "a", at(2)).await.unwrap();
        assert_eq!(again, ada);
        let second = users.claim(&name("bob"), "github", "a", at(2)).await;
        assert!(matches!(second, Err(StoreError::Conflict { what: "identity" })), "{second:?}");
        assert_eq!(users.by_name(&name("bob")).await.unwrap(), None, "nothing is half done");
    }

    async fn gh_3_an_identity_that_is_forgotten_is_free(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let users = store.users();
        users.bind_identity(ada.id, "oidc", "7", at(1)).await.unwrap();
        users.bind_identity(ada.id, "github", "42", at(0)).await.unwrap();
        let known: Vec<_> = users
            .identities(ada.id)
            .await
            .unwrap()
            .into_iter()
            .map(|one| (one.provider, one.subject, one.created))
            .collect();
        let expected = [("github", "42", at(0)), ("oidc", "7", at(1))];
        assert_eq!(known, expected.map(|(p, s, at)| (p.to_owned(), s.to_owned(), at)));
        assert!(users.identities(bob.id).await.unwrap().is_empty());

        assert!(users.forget_identity(ada.id, "github").await.unwrap());
        assert!(!users.forget_identity(ada.id, "github").await.unwrap());
        assert!(!users.forget_identity(bob.id, "oidc").await.unwrap(), "only one's own");
        users.bind_identity(bob.id, "github", "42", at(2)).await.unwrap();
        users.bind_identity(ada.id, "github", "43", at(2)).await.unwrap();
    }

    async fn gh_3_identities_get_another_provider_all_or_none(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let users = store.users();
        users.bind_identity(bob.id, "github", "7", at(0)).await.unwrap();
        users.bind_identity(ada.id, "github", "42", at(1)).await.unwrap();
        let known = async || {
            let all = store.users().all_identities().await.unwrap();
            all.into_iter()
                .map(|(user, one)| format!("{} {}:{}", user.name, one.provider, one.subject))
                .collect::<Vec<_>>()
        };
        users.bind_identity(bob.id, "ghe", "8", at(2)).await.unwrap();
        let refused = users.move_identities("github", "ghe").await;
        assert!(matches!(refused, Err(StoreError::Conflict { what: "identity" })), "{refused:?}");
        assert_eq!(known().await, ["ada github:42", "bob ghe:8", "bob github:7"]);

        users.forget_identity(bob.id, "ghe").await.unwrap();
        assert_eq!(users.move_identities("github", "ghe").await.unwrap(), 2);
        assert_eq!(users.move_identities("github", "ghe").await.unwrap(), 0);
        assert_eq!(known().await, ["ada ghe:42", "bob ghe:7"]);
        let all = users.all_identities().await.unwrap();
        assert_eq!((all[0].1.created, all[1].1.created), (at(1), at(0)), "since when stays");
        assert_eq!(users.by_identity("ghe", "42").await.unwrap().unwrap().id, ada.id);
    }

    async fn several_users_are_added_together_or_not_at_all(store) {
        let three = ["ada", "bob", "cy"].map(name);
        let added = store.users().create_all(&three, true, at(0)).await.unwrap();
        assert!(added.iter().all(|user| user.admin));
        assert_eq!(names(&store, &all()).await, ["ada", "bob", "cy"]);
        let taken = store.users().create_all(&["dan", "bob"].map(name), false, at(1)).await;
        assert!(matches!(taken, Err(StoreError::Conflict { what: "user" })), "{taken:?}");
        assert_eq!(names(&store, &all()).await, ["ada", "bob", "cy"]);
        assert!(store.users().create_all(&[], false, at(1)).await.unwrap().is_empty());
    }

    async fn users_are_listed_in_any_order(store) {
        let ids = [user(&store, "bob").await.id, user(&store, "ada").await.id];
        user(&store, "cy").await;
        store.users().touch(ids[0], at(1)).await.unwrap();
        store.users().touch(ids[1], at(2)).await.unwrap();
        for (order, expected) in [
            (UserOrder::Added, ["bob", "ada", "cy"]),
            (UserOrder::AddedLast, ["cy", "ada", "bob"]),
            (UserOrder::Name, ["ada", "bob", "cy"]),
            (UserOrder::NameLast, ["cy", "bob", "ada"]),
            // Never seen is last from either end.
            (UserOrder::Seen, ["bob", "ada", "cy"]),
            (UserOrder::SeenLast, ["ada", "bob", "cy"]),
        ] {
            assert_eq!(names(&store, &UserFilter { order, ..all() }).await, expected, "{order:?}");
        }
        assert_eq!(store.users().count_seen(at(2)).await.unwrap(), 1);
        assert_eq!(store.users().count_seen(at(1)).await.unwrap(), 2);
    }
}
