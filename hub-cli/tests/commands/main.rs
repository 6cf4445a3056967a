//! The program against a stand-in for the hub's API: what it asks for, what it
//! prints, how it fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod config;
mod directory;
mod errors;
mod import_config;
mod info;
mod program;
mod reload;
mod servers;
mod stand_in;
mod tokens;
mod users;
