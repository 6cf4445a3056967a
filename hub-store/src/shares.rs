//! Who may use whose server.

use hub_names::{ServerKey, UserName};
use jiff::Timestamp;

use crate::{
    StoreError, UserId,
    engine::{Engine, Tx},
    row::{Fields, Row},
    statement::{Statement, statements},
    value::Value,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT o.name AS owner_name, s.name AS server_name, u.name AS user_name,
                 g.name AS group_name, h.scopes, h.created
             FROM shares h JOIN servers s ON s.id = h.server_id JOIN users o ON o.id = s.user_id
             LEFT JOIN users u ON u.id = h.user_id LEFT JOIN user_groups g ON g.id = h.group_id ",
            $rest
        )
    };
}

/// The id of a server: `$1` is its owner's name, `$2` its own.
macro_rules! server_id {
    () => {
        "(SELECT s.id FROM servers s JOIN users o ON o.id = s.user_id
          WHERE o.name = $1 AND s.name = $2)"
    };
}

statements! {
    WITH_USER: "look up a share",
        select!("WHERE o.name = $1 AND s.name = $2 AND u.name = $3");
    WITH_GROUP: "look up a share",
        select!("WHERE o.name = $1 AND s.name = $2 AND g.name = $3");
    OF_SERVER: "list a server's shares",
        select!("WHERE o.name = $1 AND s.name = $2 ORDER BY h.id");
    OF_OWNER: "list the shares of a user's servers",
        select!("WHERE o.name = $1 ORDER BY h.id");
    WITH_USER_DIRECTLY: "list what is shared with a user",
        select!("WHERE h.user_id = $1 ORDER BY h.id");
    WITH_USER_OR_GROUPS: "list what is shared with a user",
        select!("WHERE h.user_id = $1
             OR h.group_id IN (SELECT group_id FROM group_members WHERE user_id = $1)
             ORDER BY h.id");
    WITH_THE_GROUP: "list what is shared with a group",
        select!("WHERE g.name = $1 ORDER BY h.id");
    PUT_USER: "share a server with a user",
        "INSERT INTO shares (server_id, user_id, scopes, created)
         SELECT s.id, u.id, CAST($4 AS TEXT), CAST($5 AS BIGINT)
         FROM servers s JOIN users o ON o.id = s.user_id, users u
         WHERE o.name = $1 AND s.name = $2 AND u.name = $3
         ON CONFLICT (server_id, user_id) DO UPDATE SET scopes = excluded.scopes";
    PUT_GROUP: "share a server with a group",
        "INSERT INTO shares (server_id, group_id, scopes, created)
         SELECT s.id, g.id, CAST($4 AS TEXT), CAST($5 AS BIGINT)
         FROM servers s JOIN users o ON o.id = s.user_id, user_groups g
         WHERE o.name = $1 AND s.name = $2 AND g.name = $3
         ON CONFLICT (server_id, group_id) DO UPDATE SET scopes = excluded.scopes";
    DELETE_USER: "end a share",
        concat!("DELETE FROM shares WHERE server_id = ", server_id!(),
            " AND user_id = (SELECT id FROM users WHERE name = $3)");
    DELETE_GROUP: "end a share",
        concat!("DELETE FROM shares WHERE server_id = ", server_id!(),
            " AND group_id = (SELECT id FROM user_groups WHERE name = $3)");
    DELETE_ALL: "end all shares of a server",
        concat!("DELETE FROM shares WHERE server_id = ", server_id!());
}

/// With whom a server is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// A user.
    User(UserName),
    /// Everybody in a group.
    Group(String),
}

/// What somebody may do with somebody else's server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// Which server.
    pub server: ServerKey,
    /// With whom it is shared.
    pub with: Grantee,
    /// Names of scopes; each is limited to the server.
    pub scopes: Vec<String>,
    /// When it was shared first.
    pub created: Timestamp,
}

/// Who may use whose server.
#[derive(Clone, Copy, Debug)]
pub struct Shares<'s> {
    pub(crate) engine: &'s Engine,
}

