//! Services that were added while the hub ran. What they are is JSON of the hub's,
//! without secrets.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{StoreError, engine::Engine, row::Fields, statement::statements};

statements! {
    INSERT: "add a service",
        "INSERT INTO services (name, spec, created) VALUES ($1, $2, $3)";
    GET: "look up a service",
        "SELECT name, spec, created FROM services WHERE name = $1";
    LIST: "list services",
        "SELECT name, spec, created FROM services ORDER BY id";
    DELETE: "delete a service",
        "DELETE FROM services WHERE name = $1";
    DELETE_TOKENS: "revoke a service's tokens",
        "DELETE FROM tokens WHERE service = $1
         OR client_id IN (SELECT id FROM oauth_clients WHERE service = $1)";
    DELETE_CLIENTS: "delete a service's OAuth client",
        "DELETE FROM oauth_clients WHERE service = $1";
    DELETE_ROLES: "take a service's roles",
        "DELETE FROM role_members WHERE service = $1";
}

/// A service that was added while the hub ran.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceRecord {
    /// What it is called.
    pub name: String,
    /// What the hub was told about it.
    pub spec: Json,
    /// When it was added.
    pub created: Timestamp,
}

/// Services that were added while the hub ran.
#[derive(Clone, Copy, Debug)]
pub struct Services<'s> {
    pub(crate) engine: &'s Engine,
}

impl Services<'_> {
    /// Adds a service.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is one of that name.
    pub async fn create(&self, name: &str, spec: &Json, now: Timestamp) -> Result<(), StoreError> {
        self.engine
            .write(&INSERT, &[name.into(), spec.into(), now.into()])
            .await
            .map_err(|failure| failure.conflict("service"))?;
        Ok(())
    }

    /// The service of that name.
    pub async fn get(&self, name: &str) -> Result<Option<ServiceRecord>, StoreError> {
        let row = self.engine.read_one(&GET, &[name.into()]).await?;
        row.map(|row| ServiceRecord::read(row.of("services"))).transpose()
    }

    /// All of them, in the order they were added.
    pub async fn list(&self) -> Result<Vec<ServiceRecord>, StoreError> {
        let rows = self.engine.read(&LIST, &[]).await?;
        rows.iter().map(|row| ServiceRecord::read(row.of("services"))).collect()
    }

    /// Deletes the service with its tokens, its roles and its OAuth client, and the
    /// tokens that people have given to it; returns whether it was there.
    pub async fn delete(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(DELETE.action).await?;
        tx.write(&DELETE_TOKENS, &[name.into()]).await?;
        tx.write(&DELETE_CLIENTS, &[name.into()]).await?;
        tx.write(&DELETE_ROLES, &[name.into()]).await?;
        let deleted = tx.write(&DELETE, &[name.into()]).await?;
        tx.commit(DELETE.action).await?;
        Ok(deleted > 0)
    }
}

impl ServiceRecord {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: fields.text("name")?,
            spec: fields.json("spec")?,
            created: fields.time("created")?,
        })
    }
}
