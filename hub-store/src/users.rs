//! Accounts, and who they are to identity providers.

mod search;

use hub_names::UserName;
use jiff::Timestamp;

use self::search::{fold, pattern};
use crate::{
    StoreError, UserId,
    engine::{Engine, Tx},
    local_accounts,
    row::{Fields, Row},
    statement::{Statement, statements},
    value::Value,
};

macro_rules! columns {
    () => {
        "u.id, u.name, u.admin, u.created, u.last_activity, u.sign_outs"
    };
}
pub(crate) use columns;

/// Some of the users with a name like `$3`, in this order. All names are like `%%`,
/// which is not tried on each of those that are left out.
macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            r" FROM users u WHERE (CAST($3 AS TEXT) = '%%' OR u.name_folded LIKE $3 ESCAPE '\')
             ORDER BY ",
            $order,
            " LIMIT $1 OFFSET $2"
        )
    };
}

statements! {
    BY_NAME: "look up a user",
        concat!("SELECT ", columns!(), " FROM users u WHERE u.name = $1");
    BY_ID: "look up a user",
        concat!("SELECT ", columns!(), " FROM users u WHERE u.id = $1");
    INSERT: "add a user",
        "INSERT INTO users (name, name_folded, admin, created) VALUES ($1, $2, $3, $4)
         RETURNING id, name, admin, created, last_activity, sign_outs";
    INSERT_IF_ABSENT: "add a user",
        "INSERT INTO users (name, name_folded, admin, created) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO NOTHING
         RETURNING id, name, admin, created, last_activity, sign_outs";
    ONE_BY_ONE: "take turns for a user",
        "UPDATE users SET sign_outs = sign_outs WHERE id = $1";
    HOLD: "hold on to a sign-in",
        "UPDATE users SET sign_outs = sign_outs WHERE id = $1 AND sign_outs = $2";
    SIGN_OUT: "sign a user out",
        "UPDATE users SET sign_outs = sign_outs + 1 WHERE id = $1";
    SET_ADMIN: "change a user's role",
        "UPDATE users SET admin = $2 WHERE id = $1";
    RENAME: "rename a user",
        "UPDATE users SET name = $2, name_folded = $3 WHERE id = $1";
    DELETE: "delete a user",
        "DELETE FROM users WHERE id = $1";
    DELETE_SESSIONS: "end the sessions of a user",
        "DELETE FROM sessions WHERE user_id = $1";
    DELETE_CLIENT_TOKENS: "delete the tokens for a user's servers",
        "DELETE FROM tokens WHERE client_id IN (SELECT id FROM oauth_clients WHERE user_id = $1)";
    BY_ID_UP: "list users", page!("u.id");
    BY_ID_DOWN: "list users", page!("u.id DESC");
    BY_NAME_UP: "list users", page!("u.name");
    BY_NAME_DOWN: "list users", page!("u.name DESC");
    // Whoever was never seen comes last from either end, as in JupyterHub.
    BY_ACTIVITY_UP: "list users", page!("u.last_activity NULLS LAST, u.id");
    BY_ACTIVITY_DOWN: "list users", page!("u.last_activity DESC NULLS LAST, u.id");
    COUNT: "count users",
        "SELECT count(*) AS total FROM users";
    COUNT_CONTAINING: "count users",
        r"SELECT count(*) AS total FROM users WHERE name_folded LIKE $1 ESCAPE '\'";
    COUNT_SEEN: "count active users",
        "SELECT count(*) AS total FROM users WHERE last_activity >= $1";
    TOUCH: "note a user's activity",
        "UPDATE users SET last_activity = $2
         WHERE id = $1 AND (last_activity IS NULL OR last_activity < $2)";
    WAIT: "bind a user to an identity",
        "UPDATE users SET admin = admin WHERE id = $1";
    BIND: "bind a user to an identity",
        "INSERT INTO identities (provider, subject, user_id, created) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING";
    BY_IDENTITY: "look up a user by identity",
        concat!("SELECT ", columns!(), " FROM users u JOIN identities i ON i.user_id = u.id
         WHERE i.provider = $1 AND i.subject = $2");
    ADMIN_PROVIDERS: "look for an administrator",
        "SELECT DISTINCT i.provider FROM identities i JOIN users u ON u.id = i.user_id
         WHERE u.admin ORDER BY i.provider";
    IDENTITIES: "list a user's identities",
        "SELECT provider, subject, created FROM identities WHERE user_id = $1 ORDER BY provider";
    ALL_IDENTITIES: "list identities",
        concat!("SELECT ", columns!(), ", i.provider, i.subject, i.created AS bound
         FROM users u JOIN identities i ON i.user_id = u.id ORDER BY u.name, i.provider");
    MOVE_IDENTITIES: "give a provider another id",
        "UPDATE identities SET provider = $2 WHERE provider = $1";
    UNBIND: "forget a user's identity",
        "DELETE FROM identities WHERE user_id = $1 AND provider = $2";
    SUBJECT: "look up a user's identity",
        "SELECT subject FROM identities WHERE user_id = $1 AND provider = $2";
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Which account, for good.
    pub id: UserId,
    /// What it is called now.
    pub name: UserName,
    /// Whether it may do everything.
    pub admin: bool,
    /// When it was added.
    pub created: Timestamp,
    /// When its owner was last seen doing something.
    pub last_activity: Option<Timestamp>,
    /// How often everything that was signed in as them had ended at once when this was
    /// read. What their credential begins says so, and does not begin after another end.
    pub sign_outs: u64,
}

/// Who an account is to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoundIdentity {
    /// The id of the way of signing in.
    pub provider: String,
    /// The provider's unchangeable id of the person.
    pub subject: String,
    /// Since when the account is bound to it.
    pub created: Timestamp,
}

/// Which users to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFilter {
    /// Only names with this text in them, in whatever case. No character has a
    /// special meaning.
    pub name_contains: Option<String>,
    /// How many of them to leave out.
    pub offset: u64,
    /// How many to return at most.
    pub limit: u64,
    /// In which order.
    pub order: UserOrder,
}

