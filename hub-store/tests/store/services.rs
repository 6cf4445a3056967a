use hub_store::{ClientOf, NewToken, OauthClient, StoreError, TokenOwner};
use serde_json::json;

use crate::{at, user};

on_every_engine! {
    async fn a_service_goes_with_its_tokens_roles_and_client(store) {
        let ada = user(&store, "ada").await;
        let services = store.services();
        services.create("extra", &json!({"url": "http://x"}), at(1)).await.unwrap();
        let twice = services.create("extra", &json!({}), at(1)).await;
        assert!(matches!(twice, Err(StoreError::Conflict { what: "service" })), "{twice:?}");
        assert_eq!(services.list().await.unwrap().len(), 1);
        assert_eq!(services.get("extra").await.unwrap().unwrap().spec, json!({"url": "http://x"}));

        store.roles().replace_services("helper", &["extra".to_owned()]).await.unwrap();
        let client = OauthClient {
            id: "service-extra".to_owned(),
            description: "extra".to_owned(),
            secret_hash: [0; 32],
            redirect_uri: "/services/extra/oauth_callback".to_owned(),
            allowed_scopes: vec![],
            of: ClientOf::Service("extra".to_owned()),
        };
        store.oauth().put_client(&client).await.unwrap();
        assert_eq!(store.oauth().client("service-extra").await.unwrap(), Some(client));
        for (number, owner) in
            [(1, TokenOwner::Service("extra".to_owned())), (2, TokenOwner::User(ada.id))]
        {
            let token = NewToken {
                owner,
                hash: [number; 32],
                client_id: (number == 2).then(|| "service-extra".to_owned()),
                session_id: None,
                note: String::new(),
                scopes: vec![],
                created: at(0),
                expires_at: None,
            };
            store.tokens().issue(&token).await.unwrap();
        }

        assert!(services.delete("extra").await.unwrap());
        assert!(!services.delete("extra").await.unwrap());
        assert_eq!(services.get("extra").await.unwrap(), None);
        assert_eq!(store.oauth().client("service-extra").await.unwrap(), None);
        for number in [1, 2] {
            assert_eq!(store.tokens().by_hash(&[number; 32], at(1)).await.unwrap(), None);
        }
        assert!(store.roles().of_service("extra").await.unwrap().is_empty());
    }
}
