//! What changed rules would do to people who are known.

use hub_names::UserName;

use super::{AccessPolicy, AdminRight, Known, Outcome};
use crate::Claims;

/// Somebody the hub knows, as it would decide about them at their next sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What their provider said last, such as by
    /// [`Authenticator::remembered`](crate::Authenticator::remembered). Groups that
    /// are not remembered stay "not asked", and then let nobody in.
    pub claims: Claims,
    /// What the hub remembers.
    pub known: Known,
}

/// Somebody about whom two sets of rules differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The account, or the login name where there is none.
    pub who: String,
    /// What the old rules say.
    pub before: Outcome,
    /// What the new rules say.
    pub after: Outcome,
}

/// What new rules would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// People who are let in now and would not be.
    pub locked_out: Vec<Change>,
    /// People who are kept out now and would not be.
    pub let_in: Vec<Change>,
    /// People who would not be made administrators any more.
    pub admin_lost: Vec<Change>,
    /// People who would be made administrators.
    pub admin_gained: Vec<Change>,
    /// How many people stay as they are.
    pub unchanged: usize,
}

impl Comparison {
    /// Counts somebody called `who` about whom the two say this.
    pub fn add(&mut self, who: String, before: Outcome, after: Outcome) {
        let is_admin = |outcome: &Outcome| outcome.admin == AdminRight::Granted;
        let list = match (before.admits(), after.admits()) {
            (true, false) => &mut self.locked_out,
            (false, true) => &mut self.let_in,
            _ if is_admin(&before) && !is_admin(&after) => &mut self.admin_lost,
            _ if !is_admin(&before) && is_admin(&after) => &mut self.admin_gained,
            _ => {
                self.unchanged += 1;
                return;
            }
        };
        list.push(Change { who, before, after });
    }
}

impl AccessPolicy {
    /// Compares what these rules and `new` ones say about `people`, whom both hear of by
    /// the same words; [`Comparison::add`] is for more than other rules.
    pub fn compare(&self, new: &Self, people: &[Person]) -> Comparison {
        let mut comparison = Comparison::default();
        for Person { claims, known } in people {
            let before = self.decide(claims, known);
            let after = new.decide(claims, known);
            let who = before.account.as_ref().or(after.account.as_ref());
            let who = who.map_or(claims.login.as_str(), UserName::as_str).to_owned();
            comparison.add(who, before, after);
        }
        comparison
    }
}
