//! Accounts that people have with the hub itself: names and password hashes.

mod owner;

use std::fmt;

use hub_names::UserName;
use jiff::Timestamp;

#[cfg(test)]
pub(crate) use self::owner::ALL as OWNER;
pub(crate) use self::owner::{delete_of, rename};
use crate::{
    NewSecondFactor, StoreError, User,
    engine::Engine,
    groups,
    row::Fields,
    second_factors,
    statement::{Statement, statements},
    tickets,
    value::Value,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, hash, status, created, changed, (SELECT count(*)
                 FROM second_factors f WHERE f.account_id = local_accounts.id) AS second_factors
             FROM local_accounts ",
            $rest
        )
    };
}

statements! {
    INSERT: "add an account",
        "INSERT INTO local_accounts (id, name, hash, status, created, changed)
         VALUES ($1, $2, $3, $4, $5, $5)";
    BY_NAME: "look up an account", select!("WHERE name = $1");
    BY_ID: "look up an account", select!("WHERE id = $1");
    PAGE: "list accounts",
        select!("WHERE (CAST($1 AS TEXT) IS NULL OR status = $1) ORDER BY name LIMIT $2 OFFSET $3");
    COUNT: "count accounts",
        "SELECT count(*) AS total FROM local_accounts
         WHERE CAST($1 AS TEXT) IS NULL OR status = $1";
    ADMINS: "look for an administrator",
        "SELECT count(*) AS total FROM local_accounts a JOIN users u ON u.name = a.name
         WHERE u.admin AND a.status = 'active'";
    // Of "$2b$12$...", whatever the letter.
    BCRYPT_COST: "look for old hashes",
        "SELECT max(substr(hash, 5, 2)) AS cost FROM local_accounts WHERE hash LIKE '_2_$%'";
    REHASH: "renew a password's hash",
        "UPDATE local_accounts SET hash = $3 WHERE name = $1 AND hash = $2";
    SET_HASH: "change a password",
        "UPDATE local_accounts SET hash = $3, changed = $4 WHERE id = $1 AND hash = $2";
    SET_STATUS: "change an account's status",
        "UPDATE local_accounts SET status = $2 WHERE id = $1";
    DELETE: "delete an account",
        "DELETE FROM local_accounts WHERE id = $1";
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalStatus {
    /// It may.
    Active,
    /// An administrator has to approve it first.
    Waiting,
    /// An administrator has closed it.
    Closed,
}

/// An account with the hub itself.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalAccount {
    /// Never changes and never comes back.
    pub id: String,
    /// The name to sign in with.
    pub name: UserName,
    /// The password's hash. Opaque here.
    pub hash: String,
    /// Whether it may be used.
    pub status: LocalStatus,
    /// When it was added.
    pub created: Timestamp,
    /// When its password was set last.
    pub changed: Timestamp,
    /// Whether its owner is asked for a second factor.
    pub has_second_factor: bool,
}

/// An account to be added.
#[derive(Clone, PartialEq, Eq)]
pub struct NewLocalAccount {
    /// One that no account ever had.
    pub id: String,
    /// The name to sign in with.
    pub name: UserName,
    /// The password's hash.
    pub hash: String,
    /// Whether it may be used.
    pub status: LocalStatus,
    /// Whether its owner becomes an administrator; only with an active account.
    pub admin: bool,
    /// Groups that its owner is put into; only with an active account.
    pub groups: Vec<String>,
}

/// A new password for an account.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// Which account.
    pub account_id: String,
    /// The hash of the password until now.
    pub old: String,
    /// The hash of the new one.
    pub new: String,
    /// The digest of the secret link with which it is changed, if it is.
    pub ticket: Option<[u8; 32]>,
    /// The browser session that goes on, by its name.
    pub keep_session: Option<String>,
}

/// Which accounts to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only those of this status.
    pub status: Option<LocalStatus>,
    /// How many of them to leave out.
    pub offset: u64,
    /// How many to return at most.
    pub limit: u64,
}

/// Accounts that people have with the hub itself.
#[derive(Clone, Copy, Debug)]
pub struct LocalAccounts<'s> {
    pub(crate) engine: &'s Engine,
}

