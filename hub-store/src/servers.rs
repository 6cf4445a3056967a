//! What must be known of a server after the hub was restarted.
//!
//! A row is a hint: whether the server runs is for the spawner to say.

use hub_names::{ServerKey, ServerName, UserName};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{
    StoreError,
    engine::{Engine, Tx},
    row::{Fields, Row},
    statement::{Statement, statements},
    value::Value,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT u.name AS user_name, s.name, s.display_name, s.url, s.state, s.options,
                 s.outcome, s.started, s.last_activity
             FROM servers s JOIN users u ON u.id = s.user_id ",
            $rest
        )
    };
}

/// Picks the row of a key: `$1` is the user's name, `$2` the server's.
macro_rules! of_key {
    ($before:literal) => {
        concat!($before, " WHERE name = $2 AND user_id = (SELECT id FROM users WHERE name = $1)")
    };
}

statements! {
    GET: "look up a server",
        select!("WHERE u.name = $1 AND s.name = $2");
    OF_USER: "list a user's servers",
        select!("WHERE u.name = $1 ORDER BY s.name");
    ACTIVE: "list active servers",
        select!("WHERE s.started IS NOT NULL ORDER BY s.id");
    INSERT_IF_ABSENT: "add a server",
        "INSERT INTO servers (user_id, name, state, options, created)
         SELECT id, CAST($2 AS TEXT), '{}', '{}', CAST($3 AS BIGINT) FROM users WHERE name = $1
         ON CONFLICT (user_id, name) DO NOTHING";
    DESCRIBE: "describe a server",
        of_key!("UPDATE servers SET display_name = COALESCE($3, display_name),
         options = COALESCE($4, options)");
    // Whoever asks next for this user waits until this transaction is over.
    ONE_BY_ONE: "add a server",
        "UPDATE users SET name = name WHERE name = $1";
    COUNT_NAMED: "count a user's servers",
        "SELECT count(*) AS total FROM servers s JOIN users u ON u.id = s.user_id
         WHERE u.name = $1 AND s.name <> ''";
    RENAME: "rename a server",
        of_key!("UPDATE servers SET name = $3");
    STARTING: "record a server's start",
        of_key!("UPDATE servers SET started = $3, options = COALESCE($4, options), url = NULL,
         outcome = NULL");
    RUNNING: "record a running server",
        of_key!("UPDATE servers SET url = $3, state = $4");
    STOPPING: "note that a server is to end",
        concat!(of_key!("UPDATE servers SET outcome = $4"),
            " AND started = $3 AND (outcome IS NULL OR $5)");
    STOPPED: "record a server's end",
        of_key!("UPDATE servers SET url = NULL, state = $4, started = NULL, outcome = $3");
    ADOPTED: "record an adopted server",
        concat!(of_key!("UPDATE servers SET url = NULL, state = $4, started = $3, outcome = NULL"),
            " AND started IS NULL");
    TOUCH: "note a server's activity",
        concat!(of_key!("UPDATE servers SET last_activity = $3"),
            " AND (last_activity IS NULL OR last_activity < $3)");
    DELETE: "delete a server",
        of_key!("DELETE FROM servers");
}

/// What is remembered of a server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerRecord {
    /// Whose server, and which of theirs.
    pub key: ServerKey,
    /// What people call it, if they call it otherwise than by its name.
    pub display_name: Option<String>,
    /// Where it answers, once it has.
    pub url: Option<String>,
    /// What the spawner wants to find again; `{}` if nothing.
    pub state: Json,
    /// What the user chose at the last start; `{}` if nothing. Kept over a stop.
    pub options: Json,
    /// How it ended, if it ended other than by request; of one that is started, how it is
    /// to end.
    pub outcome: Option<Json>,
    /// When it was started, if it was not stopped since.
    pub started: Option<Timestamp>,
    /// When it was last used.
    pub last_activity: Option<Timestamp>,
}

/// What became of a wish for one more named server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// There it is.
    Done,
    /// There is one of that name.
    Exists,
    /// The user has as many as they may.
    Full,
}

/// The users' servers.
#[derive(Clone, Copy, Debug)]
pub struct Servers<'s> {
    pub(crate) engine: &'s Engine,
}

