//! What is kept of people's sign-ins: text that the hub has sealed.

use jiff::Timestamp;

use crate::{StoreError, UserId, engine::Engine, row::Fields, statement::statements, value::Value};

statements! {
    GET: "look up an auth state",
        "SELECT user_id, sealed, changed FROM auth_states WHERE user_id = $1";
    SET: "keep an auth state",
        "INSERT INTO auth_states (user_id, sealed, changed) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed";
    RESEAL: "seal an auth state anew",
        "UPDATE auth_states SET sealed = $3 WHERE user_id = $1 AND sealed = $2";
    REPLACE: "replace an auth state",
        "UPDATE auth_states SET sealed = $3, changed = $4 WHERE user_id = $1 AND sealed = $2";
    DELETE_THIS: "forget this auth state",
        "DELETE FROM auth_states WHERE user_id = $1 AND sealed = $2";
    DELETE: "forget an auth state",
        "DELETE FROM auth_states WHERE user_id = $1";
    PAGE: "list auth states",
        "SELECT user_id, sealed, changed FROM auth_states
         WHERE user_id > $1 ORDER BY user_id LIMIT $2";
}

/// What is kept of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedState {
    /// Whose sign-in.
    pub user: UserId,
    /// What the hub has sealed. Opaque here.
    pub sealed: String,
    /// When that was; sealing the same anew does not count.
    pub changed: Timestamp,
}

/// What is kept of people's sign-ins, sealed.
#[derive(Clone, Copy, Debug)]
pub struct AuthStates<'s> {
    pub(crate) engine: &'s Engine,
}

impl AuthStates<'_> {
    /// What is kept of the user's sign-in.
    pub async fn get(&self, user: UserId) -> Result<Option<SealedState>, StoreError> {
        let row = self.engine.read_one(&GET, &[user.into()]).await?;
        row.map(|row| SealedState::read(row.of("auth_states"))).transpose()
    }

    /// Keeps `sealed` in place of what was kept of the user's sign-in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn set(&self, user: UserId, sealed: &str, now: Timestamp) -> Result<(), StoreError> {
        self.engine
            .write(&SET, &[user.into(), sealed.into(), now.into()])
            .await
            .map_err(|failure| failure.missing("user"))?;
        Ok(())
    }

    /// Puts `new` in place of `old`, which is the same under another key; returns
    /// whether `old` was still what is kept.
    pub async fn reseal(&self, user: UserId, old: &str, new: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&RESEAL, &[user.into(), old.into(), new.into()]).await? > 0)
    }

    /// Keeps `new` in place of `old`; returns whether `old` was still what is kept.
    pub async fn replace(
        &self,
        user: UserId,
        old: &str,
        new: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = [user.into(), old.into(), new.into(), now.into()];
        Ok(self.engine.write(&REPLACE, &values).await? > 0)
    }

    /// Forgets the user's sign-in if it is `old`; returns whether it was.
    pub async fn forget_this(&self, user: UserId, old: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE_THIS, &[user.into(), old.into()]).await? > 0)
    }

    /// Forgets the user's sign-in; returns whether anything was kept.
    pub async fn forget(&self, user: UserId) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[user.into()]).await? > 0)
    }

    /// Up to `limit` of those of users after `after`, in the order of users. To see
    /// all of them, go on with the last one's user until none is left.
    pub async fn page(
        &self,
        after: Option<UserId>,
        limit: u64,
    ) -> Result<Vec<SealedState>, StoreError> {
        let after = after.unwrap_or(UserId::new(0));
        let rows = self.engine.read(&PAGE, &[after.into(), Value::count(limit)]).await?;
        rows.iter().map(|row| SealedState::read(row.of("auth_states"))).collect()
    }
}

impl SealedState {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            user: UserId::new(fields.int("user_id")?),
            sealed: fields.text("sealed")?,
            changed: fields.time("changed")?,
        })
    }
}
