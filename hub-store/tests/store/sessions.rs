use hub_store::{
    ClientOf, NewSession, NewToken, OauthClient, OauthCode, StoreError, TokenLimits, TokenOwner,
    UserId,
};

use crate::{at, name, user};

fn session(user: UserId, hash: u8) -> NewSession {
    NewSession {
        hash: [hash; 32],
        user,
        sign_outs: 0,
        provider: "github".to_owned(),
        session_id: format!("s{hash}"),
        created: at(0),
        expires_at: at(100),
    }
}

const ANY: TokenLimits = TokenLimits { per_user: None, per_minute: None };

/// One that was made by hand.
fn token(user: UserId, hash: u8) -> NewToken {
    NewToken {
        owner: TokenOwner::User(user),
        hash: [hash; 32],
        client_id: None,
        session_id: None,
        note: String::new(),
        scopes: Vec::new(),
        created: at(0),
        expires_at: None,
    }
}

fn lab() -> OauthClient {
    OauthClient {
        id: "lab".to_owned(),
        secret_hash: [9; 32],
        redirect_uri: "/user/ada/oauth_callback".to_owned(),
        of: ClientOf::Service("lab".to_owned()),
        description: "the lab".to_owned(),
        allowed_scopes: Vec::new(),
    }
}

/// One of the lab's, given out in the session of that number.
fn code(user: UserId, session: u8) -> OauthCode {
    OauthCode {
        client_id: "lab".to_owned(),
        user,
        session_id: format!("s{session}"),
        scopes: Vec::new(),
        redirect_uri: None,
        challenge: None,
        created: at(0),
        expires_at: at(100),
    }
}