impl Servers<'_> {
    /// What is remembered of that server.
    pub async fn get(&self, key: &ServerKey) -> Result<Option<ServerRecord>, StoreError> {
        let row = self.engine.read_one(&GET, &[key.user().into(), key.server().into()]).await?;
        row.map(|row| ServerRecord::read(row.of("servers"))).transpose()
    }

    /// What is remembered of that server; from now on at least that it exists.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn ensure(
        &self,
        key: &ServerKey,
        now: Timestamp,
    ) -> Result<ServerRecord, StoreError> {
        if let Some(record) = self.get(key).await? {
            return Ok(record);
        }
        let values = [key.user().into(), key.server().into(), now.into()];
        self.engine.write(&INSERT_IF_ABSENT, &values).await?;
        self.get(key).await?.ok_or(StoreError::Missing { what: "user" })
    }

    /// Adds a named server, unless its user has `limit` of them: asked at the same
    /// moment, two never both get the last place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn add_named(
        &self,
        key: &ServerKey,
        display_name: Option<&str>,
        options: Option<&Json>,
        limit: Option<u64>,
        now: Timestamp,
    ) -> Result<Addition, StoreError> {
        let mut tx = self.engine.begin(INSERT_IF_ABSENT.action).await?;
        if !has_room(&mut tx, key.user(), limit).await? {
            let there = tx.read(&GET, &[key.user().into(), key.server().into()]).await?;
            return Ok(if there.is_empty() { Addition::Full } else { Addition::Exists });
        }
        let values = [key.user().into(), key.server().into(), now.into()];
        if tx.write(&INSERT_IF_ABSENT, &values).await? == 0 {
            return Ok(Addition::Exists);
        }
        let described =
            [key.user().into(), key.server().into(), display_name.into(), Value::opt_json(options)];
        tx.write(&DESCRIBE, &described).await?;
        tx.commit(INSERT_IF_ABSENT.action).await?;
        Ok(Addition::Done)
    }

    /// Makes the user's default server a named one, unless they have `limit` of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user, or they have no default
    /// server.
    pub async fn name_default(
        &self,
        user: &UserName,
        name: &ServerName,
        limit: Option<u64>,
    ) -> Result<Addition, StoreError> {
        let mut tx = self.engine.begin(RENAME.action).await?;
        if !tx.read(&GET, &[user.into(), name.into()]).await?.is_empty() {
            return Ok(Addition::Exists);
        }
        if !has_room(&mut tx, user, limit).await? {
            return Ok(Addition::Full);
        }
        let values = [user.into(), (&ServerName::DEFAULT).into(), name.into()];
        let changed =
            tx.write(&RENAME, &values).await.map_err(|failure| failure.conflict("server"))?;
        if changed == 0 {
            return Err(StoreError::Missing { what: "server" });
        }
        tx.commit(RENAME.action).await?;
        Ok(Addition::Done)
    }

    /// The user's servers, by name, the default server first.
    pub async fn of_user(&self, user: &UserName) -> Result<Vec<ServerRecord>, StoreError> {
        read_all(&self.engine.read(&OF_USER, &[user.into()]).await?)
    }

    /// The servers that were started and not stopped since, as far as anybody
    /// has told the store.
    pub async fn active(&self) -> Result<Vec<ServerRecord>, StoreError> {
        read_all(&self.engine.read(&ACTIVE, &[]).await?)
    }

    /// Notes what people call the server and what its next start is to have; what is
    /// `None` stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such server.
    pub async fn describe(
        &self,
        key: &ServerKey,
        display_name: Option<&str>,
        options: Option<&Json>,
    ) -> Result<(), StoreError> {
        self.record(&DESCRIBE, key, [display_name.into(), Value::opt_json(options)]).await
    }

    /// Gives the server another name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if its user has a server of that name,
    /// [`StoreError::Missing`] if there is no such server.
    pub async fn rename(&self, key: &ServerKey, name: &ServerName) -> Result<(), StoreError> {
        let values = [key.user().into(), key.server().into(), name.into()];
        let changed = self
            .engine
            .write(&RENAME, &values)
            .await
            .map_err(|failure| failure.conflict("server"))?;
        match changed {
            0 => Err(StoreError::Missing { what: "server" }),
            _ => Ok(()),
        }
    }

    /// Notes that the server is being started, and forgets how the one before it ended.
    /// Without `options` the last ones stay.
    ///
    /// # Errors
    ///
    /// Like the next two: [`StoreError::Missing`] if the server was never
    /// [ensured](Self::ensure) or is deleted by now.
    pub async fn record_starting(
        &self,
        key: &ServerKey,
        started: Timestamp,
        options: Option<&Json>,
    ) -> Result<(), StoreError> {
        self.record(&STARTING, key, [started.into(), Value::opt_json(options)]).await
    }

    /// Notes where the server answers, and what its spawner wants to know later.
    pub async fn record_running(
        &self,
        key: &ServerKey,
        url: &str,
        state: &Json,
    ) -> Result<(), StoreError> {
        self.record(&RUNNING, key, [url.into(), state.into()]).await
    }

    /// Notes that the server has been running since `started` without anybody
    /// knowing, and what its spawner wants to know later. Returns `false`, with
    /// nothing changed, if it is recorded as started already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn record_adopted(
        &self,
        key: &ServerKey,
        started: Timestamp,
        state: &Json,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.ensure(key, now).await?;
        let values = [key.user().into(), key.server().into(), started.into(), state.into()];
        Ok(self.engine.write(&ADOPTED, &values).await? > 0)
    }

    /// Notes how the run of the server that was recorded as begun at `started` is to end, for
    /// a hub that is started before it has. What comes after that run stays as it is; so does
    /// one of which another end is noted already, unless this one goes `before_others`.
    pub async fn record_stopping(
        &self,
        key: &ServerKey,
        started: Timestamp,
        outcome: &Json,
        before_others: bool,
    ) -> Result<(), StoreError> {
        let values = [
            key.user().into(),
            key.server().into(),
            started.into(),
            outcome.into(),
            before_others.into(),
        ];
        self.engine.write(&STOPPING, &values).await?;
        Ok(())
    }

    /// Notes that the server is no more, how that came if nobody asked for it, and what
    /// its spawner wants to know at the next start; `{}` if nothing.
    pub async fn record_stopped(
        &self,
        key: &ServerKey,
        outcome: Option<&Json>,
        state: &Json,
    ) -> Result<(), StoreError> {
        self.record(&STOPPED, key, [Value::opt_json(outcome), state.into()]).await
    }

    /// Notes that the server was used at `at`, unless it is known to have been
    /// used later.
    pub async fn touch(&self, key: &ServerKey, at: Timestamp) -> Result<(), StoreError> {
        let values = [key.user().into(), key.server().into(), at.into()];
        self.engine.write(&TOUCH, &values).await?;
        Ok(())
    }

    /// Forgets the server; returns whether it was known.
    pub async fn delete(&self, key: &ServerKey) -> Result<bool, StoreError> {
        let values = [key.user().into(), key.server().into()];
        Ok(self.engine.write(&DELETE, &values).await? > 0)
    }

    async fn record<'v, const N: usize>(
        &self,
        statement: &Statement,
        key: &'v ServerKey,
        what: [Value<'v>; N],
    ) -> Result<(), StoreError> {
        let mut values = vec![key.user().into(), key.server().into()];
        values.extend(what);
        match self.engine.write(statement, &values).await? {
            0 => Err(StoreError::Missing { what: "server" }),
            _ => Ok(()),
        }
    }
}

