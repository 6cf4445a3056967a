//! Codes that whoever has them may exchange for a share, known by their digest.

use hub_names::{ServerKey, UserName};
use jiff::Timestamp;

use crate::{
    Grantee, Share, ShareCodeId, StoreError,
    engine::Engine,
    row::{Fields, Row},
    shares,
    statement::statements,
    value::Value,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, o.name AS owner_name, s.name AS server_name, c.scopes, c.created,
                 c.expires_at, c.exchange_count, c.last_exchanged
             FROM share_codes c JOIN servers s ON s.id = c.server_id
             JOIN users o ON o.id = s.user_id ",
            $rest
        )
    };
}

statements! {
    INSERT: "make a share code",
        "INSERT INTO share_codes (server_id, hash, scopes, created, expires_at, exchange_count)
         SELECT s.id, $3, CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), 0
         FROM servers s JOIN users o ON o.id = s.user_id WHERE o.name = $1 AND s.name = $2";
    BY_HASH: "look up a share code",
        select!("WHERE c.hash = $1 AND c.expires_at > $2");
    OF_SERVER: "list a server's share codes",
        select!("WHERE o.name = $1 AND s.name = $2 AND c.expires_at > $3 ORDER BY c.id");
    OF_OWNER: "list the share codes of a user's servers",
        select!("WHERE o.name = $1 AND c.expires_at > $2 ORDER BY c.id");
    EXCHANGED: "exchange a share code",
        "UPDATE share_codes SET exchange_count = exchange_count + 1, last_exchanged = $2
         WHERE id = $1";
    DELETE: "revoke a share code",
        "DELETE FROM share_codes WHERE id = $1";
    DELETE_ALL: "revoke a server's share codes",
        "DELETE FROM share_codes WHERE server_id = (SELECT s.id FROM servers s
             JOIN users o ON o.id = s.user_id WHERE o.name = $1 AND s.name = $2)";
    SWEEP: "delete expired share codes",
        "DELETE FROM share_codes WHERE expires_at <= $1";
}

/// A code to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShareCode {
    /// The server it opens.
    pub server: ServerKey,
    /// The digest of its text.
    pub hash: [u8; 32],
    /// Names of scopes; each is limited to the server.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
}

/// A code that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareCode {
    /// Which code.
    pub id: ShareCodeId,
    /// The server it opens.
    pub server: ServerKey,
    /// Names of scopes; each is limited to the server.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
    /// How many shares were made with it.
    pub exchange_count: u64,
    /// When the last one was.
    pub last_exchanged: Option<Timestamp>,
}

/// Codes that whoever has them may exchange for a share.
#[derive(Clone, Copy, Debug)]
pub struct ShareCodes<'s> {
    pub(crate) engine: &'s Engine,
}

impl ShareCodes<'_> {
    /// Makes a code valid.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such server,
    /// [`StoreError::Conflict`] if there is a code with that digest.
    pub async fn create(&self, code: &NewShareCode) -> Result<ShareCode, StoreError> {
        let values = [
            code.server.user().into(),
            code.server.server().into(),
            (&code.hash).into(),
            Value::list(&code.scopes),
            code.created.into(),
            code.expires_at.into(),
        ];
        self.engine
            .write(&INSERT, &values)
            .await
            .map_err(|failure| failure.conflict("share code"))?;
        self.by_hash(&code.hash, code.created).await?.ok_or(StoreError::Missing { what: "server" })
    }

    /// The code with that digest, unless it has expired at `now`.
    pub async fn by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<ShareCode>, StoreError> {
        let row = self.engine.read_one(&BY_HASH, &[hash.into(), now.into()]).await?;
        row.map(|row| ShareCode::read(row.of("share_codes"))).transpose()
    }

    /// The codes of the server that are valid at `now`.
    pub async fn of_server(
        &self,
        server: &ServerKey,
        now: Timestamp,
    ) -> Result<Vec<ShareCode>, StoreError> {
        let values = [server.user().into(), server.server().into(), now.into()];
        read_all(&self.engine.read(&OF_SERVER, &values).await?)
    }

    /// The codes of all servers of `owner` that are valid at `now`.
    pub async fn of_owner(
        &self,
        owner: &UserName,
        now: Timestamp,
    ) -> Result<Vec<ShareCode>, StoreError> {
        read_all(&self.engine.read(&OF_OWNER, &[owner.into(), now.into()]).await?)
    }

    /// Shares the server with `with`, as the code with that digest promises, and
    /// counts the exchange; `None` if there is no such code at `now`.
    pub async fn exchange(
        &self,
        hash: &[u8; 32],
        with: &Grantee,
        now: Timestamp,
    ) -> Result<Option<Share>, StoreError> {
        let mut tx = self.engine.begin(EXCHANGED.action).await?;
        let rows = tx.read(&BY_HASH, &[hash.into(), now.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let code = ShareCode::read(row.of("share_codes"))?;
        let share = shares::grant(&mut tx, &code.server, with, &code.scopes, now).await?;
        // A code that was revoked in between opens nothing.
        if tx.write(&EXCHANGED, &[code.id.into(), now.into()]).await? == 0 {
            return Ok(None);
        }
        tx.commit(EXCHANGED.action).await?;
        Ok(Some(share))
    }

    /// Makes the code worth nothing; shares made with it stay. Returns whether it
    /// was there.
    pub async fn revoke(&self, id: ShareCodeId) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[id.into()]).await? > 0)
    }

    /// Makes all codes of the server worth nothing; returns how many there were.
    pub async fn revoke_all(&self, server: &ServerKey) -> Result<u64, StoreError> {
        let values = [server.user().into(), server.server().into()];
        Ok(self.engine.write(&DELETE_ALL, &values).await?)
    }

    /// Deletes what has expired at `now`; returns how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP, &[now.into()]).await?)
    }
}

impl ShareCode {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: ShareCodeId::new(fields.int("id")?),
            server: ServerKey::new(fields.parsed("owner_name")?, fields.parsed("server_name")?),
            scopes: fields.list("scopes")?,
            created: fields.time("created")?,
            expires_at: fields.time("expires_at")?,
            exchange_count: u64::try_from(fields.int("exchange_count")?).unwrap_or(0),
            last_exchanged: fields.opt_time("last_exchanged")?,
        })
    }
}

fn read_all(rows: &[Row]) -> Result<Vec<ShareCode>, StoreError> {
    rows.iter().map(|row| ShareCode::read(row.of("share_codes"))).collect()
}
