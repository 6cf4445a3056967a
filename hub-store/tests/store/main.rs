//! The store through its public face, on every engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[macro_use]
mod engines;
mod auth_states;
mod engine_settings;
mod examination;
mod file;
mod groups;
mod local_accounts;
mod login_tries;
mod oauth;
mod postgres_lock;
mod roles;
mod scratch;
mod second_factors;
mod server_logs;
mod servers;
mod services;
mod sessions;
mod shares;
mod tickets;
mod tokens;
mod transfer;
mod users;

use hub_names::{ServerKey, UserName};
use hub_store::{Store, User};
use jiff::Timestamp;

/// `seconds` after the moment at which all tests begin.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn name(raw: &str) -> UserName {
    raw.parse().unwrap()
}

fn key(user: &str, server: &str) -> ServerKey {
    ServerKey::new(name(user), server.parse().unwrap())
}

async fn user(store: &Store, raw: &str) -> User {
    store.users().create(&name(raw), false, at(0)).await.unwrap()
}
