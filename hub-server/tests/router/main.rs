//! The hub's routers, called in process over a fake spawner and a store in
//! memory.

mod harness;

mod oauth;
mod pages;
mod resume;
mod servers;
mod surface;
mod tokens;
mod users;
