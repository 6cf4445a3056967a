//! Accounts of a NativeAuthenticator or a FirstUseAuthenticator, taken over with
//! their bcrypt hashes. Each is renewed at the first sign-in.

use hub_auth::local::{AccountStatus, LocalAccount, TotpSecret};
use hub_store::{NewLocalAccount, NewSecondFactor, Store, StoreError};
use jiff::Timestamp;

use super::{second_factor, status_row};
use crate::{
    config::{Config, ConfigError},
    keys::Keys,
};

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The account.
    pub account: LocalAccount,
    /// The secret of its owner's app for one-time codes, if they use one.
    pub second_factor: Option<TotpSecret>,
}

/// Seals the secrets of second factors as the hub of a configuration does.
#[derive(Debug)]
pub struct Sealing(Keys);

impl Sealing {
    /// With the cookie secret of `config`, which is made if its file is missing.
    ///
    /// # Errors
    ///
    /// When the cookie secret cannot be used.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        Keys::load(&config.cookie_secret).map(Self)
    }
}

/// What has become of a list of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many were added.
    pub added: usize,
    /// How many of them wait for approval.
    pub waiting: usize,
    /// Names that have an account here already; those were left as they are.
    pub known: Vec<String>,
    /// Names whose users sign in another way; they were left out.
    pub others: Vec<String>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line cannot be an account. Its hash is not repeated.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A secret could not be sealed: the system has no randomness to give.
    #[error("{name}: the second factor could not be sealed")]
    Sealing {
        /// Whose.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts in `text`: a line for each with name, hash and whether it may be used
/// (0 or 1, or nothing for yes), and after that the secret of a second factor in base32, if
/// there is one, separated by commas or tabs. Blank lines and those
/// that begin with `#` are left out.
///
/// # Errors
///
/// [`ImportError::Line`] of the first line that is no account, or has a name for the
/// second time.
pub fn parse(text: &str) -> Result<Vec<Listed>, ImportError> {
    let mut accounts: Vec<Listed> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |reason: String| ImportError::Line { line: index + 1, reason };
        let (name, hash, may, secret) = fields(line).ok_or_else(|| {
            bad("write NAME,HASH or NAME,HASH,1 (0: not approved) or NAME,HASH,1,SECRET".to_owned())
        })?;
        let account =
            LocalAccount::import(name, hash, may).map_err(|error| bad(error.to_string()))?;
        let second_factor =
            match secret {
                "" => None,
                secret => Some(TotpSecret::parse(secret).map_err(|error| {
                    bad(format!("the second factor of {} {error}", account.name))
                })?),
            };
        if accounts.iter().any(|other| other.account.name == account.name) {
            return Err(bad(format!(
                "{} is there twice; upper and lower case are the same",
                account.name
            )));
        }
        accounts.push(Listed { account, second_factor });
    }
    Ok(accounts)
}

