//! New passwords for accounts that exist.

use std::fmt;

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{LocalAccount, Purpose};
use crate::{PasswordRules, UnfitPassword, Verified, hash_password, verify_password};

/// A new hash to be stored. Whoever stores it ends all sessions of the account and
/// revokes its tokens, except the session that asked (CVE-2026-40934), and drops
/// the account's tickets for a reset.
#[derive(Clone, PartialEq, Eq)]
pub struct NewHash {
    /// The hash that it replaces; if the account has another by now, somebody was
    /// faster, and nothing is stored.
    pub old: String,
    /// The hash to store.
    pub new: String,
}

/// Why a password is not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefused {
    /// The current password is another one.
    #[error("the current password is wrong")]
    WrongPassword,
    /// It would stay the same.
    #[error("the new password is the current one")]
    Unchanged,
    /// The ticket is for another account, or the password was changed since it was
    /// issued.
    #[error("the link is not valid any more; ask for a new one")]
    OtherTicket,
    /// The new password is no good.
    #[error(transparent)]
    Password(#[from] UnfitPassword),
}

impl Purpose {
    /// For a reset of this account's password, as it is now.
    pub fn reset(account: &LocalAccount) -> Self {
        Self::Reset { account_id: account.id.clone(), fingerprint: fingerprint(&account.hash) }
    }
}

/// Changes the password of whoever knows the current one.
///
/// A wrong one counts as a failed try, as at a sign-in; that is for the caller.
/// Computes two hashes: call it on a thread that may block.
///
/// # Errors
///
/// [`ChangeRefused`], for the page.
pub fn change_password(
    account: &LocalAccount,
    current: &SecretString,
    new: &SecretString,
    rules: &PasswordRules,
) -> Result<NewHash, ChangeRefused> {
    if verify_password(&account.hash, current) == Verified::Wrong {
        return Err(ChangeRefused::WrongPassword);
    }
    if verify_password(&account.hash, new) != Verified::Wrong {
        return Err(ChangeRefused::Unchanged);
    }
    set_password(account, new, rules)
}

/// Sets the password of whoever came with a ticket that was
/// [redeemed](super::Ticket::redeem).
///
/// Computes a hash: call it on a thread that may block.
///
/// # Errors
///
/// [`ChangeRefused`], for the page.
pub fn reset_password(
    account: &LocalAccount,
    ticket: &Purpose,
    new: &SecretString,
    rules: &PasswordRules,
) -> Result<NewHash, ChangeRefused> {
    if *ticket != Purpose::reset(account) {
        return Err(ChangeRefused::OtherTicket);
    }
    set_password(account, new, rules)
}

/// Sets a password in somebody's stead, as an administrator does.
///
/// Computes a hash: call it on a thread that may block.
///
/// # Errors
///
/// [`ChangeRefused::Password`].
pub fn set_password(
    account: &LocalAccount,
    new: &SecretString,
    rules: &PasswordRules,
) -> Result<NewHash, ChangeRefused> {
    rules.check(new, &account.name)?;
    Ok(NewHash { old: account.hash.clone(), new: hash_password(new)? })
}

/// Tells hashes apart without being one; 64 bits are enough for that.
fn fingerprint(hash: &str) -> String {
    Sha256::digest(hash.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for NewHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewHash").finish_non_exhaustive()
    }
}
