//! Browser sessions, known by the digest of their cookie.

use jiff::Timestamp;

use crate::{
    StoreError, User, UserId,
    engine::{Engine, Tx},
    row::Fields,
    statement::statements,
    users::{self, hold, sign_out},
};

statements! {
    INSERT: "begin a session",
        "INSERT INTO sessions
             (hash, user_id, session_id, created, expires_at, last_seen, provider)
         VALUES ($1, $2, $3, $4, $5, $4, $6)";
    BY_HASH: "look up a session",
        concat!("SELECT ", users::columns!(), ", s.session_id, s.created AS session_created,
             s.expires_at, s.last_seen, s.provider
         FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.hash = $1 AND s.expires_at > $2");
    TOUCH: "note a session's use",
        "UPDATE sessions SET last_seen = $2 WHERE hash = $1 AND last_seen < $2";
    HOLD: "hold on to a session",
        "UPDATE sessions SET last_seen = last_seen
         WHERE user_id = $1 AND session_id = $2 AND expires_at > $3";
    DELETE: "end a session",
        "DELETE FROM sessions WHERE hash = $1";
    END: "end a session",
        "DELETE FROM sessions WHERE hash = $1 RETURNING user_id, session_id";
    REPLACE: "replace a session",
        "DELETE FROM sessions WHERE hash = $1 AND user_id = $2 RETURNING session_id";
    MOVE_TOKENS: "take the tokens of a session over",
        "UPDATE tokens SET session_id = $3 WHERE user_id = $1 AND session_id = $2";
    MOVE_CODES: "take the codes of a session over",
        "UPDATE oauth_codes SET session_id = $3 WHERE user_id = $1 AND session_id = $2";
    REVOKE_GIVEN: "revoke the tokens of a session",
        "DELETE FROM tokens WHERE user_id = $1 AND session_id = $2";
    REVOKE_GIVEN_CODES: "revoke the codes of a session",
        "DELETE FROM oauth_codes WHERE user_id = $1 AND session_id = $2";
    DELETE_OF_USER: "end a user's sessions",
        "DELETE FROM sessions WHERE user_id = $1";
    // A server's own token has a client, but no session.
    REVOKE: "revoke a user's tokens",
        "DELETE FROM tokens
         WHERE user_id = $1 AND (session_id IS NOT NULL OR client_id IS NULL)";
    REVOKE_CODES: "revoke a user's codes",
        "DELETE FROM oauth_codes WHERE user_id = $1";
    SWEEP: "delete expired sessions",
        "DELETE FROM sessions WHERE expires_at <= $1";
}

/// A session to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The digest of the cookie's value, by which it is found.
    pub hash: [u8; 32],
    /// Who has signed in.
    pub user: UserId,
    /// [`User::sign_outs`] as it was before the password or whatever they showed was
    /// looked at.
    pub sign_outs: u64,
    /// The way of signing in, by its id.
    pub provider: String,
    /// The name of the session for those who issue tokens that end with it.
    pub session_id: String,
    /// When it begins.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
}

/// A session, with the user as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Who has signed in.
    pub user: User,
    /// The way of signing in, by its id; unknown of sessions from before it was kept.
    pub provider: Option<String>,
    /// The name of the session for those who issue tokens that end with it.
    pub session_id: String,
    /// When it began.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
    /// When it was last used; when it began, if never.
    pub last_seen: Timestamp,
}

/// Browser sessions.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'s> {
    pub(crate) engine: &'s Engine,
}

