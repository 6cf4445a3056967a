//! Failed tries to sign in, of an account or from an address.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{StoreError, engine::Engine, statement::statements};

statements! {
    // The update changes nothing, but it waits for whoever counts under the same key,
    // and then returns what they have written.
    TAKE: "look up failed sign-ins",
        "INSERT INTO login_tries (key, tries, expires_at) VALUES ($1, 'null', $2)
         ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING tries";
    PUT: "count a failed sign-in",
        "UPDATE login_tries SET tries = $2, expires_at = $3 WHERE key = $1";
    DELETE: "forget failed sign-ins",
        "DELETE FROM login_tries WHERE key = $1";
    SWEEP: "delete failed sign-ins that count no more",
        "DELETE FROM login_tries WHERE expires_at <= $1";
}

/// The tries to keep under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTries {
    /// What the caller makes of them. Opaque here.
    pub tries: Json,
    /// The first moment at which none of them counts.
    pub expires_at: Timestamp,
}

/// Failed tries to sign in.
#[derive(Clone, Copy, Debug)]
pub struct LoginTries<'s> {
    pub(crate) engine: &'s Engine,
}

impl LoginTries<'_> {
    /// Has `decide` look at the tries under `key`, if there are any, and keeps what it
    /// says instead, all in one transaction: whoever counts under the same key at the
    /// same moment waits. `None` leaves them as they are. Returns what else it says.
    pub async fn count<R>(
        &self,
        key: &str,
        now: Timestamp,
        decide: impl FnOnce(Option<Json>) -> (Option<NewTries>, R),
    ) -> Result<R, StoreError> {
        let mut tx = self.engine.begin(PUT.action).await?;
        let rows = tx.read(&TAKE, &[key.into(), now.into()]).await?;
        let known = rows.first().map(|row| row.of("login_tries").json("tries")).transpose()?;
        let (new, answer) = decide(known.filter(|tries| !tries.is_null()));
        if let Some(NewTries { tries, expires_at }) = new {
            tx.write(&PUT, &[key.into(), (&tries).into(), expires_at.into()]).await?;
            tx.commit(PUT.action).await?;
        }
        Ok(answer)
    }

    /// Forgets the tries under `key`; returns whether there were any.
    pub async fn forget(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[key.into()]).await? > 0)
    }

    /// Deletes the tries that count no more at `now`; returns of how many keys.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP, &[now.into()]).await?)
    }
}
