//! Several ways of signing in on one page.

use std::{fmt, sync::Arc};

use hub_names::UserName;

use crate::{Authenticator, InvalidConfig, Offer};

/// The ways of signing in that a hub offers, in the order of its page.
///
/// Knows nothing of pages: it tells what to show ([`Methods::offers`]) and finds
/// the authenticator that a form or a callback is for.
#[derive(Clone, Default)]
pub struct Methods {
    all: Vec<Arc<dyn Authenticator>>,
}

/// One way of signing in, for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The provider's id, to come back with: `github`.
    pub id: String,
    /// What to call it: `GitHub`; for a form, what it asks for.
    pub label: String,
    /// How it works.
    pub kind: MethodKind,
}

/// How a way of signing in works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// A form with name and password.
    Form,
    /// A button that leads to another site.
    Redirect,
}

/// What a sign-in page does when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It shows these ways.
    Choice(Vec<Method>),
    /// It goes on to the only way there is (`auto_login`).
    GoOn(Method),
}

impl Methods {
    /// These ways, in this order.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] if there is none, if two have the same id, which
    /// would make people of one into people of the other, or if there are two
    /// forms, between which nobody could tell the difference.
    pub fn new(all: Vec<Arc<dyn Authenticator>>) -> Result<Self, InvalidConfig> {
        let refuse = |reason: String| Err(InvalidConfig::setting("auth", reason));
        if all.is_empty() {
            return refuse("names no way of signing in; set up one".to_owned());
        }
        for (index, one) in all.iter().enumerate() {
            let id = one.provider();
            if all.iter().take(index).any(|other| other.provider() == id) {
                return refuse(format!(
                    "has two ways of signing in with the id {id:?}; rename one"
                ));
            }
        }
        let forms = all.iter().filter(|one| one.offer() == Offer::Form).count();
        if forms > 1 {
            return refuse("has two ways of signing in by name and password; keep one".to_owned());
        }
        Ok(Self { all })
    }

    /// What to show, in order.
    pub fn offers(&self) -> Vec<Method> {
        self.all.iter().map(|one| method(one.as_ref())).collect()
    }

    /// What the page does: with `auto_login`, and only one way that leads to
    /// another site, it goes there at once. Never right after a sign-out, which
    /// would be undone by it (OAU-7).
    pub fn landing(&self, auto_login: bool, just_signed_out: bool) -> Landing {
        let mut offers = self.offers();
        match offers.as_slice() {
            [only] if auto_login && !just_signed_out && only.kind == MethodKind::Redirect => {
                Landing::GoOn(offers.remove(0))
            }
            _ => Landing::Choice(offers),
        }
    }

    /// The authenticator with this id, for a callback.
    pub fn by_id(&self, id: &str) -> Option<&Arc<dyn Authenticator>> {
        self.all.iter().find(|one| one.provider() == id)
    }

    /// The one that asks with a form, for a form.
    pub fn form(&self) -> Option<&Arc<dyn Authenticator>> {
        self.all.iter().find(|one| one.offer() == Offer::Form)
    }

    /// The others that own the account of this name from the start: nobody may take
    /// it by `provider`.
    pub fn other_owner(&self, provider: &str, account: &UserName) -> Option<&str> {
        let mut others = self.all.iter().filter(|one| one.provider() != provider);
        others.find(|one| one.owns(account)).map(|one| one.provider())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Authenticator>> {
        self.all.iter()
    }
}

fn method(one: &dyn Authenticator) -> Method {
    let (label, kind) = match one.offer() {
        Offer::Form => ("Username and password".to_owned(), MethodKind::Form),
        Offer::Redirect { service } => (service, MethodKind::Redirect),
    };
    Method { id: one.provider().to_owned(), label, kind }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|one| one.provider())).finish()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Answer, AuthError, Claims, LoginStart};

    #[derive(Debug)]
    struct Way(&'static str, Option<&'static str>);

    #[async_trait]
    impl Authenticator for Way {
        fn provider(&self) -> &str {
            self.0
        }

        fn offer(&self) -> Offer {
            match self.1 {
                Some(service) => Offer::Redirect { service: service.to_owned() },
                None => Offer::Form,
            }
        }

        fn owns(&self, account: &UserName) -> bool {
            account.as_str() == "ada" && self.1.is_none()
        }

        async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
            Ok(None)
        }

        async fn finish(&self, _answer: Answer) -> Result<Claims, AuthError> {
            Ok(Claims::new(self.0, "1", "ada"))
        }
    }

    fn methods(ways: &[(&'static str, Option<&'static str>)]) -> Result<Methods, InvalidConfig> {
        let ways = ways.iter().map(|(id, service)| Arc::new(Way(id, *service)) as _);
        Methods::new(ways.collect())
    }

    const GITHUB: (&str, Option<&str>) = ("github", Some("GitHub"));
    const LOCAL: (&str, Option<&str>) = ("local", None);

    #[test]
    fn several_ways_are_offered_in_their_order() {
        let methods = methods(&[GITHUB, LOCAL]).unwrap();
        let expected = [
            Method {
                id: "github".to_owned(),
                label: "GitHub".to_owned(),
                kind: MethodKind::Redirect,
            },
            Method {
                id: "local".to_owned(),
                label: "Username and password".to_owned(),
                kind: MethodKind::Form,
            },
        ];
        assert_eq!(methods.offers(), expected);
        assert_eq!(methods.landing(true, false), Landing::Choice(expected.into()));
        assert_eq!(methods.form().unwrap().provider(), "local");
        assert_eq!(methods.by_id("github").unwrap().provider(), "github");
        assert!(methods.by_id("gitlab").is_none());
    }

    #[test]
    fn oau_7_the_only_way_is_taken_at_once_but_not_after_signing_out() {
        let github = methods(&[GITHUB]).unwrap();
        assert!(
            matches!(github.landing(true, false), Landing::GoOn(method) if method.id == "github")
        );
        assert!(matches!(github.landing(true, true), Landing::Choice(_)));
        assert!(matches!(github.landing(false, false), Landing::Choice(_)));
        let local = methods(&[LOCAL]).unwrap();
        assert!(matches!(local.landing(true, false), Landing::Choice(_)));
    }

    #[test]
    fn ways_that_cannot_be_told_apart_are_refused() {
        for (ways, part) in [
            (vec![], "no way"),
            (vec![GITHUB, ("github", Some("Other"))], "the id \"github\""),
            (vec![LOCAL, ("password", None)], "by name and password"),
        ] {
            let error = methods(&ways).unwrap_err().to_string();
            assert!(error.starts_with("auth: ") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_account_of_one_way_is_not_taken_by_another() {
        let methods = methods(&[GITHUB, LOCAL]).unwrap();
        let ada = "ada".parse().unwrap();
        assert_eq!(methods.other_owner("github", &ada), Some("local"));
        assert_eq!(methods.other_owner("local", &ada), None);
        assert_eq!(methods.other_owner("github", &"bob".parse().unwrap()), None);
    }
}