impl Sessions<'_> {
    /// Begins a session.
    ///
    /// # Errors
    ///
    /// [`StoreError::SignedOut`] if the user was signed out everywhere meanwhile,
    /// [`StoreError::Missing`] if there is no such user,
    /// [`StoreError::Conflict`] if there is a session with that digest.
    pub async fn create(&self, session: &NewSession) -> Result<(), StoreError> {
        self.create_in_place_of(session, &[]).await
    }

    /// Begins a session in the place of earlier ones of the same user, by their digests:
    /// they end, and what was given out in them goes on in the new one. Those that are not
    /// there or are somebody else's are left alone.
    ///
    /// # Errors
    ///
    /// As of [`create`](Self::create).
    pub async fn create_in_place_of(
        &self,
        session: &NewSession,
        earlier: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        let values = [
            (&session.hash).into(),
            session.user.into(),
            (&session.session_id).into(),
            session.created.into(),
            session.expires_at.into(),
            (&session.provider).into(),
        ];
        let mut tx = self.engine.begin(INSERT.action).await?;
        hold(&mut tx, session.user, session.sign_outs).await?;
        for hash in earlier {
            for row in tx.read(&REPLACE, &[hash.into(), session.user.into()]).await? {
                let id = row.of("sessions").text("session_id")?;
                let values = [session.user.into(), (&id).into(), (&session.session_id).into()];
                for statement in [&MOVE_TOKENS, &MOVE_CODES] {
                    tx.write(statement, &values).await?;
                }
            }
        }
        tx.write(&INSERT, &values).await.map_err(|failure| failure.conflict("session"))?;
        tx.commit(INSERT.action).await?;
        Ok(())
    }

    /// The session with that digest, unless it has expired at `now`.
    pub async fn by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let row = self.engine.read_one(&BY_HASH, &[hash.into(), now.into()]).await?;
        row.map(|row| Session::read(row.of("sessions"))).transpose()
    }

    /// Notes that the session was used at `at`, unless it is known to have been
    /// used later.
    pub async fn touch(&self, hash: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.engine.write(&TOUCH, &[hash.into(), at.into()]).await?;
        Ok(())
    }

    /// Ends a session with the tokens and codes that were given out in it, now or while
    /// this runs; returns whether it was there.
    pub async fn end(&self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(END.action).await?;
        // First: whoever is giving something out in it is waited for.
        let ended = tx.read(&END, &[hash.into()]).await?;
        for row in &ended {
            let fields = row.of("sessions");
            let (user, id) = (UserId::new(fields.int("user_id")?), fields.text("session_id")?);
            for statement in [&REVOKE_GIVEN, &REVOKE_GIVEN_CODES] {
                tx.write(statement, &[user.into(), (&id).into()]).await?;
            }
        }
        tx.commit(END.action).await?;
        Ok(!ended.is_empty())
    }

    /// Forgets a session that nobody uses any more; what was given out in it goes on.
    /// Returns whether it was there.
    pub async fn delete(&self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[hash.into()]).await? > 0)
    }

    /// Ends all sessions of a user, and revokes the tokens and codes that were given out
    /// in them and the tokens that the user has made. Those of the user's servers
    /// themselves stay. Nor does any of these begin with a credential that was looked at
    /// before. Returns how many sessions there were.
    pub async fn delete_of_user(&self, user: UserId) -> Result<u64, StoreError> {
        const ACTION: &str = "sign a user out";
        let mut tx = self.engine.begin(ACTION).await?;
        sign_out(&mut tx, user).await?;
        let ended = tx.write(&DELETE_OF_USER, &[user.into()]).await?;
        for statement in [&REVOKE, &REVOKE_CODES] {
            tx.write(statement, &[user.into()]).await?;
        }
        tx.commit(ACTION).await?;
        Ok(ended)
    }

    /// Deletes the sessions that have expired at `now`; returns how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP, &[now.into()]).await?)
    }
}

/// Keeps a user's session of that name from being ended until the transaction is over:
/// whoever ends it waits, and finds what was given out here. To be called first. Returns
/// whether there is such a session at `now`.
pub(crate) async fn hold_session(
    tx: &mut Tx,
    user: UserId,
    session_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx.write(&HOLD, &[user.into(), session_id.into(), now.into()]).await? > 0)
}

impl Session {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            user: User::read(fields)?,
            provider: fields.opt_text("provider")?,
            session_id: fields.text("session_id")?,
            created: fields.time("session_created")?,
            expires_at: fields.time("expires_at")?,
            last_seen: fields.time("last_seen")?,
        })
    }
}
