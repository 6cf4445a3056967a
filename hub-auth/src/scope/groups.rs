//! Who belongs to which group, as far as a decision needs it.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::UserName;

/// The groups of the people a decision is about. The hub reads them from its
/// store first, so that the decision itself is pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    of: BTreeMap<UserName, BTreeSet<String>>,
}

impl Groups {
    /// Notes that `user` belongs to `group`.
    pub fn add(&mut self, user: UserName, group: impl Into<String>) {
        self.of.entry(user).or_default().insert(group.into());
    }

    /// Whether `user` belongs to one of `groups`.
    pub(super) fn any(&self, user: &UserName, groups: &BTreeSet<String>) -> bool {
        self.of.get(user).is_some_and(|own| !own.is_disjoint(groups))
    }

    /// Everybody of whom groups are known.
    pub(super) fn users(&self) -> impl Iterator<Item = &UserName> {
        self.of.keys()
    }

    /// The groups of `user`.
    pub fn of(&self, user: &UserName) -> impl Iterator<Item = &str> {
        self.of.get(user).into_iter().flatten().map(String::as_str)
    }
}
