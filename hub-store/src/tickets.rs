//! Secret links, known by the digest of their secret: invitations, the first
//! administrator's set-up, resets of passwords.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{
    StoreError, TicketId,
    engine::{Engine, Tx},
    row::Fields,
    statement::statements,
    value::Value,
};

macro_rules! columns {
    () => {
        "id, kind, purpose, account_id, created, expires_at, uses_left"
    };
}

statements! {
    INSERT: "make a secret link",
        concat!("INSERT INTO tickets (hash, kind, purpose, account_id, created, expires_at, uses_left)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ", columns!());
    BY_HASH: "look up a secret link",
        concat!("SELECT ", columns!(), " FROM tickets WHERE hash = $1 AND expires_at > $2");
    OF_KIND: "list secret links",
        concat!("SELECT ", columns!(), " FROM tickets WHERE kind = $1 AND expires_at > $2
         ORDER BY id");
    USE: "use a secret link",
        "UPDATE tickets SET uses_left = uses_left - 1
         WHERE hash = $1 AND expires_at > $2 AND uses_left > 0";
    DELETE_USED: "delete a used secret link",
        "DELETE FROM tickets WHERE hash = $1 AND uses_left = 0";
    DELETE: "withdraw a secret link",
        "DELETE FROM tickets WHERE id = $1";
    DELETE_OF_KIND: "withdraw secret links",
        "DELETE FROM tickets WHERE kind = $1";
    DELETE_OF_ACCOUNT: "withdraw an account's secret links",
        "DELETE FROM tickets WHERE account_id = $1";
    SWEEP: "delete expired secret links",
        "DELETE FROM tickets WHERE expires_at <= $1";
}

/// A link to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// The digest of its secret, by which it is found.
    pub hash: [u8; 32],
    /// What sort of link it is, to list them by.
    pub kind: String,
    /// What it is good for. Opaque here.
    pub purpose: Json,
    /// The local account it is for, if it is; it goes with that.
    pub account_id: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
    /// How often it can be used.
    pub uses_left: u32,
}

/// A link that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketRecord {
    /// Which link.
    pub id: TicketId,
    /// What sort of link it is.
    pub kind: String,
    /// What it is good for. Opaque here.
    pub purpose: Json,
    /// The local account it is for, if it is.
    pub account_id: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
    /// How often it can still be used; never zero.
    pub uses_left: u32,
}

/// Secret links: invitations, the first administrator's set-up, resets.
///
/// They are used up by what they are for: see
/// [`LocalAccounts::create`](crate::LocalAccounts::create) and
/// [`LocalAccounts::set_password`](crate::LocalAccounts::set_password).
#[derive(Clone, Copy, Debug)]
pub struct Tickets<'s> {
    pub(crate) engine: &'s Engine,
}

impl Tickets<'_> {
    /// Makes a link valid.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if its account does not exist,
    /// [`StoreError::Conflict`] if there is a link with that digest.
    pub async fn create(&self, ticket: &NewTicket) -> Result<TicketRecord, StoreError> {
        let values = [
            (&ticket.hash).into(),
            (&ticket.kind).into(),
            (&ticket.purpose).into(),
            ticket.account_id.as_deref().into(),
            ticket.created.into(),
            ticket.expires_at.into(),
            Value::Int(ticket.uses_left.max(1).into()),
        ];
        let row = self
            .engine
            .write_one(&INSERT, &values)
            .await
            .map_err(|failure| failure.conflict("ticket").missing("account"))?
            .ok_or(StoreError::Missing { what: "ticket" })?;
        TicketRecord::read(row.of("tickets"))
    }

    /// The link with that digest, unless it has expired at `now`.
    pub async fn by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TicketRecord>, StoreError> {
        let row = self.engine.read_one(&BY_HASH, &[hash.into(), now.into()]).await?;
        row.map(|row| TicketRecord::read(row.of("tickets"))).transpose()
    }

    /// The links of that kind that are valid at `now`, in the order they were made.
    pub async fn of_kind(
        &self,
        kind: &str,
        now: Timestamp,
    ) -> Result<Vec<TicketRecord>, StoreError> {
        let rows = self.engine.read(&OF_KIND, &[kind.into(), now.into()]).await?;
        rows.iter().map(|row| TicketRecord::read(row.of("tickets"))).collect()
    }

    /// Makes the link worth nothing; returns whether it was there.
    pub async fn withdraw(&self, id: TicketId) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[id.into()]).await? > 0)
    }

    /// Makes all links of that kind worth nothing; returns how many there were.
    pub async fn withdraw_kind(&self, kind: &str) -> Result<u64, StoreError> {
        Ok(self.engine.write(&DELETE_OF_KIND, &[kind.into()]).await?)
    }

    /// Makes all links for the account worth nothing; returns how many there were.
    pub async fn withdraw_of(&self, account_id: &str) -> Result<u64, StoreError> {
        Ok(self.engine.write(&DELETE_OF_ACCOUNT, &[account_id.into()]).await?)
    }

    /// Deletes what has expired at `now`; returns how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP, &[now.into()]).await?)
    }
}

/// Uses the link with that digest once, as a part of what it is good for.
///
/// # Errors
///
/// [`StoreError::Missing`] if there is none at `now`: two people may come with the
/// last use.
pub(crate) async fn spend(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    if tx.write(&USE, &[hash.into(), now.into()]).await? == 0 {
        return Err(StoreError::Missing { what: "ticket" });
    }
    tx.write(&DELETE_USED, &[hash.into()]).await?;
    Ok(())
}

/// Makes all links for the account worth nothing.
pub(crate) async fn withdraw_of(tx: &mut Tx, account_id: &str) -> Result<(), StoreError> {
    tx.write(&DELETE_OF_ACCOUNT, &[account_id.into()]).await?;
    Ok(())
}

impl TicketRecord {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: TicketId::new(fields.int("id")?),
            kind: fields.text("kind")?,
            purpose: fields.json("purpose")?,
            account_id: fields.opt_text("account_id")?,
            created: fields.time("created")?,
            expires_at: fields.time("expires_at")?,
            uses_left: u32::try_from(fields.int("uses_left")?).unwrap_or(0),
        })
    }
}
