//! The system account that a program is run as.

use std::{fs, io};

/// Where accounts are listed.
const ACCOUNTS: &str = "/etc/passwd";

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) shell: String,
}

/// Why a program cannot be run as somebody.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    /// The list cannot be read.
    #[error("{ACCOUNTS} cannot be read")]
    Unreadable(#[from] io::Error),
    /// Nobody is called so.
    #[error("there is no account {0:?} on this machine")]
    Unknown(String),
    /// Only root may run programs as others.
    #[error("a hub that does not run as root cannot run a program as {0}")]
    NotRoot(String),
}

impl Account {
    /// The account of that name, if this process may become it.
    pub(super) fn to_become(name: &str) -> Result<Self, AccountError> {
        let list = fs::read_to_string(ACCOUNTS)?;
        let account = find(&list, name).ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
        let own = rustix::process::geteuid();
        if !own.is_root() && own.as_raw() != account.uid {
            return Err(AccountError::NotRoot(name.to_owned()));
        }
        Ok(account)
    }

    /// The variables that tell a program whose it is.
    pub(super) fn variables(&self) -> [(&'static str, &str); 3] {
        [("USER", &self.name), ("HOME", &self.home), ("SHELL", &self.shell)]
    }
}

/// `passwd(5)`: name, password, user, group, comment, home and shell.
fn find(list: &str, name: &str) -> Option<Account> {
    list.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [found, _, uid, gid, _, home, shell] = fields[..] else { return None };
        (found == name).then_some(())?;
        Some(Account {
            name: found.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let list = "root:x:0:0:root:/root:/bin/bash\nbad:x:1\nada:x:1000:1001::/home/ada:/bin/sh\n";
        let ada = find(list, "ada").unwrap();
        assert_eq!((ada.uid, ada.gid, ada.home.as_str()), (1000, 1001, "/home/ada"));
        for name in ["ad", "bad", "", "x"] {
            assert_eq!(find(list, name), None, "{name:?}");
        }
    }

    #[test]
    fn nobody_becomes_who_is_not_there() {
        let error = Account::to_become("no such account").unwrap_err();
        assert!(matches!(error, AccountError::Unknown(_)), "{error}");
    }
}
