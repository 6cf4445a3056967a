//! The services that somebody may use, for pages that link to them.

use hub_auth::{ScopeName, Target};
use hub_store::{StoreError, User};
use minijinja::{Value, context};

use crate::hub::Hub;

/// Those that have an address and are not hidden, by name.
pub(super) async fn of(hub: &Hub, user: &User) -> Result<Vec<Value>, StoreError> {
    let held = hub.scopes_of_user(user).await?;
    let shown = hub.services.all().into_iter().filter(|service| {
        let config = &service.config;
        config.display
            && config.url.is_some()
            && held.has(ScopeName::AccessServices, &Target::service(&config.name))
    });
    let link = |name: &str| context! { name => name, href => hub.paths.service(name) };
    Ok(shown.map(|service| link(&service.config.name)).collect())
}
