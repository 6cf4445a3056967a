//! The hub's routers, called in process over a fake spawner and a store in
//! memory.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod acceptance;
mod harness;
mod proxy_api;

mod authorizations;
mod ending;
mod admin_page;
mod external_proxy;
mod gateway;
mod groups;
mod names;
mod culling;
mod events;
mod logs;
mod metrics;
mod limits;
mod named_servers;
mod oauth;
mod pages;
mod proxy_routes;
mod resume;
mod servers;
mod service_oauth;
mod services;
mod spawn_pages;
mod shares;
mod surface;
mod token_page;
mod tokens;
mod users;
mod xsrf;
