use hub_store::{
    ClientOf, NewSession, NewToken, OauthClient, OauthCode, Store, StoreError, TokenOwner, UserId,
};

use crate::{at, key, user};

fn client(id: &str) -> OauthClient {
    OauthClient {
        id: id.to_owned(),
        description: "Server at /user/ada/".to_owned(),
        secret_hash: [7; 32],
        redirect_uri: "/user/ada/oauth_callback".to_owned(),
        allowed_scopes: vec!["access:servers!server=ada/".to_owned()],
        of: ClientOf::Service(id.to_owned()),
    }
}

fn code(user: UserId) -> OauthCode {
    OauthCode {
        client_id: "lab".to_owned(),
        user,
        session_id: "s1".to_owned(),
        scopes: vec!["read:users:name!user".to_owned()],
        redirect_uri: Some("/user/ada/oauth_callback".to_owned()),
        challenge: Some("challenge".to_owned()),
        created: at(0),
        expires_at: at(300),
    }
}

/// The session that [`code`] is given out in.
async fn session(store: &Store, user: UserId) {
    let session = NewSession {
        hash: [u8::try_from(user.get()).unwrap(); 32],
        user,
        sign_outs: 0,
        provider: "github".to_owned(),
        session_id: "s1".to_owned(),
        created: at(0),
        expires_at: at(1000),
    };
    store.sessions().create(&session).await.unwrap();
}

/// What [`code`] is changed into.
fn given(user: UserId, hash: u8) -> NewToken {
    NewToken {
        owner: TokenOwner::User(user),
        hash: [hash; 32],
        client_id: Some("lab".to_owned()),
        session_id: Some("s1".to_owned()),
        note: String::new(),
        scopes: Vec::new(),
        created: at(1),
        expires_at: None,
    }
}

async fn token(store: &Store, user: UserId, client: &str, hash: u8) {
    let new = NewToken {
        owner: TokenOwner::User(user),
        hash: [hash; 32],
        client_id: Some(client.to_owned()),
        session_id: None,
        note: String::new(),
        scopes: Vec::new(),
        created: at(0),
        expires_at: None,
    };
    store.tokens().issue(&new).await.unwrap();
}

