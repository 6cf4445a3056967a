//! The store as a whole: opened, asked whether it is there, closed.

use std::sync::Arc;

use crate::{
    AuthStates, Groups, LocalAccounts, LoginTries, Oauth, PutBack, Roles, SecondFactors,
    ServerLogs, Servers, Services, Sessions, ShareCodes, Shares, StoreConfig, StoreError, Tickets,
    Tokens, Users,
    config::Location,
    engine::{Database, Engine},
    postgres::Postgres,
    sqlite::Sqlite,
    statement::statements,
};

statements! {
    // Not a constant, which SQLite would answer without its file.
    PING: "ask the database whether it is there", "SELECT max(version) FROM _sqlx_migrations";
}

/// Everything the hub remembers. Clones share one database.
///
/// Each method of the tables is a transaction of its own; what has returned `Ok`
/// survives a crash of the hub, of the database and of the machine. Times are
/// kept to the microsecond.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Arc<Engine>,
}

impl Store {
    /// Opens the database that `config` names and brings its schema up to date.
    ///
    /// A SQLite file is created if it is missing, its directory is not. Only one
    /// `Store` at a time has the file, or the schema of a PostgreSQL database, in
    /// this process or any other, until [`close`](Self::close) or until the last
    /// clone is dropped. PostgreSQL may learn of the end of a process a moment
    /// late, so it is given a few seconds before the database counts as in use.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidUrl`] if the URL is none, its directory is missing or its
    /// file is another program's database,
    /// [`StoreError::InUse`] if another hub has the database, [`StoreError::Newer`] if
    /// a later version has migrated the database, [`StoreError::Damaged`] if the
    /// file is no sound database, else [`StoreError::Unavailable`].
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let database = match config.location()? {
            Location::Memory => Database::Sqlite(Sqlite::in_memory().await?),
            Location::File(path) => Database::Sqlite(Sqlite::open(&path, config).await?),
            Location::Postgres(url) => Database::Postgres(Postgres::open(&url, config).await?),
        };
        Ok(Self::over(database))
    }

    /// Opens the database that `config` names to look at it only, also while a hub
    /// runs on it: for [`export`](Self::export).
    ///
    /// Nothing is created or brought up to date; what changes something is answered
    /// with an error. With a database of an older schema, only an export works.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) but for `InUse`; [`StoreError::InvalidUrl`] also if
    /// the database is not there or no hub's.
    pub async fn open_read_only(config: &StoreConfig) -> Result<Self, StoreError> {
        let database = match config.location()? {
            Location::Memory => {
                return Err(config.invalid("a database in memory is nobody else's to look at"));
            }
            Location::File(path) => Database::Sqlite(Sqlite::open_read_only(&path, config).await?),
            Location::Postgres(url) => {
                Database::Postgres(Postgres::open_read_only(&url, config).await?)
            }
        };
        Ok(Self::over(database))
    }

    /// Puts the copy of a SQLite database that a later program kept for this one,
    /// before it changed the tables, in the place of that program's. What was
    /// written since is in the file that it tells.
    ///
    /// Called by the later program, it puts its own database in place again.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if a hub has the database, [`StoreError::Newer`] if
    /// there is no copy for this program; [`StoreError::InvalidUrl`] for a database
    /// that is no file.
    pub async fn put_back(config: &StoreConfig) -> Result<PutBack, StoreError> {
        match config.location()? {
            Location::File(path) => Sqlite::put_back(&path).await,
            Location::Memory | Location::Postgres(_) => {
                Err(config.invalid("copies are kept of SQLite files only; restore a backup"))
            }
        }
    }

    /// Opens an empty SQLite database that is gone with the last clone; for tests
    /// and demonstrations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if there is no memory for it.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::over(Database::Sqlite(Sqlite::in_memory().await?)))
    }

    /// Asks the database whether it is there, and is still this hub's alone.
    ///
    /// A PostgreSQL server that restarts forgets whose its databases are; the
    /// first call after that tells it again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if it is not there, [`StoreError::InUse`] if
    /// another hub has come in between.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.read(&PING, &[]).await?;
        self.engine.hold().await
    }

    /// Waits for what is running and gives the database back, for all clones.
    /// What is asked afterwards is answered with an error.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// The accounts.
    pub fn users(&self) -> Users<'_> {
        Users { engine: &self.engine }
    }

    /// Accounts that people have with the hub itself.
    pub fn local_accounts(&self) -> LocalAccounts<'_> {
        LocalAccounts { engine: &self.engine }
    }

    /// Failed tries to sign in.
    pub fn login_tries(&self) -> LoginTries<'_> {
        LoginTries { engine: &self.engine }
    }

    /// Secret links: invitations, the first administrator's set-up, resets.
    pub fn tickets(&self) -> Tickets<'_> {
        Tickets { engine: &self.engine }
    }

    /// What is asked of the owners of local accounts after the password.
    pub fn second_factors(&self) -> SecondFactors<'_> {
        SecondFactors { engine: &self.engine }
    }

    /// What is kept of people's sign-ins, sealed.
    pub fn auth_states(&self) -> AuthStates<'_> {
        AuthStates { engine: &self.engine }
    }

    /// Groups and who belongs to them.
    pub fn groups(&self) -> Groups<'_> {
        Groups { engine: &self.engine }
    }

    /// Who was given which role.
    pub fn roles(&self) -> Roles<'_> {
        Roles { engine: &self.engine }
    }

    /// Services that were added while the hub ran.
    pub fn services(&self) -> Services<'_> {
        Services { engine: &self.engine }
    }

    /// Who may use whose server.
    pub fn shares(&self) -> Shares<'_> {
        Shares { engine: &self.engine }
    }

    /// Codes that whoever has them may exchange for a share.
    pub fn share_codes(&self) -> ShareCodes<'_> {
        ShareCodes { engine: &self.engine }
    }

    /// The users' servers.
    pub fn servers(&self) -> Servers<'_> {
        Servers { engine: &self.engine }
    }

    /// What servers wrote before they ended.
    pub fn server_logs(&self) -> ServerLogs<'_> {
        ServerLogs { engine: &self.engine }
    }

    /// API tokens of users and services, and those that servers get by OAuth.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { engine: &self.engine }
    }

    /// The hub's OAuth clients and the codes it gives out for them.
    pub fn oauth(&self) -> Oauth<'_> {
        Oauth { engine: &self.engine }
    }

    /// Browser sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { engine: &self.engine }
    }

    /// How many changes have been made through this `Store` and its clones.
    ///
    /// What was read after this number was asked for stays true while the number is
    /// the same, for nobody else changes the database. That holds but for a moment
    /// when a change was abandoned by whoever made it: the database may be carrying
    /// it out still.
    pub fn changes(&self) -> u64 {
        self.engine.changes()
    }

    fn over(database: Database) -> Self {
        Self { engine: Arc::new(Engine::new(database)) }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}