/// Adds these accounts. Nobody's password is replaced.
///
/// # Errors
///
/// When the store does not answer; the same list may be imported again then.
pub async fn import(
    store: &Store,
    accounts: Vec<Listed>,
    sealing: &Sealing,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    for Listed { account, second_factor } in accounts {
        let name = account.name.to_string();
        let is_waiting = account.status == AccountStatus::Waiting;
        let factor = second_factor.map(|secret| {
            second_factor::sealed(&sealing.0, &account.id, &secret)
                .map(|sealed| NewSecondFactor {
                    account_id: account.id.clone(),
                    sealed,
                    last_step: 0,
                    recovery: Vec::new(),
                })
                .ok_or_else(|| ImportError::Sealing { name: name.clone() })
        });
        let factor = factor.transpose()?;
        let new = NewLocalAccount {
            id: account.id,
            name: account.name,
            hash: account.hash,
            status: status_row(account.status),
            admin: false,
            groups: Vec::new(),
        };
        match store.local_accounts().create_with(&new, factor.as_ref(), None, now).await {
            Ok(()) => {
                imported.added += 1;
                imported.waiting += usize::from(is_waiting);
            }
            Err(StoreError::Conflict { what: "account" }) => imported.known.push(name),
            Err(StoreError::Conflict { .. }) => imported.others.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(imported)
}

/// Name, hash, whether it may be used, and the secret of a second factor. A hash of argon2
/// has commas of its own.
fn fields<'l>(line: &'l str) -> Option<(&'l str, &'l str, bool, &'l str)> {
    let separator = if line.contains('\t') { '\t' } else { ',' };
    let (name, rest) = line.split_once(separator)?;
    let approved = |rest: &'l str| match rest.rsplit_once(separator) {
        Some((hash, "1")) => Some((hash, true)),
        Some((hash, "0")) => Some((hash, false)),
        _ => None,
    };
    let with_secret = || {
        let (rest, secret) = rest.rsplit_once(separator)?;
        approved(rest).map(|(hash, may)| (hash, may, secret))
    };
    let (hash, may, secret) = approved(rest)
        .map(|(hash, may)| (hash, may, ""))
        .or_else(with_secret)
        .unwrap_or((rest, true, ""));
    Some((unquoted(name), unquoted(hash), may, unquoted(secret)))
}

/// Without the quotes that programs put around fields.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    const ARGON: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";

    #[test]
    fn lists_as_other_programs_write_them_are_read() {
        let text = format!(
            "# users_info\n\nAda,{BCRYPT},1\n\"bob\",\"{BCRYPT}\",0\r\ncyd\t{BCRYPT}\ndan,{BCRYPT}\neve,{ARGON}\n"
        );
        let read = parse(&text).unwrap();
        let found: Vec<_> = read
            .iter()
            .map(|one| &one.account)
            .map(|one| (one.name.as_str(), one.status, one.hash == BCRYPT))
            .collect();
        let (active, waiting) = (AccountStatus::Active, AccountStatus::Waiting);
        assert_eq!(
            found,
            [
                ("ada", active, true),
                ("bob", waiting, true),
                ("cyd", active, true),
                ("dan", active, true),
                ("eve", active, false)
            ]
        );
        assert_eq!(read[4].account.hash, ARGON);
        assert!(read.iter().all(|one| one.second_factor.is_none()));
    }

    #[test]
    fn a_second_factor_comes_last() {
        let text = format!(
            "ada,{BCRYPT},1,JBSWY3DPEHPK3PXP\nbob,{BCRYPT},0,\n\"cyd\",\"{BCRYPT}\",1,\"JBSWY3DPEHPK3PXP\"\neve,{ARGON},1,JBSWY3DPEHPK3PXP\n"
        );
        let read = parse(&text).unwrap();
        let secret = TotpSecret::parse("JBSWY3DPEHPK3PXP").unwrap();
        let found: Vec<bool> =
            read.iter().map(|one| one.second_factor.as_ref() == Some(&secret)).collect();
        assert_eq!(found, [true, false, true, true]);
        assert_eq!(read[1].account.status, AccountStatus::Waiting);
        assert_eq!(read[3].account.hash, ARGON);
        let bad = parse(&format!("ada,{BCRYPT},1,hunter2")).unwrap_err().to_string();
        assert!(bad.starts_with("line 1: the second factor of ada is no secret"), "{bad}");
        assert!(!bad.contains("hunter2"), "{bad}");
    }

    #[test]
    fn a_bad_line_is_named_without_its_hash() {
        for (text, part) in [
            ("ada", "line 1: write NAME,HASH"),
            ("\n\nada,hunter2", "line 3: accounts.ada: is not a password hash"),
            (&format!("a b,{BCRYPT}"), "line 1: accounts.a b"),
            (&format!("ada,{BCRYPT}\nADA,{BCRYPT}"), "line 2: ada is there twice"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(part), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("$2b"), "{error}");
        }
    }
}
