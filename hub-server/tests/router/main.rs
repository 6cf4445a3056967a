//! The hub's routers, called in process over a fake spawner and a store in
//! memory.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod acceptance;
mod harness;
mod proxy_api;
mod stand_ins;

mod accounts;
mod admin_page;
mod authorizations;
mod culling;
mod deletion;
mod ending;
mod events;
mod external_proxy;
mod gateway;
mod groups;
mod limits;
mod logs;
mod metrics;
mod named_servers;
mod names;
mod oauth;
mod pages;
mod proxy_routes;
mod resume;
mod second_factor;
mod servers;
mod service_oauth;
mod services;
mod shares;
mod sign_in;
mod sign_outs;
mod spawn_pages;
mod subdomains;
mod surface;
mod token_page;
mod tokens;
mod upkeep;
mod user_rights;
mod users;
mod xsrf;