impl ServerRecord {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: ServerKey::new(fields.parsed("user_name")?, fields.parsed("name")?),
            display_name: fields.opt_text("display_name")?,
            url: fields.opt_text("url")?,
            state: fields.json("state")?,
            options: fields.json("options")?,
            outcome: fields.opt_json("outcome")?,
            started: fields.opt_time("started")?,
            last_activity: fields.opt_time("last_activity")?,
        })
    }
}

/// Whether the user has fewer than `limit` named servers; nobody adds one to them
/// until `tx` is over.
async fn has_room(tx: &mut Tx, user: &UserName, limit: Option<u64>) -> Result<bool, StoreError> {
    if tx.write(&ONE_BY_ONE, &[user.into()]).await? == 0 {
        return Err(StoreError::Missing { what: "user" });
    }
    let rows = tx.read(&COUNT_NAMED, &[user.into()]).await?;
    let total = rows.first().map(|row| row.of("servers").int("total")).transpose()?.unwrap_or(0);
    Ok(limit.is_none_or(|limit| u64::try_from(total).unwrap_or(0) < limit))
}

fn read_all(rows: &[Row]) -> Result<Vec<ServerRecord>, StoreError> {
    rows.iter().map(|row| ServerRecord::read(row.of("servers"))).collect()
}
