//! What an administrator asks for by a form. Pure.

use std::time::Duration;

use hub_auth::local::SignUp;
use hub_names::UserName;
use hub_store::TicketId;

use crate::web::request::Fields;

/// A day, as the form counts.
const DAY: u64 = 24 * 3600;
/// An invitation is good for a year at most.
const MOST_DAYS: u64 = 365;
/// More people than a hub has.
const MOST_USES: u32 = 10_000;
/// What the form says if nobody changes it.
pub(super) const USUAL_DAYS: u64 = 7;

/// One form of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Approve an account, or open it again.
    Activate(String),
    /// Close one.
    Close(String),
    /// Delete one that waits.
    Refuse(String),
    /// Hand out a link for a new password.
    Reset(String),
    /// Remove the second factor of somebody who has lost it.
    RemoveSecondFactor(String),
    /// Take an invitation back.
    Withdraw(TicketId),
    /// Invite people.
    Invite { name: Option<UserName>, groups: Vec<String>, uses: u32, good_for: Duration },
    /// Make an account in somebody's stead.
    Add(String),
}

impl Wish {
    /// Reads a form.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the page.
    pub(super) fn read(fields: &Fields) -> Result<Self, String> {
        let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
        let account = || match text("account") {
            id if id.is_empty() => Err("The form names no account.".to_owned()),
            id => Ok(id),
        };
        match text("action").as_str() {
            "approve" | "open" => account().map(Self::Activate),
            "close" => account().map(Self::Close),
            "refuse" => account().map(Self::Refuse),
            "reset" => account().map(Self::Reset),
            "remove_second_factor" => account().map(Self::RemoveSecondFactor),
            "withdraw" => {
                let id = text("ticket").parse().map_err(|_| "The form names no invitation.")?;
                Ok(Self::Withdraw(TicketId::new(id)))
            }
            "add" => Ok(Self::Add(text("username"))),
            "invite" => {
                Self::invite(&text("username"), &text("groups"), &text("uses"), &text("days"))
            }
            other => Err(format!("The form asks for {other:?}, which is unknown.")),
        }
    }

    fn invite(name: &str, groups: &str, uses: &str, days: &str) -> Result<Self, String> {
        let name = match name {
            "" => None,
            name => Some(SignUp::name(name).map_err(|error| super::sentence(&error.to_string()))?),
        };
        let number = |text: &str, usual: u64| match text {
            "" => Some(usual),
            text => text.parse().ok(),
        };
        let uses = number(uses, 1)
            .and_then(|uses| u32::try_from(uses).ok())
            .filter(|uses| (1..=MOST_USES).contains(uses))
            .ok_or_else(|| format!("An invitation is for 1 to {MOST_USES} people."))?;
        let days = number(days, USUAL_DAYS)
            .filter(|days| (1..=MOST_DAYS).contains(days))
            .ok_or_else(|| format!("An invitation is good for 1 to {MOST_DAYS} days."))?;
        if name.is_some() && uses > 1 {
            return Err("One name is for one person; invite once for each.".to_owned());
        }
        let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
        Ok(Self::Invite {
            name,
            groups: groups.map(str::to_owned).collect(),
            uses,
            good_for: Duration::from_secs(days * DAY),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Result<Wish, String> {
        Wish::read(&Fields::parse(form.as_bytes()))
    }

    #[test]
    fn an_invitation_is_for_one_and_a_week_unless_it_says_more() {
        let week = Duration::from_secs(7 * DAY);
        assert_eq!(
            read("action=invite&username=&groups=&uses=&days="),
            Ok(Wish::Invite { name: None, groups: vec![], uses: 1, good_for: week })
        );
        assert_eq!(
            read("action=invite&groups=staff,+lab&uses=30&days=1"),
            Ok(Wish::Invite {
                name: None,
                groups: vec!["staff".to_owned(), "lab".to_owned()],
                uses: 30,
                good_for: Duration::from_secs(DAY)
            })
        );
        let ada = read("action=invite&username=Ada").unwrap();
        assert!(matches!(ada, Wish::Invite { name: Some(name), .. } if name.as_str() == "ada"));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (form, part) in [
            ("action=invite&uses=0", "1 to 10000 people"),
            ("action=invite&uses=x", "1 to 10000 people"),
            ("action=invite&days=366", "1 to 365 days"),
            ("action=invite&username=a+b", "blanks"),
            ("action=invite&username=ada&uses=2", "One name"),
            ("action=close", "names no account"),
            ("action=withdraw&ticket=x", "names no invitation"),
            ("action=promote", "unknown"),
            ("", "unknown"),
        ] {
            let error = read(form).unwrap_err();
            assert!(error.contains(part), "{form}: {error}");
        }
        assert_eq!(read("action=approve&account=1f"), Ok(Wish::Activate("1f".to_owned())));
    }
}