/// In which order users are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// As they were added.
    #[default]
    Added,
    /// The last one first.
    AddedLast,
    /// By name.
    Name,
    /// By name, the other way round.
    NameLast,
    /// From the longest unseen.
    Seen,
    /// From the last one seen.
    SeenLast,
}

impl UserOrder {
    fn page(self) -> &'static Statement {
        match self {
            Self::Added => &BY_ID_UP,
            Self::AddedLast => &BY_ID_DOWN,
            Self::Name => &BY_NAME_UP,
            Self::NameLast => &BY_NAME_DOWN,
            Self::Seen => &BY_ACTIVITY_UP,
            Self::SeenLast => &BY_ACTIVITY_DOWN,
        }
    }
}

/// The accounts.
#[derive(Clone, Copy, Debug)]
pub struct Users<'s> {
    pub(crate) engine: &'s Engine,
}

impl Users<'_> {
    /// The user of that name.
    ///
    /// # Errors
    ///
    /// Like every method of the store: [`StoreError::Unavailable`] if the database
    /// does not answer, [`StoreError::Corrupt`] if it holds what the hub never
    /// wrote. The errors named elsewhere come on top.
    pub async fn by_name(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        self.one(&BY_NAME, &[name.into()]).await
    }

    /// The user with that id.
    pub async fn by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.one(&BY_ID, &[id.into()]).await
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is one of that name.
    pub async fn create(
        &self,
        name: &UserName,
        admin: bool,
        now: Timestamp,
    ) -> Result<User, StoreError> {
        let folded = fold(name.as_str());
        let values = [name.into(), (&folded).into(), admin.into(), now.into()];
        let row = self
            .engine
            .write_one(&INSERT, &values)
            .await
            .map_err(|failure| failure.conflict("user"))?
            .ok_or(StoreError::Missing { what: "user" })?;
        User::read(row.of("users"))
    }

    /// Adds several users, all or none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is one of these names.
    pub async fn create_all(
        &self,
        names: &[UserName],
        admin: bool,
        now: Timestamp,
    ) -> Result<Vec<User>, StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        let mut added = Vec::with_capacity(names.len());
        for name in names {
            let folded = fold(name.as_str());
            let values = [name.into(), (&folded).into(), admin.into(), now.into()];
            let rows =
                tx.read(&INSERT, &values).await.map_err(|failure| failure.conflict("user"))?;
            let row = rows.first().ok_or(StoreError::Missing { what: "user" })?;
            added.push(User::read(row.of("users"))?);
        }
        tx.commit(INSERT.action).await?;
        Ok(added)
    }

    /// The user of that name, added without any rights if there is none; and
    /// whether it was added.
    pub async fn ensure(
        &self,
        name: &UserName,
        now: Timestamp,
    ) -> Result<(User, bool), StoreError> {
        let folded = fold(name.as_str());
        let values = [name.into(), (&folded).into(), false.into(), now.into()];
        // Looking first keeps the usual sign-in, of somebody known, free of a
        // write. Looking again: another call may have added the user just now.
        if let Some(user) = self.by_name(name).await? {
            return Ok((user, false));
        }
        if let Some(row) = self.engine.write_one(&INSERT_IF_ABSENT, &values).await? {
            return Ok((User::read(row.of("users"))?, true));
        }
        // Added by another call and deleted again, all in between: not there.
        let user = self.by_name(name).await?.ok_or(StoreError::Missing { what: "user" })?;
        Ok((user, false))
    }

    /// Says whether the user may do everything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn set_admin(&self, id: UserId, admin: bool) -> Result<(), StoreError> {
        let changed = self.engine.write(&SET_ADMIN, &[id.into(), admin.into()]).await?;
        required(changed)
    }

    /// Gives the user another name. Servers, tokens, sessions and the account with the
    /// hub itself stay theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the name is taken, [`StoreError::Missing`] if
    /// there is no such user.
    pub async fn rename(&self, id: UserId, name: &UserName) -> Result<(), StoreError> {
        let folded = fold(name.as_str());
        let values = [id.into(), name.into(), (&folded).into()];
        let mut tx = self.engine.begin(RENAME.action).await?;
        let changed =
            tx.write(&RENAME, &values).await.map_err(|failure| failure.conflict("user"))?;
        required(changed)?;
        local_accounts::rename(&mut tx, id, name).await?;
        tx.commit(RENAME.action).await?;
        Ok(())
    }

    /// Deletes the user with everything that is theirs: sessions, tokens, codes,
    /// identities, servers, the account with the hub itself, and the OAuth clients of
    /// those servers with the tokens that others hold for them. Returns whether there was such a user.
    pub async fn delete(&self, id: UserId) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(DELETE.action).await?;
        // What a session is asked for takes its row before the user's (decision 0022): here
        // they go in the same order, with nobody in between.
        tx.write(&ONE_BY_ONE, &[id.into()]).await?;
        tx.write(&DELETE_SESSIONS, &[id.into()]).await?;
        tx.write(&DELETE_CLIENT_TOKENS, &[id.into()]).await?;
        local_accounts::delete_of(&mut tx, id).await?;
        let deleted = tx.write(&DELETE, &[id.into()]).await?;
        tx.commit(DELETE.action).await?;
        Ok(deleted > 0)
    }

    /// Some of the users.
    pub async fn page(&self, filter: &UserFilter) -> Result<Vec<User>, StoreError> {
        let (limit, offset) = (Value::count(filter.limit), Value::count(filter.offset));
        let Some(pattern) = pattern(filter.name_contains.as_deref().unwrap_or_default()) else {
            return Ok(Vec::new());
        };
        let values = [limit, offset, (&pattern).into()];
        let rows = self.engine.read(filter.order.page(), &values).await?;
        rows.iter().map(|row| User::read(row.of("users"))).collect()
    }

    /// How many users were seen since `since`.
    pub async fn count_seen(&self, since: Timestamp) -> Result<u64, StoreError> {
        total(self.engine.read_one(&COUNT_SEEN, &[since.into()]).await?)
    }

    /// How many users there are, or how many with that text in their name, as
    /// [`UserFilter::name_contains`] understands it.
    pub async fn count(&self, name_contains: Option<&str>) -> Result<u64, StoreError> {
        let row = match name_contains.map(pattern) {
            None => self.engine.read_one(&COUNT, &[]).await?,
            Some(None) => None,
            Some(Some(pattern)) => {
                self.engine.read_one(&COUNT_CONTAINING, &[(&pattern).into()]).await?
            }
        };
        total(row)
    }

    /// Notes that the user did something at `at`, unless they are known to have
    /// done something later.
    pub async fn touch(&self, id: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.engine.write(&TOUCH, &[id.into(), at.into()]).await?;
        Ok(())
    }

    /// Notes who the user is to an identity provider. `subject` is the provider's
    /// own id, which stays when the person is renamed there, not a login name.
    ///
    /// Doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the identity is another user's, and also if the
    /// user is bound to another subject of that provider: a login name that has
    /// changed hands must not take over the account (GH-3).
    /// [`StoreError::Missing`] if there is no such user.
    pub async fn bind_identity(
        &self,
        id: UserId,
        provider: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let values = [provider.into(), subject.into(), id.into(), now.into()];
        let bound =
            self.engine.write(&BIND, &values).await.map_err(|failure| failure.missing("user"))?;
        if bound == 0 && self.subject_of(id, provider).await?.as_deref() != Some(subject) {
            return Err(StoreError::Conflict { what: "identity" });
        }
        Ok(())
    }

    /// The account of that name for the person whom `provider` knows by `subject`: added if
    /// there is none, and bound to them, all in one step.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if it is somebody else's, of this provider or another, or if
    /// the person has another account.
    pub async fn claim(
        &self,
        name: &UserName,
        provider: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<User, StoreError> {
        // The usual sign-in, of somebody known, is free of a write.
        if let Some(user) = self.by_identity(provider, subject).await?
            && user.name == *name
        {
            return Ok(user);
        }
        let mut tx = self.engine.begin(BIND.action).await?;
        let user = claim(&mut tx, name, (provider, subject), now).await?;
        tx.commit(BIND.action).await?;
        Ok(user)
    }

    /// The user whom a provider knows by `subject`.
    pub async fn by_identity(
        &self,
        provider: &str,
        subject: &str,
    ) -> Result<Option<User>, StoreError> {
        self.one(&BY_IDENTITY, &[provider.into(), subject.into()]).await
    }

    /// The providers that know an administrator.
    pub async fn admin_providers(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.engine.read(&ADMIN_PROVIDERS, &[]).await?;
        rows.iter().map(|row| row.of("identities").text("provider")).collect()
    }

    /// Who the user is to each provider that knows them, also to those that nobody can
    /// sign in with any more.
    pub async fn identities(&self, id: UserId) -> Result<Vec<BoundIdentity>, StoreError> {
        let rows = self.engine.read(&IDENTITIES, &[id.into()]).await?;
        rows.iter().map(|row| BoundIdentity::read(row.of("identities"))).collect()
    }

    /// Who each user is to each provider that knows them, by name and then by provider.
    pub async fn all_identities(&self) -> Result<Vec<(User, BoundIdentity)>, StoreError> {
        let rows = self.engine.read(&ALL_IDENTITIES, &[]).await?;
        let read = |row: &Row| {
            let fields = row.of("identities");
            let identity = BoundIdentity {
                provider: fields.text("provider")?,
                subject: fields.text("subject")?,
                created: fields.time("bound")?,
            };
            Ok((User::read(row.of("users"))?, identity))
        };
        rows.iter().map(read).collect()
    }

    /// Gives everybody whom `from` knows to `to`, as the same persons. Returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if `to` knows one of these persons, or somebody by one of
    /// these accounts. Nothing is changed then.
    pub async fn move_identities(&self, from: &str, to: &str) -> Result<u64, StoreError> {
        let values = [from.into(), to.into()];
        let moved = self.engine.write(&MOVE_IDENTITIES, &values).await;
        Ok(moved.map_err(|failure| failure.conflict("identity"))?)
    }

    /// Forgets who the user is to a provider, so that the account can be somebody
    /// else's there. Returns whether it was known.
    pub async fn forget_identity(&self, id: UserId, provider: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&UNBIND, &[id.into(), provider.into()]).await? > 0)
    }

    /// By which id a provider knows the user.
    pub async fn subject_of(
        &self,
        id: UserId,
        provider: &str,
    ) -> Result<Option<String>, StoreError> {
        let row = self.engine.read_one(&SUBJECT, &[id.into(), provider.into()]).await?;
        row.map(|row| row.of("identities").text("subject")).transpose()
    }

    async fn one(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<User>, StoreError> {
        let row = self.engine.read_one(statement, values).await?;
        row.map(|row| User::read(row.of("users"))).transpose()
    }
}