on_every_engine! {
    async fn a_session_is_found_with_its_user_as_they_are_now(store) {
        let ada = user(&store, "ada").await;
        store.sessions().create(&session(ada.id, 1)).await.unwrap();
        store.users().set_admin(ada.id, true).await.unwrap();
        store.users().rename(ada.id, &name("lovelace")).await.unwrap();

        let found = store.sessions().by_hash(&[1; 32], at(99)).await.unwrap().unwrap();
        assert_eq!((found.user.id, found.user.name), (ada.id, name("lovelace")));
        assert!(found.user.admin);
        assert_eq!((found.session_id.as_str(), found.provider.as_deref()), ("s1", Some("github")));
        assert_eq!((found.created, found.last_seen, found.expires_at), (at(0), at(0), at(100)));
        assert_eq!(store.sessions().by_hash(&[2; 32], at(1)).await.unwrap(), None);
    }

    async fn an_expired_session_is_worth_nothing(store) {
        let ada = user(&store, "ada").await;
        store.sessions().create(&session(ada.id, 1)).await.unwrap();
        assert_eq!(store.sessions().by_hash(&[1; 32], at(100)).await.unwrap(), None);
    }

    async fn a_session_needs_its_user_and_a_digest_of_its_own(store) {
        let orphan = store.sessions().create(&session(UserId::new(99), 1)).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "user" })), "{orphan:?}");

        let ada = user(&store, "ada").await;
        store.sessions().create(&session(ada.id, 1)).await.unwrap();
        let again = store.sessions().create(&session(ada.id, 1)).await;
        assert!(matches!(again, Err(StoreError::Conflict { what: "session" })), "{again:?}");
    }

    async fn last_use_only_moves_forward(store) {
        let ada = user(&store, "ada").await;
        store.sessions().create(&session(ada.id, 1)).await.unwrap();
        for seconds in [10, 5, 20, 15] {
            store.sessions().touch(&[1; 32], at(seconds)).await.unwrap();
        }
        let found = store.sessions().by_hash(&[1; 32], at(50)).await.unwrap().unwrap();
        assert_eq!(found.last_seen, at(20));
    }

    async fn ended_sessions_are_gone(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let sessions = store.sessions();
        for (owner, hash) in [(ada.id, 1), (ada.id, 2), (ada.id, 3), (bob.id, 4)] {
            sessions.create(&session(owner, hash)).await.unwrap();
        }
        assert!(sessions.delete(&[1; 32]).await.unwrap());
        assert!(!sessions.delete(&[1; 32]).await.unwrap());
        assert_eq!(sessions.delete_of_user(ada.id).await.unwrap(), 2);
        assert!(sessions.by_hash(&[4; 32], at(1)).await.unwrap().is_some());
        assert_eq!(sessions.sweep(at(99)).await.unwrap(), 0);
        assert_eq!(sessions.sweep(at(100)).await.unwrap(), 1);
    }

    async fn what_was_given_out_ends_with_all_sessions_of_a_user(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let (sessions, tokens, oauth) = (store.sessions(), store.tokens(), store.oauth());
        oauth.put_client(&lab()).await.unwrap();
        for (owner, hash) in [(ada.id, 1), (bob.id, 2)] {
            sessions.create(&session(owner, hash)).await.unwrap();
            oauth.insert_code(&[hash; 32], &code(owner, hash)).await.unwrap();
        }
        // Made by hand, given out in a session, of a server itself, somebody else's.
        let given = [
            (1, ada.id, None, None),
            (2, ada.id, Some("lab"), Some("s1")),
            (3, ada.id, Some("lab"), None),
            (4, bob.id, None, None),
        ];
        for (hash, owner, client, session) in given {
            let token = NewToken {
                owner: TokenOwner::User(owner),
                hash: [hash; 32],
                client_id: client.map(str::to_owned),
                session_id: session.map(str::to_owned),
                note: String::new(),
                scopes: Vec::new(),
                created: at(0),
                expires_at: None,
            };
            tokens.issue(&token).await.unwrap();
        }

        assert_eq!(sessions.delete_of_user(ada.id).await.unwrap(), 1);
        for (hash, stays) in [(1, false), (2, false), (3, true), (4, true)] {
            let found = tokens.by_hash(&[hash; 32], at(1)).await.unwrap();
            assert_eq!(found.is_some(), stays, "token {hash}");
        }
        assert_eq!(oauth.code(&[1; 32], at(1)).await.unwrap(), None);
        assert!(oauth.code(&[2; 32], at(1)).await.unwrap().is_some());
    }

    async fn nothing_begins_with_what_was_looked_at_before_all_sessions_ended(store) {
        let ada = user(&store, "ada").await;
        let (sessions, tokens) = (store.sessions(), store.tokens());
        tokens.issue(&token(ada.id, 1)).await.unwrap();
        let record = tokens.by_hash(&[1; 32], at(1)).await.unwrap().unwrap();
        assert_eq!((ada.sign_outs, record.sign_outs), (0, Some(0)));

        sessions.delete_of_user(ada.id).await.unwrap();

        let late = sessions.create(&session(ada.id, 1)).await;
        assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");
        let late = tokens.issue_for(Some(&ada), &token(ada.id, 2), &ANY).await;
        assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");
        // Nor for somebody else.
        let bob = user(&store, "bob").await;
        let late = tokens.issue_for(Some(&ada), &token(bob.id, 2), &ANY).await;
        assert!(matches!(late, Err(StoreError::SignedOut)), "{late:?}");

        let ada = store.users().by_id(ada.id).await.unwrap().unwrap();
        let new = NewSession { sign_outs: ada.sign_outs, ..session(ada.id, 1) };
        sessions.create(&new).await.unwrap();
        let found = sessions.by_hash(&[1; 32], at(1)).await.unwrap().unwrap();
        tokens.issue_for(Some(&found.user), &token(ada.id, 2), &ANY).await.unwrap();
        let record = tokens.by_hash(&[2; 32], at(1)).await.unwrap().unwrap();
        assert_eq!(record.sign_outs, Some(ada.sign_outs));
        tokens.issue_for(Some(&bob), &token(ada.id, 3), &ANY).await.unwrap();
        store.users().delete(bob.id).await.unwrap();
        let gone = tokens.issue_for(Some(&bob), &token(ada.id, 4), &ANY).await;
        assert!(matches!(gone, Err(StoreError::Missing { what: "user" })), "{gone:?}");
    }

    async fn what_begins_while_all_sessions_end_ends_with_them(store) {
        let ada = user(&store, "ada").await;
        let (sessions, tokens) = (store.sessions(), store.tokens());
        for round in 0..20 {
            let ada = store.users().by_id(ada.id).await.unwrap().unwrap();
            let new = NewSession { sign_outs: ada.sign_outs, ..session(ada.id, round) };
            let made = token(ada.id, round);
            let (ended, began, issued) = tokio::join!(
                sessions.delete_of_user(ada.id),
                sessions.create(&new),
                tokens.issue_for(Some(&ada), &made, &ANY),
            );
            ended.unwrap();
            for error in [began.err(), issued.err()].into_iter().flatten() {
                assert!(matches!(error, StoreError::SignedOut), "{error:?}");
            }
            let left = sessions.by_hash(&[round; 32], at(1)).await.unwrap();
            assert_eq!(left, None, "round {round}");
            let left = tokens.by_hash(&[round; 32], at(1)).await.unwrap();
            assert_eq!(left, None, "round {round}");
        }
    }

    async fn what_was_given_out_goes_on_in_a_session_that_takes_the_place(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let (sessions, tokens, oauth) = (store.sessions(), store.tokens(), store.oauth());
        oauth.put_client(&lab()).await.unwrap();
        // Two in the same browser, one elsewhere, one of somebody else.
        for (owner, hash) in [(ada.id, 1), (ada.id, 2), (ada.id, 3), (bob.id, 4)] {
            sessions.create(&session(owner, hash)).await.unwrap();
            oauth.insert_code(&[hash; 32], &code(owner, hash)).await.unwrap();
            let given =
                NewToken { session_id: Some(format!("s{hash}")), ..token(owner, hash) };
            tokens.issue(&given).await.unwrap();
        }
        let earlier = [[1; 32], [2; 32], [4; 32], [9; 32]];
        sessions.create_in_place_of(&session(ada.id, 5), &earlier).await.unwrap();

        for (hash, stays) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
            let found = sessions.by_hash(&[hash; 32], at(1)).await.unwrap();
            assert_eq!(found.is_some(), stays, "session {hash}");
        }
        for (hash, ends_with) in [(1, "s5"), (2, "s5"), (3, "s3"), (4, "s4")] {
            let found = tokens.by_hash(&[hash; 32], at(1)).await.unwrap().unwrap();
            assert_eq!(found.session_id.as_deref(), Some(ends_with), "token {hash}");
            let found = oauth.code(&[hash; 32], at(1)).await.unwrap().unwrap();
            assert_eq!(found.session_id, ends_with, "code {hash}");
        }
        let late = sessions.create_in_place_of(&session(ada.id, 3), &[[5; 32]]).await;
        assert!(matches!(late, Err(StoreError::Conflict { what: "session" })), "{late:?}");
        assert!(sessions.by_hash(&[5; 32], at(1)).await.unwrap().is_some(), "all or nothing");
    }

    async fn sessions_end_with_their_user(store) {
        let ada = user(&store, "ada").await;
        store.sessions().create(&session(ada.id, 1)).await.unwrap();
        store.users().delete(ada.id).await.unwrap();
        assert_eq!(store.sessions().by_hash(&[1; 32], at(1)).await.unwrap(), None);
    }
}
