//! Which groups somebody is in, and what could not be found out.

use std::collections::{BTreeMap, BTreeSet};

/// Groups, organizations or teams of a person, as far as a provider was asked.
///
/// GitHub's are written `org` and `org:team`, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    known: BTreeMap<String, Standing>,
    rest: Standing,
}

/// What is known of one person and one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// They are in it.
    Member {
        /// Where that was seen, for the log and for explanations: `the list of
        /// public members`.
        seen_in: &'static str,
    },
    /// They are not.
    NotMember {
        /// What a person who believes to be one could do about it.
        hint: Option<String>,
    },
    /// The provider was asked and did not say. Never the same as "no".
    Unchecked {
        /// Why, and what to do, for the page.
        reason: String,
    },
    /// Nobody asked.
    #[default]
    NotAsked,
}

impl Membership {
    /// All groups of somebody: they are in no other.
    pub fn complete(groups: impl IntoIterator<Item = String>, seen_in: &'static str) -> Self {
        let known = groups.into_iter().map(|group| (group, Standing::Member { seen_in })).collect();
        Self { known, rest: Standing::NotMember { hint: None } }
    }

    /// Notes what was found out about one group.
    pub fn set(&mut self, group: impl Into<String>, standing: Standing) {
        self.known.insert(group.into(), standing);
    }

    /// Notes what holds for every group that is not known by name.
    pub fn set_rest(&mut self, standing: Standing) {
        self.rest = standing;
    }

    /// What is known about `group`.
    pub fn of(&self, group: &str) -> &Standing {
        self.known.get(group).unwrap_or(&self.rest)
    }

    /// The groups they are known to be in.
    pub fn groups(&self) -> BTreeSet<String> {
        let members =
            self.known.iter().filter(|(_, standing)| matches!(standing, Standing::Member { .. }));
        members.map(|(group, _)| group.clone()).collect()
    }

    /// Whether [`groups`](Self::groups) are all there are, so that they may replace
    /// those of an account.
    pub fn is_complete(&self) -> bool {
        let unsure = |standing: &Standing| {
            matches!(standing, Standing::Unchecked { .. } | Standing::NotAsked)
        };
        !unsure(&self.rest) && !self.known.values().any(unsure)
    }
}