impl BoundIdentity {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            provider: fields.text("provider")?,
            subject: fields.text("subject")?,
            created: fields.time("created")?,
        })
    }
}

impl User {
    /// Reads [`columns`].
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId::new(fields.int("id")?),
            name: fields.parsed("name")?,
            admin: fields.flag("admin")?,
            created: fields.time("created")?,
            last_activity: fields.opt_time("last_activity")?,
            sign_outs: fields.count("sign_outs")?,
        })
    }
}

/// Keeps everything that is signed in as the user from being ended until the transaction
/// is over: whoever ends it waits, and finds what was begun here. To be called first.
///
/// # Errors
///
/// [`StoreError::SignedOut`] if it was ended since the user was read with `sign_outs`,
/// [`StoreError::Missing`] if there is no such user.
pub(crate) async fn hold(tx: &mut Tx, id: UserId, sign_outs: u64) -> Result<(), StoreError> {
    if tx.write(&HOLD, &[id.into(), Value::count(sign_outs)]).await? > 0 {
        return Ok(());
    }
    match is_there(tx, id).await? {
        true => Err(StoreError::SignedOut),
        false => Err(StoreError::Missing { what: "user" }),
    }
}

/// Makes whoever counts what the user has wait for the end of the transaction.
///
/// # Errors
///
/// [`StoreError::Missing`] if there is no such user.
pub(crate) async fn take_turn(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    required(tx.write(&ONE_BY_ONE, &[id.into()]).await?)
}

