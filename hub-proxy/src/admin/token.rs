//! Who may use the API.

use std::fmt;

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// The secret that a request brings as `Authorization: token SECRET`.
#[derive(Clone)]
pub struct AdminToken(Box<[u8]>);

impl AdminToken {
    /// A token; `None` for an empty text, which protects nothing.
    pub fn new(secret: &str) -> Option<Self> {
        (!secret.is_empty()).then(|| Self(secret.as_bytes().into()))
    }

    /// Whether the fields of a request carry the token, once. The time this
    /// takes says nothing about the secret but its length.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        let Some((scheme, rest)) = field.as_bytes().split_at_checked("token".len()) else {
            return false;
        };
        let secret = rest.trim_ascii();
        scheme.eq_ignore_ascii_case(b"token")
            && rest.first().is_some_and(u8::is_ascii_whitespace)
            && secret.ct_eq(&self.0).into()
    }
}

impl PartialEq for AdminToken {
    /// In a time that says nothing about either but its length.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AdminToken {}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(fields: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, field.parse().unwrap());
        }
        AdminToken::new("s3cret").unwrap().is_in(&headers)
    }

    #[test]
    fn r_06_only_the_token_behind_its_scheme_is_accepted() {
        for field in ["token s3cret", "Token  s3cret", "token\ts3cret"] {
            assert!(admits(&[field]), "{field}");
        }
        for field in
            ["", "s3cret", "tokens3cret", "token s3cre", "token s3cret2", "Bearer s3cret", "token "]
        {
            assert!(!admits(&[field]), "{field}");
        }
        assert!(!admits(&[]));
        assert!(!admits(&["Basic x, token s3cret"]), "the scheme begins the field");
        assert!(!admits(&["token wrong", "token s3cret"]), "which of two is meant?");
    }

    #[test]
    fn the_secret_is_not_shown() {
        let token = AdminToken::new("s3cret").unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(AdminToken::new("").is_none());
    }
}
