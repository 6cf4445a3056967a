//! Scopes: what somebody may do, and to whom.
//!
//! A [`Scope`] is one right as it is written; a [`ScopeSet`] is what it comes to
//! once implied rights are added and "my own" is replaced by a name. All of it is
//! pure: group membership enters as [`Groups`].
//!
//! Source: JupyterHub's RBAC, the table of scopes and the rules of filters.

mod filter;
mod groups;
mod name;
mod resolve;
mod set;
mod target;

use std::{fmt, str::FromStr};

pub use self::{
    filter::Filter,
    groups::Groups,
    name::{CustomName, ScopeName},
    resolve::resolve_token,
    set::{Access, Filters, ScopeSet},
    target::{Issuer, Owner, Target},
};
use crate::error::excerpt;

/// One right as it is written: `read:users`, `servers!user=ada`,
/// `access:servers!server`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The right.
    pub name: ScopeName,
    /// To whom it is limited; `None` for everybody.
    pub filter: Option<Filter>,
}

/// A text that is not a scope of this hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// There is no right of that name.
    #[error("no such scope: {0:?}")]
    UnknownName(String),
    /// A right that nobody has made up.
    #[error("no such scope: {0:?}; it is in no [[custom_scopes]]")]
    UndefinedCustom(String),
    /// What follows the `!` is not a filter.
    #[error("not a filter: {0:?}")]
    InvalidFilter(String),
    /// `self` and `inherit` stand for whole sets and cannot be limited.
    #[error("{0} takes no filter")]
    FilterNotAllowed(ScopeName),
}

impl Scope {
    /// The right `name` without limits.
    pub fn new(name: ScopeName) -> Self {
        Self { name, filter: None }
    }

    /// The right `name`, limited by `filter`.
    pub fn filtered(name: ScopeName, filter: Filter) -> Self {
        Self { name, filter: Some(filter) }
    }

    /// Whether this scope includes `wanted` as written: the same right or one it
    /// implies, under the same filter or none. Own-filters are compared unresolved,
    /// so `read:users!user` covers `read:users:name!user`.
    pub fn covers(&self, wanted: &Self) -> bool {
        let inherits = self
            .filter
            .as_ref()
            .is_none_or(|filter| self.name == wanted.name || filter.reaches(&wanted.name));
        let limited_alike = self.filter.is_none() || self.filter == wanted.filter;
        limited_alike && inherits && self.name.closure().contains(&wanted.name)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (name, filter) = match text.split_once('!') {
            Some((name, filter)) => (name, Some(filter)),
            None => (text, None),
        };
        let name: ScopeName =
            name.parse().map_err(|()| InvalidScope::UnknownName(excerpt(text)))?;
        let filter = filter
            .map(|filter| filter.parse().map_err(|()| InvalidScope::InvalidFilter(excerpt(filter))))
            .transpose()?;
        if filter.is_some() && name.is_metascope() {
            return Err(InvalidScope::FilterNotAllowed(name));
        }
        Ok(Self { name, filter })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.filter {
            Some(filter) => write!(f, "{}!{filter}", self.name),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
