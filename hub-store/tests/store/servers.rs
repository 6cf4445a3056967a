use hub_store::{Addition, StoreError};
use serde_json::json;

use crate::{at, key, name, user};

on_every_engine! {
    async fn an_ensured_server_is_stopped_and_empty(store) {
        user(&store, "ada").await;
        let record = store.servers().ensure(&key("ada", "lab"), at(0)).await.unwrap();

        assert_eq!(record.key, key("ada", "lab"));
        assert_eq!((record.state.clone(), record.options.clone()), (json!({}), json!({})));
        assert_eq!((record.url.clone(), record.outcome.clone()), (None, None));
        assert_eq!((record.started, record.last_activity), (None, None));
        assert_eq!(store.servers().ensure(&key("ada", "lab"), at(9)).await.unwrap(), record);
        assert_eq!(store.servers().get(&key("ada", "lab")).await.unwrap(), Some(record));
        assert_eq!(store.servers().get(&key("ada", "")).await.unwrap(), None);
    }

    async fn limit_holds_in_parallel(store) {
        user(&store, "ada").await;
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let add = |name| {
            let store = store.clone();
            async move {
                let key = key("ada", name);
                store.servers().add_named(&key, None, None, Some(3), at(0)).await.unwrap()
            }
        };
        let added = futures_util::future::join_all(names.map(add)).await;
        assert_eq!(added.iter().filter(|one| **one == Addition::Done).count(), 3, "{added:?}");
        assert_eq!(store.servers().of_user(&name("ada")).await.unwrap().len(), 3);
    }

    async fn a_named_server_is_added_once_with_what_was_said_of_it(store) {
        user(&store, "ada").await;
        let (servers, lab) = (store.servers(), key("ada", "lab"));
        let add = async || {
            servers.add_named(&lab, Some("The lab"), Some(&json!({"n": 1})), Some(1), at(0)).await
        };
        assert_eq!(add().await.unwrap(), Addition::Done);
        assert_eq!(add().await.unwrap(), Addition::Exists);
        let record = servers.get(&lab).await.unwrap().unwrap();
        assert_eq!(record.display_name.as_deref(), Some("The lab"));
        assert_eq!(record.options, json!({"n": 1}));

        servers.ensure(&key("ada", ""), at(0)).await.unwrap();
        let (ada, more) = (name("ada"), "more".parse().unwrap());
        let named = servers.name_default(&ada, &more, Some(1)).await.unwrap();
        assert_eq!(named, Addition::Full, "the default server does not count");
        let named = servers.name_default(&ada, lab.server(), Some(2)).await.unwrap();
        assert_eq!(named, Addition::Exists);
        assert_eq!(servers.name_default(&ada, &more, Some(2)).await.unwrap(), Addition::Done);
        let again = servers.name_default(&ada, &"x".parse().unwrap(), None).await;
        assert!(matches!(again, Err(StoreError::Missing { what: "server" })), "{again:?}");
        let nobody = servers.add_named(&key("bob", "lab"), None, None, None, at(0)).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
    }

    async fn a_server_needs_its_user(store) {
        let orphan = store.servers().ensure(&key("ada", ""), at(0)).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "user" })), "{orphan:?}");
    }

    async fn a_server_is_recorded_from_start_to_stop(store) {
        user(&store, "ada").await;
        let ada = key("ada", "");
        let servers = store.servers();
        servers.ensure(&ada, at(0)).await.unwrap();

        servers.record_starting(&ada, at(1), Some(&json!({"image": "x"}))).await.unwrap();
        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!((record.started, record.url), (Some(at(1)), None));
        assert_eq!(record.options, json!({"image": "x"}));

        let state = json!({"object_id": "abc"});
        servers.record_running(&ada, "http://10.0.0.2:8888/", &state).await.unwrap();
        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!(record.url.as_deref(), Some("http://10.0.0.2:8888/"));
        assert_eq!((record.state, record.started), (state, Some(at(1))));

        servers.record_stopped(&ada, Some(&json!({"exit_code": 137})), &json!({})).await.unwrap();
        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!((record.url, record.started, record.state), (None, None, json!({})));
        assert_eq!(record.outcome, Some(json!({"exit_code": 137})));
        assert_eq!(record.options, json!({"image": "x"}));
    }

    async fn what_outlives_a_server_is_there_at_its_next_start(store) {
        user(&store, "ada").await;
        let (ada, kept) = (key("ada", ""), json!({"user_id": 1815}));
        let servers = store.servers();
        servers.ensure(&ada, at(0)).await.unwrap();
        servers.record_starting(&ada, at(1), None).await.unwrap();
        let state = json!({"object_id": "abc", "user_id": 1815});
        servers.record_running(&ada, "http://10.0.0.2:8888/", &state).await.unwrap();
        servers.record_stopped(&ada, None, &kept).await.unwrap();
        servers.record_starting(&ada, at(2), None).await.unwrap();
        assert_eq!(servers.get(&ada).await.unwrap().unwrap().state, kept);
    }

    async fn rst_3_an_adopted_server_runs_from_then_on_and_no_other_is_disturbed(store) {
        user(&store, "ada").await;
        let (ada, state) = (key("ada", "lab"), json!({"object_id": "abc"}));
        let servers = store.servers();

        assert!(servers.record_adopted(&ada, at(1), &state, at(5)).await.unwrap(), "no row yet");
        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!((&record.state, record.started), (&state, Some(at(1))));
        assert_eq!(servers.active().await.unwrap(), std::slice::from_ref(&record));

        let other = json!({"object_id": "other"});
        assert!(!servers.record_adopted(&ada, at(2), &other, at(6)).await.unwrap(), "it runs");
        assert_eq!(servers.get(&ada).await.unwrap(), Some(record));

        servers.record_starting(&ada, at(3), Some(&json!({"image": "x"}))).await.unwrap();
        servers.record_stopped(&ada, Some(&json!("failed")), &json!({})).await.unwrap();
        assert!(servers.record_adopted(&ada, at(3), &other, at(7)).await.unwrap(), "it ended");
        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!((record.state, record.outcome), (other, None));
        assert_eq!(record.options, json!({"image": "x"}));

        let nobody = servers.record_adopted(&key("bob", ""), at(1), &state, at(5)).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
    }

    async fn a_start_without_options_keeps_the_last_and_forgets_the_outcome(store) {
        user(&store, "ada").await;
        let ada = key("ada", "");
        let servers = store.servers();
        servers.ensure(&ada, at(0)).await.unwrap();
        servers.record_starting(&ada, at(1), Some(&json!({"image": "x"}))).await.unwrap();
        servers.record_stopped(&ada, Some(&json!("failed")), &json!({})).await.unwrap();

        servers.record_starting(&ada, at(2), None).await.unwrap();

        let record = servers.get(&ada).await.unwrap().unwrap();
        assert_eq!((record.options, record.outcome), (json!({"image": "x"}), None));
    }

    async fn recording_an_unknown_server_is_an_error(store) {
        user(&store, "ada").await;
        let unknown = key("ada", "lab");
        let servers = store.servers();
        for outcome in [
            servers.record_starting(&unknown, at(1), None).await,
            servers.record_running(&unknown, "http://h/", &json!({})).await,
            servers.record_stopped(&unknown, None, &json!({})).await,
        ] {
            assert!(matches!(outcome, Err(StoreError::Missing { what: "server" })), "{outcome:?}");
        }
    }

    async fn how_a_server_is_to_end_is_noted_while_it_is_started(store) {
        user(&store, "ada").await;
        let (servers, ada) = (store.servers(), key("ada", ""));
        servers.ensure(&ada, at(0)).await.unwrap();
        let outcome = async || servers.get(&ada).await.unwrap().unwrap().outcome;
        servers.record_stopping(&ada, at(1), &json!("early"), true).await.unwrap();
        assert_eq!(outcome().await, None, "it is not started");
        servers.record_starting(&ada, at(1), None).await.unwrap();
        for (wish, before_others, noted) in
            [("first", false, "first"), ("second", false, "first"), ("third", true, "third")]
        {
            servers.record_stopping(&ada, at(1), &json!(wish), before_others).await.unwrap();
            assert_eq!(outcome().await, Some(json!(noted)), "{wish}");
        }
        servers.record_starting(&ada, at(2), None).await.unwrap();
        assert_eq!(outcome().await, None, "that was of another run");
        servers.record_stopping(&ada, at(1), &json!("late"), true).await.unwrap();
        assert_eq!(outcome().await, None, "this is of another run, too");
        servers.record_stopping(&ada, at(2), &json!("now"), false).await.unwrap();
        assert_eq!(outcome().await, Some(json!("now")));
    }

    async fn active_servers_are_those_started_and_not_stopped(store) {
        user(&store, "ada").await;
        user(&store, "bob").await;
        let servers = store.servers();
        for key in [key("ada", ""), key("bob", ""), key("bob", "lab")] {
            servers.ensure(&key, at(0)).await.unwrap();
        }
        servers.record_starting(&key("bob", ""), at(1), None).await.unwrap();
        servers.record_starting(&key("ada", ""), at(1), None).await.unwrap();
        servers.record_stopped(&key("ada", ""), None, &json!({})).await.unwrap();

        let active = servers.active().await.unwrap();
        assert_eq!(active.iter().map(|record| &record.key).collect::<Vec<_>>(), [&key("bob", "")]);
    }

    async fn a_users_servers_are_listed_by_name_in_the_order_of_bytes(store) {
        user(&store, "ada").await;
        user(&store, "bob").await;
        for server in ["b", "", "B", "ä", "a"] {
            store.servers().ensure(&key("ada", server), at(0)).await.unwrap();
        }
        store.servers().ensure(&key("bob", ""), at(0)).await.unwrap();

        let records = store.servers().of_user(&name("ada")).await.unwrap();
        let names: Vec<_> = records.iter().map(|record| record.key.server().as_str()).collect();
        assert_eq!(names, ["", "B", "a", "b", "ä"]);
        assert_eq!(store.servers().of_user(&name("eve")).await.unwrap(), []);
    }

    async fn activity_only_moves_forward(store) {
        user(&store, "ada").await;
        let ada = key("ada", "");
        store.servers().ensure(&ada, at(0)).await.unwrap();
        for seconds in [10, 5, 20, 15] {
            store.servers().touch(&ada, at(seconds)).await.unwrap();
        }
        let record = store.servers().get(&ada).await.unwrap().unwrap();
        assert_eq!(record.last_activity, Some(at(20)));
    }

    async fn a_deleted_server_is_gone_and_its_neighbour_is_not(store) {
        user(&store, "ada").await;
        user(&store, "bob").await;
        let servers = store.servers();
        servers.ensure(&key("ada", "lab"), at(0)).await.unwrap();
        servers.ensure(&key("bob", "lab"), at(0)).await.unwrap();

        assert!(servers.delete(&key("ada", "lab")).await.unwrap());
        assert!(!servers.delete(&key("ada", "lab")).await.unwrap());
        assert!(servers.get(&key("bob", "lab")).await.unwrap().is_some());
    }

    async fn texts_with_odd_characters_are_kept(store) {
        user(&store, "ada").await;
        let ada = key("ada", "");
        store.servers().ensure(&ada, at(0)).await.unwrap();
        let options = json!({"note": "zero \u{0}, quote ', 𝄞"});
        store.servers().record_starting(&ada, at(1), Some(&options)).await.unwrap();
        assert_eq!(store.servers().get(&ada).await.unwrap().unwrap().options, options);
    }

    async fn a_server_is_described_and_renamed_before_it_ever_started(store) {
        user(&store, "ada").await;
        let (servers, lab) = (store.servers(), key("ada", "lab"));
        servers.ensure(&lab, at(0)).await.unwrap();
        servers.describe(&lab, Some("My lab"), Some(&json!({"image": "x"}))).await.unwrap();
        servers.describe(&lab, None, None).await.unwrap();
        let record = servers.get(&lab).await.unwrap().unwrap();
        assert_eq!(record.display_name.as_deref(), Some("My lab"));
        assert_eq!((record.options, record.started), (json!({"image": "x"}), None));

        servers.ensure(&key("ada", "other"), at(0)).await.unwrap();
        let taken = servers.rename(&lab, &"other".parse().unwrap()).await;
        assert!(matches!(taken, Err(StoreError::Conflict { what: "server" })), "{taken:?}");
        servers.rename(&lab, &"new".parse().unwrap()).await.unwrap();
        let record = servers.get(&key("ada", "new")).await.unwrap().unwrap();
        assert_eq!(record.display_name.as_deref(), Some("My lab"));
        let gone = servers.rename(&lab, &"x".parse().unwrap()).await;
        assert!(matches!(gone, Err(StoreError::Missing { what: "server" })), "{gone:?}");
    }
}
