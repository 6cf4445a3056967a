//! The first administrator's account (NAT-1): whoever signed up first with the right
//! name would be one, so there is a secret link, which only the log tells.

use std::time::Duration;

use hub_auth::local::Purpose;
use hub_store::{Store, StoreError};

use super::{PROVIDER, links};
use crate::{hub::Hub, live::Live};

/// How long the link is good; the next start makes another.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// A link with which somebody can make the first administrator's account, if there is
/// a way to have accounts and no administrator can sign in. Earlier ones are worth
/// nothing any more.
pub(crate) async fn offer(hub: &Hub) -> Result<Option<String>, StoreError> {
    let live = hub.live();
    if live.local.is_none() {
        return Ok(None);
    }
    let purpose = Purpose::SetUp { name: None };
    hub.store.tickets().withdraw_kind(links::kind(&purpose)).await?;
    if has_admin(&hub.store, &live).await? {
        return Ok(None);
    }
    let secret = links::issue(hub, purpose, GOOD_FOR, 1).await?;
    let path = hub.paths.sign_up(Some(secret.expose()));
    Ok(Some(hub.paths.absolute(hub.public_url.as_ref(), &path)))
}

/// Tells the operator.
pub(crate) fn tell(link: Option<&str>) {
    if let Some(link) = link {
        tracing::warn!(
            link,
            "no administrator can sign in yet; make the first one's account there, within a day"
        );
    }
}

/// Whether an administrator can sign in, in whatever way.
pub(crate) async fn has_admin(store: &Store, live: &Live) -> Result<bool, StoreError> {
    if store.local_accounts().has_admin().await? {
        return Ok(true);
    }
    let others: Vec<_> = live.methods.iter().filter(|one| one.provider() != PROVIDER).collect();
    // By another site anybody may sign in whose name is on the list. Accounts of the
    // configuration are there or not.
    let by_name = others.iter().any(|one| {
        let admins = live.policy.admins();
        match one.provider() {
            "password" => admins.iter().any(|name| one.owns(name)),
            _ => !admins.is_empty(),
        }
    });
    if by_name {
        return Ok(true);
    }
    let known = store.users().admin_providers().await?;
    Ok(others.iter().any(|one| known.iter().any(|id| id == one.provider())))
}
