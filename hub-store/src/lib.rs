#![doc = include_str!("../README.md")]

mod config;
mod engine;
mod error;
mod examination;
mod id;
mod migrations;
mod oauth;
mod postgres;
mod row;
#[cfg(test)]
#[path = "../tests/store/scratch.rs"]
mod scratch;
mod server_logs;
mod servers;
mod sessions;
mod sqlite;
mod statement;
mod store;
mod tokens;
mod transfer;
mod users;
mod value;

pub use config::StoreConfig;
pub use error::{BoxError, StoreError};
pub use examination::{Depth, Examination};
pub use hub_names::{ServerKey, UserName};
pub use id::{TokenId, UserId};
pub use oauth::{Oauth, OauthClient, OauthCode};
pub use server_logs::{KeptLog, ServerLogs};
pub use servers::{ServerRecord, Servers};
pub use sessions::{NewSession, Session, Sessions};
pub use store::Store;
pub use tokens::{NewToken, TokenOwner, TokenRecord, Tokens};
pub use transfer::{Exported, Header, ImportMode, Imported, Origin, exported_users};
pub use users::{User, UserFilter, Users};