impl LocalAccounts<'_> {
    /// The account of that name.
    pub async fn by_name(&self, name: &UserName) -> Result<Option<LocalAccount>, StoreError> {
        self.one(&BY_NAME, &[name.into()]).await
    }

    /// The hub's user to whom the account of that name belongs. A waiting one has none.
    pub async fn owner(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        owner::of(self.engine, name).await
    }

    /// The account with that id.
    pub async fn by_id(&self, id: &str) -> Result<Option<LocalAccount>, StoreError> {
        self.one(&BY_ID, &[id.into()]).await
    }

    /// Adds an account, and uses up the secret link with the digest `ticket`, if one
    /// is given. An active account gets the hub's user of its name, who is added if
    /// there is none. All or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is an account of that name or id, or if the
    /// user of that name is known to an identity provider; [`StoreError::Missing`] if
    /// there is no such ticket at `now`.
    pub async fn create(
        &self,
        account: &NewLocalAccount,
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.create_with(account, None, ticket, now).await
    }

    /// As [`create`](Self::create), with a second factor if the account had one elsewhere.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_with(
        &self,
        account: &NewLocalAccount,
        factor: Option<&NewSecondFactor>,
        ticket: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(INSERT.action).await?;
        if let Some(hash) = ticket {
            tickets::spend(&mut tx, hash, now).await?;
        }
        let values = [
            (&account.id).into(),
            (&account.name).into(),
            (&account.hash).into(),
            account.status.as_str().into(),
            now.into(),
        ];
        tx.write(&INSERT, &values).await.map_err(|failure| failure.conflict("account"))?;
        if let Some(factor) = factor {
            second_factors::insert(&mut tx, factor, now).await?;
        }
        if account.status == LocalStatus::Active {
            let user =
                owner::claim(&mut tx, &account.id, &account.name, account.admin, now).await?;
            for group in &account.groups {
                groups::join(&mut tx, group, user).await?;
            }
        }
        tx.commit(INSERT.action).await?;
        Ok(())
    }

    /// The cost of the dearest bcrypt hash, as it is written in front of it: `12`. `None`
    /// if no account has one any more.
    pub async fn bcrypt_cost(&self) -> Result<Option<String>, StoreError> {
        let row = self.engine.read_one(&BCRYPT_COST, &[]).await?;
        Ok(row.map(|row| row.of("local_accounts").opt_text("cost")).transpose()?.flatten())
    }

    /// Puts another hash of the same password in place of `old`; returns whether that
    /// was still the account's.
    pub async fn rehash(&self, name: &UserName, old: &str, new: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&REHASH, &[name.into(), old.into(), new.into()]).await? > 0)
    }

    /// Changes a password: uses up the link, withdraws all others for the account,
    /// ends its owner's sessions but the one that goes on, and revokes their tokens
    /// but those of their servers, which go on as well. All or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if the account is gone or has another password by now,
    /// or if there is no such ticket at `now`.
    pub async fn set_password(
        &self,
        change: &PasswordChange,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(SET_HASH.action).await?;
        if let Some(hash) = &change.ticket {
            tickets::spend(&mut tx, hash, now).await?;
        }
        let id = &change.account_id;
        let values = [id.into(), (&change.old).into(), (&change.new).into(), now.into()];
        if tx.write(&SET_HASH, &values).await? == 0 {
            return Err(StoreError::Missing { what: "account" });
        }
        tickets::withdraw_of(&mut tx, id).await?;
        owner::sign_out(&mut tx, id, change.keep_session.as_deref()).await?;
        tx.commit(SET_HASH.action).await?;
        Ok(())
    }

    /// Changes whether the account may be used. One that becomes active gets the
    /// hub's user of its name, as in [`create`](Self::create). One that does not
    /// loses its secret links, and its owner's sessions and tokens end as with
    /// [`set_password`](Self::set_password).
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such account, [`StoreError::Conflict`]
    /// if the user of its name is known to another identity provider.
    pub async fn set_status(
        &self,
        id: &str,
        status: LocalStatus,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(SET_STATUS.action).await?;
        tx.write(&SET_STATUS, &[id.into(), status.as_str().into()]).await?;
        let rows = tx.read(&BY_ID, &[id.into()]).await?;
        let row = rows.first().ok_or(StoreError::Missing { what: "account" })?;
        let account = LocalAccount::read(row.of("local_accounts"))?;
        if status == LocalStatus::Active {
            owner::claim(&mut tx, id, &account.name, false, now).await?;
        } else {
            tickets::withdraw_of(&mut tx, id).await?;
            owner::sign_out(&mut tx, id, None).await?;
        }
        tx.commit(SET_STATUS.action).await?;
        Ok(())
    }

    /// Deletes the account with its secret links; the hub's user stays. Returns
    /// whether it was there.
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.engine.write(&DELETE, &[id.into()]).await? > 0)
    }

    /// Some of the accounts, by name.
    pub async fn page(&self, filter: &AccountFilter) -> Result<Vec<LocalAccount>, StoreError> {
        let values = [
            filter.status.map(LocalStatus::as_str).into(),
            Value::count(filter.limit),
            Value::count(filter.offset),
        ];
        let rows = self.engine.read(&PAGE, &values).await?;
        rows.iter().map(|row| LocalAccount::read(row.of("local_accounts"))).collect()
    }

    /// How many accounts there are, or how many of that status.
    pub async fn count(&self, status: Option<LocalStatus>) -> Result<u64, StoreError> {
        self.total(&COUNT, &[status.map(LocalStatus::as_str).into()]).await
    }

    /// Whether an administrator of the hub has an active account.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        Ok(self.total(&ADMINS, &[]).await? > 0)
    }

    async fn total(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let row = self.engine.read_one(statement, values).await?;
        let total = row.map(|row| row.of("local_accounts").int("total")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(total).unwrap_or(0))
    }

    async fn one(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<LocalAccount>, StoreError> {
        let row = self.engine.read_one(statement, values).await?;
        row.map(|row| LocalAccount::read(row.of("local_accounts"))).transpose()
    }
}

impl LocalStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
        }
    }
}

impl LocalAccount {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        let status = match fields.text("status")?.as_str() {
            "active" => LocalStatus::Active,
            "waiting" => LocalStatus::Waiting,
            "closed" => LocalStatus::Closed,
            other => return Err(fields.corrupt("status", format!("{other:?} is no status"))),
        };
        Ok(Self {
            id: fields.text("id")?,
            name: fields.parsed("name")?,
            hash: fields.text("hash")?,
            status,
            created: fields.time("created")?,
            changed: fields.time("changed")?,
            has_second_factor: fields.int("second_factors")? > 0,
        })
    }
}

// A hash is nothing to print.
impl fmt::Debug for LocalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAccount")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewLocalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewLocalAccount")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("status", &self.status)
            .field("admin", &self.admin)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordChange")
            .field("account_id", &self.account_id)
            .field("keep_session", &self.keep_session)
            .finish_non_exhaustive()
    }
}
