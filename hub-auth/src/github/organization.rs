//! An organization, or one team of it.

use std::{fmt, str::FromStr};

/// An organization or a team, as in `allowed_organizations`: `org` or
/// `org:team-slug`.
///
/// Lower-cased, since GitHub does not tell upper and lower case apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Organization {
    organization: String,
    team: Option<String>,
}

/// Why a text does not name an organization or a team.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither an organization nor ORGANIZATION:TEAM; {hint}")]
pub struct InvalidOrganization {
    text: String,
    hint: &'static str,
}

impl Organization {
    /// The organization's login name, in lower case.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// The team's slug, in lower case: its name as it is in the address of its page.
    pub fn team(&self) -> Option<&str> {
        self.team.as_deref()
    }
}

impl FromStr for Organization {
    type Err = InvalidOrganization;

    fn from_str(text: &str) -> Result<Self, InvalidOrganization> {
        let refuse = |hint| Err(InvalidOrganization { text: crate::error::excerpt(text), hint });
        let lower = text.to_lowercase();
        let (organization, team) = match lower.split_once(':') {
            Some((organization, team)) => (organization, Some(team)),
            None => (lower.as_str(), None),
        };
        // GitHub's own rules are narrower, but not documented for Enterprise servers.
        let part = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
                && part.chars().any(|c| c != '.')
        };
        if team.is_some_and(|team| team.contains(':')) {
            return refuse("it has more than one \":\"");
        }
        if lower.contains('/') {
            return refuse("write \":\" instead of \"/\", and no address");
        }
        if !part(organization) || !team.is_none_or(part) {
            return refuse("write the names as they are in the addresses of their pages");
        }
        Ok(Self { organization: organization.to_owned(), team: team.map(str::to_owned) })
    }
}

impl fmt::Display for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.organization)?;
        self.team.as_ref().map_or(Ok(()), |team| write!(f, ":{team}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gh_2_an_entry_is_an_organization_or_a_team() {
        for (text, expected) in [
            ("Ada-Lab", "ada-lab"),
            ("ada-lab:Core-Team", "ada-lab:core-team"),
            ("ada_lab:x.y", "ada_lab:x.y"),
        ] {
            assert_eq!(text.parse::<Organization>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn gh_2_an_entry_with_two_colons_is_an_error_that_says_so() {
        for (text, part) in [
            ("a:b:c", "more than one"),
            ("a/b", "instead of"),
            ("https://github.com/a", "instead of"),
            ("", "addresses of their pages"),
            ("a:", "addresses of their pages"),
            (":b", "addresses of their pages"),
            ("a b", "addresses of their pages"),
            ("..", "addresses of their pages"),
            ("a:..", "addresses of their pages"),
            ("a?x", "addresses of their pages"),
        ] {
            let error = text.parse::<Organization>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
