//! Tokens and OAuth clients of services, in the store.

use std::collections::BTreeSet;

use hub_auth::{ApiToken, Issuer};
use hub_store::{ClientOf, NewToken, OauthClient, Store, StoreError, TokenOwner};
use jiff::Timestamp;

use super::Service;
use crate::web::paths::Paths;

/// Takes away what belongs to services that are not in `services`.
pub(crate) async fn forget_others(services: &[Service], store: &Store) -> Result<(), StoreError> {
    let names: BTreeSet<&str> = services.iter().map(|one| one.config.name.as_str()).collect();
    store.tokens().forget_services_except(&names.into_iter().collect::<Vec<_>>()).await?;
    let clients = services.iter().filter(|one| one.config.is_oauth_client());
    let ids: Vec<&str> = clients.map(|one| one.config.oauth_client_id.as_str()).collect();
    store.oauth().forget_service_clients_except(&ids).await
}

/// Makes the service's token and OAuth client what it says. May be repeated.
pub(crate) async fn remember(
    service: &Service,
    paths: &Paths,
    store: &Store,
    now: Timestamp,
) -> Result<(), StoreError> {
    let config = &service.config;
    let Some(token) = &config.api_token else {
        // One that was added by request has its token in the store and nowhere else.
        if service.from_config {
            store.tokens().replace_service_tokens(&config.name, &[]).await?;
            store.oauth().delete_client(&config.oauth_client_id).await?;
        }
        return Ok(());
    };
    let note = match (service.from_config, service.token_was_made) {
        (true, true) => "generated at startup",
        (true, false) => "from config",
        (false, _) => "",
    };
    let row = NewToken {
        owner: TokenOwner::Service(config.name.clone()),
        hash: *token.hash().as_bytes(),
        client_id: None,
        session_id: None,
        note: note.to_owned(),
        scopes: vec!["inherit".to_owned()],
        created: now,
        expires_at: None,
    };
    store.tokens().replace_service_tokens(&config.name, &[row]).await?;
    if config.is_oauth_client() {
        store.oauth().put_client(&client(service, token, paths)).await?;
    }
    Ok(())
}

fn client(service: &Service, token: &ApiToken, paths: &Paths) -> OauthClient {
    let config = &service.config;
    let access = Issuer::Service(config.name.clone()).access();
    let allowed: BTreeSet<String> = config
        .oauth_client_allowed_scopes
        .iter()
        .chain([&access])
        .map(ToString::to_string)
        .collect();
    OauthClient {
        id: config.oauth_client_id.clone(),
        description: format!("JupyterHub service {}", config.name),
        secret_hash: *token.hash().as_bytes(),
        redirect_uri: service.redirect_uri(paths),
        allowed_scopes: allowed.into_iter().collect(),
        of: ClientOf::Service(config.name.clone()),
    }
}
