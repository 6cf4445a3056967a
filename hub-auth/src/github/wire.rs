//! JSON exactly as GitHub sends it; fields we do not use are left out.

use serde::Deserialize;

/// `GET /user`
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

/// An element of `GET /user/emails`
#[derive(Debug, Deserialize)]
pub(super) struct Email {
    pub(super) email: String,
    pub(super) primary: bool,
    pub(super) verified: bool,
}

/// What the token endpoint answers instead of a token, with status 200.
#[derive(Debug, Deserialize)]
pub(super) struct TokenProblem {
    pub(super) error: String,
    pub(super) error_description: Option<String>,
}