/// Whether there is such a user.
pub(crate) async fn is_there(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    Ok(!tx.read(&BY_ID, &[id.into()]).await?.is_empty())
}

/// Notes that everything that is signed in as the user ends. To be called before it is
/// ended: whoever is beginning something is waited for.
pub(crate) async fn sign_out(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    tx.write(&SIGN_OUT, &[id.into()]).await?;
    Ok(())
}

/// As [`Users::claim`], as a part of a transaction.
pub(crate) async fn claim(
    tx: &mut Tx,
    name: &UserName,
    (provider, subject): (&str, &str),
    now: Timestamp,
) -> Result<User, StoreError> {
    let user = ensure(tx, name, now).await?;
    // Of two who come at once the second waits here for the first to be done.
    tx.write(&WAIT, &[user.id.into()]).await?;
    let mut is_others = false;
    for row in tx.read(&IDENTITIES, &[user.id.into()]).await? {
        let bound = BoundIdentity::read(row.of("identities"))?;
        if (bound.provider.as_str(), bound.subject.as_str()) == (provider, subject) {
            return Ok(user);
        }
        is_others = true;
    }
    let values = [provider.into(), subject.into(), user.id.into(), now.into()];
    if is_others || tx.write(&BIND, &values).await? == 0 {
        return Err(StoreError::Conflict { what: "identity" });
    }
    Ok(user)
}

/// The user of that name, added without any rights if there is none.
async fn ensure(tx: &mut Tx, name: &UserName, now: Timestamp) -> Result<User, StoreError> {
    let folded = fold(name.as_str());
    let values = [name.into(), (&folded).into(), false.into(), now.into()];
    tx.write(&INSERT_IF_ABSENT, &values).await?;
    let rows = tx.read(&BY_NAME, &[name.into()]).await?;
    let row = rows.first().ok_or(StoreError::Missing { what: "user" })?;
    User::read(row.of("users"))
}

fn total(row: Option<Row>) -> Result<u64, StoreError> {
    let total = row.map(|row| row.of("users").int("total")).transpose()?.unwrap_or(0);
    Ok(u64::try_from(total).unwrap_or(0))
}

fn required(changed: u64) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::Missing { what: "user" }) } else { Ok(()) }
}
