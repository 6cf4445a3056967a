//! The accounts and invitations that the page shows.

use hub_auth::local::{Purpose, SignUpMode};
use hub_store::{AccountFilter, LocalAccount, LocalStatus, StoreError, TicketRecord};
use minijinja::{Value, context};

use super::wish::USUAL_DAYS;
use crate::hub::Hub;

/// Accounts on one page.
const PAGE: u64 = 100;
/// So many that wait are shown; approving some brings the others up.
const WAITING: u64 = 200;

/// What is shown, from the account number `offset` on.
pub(super) async fn of(hub: &Hub, offset: u64) -> Result<Value, StoreError> {
    let accounts = hub.store.local_accounts();
    let filter = AccountFilter { status: Some(LocalStatus::Waiting), offset: 0, limit: WAITING };
    let waiting: Vec<Value> = accounts.page(&filter).await?.iter().map(account).collect();
    let filter = AccountFilter { status: None, offset, limit: PAGE };
    let all: Vec<Value> = accounts.page(&filter).await?.iter().map(account).collect();
    let total = accounts.count(None).await?;
    let invitations: Vec<Value> = hub
        .store
        .tickets()
        .of_kind("invitation", hub.clock.now())
        .await?
        .into_iter()
        .map(invitation)
        .collect();
    let mode = hub.live().local.map_or(SignUpMode::Closed, |local| local.sign_up.mode);
    let at = |offset: u64| format!("{}?offset={offset}", hub.paths.authorize());
    Ok(context! {
        form_action => hub.paths.authorize(),
        waiting => waiting,
        accounts => all,
        invitations => invitations,
        may_invite => mode != SignUpMode::Closed,
        total => total,
        usual_days => USUAL_DAYS,
        previous_url => (offset > 0).then(|| at(offset.saturating_sub(PAGE))),
        next_url => (offset.saturating_add(PAGE) < total).then(|| at(offset.saturating_add(PAGE))),
    })
}

fn account(account: &LocalAccount) -> Value {
    let state = match account.status {
        LocalStatus::Active => "active",
        LocalStatus::Waiting => "waiting",
        LocalStatus::Closed => "closed",
    };
    context! {
        id => account.id.as_str(),
        name => account.name.as_str(),
        state => state,
        created => account.created.to_string(),
        second_factor => account.has_second_factor,
    }
}

fn invitation(ticket: TicketRecord) -> Value {
    let purpose = serde_json::from_value(ticket.purpose).ok();
    let (name, groups) = match purpose {
        Some(Purpose::Invitation { name, groups }) => (name, groups),
        Some(Purpose::SetUp { .. } | Purpose::Reset { .. } | Purpose::SecondFactor { .. })
        | None => Default::default(),
    };
    context! {
        id => ticket.id.get(),
        name => name.map(|name| name.to_string()),
        groups => groups.into_iter().collect::<Vec<_>>(),
        uses_left => ticket.uses_left,
        expires_at => ticket.expires_at.to_string(),
    }
}
