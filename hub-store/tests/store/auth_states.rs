use hub_store::{StoreError, UserId};

use crate::{at, user};

on_every_engine! {
    async fn what_is_kept_of_a_sign_in_goes_with_its_user(store) {
        let ada = user(&store, "ada").await;
        let states = store.auth_states();
        assert_eq!(states.get(ada.id).await.unwrap(), None);
        states.set(ada.id, "gAAAA-old", at(1)).await.unwrap();
        states.set(ada.id, "gAAAA-new", at(2)).await.unwrap();
        let kept = states.get(ada.id).await.unwrap().unwrap();
        assert_eq!((kept.user, kept.sealed.as_str(), kept.changed), (ada.id, "gAAAA-new", at(2)));
        let nobody = states.set(UserId::new(99), "x", at(1)).await;
        assert!(matches!(nobody, Err(StoreError::Missing { what: "user" })), "{nobody:?}");
        assert!(store.users().delete(ada.id).await.unwrap());
        assert_eq!(states.get(ada.id).await.unwrap(), None);
    }

    async fn only_what_was_looked_at_is_replaced_or_forgotten(store) {
        let ada = user(&store, "ada").await;
        let states = store.auth_states();
        states.set(ada.id, "first", at(1)).await.unwrap();
        assert!(!states.replace(ada.id, "other", "late", at(2)).await.unwrap());
        assert!(!states.forget_this(ada.id, "other").await.unwrap());
        assert!(states.replace(ada.id, "first", "second", at(3)).await.unwrap());
        let kept = states.get(ada.id).await.unwrap().unwrap();
        assert_eq!((kept.sealed.as_str(), kept.changed), ("second", at(3)));
        assert!(states.forget_this(ada.id, "second").await.unwrap());
        assert!(!states.replace(ada.id, "second", "third", at(4)).await.unwrap());
        assert_eq!(states.get(ada.id).await.unwrap(), None);
    }

    async fn all_that_is_kept_is_sealed_anew_page_by_page(store) {
        let states = store.auth_states();
        for raw in ["ada", "bob", "cyd"] {
            let user = user(&store, raw).await;
            states.set(user.id, raw, at(1)).await.unwrap();
        }
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = states.page(after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.user);
            for state in page {
                let new = format!("{} again", state.sealed);
                assert!(states.reseal(state.user, &state.sealed, &new).await.unwrap());
                assert!(!states.reseal(state.user, &state.sealed, "late").await.unwrap());
                seen.push(state.user);
            }
        }
        assert_eq!(seen.len(), 3);
        let last = states.get(seen[2]).await.unwrap().unwrap();
        assert_eq!((last.sealed.as_str(), last.changed), ("cyd again", at(1)));
        assert!(states.forget(seen[2]).await.unwrap() && !states.forget(seen[2]).await.unwrap());
    }
}
