//! The harness of the end-to-end tests: the shipped programs as processes, a
//! stand-in GitHub, a browser without pages and one with.
//!
//! ```no_run
//! # async fn example() {
//! use hub_tests::{Browser, TestHub};
//!
//! let hub = TestHub::builder().password("ada").start().await;
//! let mut ada = Browser::new(&hub);
//! ada.sign_in("ada").await;
//! ada.start_server("ada").await;
//! # }
//! ```
//!
//! Everything a test makes carries a deployment label of its own and is removed
//! when the [`TestHub`] is dropped, also when the test fails.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test ends where something is missing"
)]

pub mod browser;
pub mod certificate;
pub mod chromium;
pub mod deployment;
pub mod docker;
pub mod gate;
pub mod github;
pub mod hub;
pub mod kernel;
pub mod machine;
pub mod proxy;
pub mod volume;
pub mod wait;
pub mod wire;

pub use browser::{Answer, Browser};
pub use chromium::Chromium;
pub use deployment::Deployment;
pub use gate::Gate;
pub use github::GitHub;
pub use hub::{ADMIN_TOKEN, PASSWORD, TestHub};
pub use kernel::Kernel;
pub use machine::{Disk, Machine};
pub use proxy::{Proxy, ProxyProgram};
pub use wait::eventually;
