#![doc = include_str!("../README.md")]

mod auth_states;
mod config;
mod engine;
mod error;
mod examination;
mod groups;
mod id;
mod local_accounts;
mod login_tries;
mod migrations;
mod oauth;
mod postgres;
mod roles;
mod row;
#[cfg(test)]
#[path = "../tests/store/scratch.rs"]
mod scratch;
mod second_factors;
mod server_logs;
mod servers;
mod services;
mod sessions;
mod several;
mod share_codes;
mod shares;
mod sqlite;
mod statement;
mod store;
mod tickets;
mod tokens;
mod transfer;
mod users;
mod value;

pub use auth_states::{AuthStates, SealedState};
pub use config::StoreConfig;
pub use error::{BoxError, StoreError};
pub use examination::{Depth, Examination};
pub use groups::{Group, Groups};
pub use hub_names::{ServerKey, UserName};
pub use id::{GroupId, ShareCodeId, TicketId, TokenId, UserId};
pub use local_accounts::{
    AccountFilter, LocalAccount, LocalAccounts, LocalStatus, NewLocalAccount, PasswordChange,
};
pub use login_tries::{LoginTries, NewTries};
pub use oauth::{ClientOf, Oauth, OauthClient, OauthCode};
pub use roles::{Member, Roles};
pub use second_factors::{NewSecondFactor, SecondFactorRow, SecondFactors};
pub use server_logs::{KeptLog, ServerLogs};
pub use servers::{Addition, ServerRecord, Servers};
pub use services::{ServiceRecord, Services};
pub use sessions::{NewSession, Session, Sessions};
pub use share_codes::{NewShareCode, ShareCode, ShareCodes};
pub use shares::{Grantee, Share, Shares};
pub use sqlite::before::PutBack;
pub use store::Store;
pub use tickets::{NewTicket, TicketRecord, Tickets};
pub use tokens::{Issue, NewToken, TokenLimits, TokenOwner, TokenRecord, Tokens};
pub use transfer::{Exported, Header, ImportMode, Imported, Origin, exported_users};
pub use users::{BoundIdentity, User, UserFilter, UserOrder, Users};
