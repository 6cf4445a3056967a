//! Backup and restore with the shipped `hub`, against real volumes and hubs.

mod all;
mod attributes;
mod faults;
mod hub;
mod place;
mod user;
