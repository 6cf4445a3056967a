//! Which of the hub's users a local account belongs to, and what becomes of either
//! with the other. All of it is part of a transaction.

use hub_names::UserName;
use jiff::Timestamp;

use crate::{
    StoreError, User, UserId,
    engine::{Engine, Tx},
    statement::statements,
    users,
};

/// What `hub-auth` calls the hub as an identity provider.
const PROVIDER: &str = "local";

statements! {
    OWNER: "look up an account's owner",
        concat!("SELECT ", users::columns!(), " FROM local_accounts a
         JOIN identities i ON i.provider = $1 AND i.subject = a.id
         JOIN users u ON u.id = i.user_id WHERE a.name = $2");
    SET_ADMIN: "make somebody an administrator",
        "UPDATE users SET admin = $2 WHERE id = $1";
    SIGN_OUT: "sign an account's owner out",
        "UPDATE users SET sign_outs = sign_outs + 1 WHERE id =
             (SELECT user_id FROM identities WHERE provider = $1 AND subject = $2)";
    END_SESSIONS: "end the sessions of an account",
        "DELETE FROM sessions WHERE session_id <> $3 AND user_id =
             (SELECT user_id FROM identities WHERE provider = $1 AND subject = $2)";
    // A server's own token has a client, but no session.
    REVOKE: "revoke the tokens of an account",
        "DELETE FROM tokens WHERE user_id =
             (SELECT user_id FROM identities WHERE provider = $1 AND subject = $2)
         AND ((session_id IS NULL AND client_id IS NULL) OR session_id <> $3)";
    REVOKE_CODES: "revoke the codes of an account",
        "DELETE FROM oauth_codes WHERE session_id <> $3 AND user_id =
             (SELECT user_id FROM identities WHERE provider = $1 AND subject = $2)";
    RENAME: "rename a user's account",
        "UPDATE local_accounts SET name = $3 WHERE id IN
             (SELECT subject FROM identities WHERE provider = $1 AND user_id = $2)";
    DELETE: "delete a user's account",
        "DELETE FROM local_accounts WHERE name = (SELECT name FROM users WHERE id = $2)
         OR id IN (SELECT subject FROM identities WHERE provider = $1 AND user_id = $2)";
}

/// The user to whom the account of that name belongs.
pub(super) async fn of(engine: &Engine, name: &UserName) -> Result<Option<User>, StoreError> {
    let row = engine.read_one(&OWNER, &[PROVIDER.into(), name.into()]).await?;
    row.map(|row| User::read(row.of("users"))).transpose()
}

/// Makes the user of that name the account's owner, and adds one if there is none.
///
/// # Errors
///
/// [`StoreError::Conflict`] if the user is somebody else: another account's owner, or
/// known to another provider.
pub(super) async fn claim(
    tx: &mut Tx,
    account_id: &str,
    name: &UserName,
    admin: bool,
    now: Timestamp,
) -> Result<UserId, StoreError> {
    let user = users::claim(tx, name, (PROVIDER, account_id), now).await?;
    if admin && !user.admin {
        tx.write(&SET_ADMIN, &[user.id.into(), true.into()]).await?;
    }
    Ok(user.id)
}

/// Ends the sessions of the account's owner but the one called `keep`, and revokes
/// what was given out in them and all other tokens, but not those of their servers.
/// Nothing begins any more with what was looked at before.
pub(super) async fn sign_out(
    tx: &mut Tx,
    account_id: &str,
    keep: Option<&str>,
) -> Result<(), StoreError> {
    // First: whoever is beginning something is waited for.
    tx.write(&SIGN_OUT, &[PROVIDER.into(), account_id.into()]).await?;
    for statement in [&END_SESSIONS, &REVOKE, &REVOKE_CODES] {
        // No session has an empty name.
        let values = [PROVIDER.into(), account_id.into(), keep.unwrap_or_default().into()];
        tx.write(statement, &values).await?;
    }
    Ok(())
}

/// Gives the account of a user who was renamed the same name.
///
/// # Errors
///
/// [`StoreError::Conflict`] if there is another account of that name.
pub(crate) async fn rename(tx: &mut Tx, user: UserId, name: &UserName) -> Result<(), StoreError> {
    tx.write(&RENAME, &[PROVIDER.into(), user.into(), name.into()])
        .await
        .map_err(|failure| failure.conflict("user"))?;
    Ok(())
}

/// Deletes the account of a user who is about to be deleted; also one of their name
/// that waits: whoever has that name next is somebody else.
pub(crate) async fn delete_of(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.write(&DELETE, &[PROVIDER.into(), user.into()]).await?;
    Ok(())
}
