//! Journeys through the shipped programs over real sockets.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod acceptance;
mod accounts_page;
mod acme;
mod admin_page;
mod backup;
mod cli;
mod culling;
mod deploy;
mod doctor;
mod external_proxy;
mod failures;
mod images;
mod isolation;
mod jupyterhub;
mod login;
mod matrix;
mod named_servers;
mod orphans;
mod page;
#[path = "../../hub-proxy/tests/support/pebble.rs"]
mod pebble;
mod processes;
mod question_page;
mod reload;
mod restart;
mod schemathesis;
mod services;
mod spawn;
mod startup;
mod subdomains;
mod swarm;
mod tls;
