//! API tokens, known by the digest of their text.

use jiff::{SignedDuration, Timestamp};

use crate::{
    StoreError, TokenId, User, UserId,
    engine::{Engine, Tx},
    row::Fields,
    statement::statements,
    users::{hold, take_turn},
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
    // Those of OAuth clients come and go with sessions and servers.
    MADE: "count the tokens that were made for a user",
        "SELECT count(CASE WHEN expires_at IS NULL OR expires_at > $2 THEN 1 END) AS total,
             count(CASE WHEN created > $3 THEN 1 END) AS recent
         FROM tokens WHERE user_id = $1 AND client_id IS NULL AND session_id IS NULL";
    KEEP_NEWEST: "revoke a user's oldest tokens for a client",
        "DELETE FROM tokens WHERE user_id = $1 AND client_id = $2 AND session_id IS NOT NULL
         AND id <= (SELECT id FROM tokens
             WHERE user_id = $1 AND client_id = $2 AND session_id IS NOT NULL
             ORDER BY id DESC LIMIT 1 OFFSET $3)";
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

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

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

/// How many tokens are made for a user: any number where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLimits {
    /// How many they have at one time, those of OAuth clients aside.
    pub per_user: Option<u64>,
    /// How many are made within a minute, of those that are still there.
    pub per_minute: Option<u64>,
}

/// What became of a wish for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// There it is.
    Done(Box<TokenRecord>),
    /// The user has as many as they may.
    Full,
    /// Too many were made within a minute.
    TooFast,
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
    /// everywhere since they were read, who is `None` if no user asks. Else a token that is
    /// used until the last moment would live on in those it is used to make.
    ///
    /// The limits are looked at in the same moment: of several who ask at once not one too
    /// many gets its token.
    ///
    /// # Errors
    ///
    /// Also [`StoreError::SignedOut`].
    pub async fn issue_for(
        &self,
        by: Option<&User>,
        token: &NewToken,
        limits: &TokenLimits,
    ) -> Result<Issue, StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        let owner = match &token.owner {
            TokenOwner::User(id) => Some(*id),
            TokenOwner::Service(_) => None,
        };
        let asker = by.map(|by| (by.id, Some(by.sign_outs)));
        let mut turns: Vec<_> = asker.into_iter().chain(owner.map(|id| (id, None))).collect();
        // In one order: two who make tokens for each other must not both wait.
        turns.sort_unstable();
        for (user, sign_outs) in turns {
            match sign_outs {
                Some(sign_outs) => hold(&mut tx, user, sign_outs).await?,
                None => take_turn(&mut tx, user).await?,
            }
        }
        if let Some(owner) = owner
            && let Some(refused) = limits.refuse(&mut tx, owner, token.created).await?
        {
            return Ok(refused);
        }
        let issued = insert(&mut tx, token).await?;
        tx.commit(INSERT.action).await?;
        Ok(Issue::Done(Box::new(issued)))
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

impl TokenLimits {
    /// Why the user gets no more at `now`, if they do not.
    async fn refuse(
        &self,
        tx: &mut Tx,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Issue>, StoreError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let minute = now.checked_sub(MINUTE).unwrap_or(Timestamp::MIN);
        let rows = tx.read(&MADE, &[user.into(), now.into(), minute.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let fields = row.of("tokens");
        let (total, recent) = (fields.count("total")?, fields.count("recent")?);
        Ok(if self.per_user.is_some_and(|limit| total >= limit) {
            Some(Issue::Full)
        } else {
            self.per_minute.is_some_and(|limit| recent >= limit).then_some(Issue::TooFast)
        })
    }
}

/// Revokes the oldest tokens of a user's sessions for a client, so that `most` are left.
pub(crate) async fn keep_newest(
    tx: &mut Tx,
    user: UserId,
    client_id: &str,
    most: u64,
) -> Result<(), StoreError> {
    tx.write(&KEEP_NEWEST, &[user.into(), client_id.into(), Value::count(most)]).await?;
    Ok(())
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
