use hub_store::{Issue, NewToken, StoreError, TokenId, TokenLimits, TokenOwner, UserId};

use crate::{at, user};

/// A token that never expires.
fn token(owner: TokenOwner, hash: u8) -> NewToken {
    NewToken {
        owner,
        hash: [hash; 32],
        client_id: None,
        session_id: None,
        note: "for tests".to_owned(),
        scopes: vec!["read:users!user=ada".to_owned(), "access:servers".to_owned()],
        created: at(0),
        expires_at: None,
    }
}

fn of(user: UserId, hash: u8) -> NewToken {
    token(TokenOwner::User(user), hash)
}

fn service(name: &str, hash: u8) -> NewToken {
    token(TokenOwner::Service(name.to_owned()), hash)
}

on_every_engine! {
    async fn an_issued_token_is_found_by_its_digest(store) {
        let ada = user(&store, "ada").await;
        let new = NewToken {
            client_id: Some("jupyterhub-user-ada".to_owned()),
            session_id: Some("s1".to_owned()),
            expires_at: Some(at(60)),
            ..of(ada.id, 1)
        };
        let issued = store.tokens().issue(&new).await.unwrap();

        assert_eq!(issued.owner, new.owner);
        assert_eq!((&issued.client_id, &issued.session_id), (&new.client_id, &new.session_id));
        assert_eq!((&issued.note, &issued.scopes), (&new.note, &new.scopes));
        assert_eq!((issued.created, issued.expires_at), (at(0), Some(at(60))));
        assert_eq!(issued.last_activity, None);
        assert_eq!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap(), Some(issued));
        assert_eq!(store.tokens().by_hash(&[2; 32], at(1)).await.unwrap(), None);
    }

    async fn an_expired_token_is_worth_nothing(store) {
        let ada = user(&store, "ada").await;
        let new = NewToken { expires_at: Some(at(60)), ..of(ada.id, 1) };
        let id = store.tokens().issue(&new).await.unwrap().id;

        assert!(store.tokens().by_hash(&[1; 32], at(59)).await.unwrap().is_some());
        assert!(store.tokens().by_hash(&[1; 32], at(60)).await.unwrap().is_none());
        assert!(store.tokens().get(ada.id, id, at(59)).await.unwrap().is_some());
        assert!(store.tokens().get(ada.id, id, at(60)).await.unwrap().is_none());
    }

    async fn i7_a_token_needs_its_user(store) {
        let orphan = store.tokens().issue(&of(UserId::new(99), 1)).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "user" })), "{orphan:?}");
    }

    async fn a_digest_is_one_tokens(store) {
        let ada = user(&store, "ada").await;
        store.tokens().issue(&of(ada.id, 1)).await.unwrap();
        let again = store.tokens().issue(&of(ada.id, 1)).await;
        assert!(matches!(again, Err(StoreError::Conflict { what: "token" })), "{again:?}");
    }

    async fn listing_puts_the_longest_unused_first_and_leaves_out_the_expired(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let tokens = store.tokens();
        let recent = tokens.issue(&of(ada.id, 1)).await.unwrap().id;
        let old = tokens.issue(&of(ada.id, 2)).await.unwrap().id;
        let never = tokens.issue(&of(ada.id, 3)).await.unwrap().id;
        let expired = NewToken { expires_at: Some(at(5)), ..of(ada.id, 4) };
        tokens.issue(&expired).await.unwrap();
        tokens.issue(&of(bob.id, 5)).await.unwrap();
        tokens.touch(recent, at(9)).await.unwrap();
        tokens.touch(old, at(3)).await.unwrap();

        let listed = tokens.of_user(ada.id, at(10)).await.unwrap();

        assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [never, old, recent]);
        assert_eq!(tokens.sweep(at(10)).await.unwrap(), 1, "looking changes nothing");
    }

    async fn a_token_is_shown_to_its_owner_only(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let id = store.tokens().issue(&of(ada.id, 1)).await.unwrap().id;
        assert!(store.tokens().get(ada.id, id, at(1)).await.unwrap().is_some());
        assert!(store.tokens().get(bob.id, id, at(1)).await.unwrap().is_none());
    }

    async fn a_revoked_token_is_gone_and_its_id_with_it(store) {
        let ada = user(&store, "ada").await;
        let first = store.tokens().issue(&of(ada.id, 1)).await.unwrap().id;
        assert!(store.tokens().revoke(first).await.unwrap());
        assert!(!store.tokens().revoke(first).await.unwrap());
        assert!(store.tokens().by_hash(&[1; 32], at(1)).await.unwrap().is_none());
        assert!(store.tokens().issue(&of(ada.id, 1)).await.unwrap().id > first);
    }

    async fn tokens_end_with_their_client_or_session(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let for_client = |owner, hash| NewToken {
            client_id: Some("lab".to_owned()),
            session_id: Some("s1".to_owned()),
            ..of(owner, hash)
        };
        let tokens = store.tokens();
        tokens.issue(&for_client(ada.id, 1)).await.unwrap();
        tokens.issue(&for_client(ada.id, 2)).await.unwrap();
        tokens.issue(&for_client(bob.id, 3)).await.unwrap();
        tokens.issue(&of(ada.id, 4)).await.unwrap();

        assert_eq!(tokens.revoke_client_of_user(ada.id, "other").await.unwrap(), 0);
        assert_eq!(tokens.revoke_client_of_user(ada.id, "lab").await.unwrap(), 2);
        assert_eq!(tokens.revoke_session(ada.id, "s1").await.unwrap(), 0);
        assert_eq!(tokens.revoke_session(bob.id, "s1").await.unwrap(), 1);
        assert!(tokens.by_hash(&[4; 32], at(1)).await.unwrap().is_some());
    }

    async fn limit_holds_in_parallel(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let tokens = store.tokens();
        let limits = TokenLimits { per_user: Some(3), per_minute: None };
        // What does not count: one that has expired, those of clients, somebody else's.
        let expired = NewToken { expires_at: Some(at(0)), ..of(ada.id, 101) };
        let client = NewToken { client_id: Some("lab".to_owned()), ..of(ada.id, 102) };
        for token in [expired, client, of(bob.id, 103)] {
            tokens.issue(&token).await.unwrap();
        }
        let mut made = Vec::new();
        // Only from the second round on do all have a connection at once.
        for round in 0..5 {
            for token in made.drain(..) {
                if let Ok(Issue::Done(token)) = token {
                    tokens.revoke(token.id).await.unwrap();
                }
            }
            let new: Vec<NewToken> = (1..=10).map(|one| of(ada.id, 10 * round + one)).collect();
            let tries = new.iter().map(|token| tokens.issue_for(None, token, &limits));
            made = futures_util::future::join_all(tries).await;
            let full = made.iter().filter(|one| matches!(one, Ok(Issue::Full))).count();
            let done = made.iter().filter(|one| matches!(one, Ok(Issue::Done(_)))).count();
            assert_eq!((done, full), (3, 7), "{made:?}");
        }

        let one = tokens.of_user(ada.id, at(1)).await.unwrap();
        let one = one.iter().find(|token| token.client_id.is_none()).unwrap().id;
        tokens.revoke(one).await.unwrap();
        let next = tokens.issue_for(None, &of(ada.id, 111), &limits).await.unwrap();
        assert!(matches!(next, Issue::Done(_)), "{next:?}");
        let next = tokens.issue_for(None, &of(ada.id, 112), &limits).await.unwrap();
        assert_eq!(next, Issue::Full);
        let orphan = tokens.issue_for(None, &of(UserId::new(99), 113), &limits).await;
        assert!(matches!(orphan, Err(StoreError::Missing { what: "user" })), "{orphan:?}");
    }

    async fn tokens_are_not_made_faster_than_the_limit(store) {
        let ada = user(&store, "ada").await;
        let limits = TokenLimits { per_user: None, per_minute: Some(2) };
        for (hash, seconds, expected) in
            [(1, 0, true), (2, 30, true), (3, 59, false), (4, 60, true), (5, 89, false), (6, 90, true)]
        {
            let token = NewToken { created: at(seconds), ..of(ada.id, hash) };
            let made = store.tokens().issue_for(None, &token, &limits).await.unwrap();
            assert_eq!(matches!(made, Issue::Done(_)), expected, "after {seconds} s");
            assert_eq!(matches!(made, Issue::TooFast), !expected, "after {seconds} s");
        }
    }

    async fn two_who_make_tokens_for_each_other_do_not_both_wait(store) {
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let (tokens, any) = (store.tokens(), TokenLimits::default());
        for round in (0..40).step_by(2) {
            let (of_ada, of_bob) = (of(ada.id, round), of(bob.id, round + 1));
            let (one, other) = tokio::join!(
                tokens.issue_for(Some(&ada), &of_bob, &any),
                tokens.issue_for(Some(&bob), &of_ada, &any),
            );
            assert!(matches!((&one, &other), (Ok(Issue::Done(_)), Ok(Issue::Done(_)))), "{one:?} {other:?}");
        }
    }

    async fn a_services_tokens_are_replaced_as_a_whole(store) {
        let tokens = store.tokens();
        tokens.replace_service_tokens("cull", &[service("cull", 1)]).await.unwrap();
        tokens.replace_service_tokens("other", &[service("other", 2)]).await.unwrap();

        let new = [service("cull", 3), service("mistaken", 4)];
        tokens.replace_service_tokens("cull", &new).await.unwrap();

        assert!(tokens.by_hash(&[1; 32], at(1)).await.unwrap().is_none());
        assert!(tokens.by_hash(&[2; 32], at(1)).await.unwrap().is_some());
        let owner = tokens.by_hash(&[4; 32], at(1)).await.unwrap().unwrap().owner;
        assert_eq!(owner, TokenOwner::Service("cull".to_owned()));
    }

    async fn a_replacement_that_fails_changes_nothing(store) {
        let tokens = store.tokens();
        tokens.replace_service_tokens("cull", &[service("cull", 1)]).await.unwrap();

        let twice = [service("cull", 2), service("cull", 2)];
        let failed = tokens.replace_service_tokens("cull", &twice).await;

        assert!(matches!(failed, Err(StoreError::Conflict { what: "token" })), "{failed:?}");
        assert!(tokens.by_hash(&[1; 32], at(1)).await.unwrap().is_some());
        assert!(tokens.by_hash(&[2; 32], at(1)).await.unwrap().is_none());
    }

    async fn tokens_of_unconfigured_services_are_forgotten(store) {
        let ada = user(&store, "ada").await;
        let tokens = store.tokens();
        tokens.issue(&of(ada.id, 1)).await.unwrap();
        tokens.issue(&service("cull", 2)).await.unwrap();
        tokens.issue(&service("gone", 3)).await.unwrap();

        tokens.forget_services_except(&["cull", "new"]).await.unwrap();

        assert!(tokens.by_hash(&[1; 32], at(1)).await.unwrap().is_some());
        assert!(tokens.by_hash(&[2; 32], at(1)).await.unwrap().is_some());
        assert!(tokens.by_hash(&[3; 32], at(1)).await.unwrap().is_none());
    }

    async fn activity_only_moves_forward(store) {
        let ada = user(&store, "ada").await;
        let id = store.tokens().issue(&of(ada.id, 1)).await.unwrap().id;
        for seconds in [10, 5, 20, 15] {
            store.tokens().touch(id, at(seconds)).await.unwrap();
        }
        store.tokens().touch(TokenId::new(99), at(1)).await.unwrap();
        let token = store.tokens().get(ada.id, id, at(1)).await.unwrap().unwrap();
        assert_eq!(token.last_activity, Some(at(20)));
    }

    async fn sweeping_deletes_what_has_expired(store) {
        let ada = user(&store, "ada").await;
        let tokens = store.tokens();
        for (hash, expiry) in [(1, Some(at(5))), (2, Some(at(50))), (3, None)] {
            tokens.issue(&NewToken { expires_at: expiry, ..of(ada.id, hash) }).await.unwrap();
        }
        assert_eq!(tokens.sweep(at(10)).await.unwrap(), 1);
        assert_eq!(tokens.of_user(ada.id, at(10)).await.unwrap().len(), 2);
    }

    async fn a_note_with_a_zero_character_is_accepted(store) {
        let ada = user(&store, "ada").await;
        let new = NewToken { note: "a\0b".to_owned(), ..of(ada.id, 1) };
        assert_eq!(store.tokens().issue(&new).await.unwrap().note, "a\u{FFFD}b");
    }
}