impl Shares<'_> {
    /// Adds `scopes` to what `with` may do with the server.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if the server, the user or the group does not exist.
    pub async fn grant(
        &self,
        server: &ServerKey,
        with: &Grantee,
        scopes: &[String],
        now: Timestamp,
    ) -> Result<Share, StoreError> {
        let mut tx = self.engine.begin(PUT_USER.action).await?;
        let share = grant(&mut tx, server, with, scopes, now).await?;
        tx.commit(PUT_USER.action).await?;
        Ok(share)
    }

    /// Takes `scopes` from what `with` may do with the server, or everything if there
    /// are none; returns what is left.
    pub async fn revoke(
        &self,
        server: &ServerKey,
        with: &Grantee,
        scopes: Option<&[String]>,
    ) -> Result<Option<Share>, StoreError> {
        let mut tx = self.engine.begin(DELETE_USER.action).await?;
        let Some(mut share) = one(&mut tx, server, with).await? else { return Ok(None) };
        match scopes {
            Some(scopes) => share.scopes.retain(|scope| !scopes.contains(scope)),
            None => share.scopes.clear(),
        }
        if share.scopes.is_empty() {
            let (statement, name) = match with {
                Grantee::User(name) => (&DELETE_USER, name.into()),
                Grantee::Group(name) => (&DELETE_GROUP, Value::from(name)),
            };
            tx.write(statement, &[server.user().into(), server.server().into(), name]).await?;
        } else {
            put(&mut tx, server, with, &share.scopes, share.created).await?;
        }
        tx.commit(DELETE_USER.action).await?;
        Ok((!share.scopes.is_empty()).then_some(share))
    }

    /// Ends all shares of the server; returns how many.
    pub async fn revoke_all(&self, server: &ServerKey) -> Result<u64, StoreError> {
        let values = [server.user().into(), server.server().into()];
        Ok(self.engine.write(&DELETE_ALL, &values).await?)
    }

    /// The share of that server with `with`.
    pub async fn get(
        &self,
        server: &ServerKey,
        with: &Grantee,
    ) -> Result<Option<Share>, StoreError> {
        let (statement, name) = look_up(with);
        let values = [server.user().into(), server.server().into(), name];
        let row = self.engine.read_one(statement, &values).await?;
        row.map(|row| Share::read(row.of("shares"))).transpose()
    }

    /// With whom the server is shared.
    pub async fn of_server(&self, server: &ServerKey) -> Result<Vec<Share>, StoreError> {
        let values = [server.user().into(), server.server().into()];
        read_all(&self.engine.read(&OF_SERVER, &values).await?)
    }

    /// With whom the servers of `owner` are shared.
    pub async fn of_owner(&self, owner: &UserName) -> Result<Vec<Share>, StoreError> {
        read_all(&self.engine.read(&OF_OWNER, &[owner.into()]).await?)
    }

    /// What is shared with the user by name.
    pub async fn with_user_directly(&self, user: UserId) -> Result<Vec<Share>, StoreError> {
        read_all(&self.engine.read(&WITH_USER_DIRECTLY, &[user.into()]).await?)
    }

    /// What is shared with the user, by name or through a group.
    pub async fn with_user(&self, user: UserId) -> Result<Vec<Share>, StoreError> {
        read_all(&self.engine.read(&WITH_USER_OR_GROUPS, &[user.into()]).await?)
    }

    /// What is shared with the group.
    pub async fn with_group(&self, group: &str) -> Result<Vec<Share>, StoreError> {
        read_all(&self.engine.read(&WITH_THE_GROUP, &[group.into()]).await?)
    }
}

impl Share {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        let with = match fields.opt_text("group_name")? {
            Some(group) => Grantee::Group(group),
            None => Grantee::User(fields.parsed("user_name")?),
        };
        Ok(Self {
            server: ServerKey::new(fields.parsed("owner_name")?, fields.parsed("server_name")?),
            with,
            scopes: fields.list("scopes")?,
            created: fields.time("created")?,
        })
    }
}

/// What [`Shares::grant`] does, as part of something larger.
pub(crate) async fn grant(
    tx: &mut Tx,
    server: &ServerKey,
    with: &Grantee,
    scopes: &[String],
    now: Timestamp,
) -> Result<Share, StoreError> {
    let mut all = one(tx, server, with).await?.map(|share| share.scopes).unwrap_or_default();
    all.extend_from_slice(scopes);
    all.sort();
    all.dedup();
    put(tx, server, with, &all, now).await?;
    one(tx, server, with).await?.ok_or(StoreError::Missing { what: "server" })
}

fn look_up(with: &Grantee) -> (&'static Statement, Value<'_>) {
    match with {
        Grantee::User(name) => (&WITH_USER, name.into()),
        Grantee::Group(name) => (&WITH_GROUP, name.into()),
    }
}

async fn one(tx: &mut Tx, server: &ServerKey, with: &Grantee) -> Result<Option<Share>, StoreError> {
    let (statement, name) = look_up(with);
    let rows = tx.read(statement, &[server.user().into(), server.server().into(), name]).await?;
    rows.first().map(|row| Share::read(row.of("shares"))).transpose()
}

async fn put(
    tx: &mut Tx,
    server: &ServerKey,
    with: &Grantee,
    scopes: &[String],
    created: Timestamp,
) -> Result<(), StoreError> {
    let (statement, name) = match with {
        Grantee::User(name) => (&PUT_USER, Value::from(name)),
        Grantee::Group(name) => (&PUT_GROUP, name.into()),
    };
    let values =
        [server.user().into(), server.server().into(), name, Value::list(scopes), created.into()];
    match tx.write(statement, &values).await? {
        0 => Err(StoreError::Missing { what: "server, user or group" }),
        _ => Ok(()),
    }
}

fn read_all(rows: &[Row]) -> Result<Vec<Share>, StoreError> {
    rows.iter().map(|row| Share::read(row.of("shares"))).collect()
}
