#![doc = include_str!("../README.md")]

mod access;
pub mod accounts;
mod activity;
mod auth_state;
mod certificates;
mod chain;
mod clock;
pub mod config;
pub mod crypt;
mod culling;
pub mod doctor;
mod ending;
mod events;
pub mod forget;
mod healthcheck;
mod hub;
pub mod identities;
mod keys;
mod live;
pub mod logging;
mod metrics;
pub mod prepare;
pub mod reload;
mod roster;
mod routes;
pub mod rules;
mod servers;
mod services;
mod sign_in;
mod startup;
mod sweeping;
mod tasks;
mod web;

pub use self::{
    certificates::check_certificate,
    chain::chain,
    clock::{Clock, SystemClock},
    healthcheck::{Unhealthy, health_url, healthcheck},
    startup::{
        Assembled, Ended, Leaves, Running, StartupError, assemble_with, sign_in_methods, start,
    },
    web::{render::check_pages, reserved_cookies},
};

/// The JupyterHub release whose protocol the hub speaks. Single-user servers
/// compare its major number with their own.
pub const COMPATIBLE_VERSION: &str = "6.1.1";
