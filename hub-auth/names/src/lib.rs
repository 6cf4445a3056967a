#![doc = include_str!("../README.md")]

mod error;
mod server;
mod user;

pub use error::InvalidName;
pub use server::{ServerKey, ServerName};
pub use user::UserName;
