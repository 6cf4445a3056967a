//! API tokens, known by the digest of their text.

use jiff::Timestamp;

use crate::{
    StoreError, TokenId, User, UserId,
    engine::{Engine, Tx},
    row::Fields,
    statement::statements,
    users::hold,
    value::Value,
};

macro_rules! columns {
    () => {
        "id, user_id, service, client_id, session_id, note, scopes, created, expires_at, \
         last_activity, \
         (SELECT u.sign_outs FROM users u WHERE u.id = tokens.user_id) AS sign_outs"
    };
}

statements! {
    INSERT: "issue a token",
        concat!("INSERT INTO tokens (user_id, service, hash, client_id, session_id, note, scopes,
             created, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ", columns!());
    BY_HASH: "look up a token",
        concat!("SELECT ", columns!(), " FROM tokens
         WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)");
    OF_USER: "list a user's tokens",
        concat!("SELECT ", columns!(), " FROM tokens
         WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2)
         ORDER BY last_activity NULLS FIRST, id");
    GET: "look up a user's token",
        concat!("SELECT ", columns!(), " FROM tokens
         WHERE user_id = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > $3)");
    REVOKE: "revoke a token",
        "DELETE FROM tokens WHERE id = $1";
    REVOKE_CLIENT: "revoke a user's tokens for a client",
        "DELETE FROM tokens WHERE user_id = $1 AND client_id = $2";
    REVOKE_SESSION: "revoke the tokens of a session",
        "DELETE FROM tokens WHERE user_id = $1 AND session_id = $2";
    SERVICES: "list the services with tokens",
        "SELECT DISTINCT service FROM tokens WHERE service IS NOT NULL";
    REVOKE_SERVICE: "revoke a service's tokens",
        "DELETE FROM tokens WHERE service = $1";
    TOUCH: "note a token's use",
        "UPDATE tokens SET last_activity = $2
         WHERE id = $1 AND (last_activity IS NULL OR last_activity < $2)";
    SWEEP: "delete expired tokens",
        "DELETE FROM tokens WHERE expires_at <= $1";
}

/// On whose behalf a token speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// A user.
    User(UserId),
    /// A service of the configuration, by name.
    Service(String),
}

/// A token to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// On whose behalf it speaks.
    pub owner: TokenOwner,
    /// The digest of its text, by which it is found.
    pub hash: [u8; 32],
    /// The OAuth client it was issued to, if it was.
    pub client_id: Option<String>,
    /// The browser session it ends with, if it does.
    pub session_id: Option<String>,
    /// What it is for, in its owner's words.
    pub note: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was issued.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing; never if `None`.
    pub expires_at: Option<Timestamp>,
}

/// A token that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRecord {
    /// Which token.
    pub id: TokenId,
    /// On whose behalf it speaks.
    pub owner: TokenOwner,
    /// The OAuth client it was issued to, if it was.
    pub client_id: Option<String>,
    /// The browser session it ends with, if it does.
    pub session_id: Option<String>,
    /// What it is for, in its owner's words.
    pub note: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was issued.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing; never if `None`.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_activity: Option<Timestamp>,
    /// [`User::sign_outs`] of the user that it speaks for, at the moment at which it was
    /// looked up.
    pub sign_outs: Option<u64>,
}

/// API tokens of users and services.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'s> {
    pub(crate) engine: &'s Engine,
}

