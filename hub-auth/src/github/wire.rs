//! JSON exactly as GitHub sends it; fields we do not use are left out.

use serde::{Deserialize, Serialize};

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

/// An element of `GET /user/teams`
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) organization: TeamOrganization,
}

/// Whose team it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TeamOrganization {
    pub(super) id: u64,
    pub(super) login: String,
}
