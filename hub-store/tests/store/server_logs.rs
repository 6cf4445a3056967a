use hub_store::StoreError;

use crate::{at, key, user};

on_every_engine! {
    async fn log_1_the_newest_log_of_a_server_is_kept(store) {
        user(&store, "ada").await;
        for server in ["", "lab"] {
            store.servers().ensure(&key("ada", server), at(0)).await.unwrap();
        }
        let logs = store.server_logs();
        assert_eq!(logs.get(&key("ada", "")).await.unwrap(), None);

        logs.keep(&key("ada", ""), at(1), "first\n").await.unwrap();
        logs.keep(&key("ada", "lab"), at(2), "other\n").await.unwrap();
        logs.keep(&key("ada", ""), at(3), "sec\0ond ö\n").await.unwrap();

        let kept = logs.get(&key("ada", "")).await.unwrap().unwrap();
        assert_eq!((kept.ended, kept.text.as_str()), (at(3), "second ö\n"));
        let kept = logs.get(&key("ada", "lab")).await.unwrap().unwrap();
        assert_eq!((kept.ended, kept.text.as_str()), (at(2), "other\n"));
    }

    async fn log_1_a_log_goes_with_its_user(store) {
        let ada = user(&store, "ada").await;
        store.servers().ensure(&key("ada", ""), at(0)).await.unwrap();
        store.server_logs().keep(&key("ada", ""), at(1), "words\n").await.unwrap();

        assert!(store.users().delete(ada.id).await.unwrap());
        assert_eq!(store.server_logs().get(&key("ada", "")).await.unwrap(), None);
        let orphan = store.server_logs().keep(&key("ada", ""), at(2), "words\n").await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "server" })), "{orphan:?}");

        user(&store, "ada").await;
        store.servers().ensure(&key("ada", ""), at(3)).await.unwrap();
        assert_eq!(store.server_logs().get(&key("ada", "")).await.unwrap(), None);
    }
}