on_every_engine! {
    async fn a_client_is_found_as_it_was_put(store) {
        user(&store, "ada").await;
        let server = OauthClient { of: ClientOf::Server(key("ada", "lab")), ..client("lab") };
        store.oauth().put_client(&server).await.unwrap();
        store.oauth().put_client(&client("service")).await.unwrap();

        assert_eq!(store.oauth().client("lab").await.unwrap(), Some(server));
        assert_eq!(store.oauth().client("service").await.unwrap(), Some(client("service")));
        assert_eq!(store.oauth().client("absent").await.unwrap(), None);
    }

    async fn putting_a_client_again_replaces_it_and_keeps_its_tokens(store) {
        let ada = user(&store, "ada").await;
        let first = OauthClient { of: ClientOf::Server(key("ada", "")), ..client("lab") };
        store.oauth().put_client(&first).await.unwrap();
        token(&store, ada.id, "lab", 1).await;

        let second = OauthClient { secret_hash: [8; 32], allowed_scopes: vec![], ..first };
        store.oauth().put_client(&second).await.unwrap();
        assert_eq!(store.oauth().client("lab").await.unwrap(), Some(second));
        store.oauth().put_client(&client("lab")).await.unwrap();
        assert_eq!(store.oauth().client("lab").await.unwrap(), Some(client("lab")));
        assert!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap().is_some());
    }

    async fn a_servers_client_needs_the_user(store) {
        let orphan = OauthClient { of: ClientOf::Server(key("ada", "")), ..client("lab") };
        let refused = store.oauth().put_client(&orphan).await;
        assert!(matches!(refused, Err(StoreError::Missing { what: "user" })), "{refused:?}");
    }

    async fn a_client_is_deleted_with_tokens_and_codes(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        token(&store, ada.id, "lab", 1).await;
        token(&store, ada.id, "other", 2).await;
        session(&store, ada.id).await;
        store.oauth().insert_code(&[3; 32], &code(ada.id)).await.unwrap();

        assert!(store.oauth().delete_client("lab").await.unwrap());

        assert_eq!(store.oauth().client("lab").await.unwrap(), None);
        assert!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap().is_none());
        assert!(store.tokens().by_hash(&[2; 32], at(1)).await.unwrap().is_some());
        assert_eq!(store.oauth().code(&[3; 32], at(1)).await.unwrap(), None);
        assert!(!store.oauth().delete_client("lab").await.unwrap());
    }

    async fn a_code_is_found_until_it_expires(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        let bare = OauthCode { redirect_uri: None, challenge: None, ..code(ada.id) };
        store.oauth().insert_code(&[1; 32], &code(ada.id)).await.unwrap();
        store.oauth().insert_code(&[2; 32], &bare).await.unwrap();

        assert_eq!(store.oauth().code(&[1; 32], at(299)).await.unwrap(), Some(code(ada.id)));
        assert_eq!(store.oauth().code(&[2; 32], at(299)).await.unwrap(), Some(bare));
        assert_eq!(store.oauth().code(&[1; 32], at(300)).await.unwrap(), None);
        assert_eq!(store.oauth().sweep_codes(at(299)).await.unwrap(), 0);
        assert_eq!(store.oauth().sweep_codes(at(300)).await.unwrap(), 2);
    }

    async fn a_code_is_used_up_by_exactly_one_caller(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        let code = code(ada.id);
        store.oauth().insert_code(&[1; 32], &code).await.unwrap();

        let oauth = store.oauth();
        let tokens = [1, 2, 3].map(|hash| given(ada.id, hash));
        let (a, b, c) = tokio::join!(
            oauth.redeem(&[1; 32], &code, &tokens[0], None),
            oauth.redeem(&[1; 32], &code, &tokens[1], None),
            oauth.redeem(&[1; 32], &code, &tokens[2], None),
        );
        let winners = [a, b, c].into_iter().filter(|token| token.as_ref().unwrap().is_some());
        assert_eq!(winners.count(), 1);
        assert_eq!(oauth.code(&[1; 32], at(1)).await.unwrap(), None);
        assert_eq!(store.tokens().of_user(ada.id, at(1)).await.unwrap().len(), 1);
        assert_eq!(oauth.sweep_codes(at(299)).await.unwrap(), 0, "known until it expires");
    }

    async fn a_code_that_has_expired_is_not_redeemed(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        store.oauth().insert_code(&[1; 32], &code(ada.id)).await.unwrap();
        for (created, redeems) in [(at(300), false), (at(299), true)] {
            let token = NewToken { created, ..given(ada.id, 1) };
            let made = store.oauth().redeem(&[1; 32], &code(ada.id), &token, None).await.unwrap();
            assert_eq!(made.is_some(), redeems);
        }
    }

    async fn a_code_that_comes_again_ends_the_token_made_from_it(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        let oauth = store.oauth();
        oauth.insert_code(&[1; 32], &code(ada.id)).await.unwrap();
        assert_eq!(oauth.revoke_used(&[1; 32], "lab").await.unwrap(), None, "not used yet");
        let token = oauth.redeem(&[1; 32], &code(ada.id), &given(ada.id, 1), None).await.unwrap();
        let id = token.unwrap().id;
        assert_eq!(oauth.revoke_used(&[1; 32], "other").await.unwrap(), None, "not theirs");
        assert_eq!(oauth.revoke_used(&[2; 32], "lab").await.unwrap(), None, "another code");
        assert!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap().is_some());

        assert_eq!(oauth.revoke_used(&[1; 32], "lab").await.unwrap(), Some(id));
        assert_eq!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap(), None);
        assert_eq!(oauth.revoke_used(&[1; 32], "lab").await.unwrap(), None, "it is gone");
        let again = oauth.redeem(&[1; 32], &code(ada.id), &given(ada.id, 2), None).await.unwrap();
        assert_eq!(again, None, "and the code stays used");
    }

    async fn the_newest_tokens_of_a_client_are_left(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        let (oauth, tokens) = (store.oauth(), store.tokens());
        // Another client's, and the server's own.
        let other = NewToken { client_id: Some("other".to_owned()), ..given(ada.id, 8) };
        tokens.issue(&other).await.unwrap();
        tokens.issue(&NewToken { session_id: None, ..given(ada.id, 9) }).await.unwrap();
        for hash in 1..=4 {
            oauth.insert_code(&[hash; 32], &code(ada.id)).await.unwrap();
            let given = given(ada.id, hash);
            oauth.redeem(&[hash; 32], &code(ada.id), &given, Some(2)).await.unwrap().unwrap();
        }
        for (hash, stays) in [(1, false), (2, false), (3, true), (4, true), (8, true), (9, true)] {
            let found = tokens.by_hash(&[hash; 32], at(1)).await.unwrap();
            assert_eq!(found.is_some(), stays, "token {hash}");
        }
    }

    async fn nothing_is_given_out_in_a_session_that_is_over(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        session(&store, ada.id).await;
        let (oauth, tokens) = (store.oauth(), store.tokens());
        for hash in [1, 2] {
            oauth.insert_code(&[hash; 32], &code(ada.id)).await.unwrap();
        }
        let elsewhere = OauthCode { session_id: "s2".to_owned(), ..code(ada.id) };
        oauth.redeem(&[1; 32], &code(ada.id), &given(ada.id, 1), None).await.unwrap().unwrap();
        tokens.issue(&NewToken { session_id: None, ..given(ada.id, 4) }).await.unwrap();
        let looked_at = oauth.code(&[2; 32], at(1)).await.unwrap().unwrap();

        let digest = [u8::try_from(ada.id.get()).unwrap(); 32];
        assert!(store.sessions().end(&digest).await.unwrap());
        assert!(!store.sessions().end(&digest).await.unwrap());

        assert_eq!(tokens.by_hash(&[1; 32], at(1)).await.unwrap(), None);
        assert!(tokens.by_hash(&[4; 32], at(1)).await.unwrap().is_some(), "made otherwise");
        assert_eq!(oauth.code(&[2; 32], at(1)).await.unwrap(), None);
        let late = oauth.redeem(&[2; 32], &looked_at, &given(ada.id, 2), None).await.unwrap();
        assert_eq!(late, None);
        assert_eq!(tokens.by_hash(&[2; 32], at(1)).await.unwrap(), None);
        for code in [code(ada.id), elsewhere] {
            let late = oauth.insert_code(&[3; 32], &code).await;
            assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");
        }
    }

    async fn what_is_given_out_while_a_session_ends_ends_with_it(store) {
        let ada = user(&store, "ada").await;
        store.oauth().put_client(&client("lab")).await.unwrap();
        let (sessions, oauth) = (store.sessions(), store.oauth());
        let digest = [u8::try_from(ada.id.get()).unwrap(); 32];
        for round in (0..40).step_by(2) {
            session(&store, ada.id).await;
            let (old, new) = ([round; 32], [round + 1; 32]);
            oauth.insert_code(&old, &code(ada.id)).await.unwrap();
            let (given_out, made) = (code(ada.id), given(ada.id, round));
            let (ended, kept, redeemed) = tokio::join!(
                sessions.end(&digest),
                oauth.insert_code(&new, &given_out),
                oauth.redeem(&old, &given_out, &made, None),
            );
            assert!(ended.unwrap());
            assert!(matches!(kept, Ok(()) | Err(StoreError::SignedOut)), "{kept:?}");
            redeemed.unwrap();
            assert_eq!(oauth.code(&new, at(1)).await.unwrap(), None, "round {round}");
            let left = store.tokens().by_hash(&old, at(1)).await.unwrap();
            assert_eq!(left, None, "round {round}");
        }
    }

    async fn a_code_needs_its_client_and_user_and_is_one_codes(store) {
        let ada = user(&store, "ada").await;
        let missing = "client or user";
        session(&store, ada.id).await;
        let orphan = store.oauth().insert_code(&[1; 32], &code(ada.id)).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what }) if what == missing));

        store.oauth().put_client(&client("lab")).await.unwrap();
        let nobodys = store.oauth().insert_code(&[1; 32], &code(UserId::new(99))).await;
        assert!(matches!(nobodys, Err(StoreError::Missing { what }) if what == missing));
        store.oauth().insert_code(&[1; 32], &code(ada.id)).await.unwrap();
        let again = store.oauth().insert_code(&[1; 32], &code(ada.id)).await;
        assert!(matches!(again, Err(StoreError::Conflict { what: "code" })), "{again:?}");
    }

    async fn a_deleted_user_leaves_nothing_behind(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let server = OauthClient { of: ClientOf::Server(key("ada", "")), ..client("lab") };
        store.oauth().put_client(&server).await.unwrap();
        store.servers().ensure(&key("ada", ""), at(0)).await.unwrap();
        store.users().bind_identity(ada.id, "github", "42", at(0)).await.unwrap();
        session(&store, bob.id).await;
        store.oauth().insert_code(&[1; 32], &code(bob.id)).await.unwrap();
        token(&store, ada.id, "other", 2).await;
        token(&store, bob.id, "lab", 3).await;
        token(&store, bob.id, "other", 4).await;

        store.users().delete(ada.id).await.unwrap();

        assert_eq!(store.oauth().client("lab").await.unwrap(), None);
        assert_eq!(store.oauth().code(&[1; 32], at(1)).await.unwrap(), None);
        assert_eq!(store.users().by_identity("github", "42").await.unwrap(), None);
        assert!(store.tokens().by_hash(&[2; 32], at(1)).await.unwrap().is_none());
        assert!(store.tokens().by_hash(&[3; 32], at(1)).await.unwrap().is_none());
        assert!(store.tokens().by_hash(&[4; 32], at(1)).await.unwrap().is_some());
        user(&store, "ada").await;
        assert_eq!(store.servers().get(&key("ada", "")).await.unwrap(), None);
    }
}
