#![doc = include_str!("../README.md")]

mod access;
mod activity;
mod certificates;
mod clock;
pub mod config;
mod healthcheck;
mod hub;
mod keys;
pub mod logging;
pub mod prepare;
mod routes;
mod servers;
mod sign_in;
mod startup;
mod sweeping;
mod tasks;
mod web;

pub use self::{
    certificates::check_certificate,
    clock::{Clock, SystemClock},
    healthcheck::{Unhealthy, health_url, healthcheck},
    startup::{Assembled, Leaves, Reloader, Running, StartupError, assemble_with, start},
    web::reserved_cookies,
};

/// The JupyterHub release whose protocol the hub speaks. Single-user servers
/// compare its major number with their own.
pub const COMPATIBLE_VERSION: &str = "6.1.1";
