#![doc = include_str!("../README.md")]

mod auth_state;
mod authenticator;
mod claim;
mod clock;
#[cfg(feature = "crypt")]
pub mod crypt;
#[cfg(feature = "dummy")]
mod dummy;
#[cfg(feature = "outbound")]
mod egress;
mod error;
#[cfg(feature = "github")]
pub mod github;
mod identity;
#[cfg(feature = "password")]
pub mod local;
mod methods;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "outbound")]
mod outbound;
#[cfg(feature = "password")]
pub mod password;
mod policy;
pub mod provider;
mod random;
pub mod role;
mod roles;
mod scope;
mod token;
mod userlist;

pub use auth_state::{
    AfterFailure, AuthState, EnvironmentFields, Freshness, InvalidField, RefreshPolicy,
};
pub use authenticator::{Answer, Authenticator, Callback, LoginStart, Offer, PendingLogin};
pub use clock::{Clock, system_clock};
#[cfg(feature = "crypt")]
pub use crypt::{CannotOpen, CryptKeys, Opened};
#[cfg(feature = "dummy")]
pub use dummy::DummyAuthenticator;
#[cfg(feature = "outbound")]
pub use egress::{Egress, ForwardProxy, ProxyFault};
pub use error::{AuthError, BoxError, InvalidConfig, RefreshError};
#[cfg(feature = "github")]
pub use github::{GithubAuthenticator, GithubConfig, InvalidOrganization, Organization};
pub use hub_names::{InvalidName, ServerKey, UserName};
pub use identity::{Claims, Identity, InvalidSubject, Membership, Standing, Subject};
#[cfg(feature = "password")]
pub use local::LocalAuthenticator;
pub use methods::{Landing, Method, MethodKind, Methods};
#[cfg(feature = "oidc")]
pub use oidc::{OidcAuthenticator, OidcConfig, OidcPreset};
#[cfg(feature = "password")]
pub use password::{
    PasswordAccounts, PasswordAuthenticator, PasswordRules, UnfitPassword, Verified, hash_password,
    verify_password,
};
pub use policy::{
    AccessPolicy, AccessRules, AdminRight, Change, Comparison, IdentityKey, Known, Outcome, Person,
    ProviderRules, Refusal, Rule, Step, Verdict,
};
pub use provider::{
    AuthorizeError, AuthorizeRequest, Authorized, Challenge, ClientFacts, TokenError, TokenRequest,
};
pub use role::Role;
pub use roles::{CustomScope, InvalidRole, RoleDefinition, Roles};
pub use scope::{
    Access, CustomName, Filter, Filters, Groups, InvalidScope, Issuer, Owner, Scope, ScopeName,
    ScopeSet, Target, resolve_token,
};
pub use token::{ApiToken, TokenHash, random_code};
pub use userlist::{Userlist, UserlistEntry, UserlistError, UserlistFields, UserlistProblem};
