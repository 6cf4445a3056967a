//! One-time secrets: invitations, the first administrator's set-up, resets.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use hub_names::UserName;
use serde::{Deserialize, Serialize};

use super::Asked;
use crate::{ApiToken, TokenHash};

/// What a secret link is good for, until when, and how often. For the store, under
/// the hash of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The hash of the secret, to look it up by.
    pub hash: TokenHash,
    /// What it is good for.
    pub purpose: Purpose,
    /// When it ends.
    pub expires: SystemTime,
    /// How often it can still be used; never zero in the store.
    pub uses_left: u32,
}

/// What a ticket is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// To sign up without an administrator's approval.
    Invitation {
        /// The only name it is for, if any.
        name: Option<UserName>,
        /// Groups that the account is put into.
        groups: BTreeSet<String>,
    },
    /// To make the account of the first administrator (NAT-1).
    SetUp {
        /// The only name it is for, if any.
        name: Option<UserName>,
    },
    /// To choose a new password.
    Reset {
        /// Whose.
        account_id: String,
        /// Marks the hash that the account had: a password that was changed since
        /// ends the ticket.
        fingerprint: String,
    },
    /// To go on with a sign-in after the right password: to give a code, or to set a
    /// second factor up. A cookie holds the secret, not a link.
    SecondFactor {
        /// Whose.
        account_id: String,
        /// What was asked for.
        asked: Asked,
        /// How often all of its owner's sessions had ended at once when the password was
        /// looked at; if it is more often by now, the password is not the one that counts.
        sign_outs: Option<u64>,
    },
}

/// A ticket that was good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// What it was good for.
    pub purpose: Purpose,
    /// What to store in its place; `None` means to delete it.
    pub left: Option<Ticket>,
}

/// Why a ticket is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketProblem {
    /// There is none with this secret, or it was used up.
    #[error("the link is not valid, or was used already; ask for a new one")]
    Unknown,
    /// It has ended.
    #[error("the link is not valid any more; ask for a new one")]
    Expired,
}

impl Ticket {
    /// A new ticket and its secret: 256 random bits as 64 hexadecimal digits, fit
    /// for a link. It is told once, here.
    pub fn issue(
        purpose: Purpose,
        now: SystemTime,
        good_for: Duration,
        uses: u32,
    ) -> (ApiToken, Self) {
        let secret = ApiToken::generate();
        let expires = now.checked_add(good_for).unwrap_or(now);
        let ticket = Self { hash: secret.hash(), purpose, expires, uses_left: uses.max(1) };
        (secret, ticket)
    }

    /// Uses the ticket once. The store has to change in the same transaction in
    /// which the account does: tickets are found by their hash, and two people may
    /// come with the last use at once.
    ///
    /// # Errors
    ///
    /// [`TicketProblem`], for the page.
    pub fn redeem(self, presented: &ApiToken, now: SystemTime) -> Result<Redeemed, TicketProblem> {
        if !self.hash.matches(presented) || self.uses_left == 0 {
            return Err(TicketProblem::Unknown);
        }
        if now >= self.expires {
            return Err(TicketProblem::Expired);
        }
        let purpose = self.purpose.clone();
        let left = (self.uses_left > 1).then(|| Self { uses_left: self.uses_left - 1, ..self });
        Ok(Redeemed { purpose, left })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn invitation() -> Purpose {
        Purpose::Invitation { name: None, groups: BTreeSet::new() }
    }

    #[test]
    fn nat_1_an_invitation_has_an_end_and_a_number_of_uses() {
        let (secret, ticket) = Ticket::issue(invitation(), UNIX_EPOCH, DAY, 2);
        let almost = UNIX_EPOCH + DAY - Duration::from_secs(1);
        let expired = ticket.clone().redeem(&secret, UNIX_EPOCH + DAY).unwrap_err();
        assert_eq!(expired, TicketProblem::Expired);

        let Redeemed { left, .. } = ticket.redeem(&secret, almost).unwrap();
        let last = left.unwrap();
        assert_eq!(last.uses_left, 1);
        assert_eq!(last.clone().redeem(&secret, almost).unwrap().left, None);
        let used_up = Ticket { uses_left: 0, ..last };
        assert_eq!(used_up.redeem(&secret, almost), Err(TicketProblem::Unknown));
    }

    #[test]
    fn f1_a_ticket_holds_only_the_hash_of_its_secret() {
        let (secret, ticket) = Ticket::issue(invitation(), UNIX_EPOCH, DAY, 1);
        assert!(!format!("{ticket:?}").contains(secret.expose()));
        let other = ApiToken::generate();
        assert_eq!(ticket.redeem(&other, UNIX_EPOCH), Err(TicketProblem::Unknown));
    }

    #[test]
    fn a_purpose_is_kept_as_json() {
        let purposes = [
            invitation(),
            Purpose::SetUp { name: Some("ada".parse().unwrap()) },
            Purpose::Reset { account_id: "x".to_owned(), fingerprint: "y".to_owned() },
            Purpose::SecondFactor {
                account_id: "x".to_owned(),
                asked: Asked::Enrolment,
                sign_outs: Some(3),
            },
        ];
        for purpose in purposes {
            let json = serde_json::to_string(&purpose).unwrap();
            assert_eq!(serde_json::from_str::<Purpose>(&json).unwrap(), purpose, "{json}");
        }
    }
}
