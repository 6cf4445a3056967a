//! The name of one of a user's servers, and the pair that identifies it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{InvalidName, UserName, user::check};

/// The name of one of a user's servers; empty for the default server.
///
/// Ask [`ServerName::is_default`] instead of comparing with `""`. The stricter
/// form that *new* named servers must have (JupyterHub 6) is a rule of the REST
/// API, since servers with older names go on working.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(Option<Arc<str>>);

impl ServerName {
    /// Longest accepted name, in bytes of UTF-8.
    pub const MAX_LEN: usize = 255;

    /// The name of everybody's default server.
    pub const DEFAULT: Self = Self(None);

    /// The name as text; empty for the default server.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// Whether this is the default server.
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl FromStr for ServerName {
    type Err = InvalidName;

    fn from_str(raw: &str) -> Result<Self, InvalidName> {
        if raw.is_empty() {
            return Ok(Self::DEFAULT);
        }
        check(raw, Self::MAX_LEN)?;
        Ok(Self(Some(raw.into())))
    }
}

impl TryFrom<String> for ServerName {
    type Error = InvalidName;

    fn try_from(raw: String) -> Result<Self, InvalidName> {
        raw.parse()
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose server, and which of theirs. Prints as `ada/` or `ada/lab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerKey {
    user: UserName,
    server: ServerName,
}

impl ServerKey {
    /// The key of `user`'s server called `server`.
    pub fn new(user: UserName, server: ServerName) -> Self {
        Self { user, server }
    }

    /// The key of `user`'s default server.
    pub fn default_of(user: UserName) -> Self {
        Self { user, server: ServerName::DEFAULT }
    }

    /// Whose server it is.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Which of the user's servers it is.
    pub fn server(&self) -> &ServerName {
        &self.server
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_name_is_the_default_server() {
        let name: ServerName = "".parse().unwrap();
        assert!(name.is_default());
        assert_eq!(name, ServerName::DEFAULT);
    }

    #[test]
    fn names_survive_json() {
        let key = ServerKey::new("ada".parse().unwrap(), "lab".parse().unwrap());
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, r#"{"user":"ada","server":"lab"}"#);
        assert_eq!(serde_json::from_str::<ServerKey>(&text).unwrap(), key);
        assert!(serde_json::from_str::<ServerKey>(r#"{"user":"a/b","server":""}"#).is_err());
    }
}
