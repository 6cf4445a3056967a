//! What is asked of the owner of a local account after the password.

use std::fmt;

use jiff::Timestamp;

use crate::{
    StoreError,
    engine::{Engine, Tx},
    row::Fields,
    statement::{Statement, statements},
    tickets,
    value::Value,
};

statements! {
    GET: "look up a second factor",
        "SELECT account_id, sealed, last_step, recovery, created FROM second_factors
         WHERE account_id = $1";
    INSERT: "turn a second factor on",
        "INSERT INTO second_factors (account_id, sealed, last_step, recovery, created)
         VALUES ($1, $2, $3, $4, $5)";
    STEP: "accept a code",
        "UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2";
    RECOVERY: "replace recovery codes",
        "UPDATE second_factors SET recovery = $3 WHERE account_id = $1 AND recovery = $2";
    DELETE: "turn a second factor off",
        "DELETE FROM second_factors WHERE account_id = $1";
}

/// The second factor of an account.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecondFactorRow {
    /// Whose.
    pub account_id: String,
    /// The app's secret, sealed by the hub. Opaque here.
    pub sealed: String,
    /// The time step of the last code that was accepted.
    pub last_step: i64,
    /// The hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    /// When it was turned on.
    pub created: Timestamp,
}

/// A second factor to be turned on.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecondFactor {
    /// Whose.
    pub account_id: String,
    /// The app's secret, sealed by the hub.
    pub sealed: String,
    /// The time step of the code that proved the app right; zero if there was none.
    pub last_step: i64,
    /// The hashes of the recovery codes.
    pub recovery: Vec<String>,
}

/// What is asked of the owners of local accounts after the password. It goes with the
/// account.
#[derive(Clone, Copy, Debug)]
pub struct SecondFactors<'s> {
    pub(crate) engine: &'s Engine,
}

impl SecondFactors<'_> {
    /// The second factor of the account with that id.
    pub async fn get(&self, account_id: &str) -> Result<Option<SecondFactorRow>, StoreError> {
        let row = self.engine.read_one(&GET, &[account_id.into()]).await?;
        row.map(|row| SecondFactorRow::read(row.of("second_factors"))).transpose()
    }

    /// Turns one on, and uses up the secret link with the digest `ticket`, if one is
    /// given. All or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the account has one, [`StoreError::Missing`] if there
    /// is no such account, or no such ticket at `now`.
    pub async fn add(
        &self,
        new: &NewSecondFactor,
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        spend(&mut tx, ticket, now).await?;
        insert(&mut tx, new, now).await?;
        tx.commit(INSERT.action).await?;
        Ok(())
    }

    /// Accepts a code of the time step `step` and uses up the ticket, if one is given.
    /// Returns whether no code of this step or of a later one was accepted before; if one
    /// was, nothing changes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such ticket at `now`.
    pub async fn accept_step(
        &self,
        account_id: &str,
        step: i64,
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.accept(&STEP, &[account_id.into(), Value::Int(step)], ticket, now).await
    }

    /// Puts the recovery codes `new` in place of `old` and uses up the ticket, if one is
    /// given. Returns whether `old` was what there was; else nothing changes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such ticket at `now`.
    pub async fn replace_recovery(
        &self,
        account_id: &str,
        old: &[String],
        new: &[String],
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (old, new) = (listed(old), listed(new));
        self.accept(&RECOVERY, &[account_id.into(), (&old).into(), (&new).into()], ticket, now)
            .await
    }

    /// Turns it off, and withdraws the account's secret links: a sign-in that is under
    /// way begins anew. Returns whether there was one.
    pub async fn remove(&self, account_id: &str) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(DELETE.action).await?;
        let was_there = tx.write(&DELETE, &[account_id.into()]).await? > 0;
        tickets::withdraw_of(&mut tx, account_id).await?;
        tx.commit(DELETE.action).await?;
        Ok(was_there)
    }

    async fn accept(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(statement.action).await?;
        spend(&mut tx, ticket, now).await?;
        // Not committed, the transaction leaves the ticket as it is.
        if tx.write(statement, values).await? == 0 {
            return Ok(false);
        }
        tx.commit(statement.action).await?;
        Ok(true)
    }
}

/// Adds one.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewSecondFactor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let recovery = listed(&new.recovery);
    let values = [
        (&new.account_id).into(),
        (&new.sealed).into(),
        Value::Int(new.last_step),
        (&recovery).into(),
        now.into(),
    ];
    tx.write(&INSERT, &values)
        .await
        .map_err(|failure| failure.conflict("second factor").missing("account"))?;
    Ok(())
}

async fn spend(tx: &mut Tx, ticket: Option<&[u8; 32]>, now: Timestamp) -> Result<(), StoreError> {
    match ticket {
        Some(hash) => tickets::spend(tx, hash, now).await,
        None => Ok(()),
    }
}

/// Always the same text for the same list: it is compared.
fn listed(hashes: &[String]) -> String {
    serde_json::Value::from(hashes.to_vec()).to_string()
}

impl SecondFactorRow {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            account_id: fields.text("account_id")?,
            sealed: fields.text("sealed")?,
            last_step: fields.int("last_step")?,
            recovery: fields.list("recovery")?,
            created: fields.time("created")?,
        })
    }
}

impl fmt::Debug for SecondFactorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactorRow")
            .field("account_id", &self.account_id)
            .field("last_step", &self.last_step)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewSecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecondFactor")
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}
