//! Whose a credential is.

use hub_store::{StoreError, User};
use serde::Serialize;

use super::{
    model::{self, UserModel},
    services::{self, ServiceModel},
};
use crate::{
    access::{Caller, Who},
    hub::Hub,
};

/// A user or a service, which `kind` tells.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Owner"))]
pub(super) enum OwnerModel {
    User(Box<UserModel>),
    Service(Box<ServiceModel>),
}

impl OwnerModel {
    /// Whoever asks, as they may see themselves.
    pub(super) async fn of_caller(hub: &Hub, caller: &Caller) -> Result<Self, StoreError> {
        match &caller.who {
            Who::User(user) => Self::user(hub, user, caller).await,
            Who::Service(name) => Self::service(hub, name, caller).await,
        }
    }

    /// Somebody, as far as `caller` may see them, but always by name.
    pub(super) async fn user(hub: &Hub, user: &User, caller: &Caller) -> Result<Self, StoreError> {
        Ok(Self::User(Box::new(model::own(hub, user, caller).await?)))
    }

    /// A service, as far as `caller` may see it, but always by name.
    pub(super) async fn service(
        hub: &Hub,
        name: &str,
        caller: &Caller,
    ) -> Result<Self, StoreError> {
        Ok(Self::Service(Box::new(services::own(hub, name, caller).await?)))
    }
}
