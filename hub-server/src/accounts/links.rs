//! Secret links: from the rules' tickets to the store's rows, and back.

use std::time::Duration;

use hub_auth::{
    ApiToken,
    local::{Purpose, Ticket, TicketProblem},
};
use hub_store::{NewTicket, StoreError};
use jiff::Timestamp;

use crate::hub::Hub;

/// A secret that somebody came with, and what it is good for.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    /// What it is good for.
    pub(crate) purpose: Purpose,
    /// Its digest, to use it up by.
    pub(crate) hash: [u8; 32],
}

/// The sort of a link, as the store lists them.
pub(crate) fn kind(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Invitation { .. } => "invitation",
        Purpose::SetUp { .. } => "set_up",
        Purpose::Reset { .. } => "reset",
        Purpose::SecondFactor { .. } => "second_factor",
    }
}

/// A new link: its secret, which is told once.
///
/// # Errors
///
/// [`StoreError::Missing`] if it is for an account that is gone.
pub(crate) async fn issue(
    hub: &Hub,
    purpose: Purpose,
    good_for: Duration,
    uses: u32,
) -> Result<ApiToken, StoreError> {
    let now = hub.clock.now();
    let (secret, ticket) = Ticket::issue(purpose, now.into(), good_for, uses);
    let account_id = match &ticket.purpose {
        Purpose::Reset { account_id, .. } | Purpose::SecondFactor { account_id, .. } => {
            Some(account_id.clone())
        }
        Purpose::Invitation { .. } | Purpose::SetUp { .. } => None,
    };
    let row = NewTicket {
        hash: *ticket.hash.as_bytes(),
        kind: kind(&ticket.purpose).to_owned(),
        // Names and texts are JSON whatever is in them.
        purpose: serde_json::to_value(&ticket.purpose).unwrap_or_default(),
        account_id,
        created: now,
        expires_at: Timestamp::try_from(ticket.expires).unwrap_or(now),
        uses_left: ticket.uses_left,
    };
    hub.store.tickets().create(&row).await?;
    Ok(secret)
}

/// What the secret `text` is good for. Nothing is used up by that; the store does it
/// together with what it is good for.
pub(crate) async fn present(
    hub: &Hub,
    text: &str,
) -> Result<Result<Presented, TicketProblem>, StoreError> {
    let Some(secret) = ApiToken::from_text(text) else { return Ok(Err(TicketProblem::Unknown)) };
    let (hash, now) = (secret.hash(), hub.clock.now());
    let Some(row) = hub.store.tickets().by_hash(hash.as_bytes(), now).await? else {
        return Ok(Err(TicketProblem::Unknown));
    };
    let Ok(purpose) = serde_json::from_value(row.purpose) else {
        tracing::error!(ticket = row.id.get(), "a secret link is for something unknown");
        return Ok(Err(TicketProblem::Unknown));
    };
    let bytes = *hash.as_bytes();
    let ticket = Ticket { hash, purpose, expires: row.expires_at.into(), uses_left: row.uses_left };
    Ok(ticket
        .redeem(&secret, now.into())
        .map(|redeemed| Presented { purpose: redeemed.purpose, hash: bytes }))
}
