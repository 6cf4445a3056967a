//! Who somebody was before what they show was looked at.
//!
//! A password takes a while to be looked at. If it is changed meanwhile, or its account is
//! closed, it signs nobody in any more (CVE-2026-40934).

use hub_auth::{AccessPolicy, Answer};
use hub_store::{Store, StoreError, User};

/// The user to whom the name in a form leads. `None` if there is none yet, and where only
/// the provider can say who it is.
pub(super) async fn named(store: &Store, answer: &Answer) -> Result<Option<User>, StoreError> {
    let Answer::Form { username, .. } = answer else { return Ok(None) };
    // As such accounts are looked up: nothing is mapped.
    let Ok(name) = AccessPolicy::default().normalise(username) else { return Ok(None) };
    match store.local_accounts().owner(&name).await? {
        Some(owner) => Ok(Some(owner)),
        None => store.users().by_name(&name).await,
    }
}

/// `user` as who may begin a session: one who was signed out since `before` may not.
///
/// # Errors
///
/// [`StoreError::SignedOut`] if they were deleted since, and another has the name now.
pub(super) fn since(before: Option<&User>, mut user: User) -> Result<User, StoreError> {
    match before {
        Some(before) if before.id == user.id => user.sign_outs = before.sign_outs,
        Some(before) if before.name == user.name => return Err(StoreError::SignedOut),
        Some(_) | None => {}
    }
    Ok(user)
}