impl Tokens<'_> {
    /// Makes a token valid.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if its user does not exist,
    /// [`StoreError::Conflict`] if a token with that digest does.
    pub async fn issue(&self, token: &NewToken) -> Result<TokenRecord, StoreError> {
        let row = self
            .engine
            .write_one(&INSERT, &token.values())
            .await
            .map_err(|failure| failure.conflict("token").missing("user"))?
            .ok_or(StoreError::Missing { what: "token" })?;
        TokenRecord::read(row.of("tokens"))
    }

    /// As [`issue`](Self::issue), for somebody who asks for it: not if `by` was signed out
    /// everywhere since they were read. Else a token that is used until the last moment
    /// would live on in those it is used to make.
    ///
    /// # Errors
    ///
    /// Also [`StoreError::SignedOut`].
    pub async fn issue_for(&self, by: &User, token: &NewToken) -> Result<TokenRecord, StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        hold(&mut tx, by.id, by.sign_outs).await?;
        let issued = insert(&mut tx, token).await?;
        tx.commit(INSERT.action).await?;
        Ok(issued)
    }

    /// The token with that digest, unless it has expired at `now`.
    pub async fn by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let row = self.engine.read_one(&BY_HASH, &[hash.into(), now.into()]).await?;
        row.map(|row| TokenRecord::read(row.of("tokens"))).transpose()
    }

    /// The user's tokens that have not expired at `now`, those never used first, then from
    /// the longest to the least unused.
    pub async fn of_user(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = self.engine.read(&OF_USER, &[user.into(), now.into()]).await?;
        rows.iter().map(|row| TokenRecord::read(row.of("tokens"))).collect()
    }

    /// The token with that id, if it is the user's and has not expired at `now`.
    pub async fn get(
        &self,
        user: UserId,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let row = self.engine.read_one(&GET, &[user.into(), id.into(), now.into()]).await?;
        row.map(|row| TokenRecord::read(row.of("tokens"))).transpose()
    }

    /// Makes the token invalid; returns whether it was there.
    pub async fn revoke(&self, id: TokenId) -> Result<bool, StoreError> {
        Ok(self.engine.write(&REVOKE, &[id.into()]).await? > 0)
    }

    /// Makes all tokens invalid that the user has given to an OAuth client;
    /// returns how many.
    pub async fn revoke_client_of_user(
        &self,
        user: UserId,
        client_id: &str,
    ) -> Result<u64, StoreError> {
        Ok(self.engine.write(&REVOKE_CLIENT, &[user.into(), client_id.into()]).await?)
    }

    /// Makes all tokens invalid that end with a browser session of the user's;
    /// returns how many.
    pub async fn revoke_session(&self, user: UserId, session_id: &str) -> Result<u64, StoreError> {
        Ok(self.engine.write(&REVOKE_SESSION, &[user.into(), session_id.into()]).await?)
    }

    /// Replaces all tokens of `service`, as the configuration has them. Whatever
    /// owner the new ones name, they are that service's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if one of them is a token already, somebody else's
    /// or twice in the list; nothing is changed then.
    pub async fn replace_service_tokens(
        &self,
        service: &str,
        tokens: &[NewToken],
    ) -> Result<(), StoreError> {
        const ACTION: &str = "replace a service's tokens";
        let mut tx = self.engine.begin(ACTION).await?;
        tx.write(&REVOKE_SERVICE, &[service.into()]).await?;
        for token in tokens {
            let mut values = token.values();
            values[0] = None::<UserId>.into();
            values[1] = Some(service).into();
            tx.write(&INSERT, &values).await.map_err(|failure| failure.conflict("token"))?;
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// Makes the tokens of all services invalid that are not in `services`: those
    /// that are no longer configured.
    pub async fn forget_services_except(&self, services: &[&str]) -> Result<(), StoreError> {
        const ACTION: &str = "forget services";
        let mut tx = self.engine.begin(ACTION).await?;
        for row in tx.read(&SERVICES, &[]).await? {
            let service = row.of("tokens").text("service")?;
            if !services.contains(&service.as_str()) {
                tx.write(&REVOKE_SERVICE, &[(&service).into()]).await?;
            }
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// Notes that the token was used at `at`, unless it is known to have been used
    /// later.
    pub async fn touch(&self, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
        self.engine.write(&TOUCH, &[id.into(), at.into()]).await?;
        Ok(())
    }

    /// Deletes what has expired at `now`; returns how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP, &[now.into()]).await?)
    }
}

/// Makes a token valid, with all else that the transaction does.
pub(crate) async fn insert(tx: &mut Tx, token: &NewToken) -> Result<TokenRecord, StoreError> {
    let rows = tx
        .read(&INSERT, &token.values())
        .await
        .map_err(|failure| failure.conflict("token").missing("user"))?;
    let row = rows.first().ok_or(StoreError::Missing { what: "token" })?;
    TokenRecord::read(row.of("tokens"))
}

impl NewToken {
    /// What [`INSERT`] takes, the owner in the first two.
    fn values(&self) -> [Value<'_>; 9] {
        let (user, service) = match &self.owner {
            TokenOwner::User(id) => (Some(*id), None),
            TokenOwner::Service(name) => (None, Some(name.as_str())),
        };
        [
            user.into(),
            service.into(),
            (&self.hash).into(),
            self.client_id.as_deref().into(),
            self.session_id.as_deref().into(),
            (&self.note).into(),
            Value::list(&self.scopes),
            self.created.into(),
            self.expires_at.into(),
        ]
    }
}

impl TokenRecord {
    /// Reads [`columns`].
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        let owner = match (fields.opt_int("user_id")?, fields.opt_text("service")?) {
            (Some(id), None) => TokenOwner::User(UserId::new(id)),
            (None, Some(name)) => TokenOwner::Service(name),
            _ => return Err(fields.corrupt("user_id", "not exactly one owner")),
        };
        Ok(Self {
            id: TokenId::new(fields.int("id")?),
            owner,
            client_id: fields.opt_text("client_id")?,
            session_id: fields.opt_text("session_id")?,
            note: fields.text("note")?,
            scopes: fields.list("scopes")?,
            created: fields.time("created")?,
            expires_at: fields.opt_time("expires_at")?,
            last_activity: fields.opt_time("last_activity")?,
            sign_outs: fields.opt_count("sign_outs")?,
        })
    }
}
