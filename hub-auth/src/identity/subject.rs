//! Who somebody is, whatever they are called today.

use std::{fmt, str::FromStr};

/// A provider and its immutable name for a person, written `github:583231`.
///
/// This is what an account is bound to. Login names are not enough: they can be
/// renamed, given up and taken by somebody else (security A6, CVE-2022-31027).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The provider's id, without `:`.
    pub provider: String,
    /// What the provider calls the person for good; may hold any character.
    pub id: String,
}

/// Why a text is not a [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of the form PROVIDER:ID, such as github:583231")]
pub struct InvalidSubject {
    text: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.id)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        match text.split_once(':') {
            Some((provider, id)) if !provider.is_empty() && !id.is_empty() => {
                Ok(Self { provider: provider.to_owned(), id: id.to_owned() })
            }
            _ => Err(InvalidSubject { text: crate::error::excerpt(text) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gh_3_a_subject_is_written_with_its_provider() {
        let subject: Subject = "github:583231".parse().unwrap();
        assert_eq!((subject.provider.as_str(), subject.id.as_str()), ("github", "583231"));
        assert_eq!(subject.to_string(), "github:583231");
        let odd: Subject = "oidc:https://id.test|a:b".parse().unwrap();
        assert_eq!(odd.id, "https://id.test|a:b");
        for bad in ["", "github", ":1", "github:"] {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
    }
}
