//! What administrators do about accounts: approve and refuse, close, make, invite,
//! and hand out links for new passwords.

mod listing;
mod wish;

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Bytes, extract::State, http::Uri};
use http::StatusCode;
use hub_auth::local::{LocalAccount, Purpose};
use hub_store::{LocalStatus, StoreError};
use minijinja::{Value, context};

use self::wish::Wish;
use super::{PageResult, local, sentence};
use crate::{
    accounts::{
        links,
        making::{self, NotMade},
        passwords, rules_of,
    },
    hub::Hub,
    web::{
        error::{PageError, redirect},
        request::Fields,
        visitor::Visitor,
    },
};

/// What has become of a form.
enum Done {
    /// It is done, and the page shows it.
    Plain,
    /// There is something to be told once.
    Link { what: String, url: String },
    /// It was not done, and this is why.
    Not(StatusCode, String),
}

/// `GET /hub/authorize`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> PageResult {
    local(&hub)?;
    require_admin(&hub, &visitor)?;
    let offset = Fields::of_query(&uri).get("offset").and_then(|text| text.parse().ok());
    page(&hub, &visitor, StatusCode::OK, offset.unwrap_or(0), context! {}).await
}

/// `POST /hub/authorize`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> PageResult {
    local(&hub)?;
    require_admin(&hub, &visitor)?;
    let fields = Fields::parse(&body);
    visitor.require_xsrf(&fields)?;
    let done = match Wish::read(&fields) {
        Ok(wish) => act(&hub, &visitor, wish).await?,
        Err(reason) => Done::Not(StatusCode::BAD_REQUEST, reason),
    };
    match done {
        Done::Plain => Ok(redirect(&hub.paths.authorize())),
        // Shown by this answer and never again.
        Done::Link { what, url } => {
            let told = context! { new_link => context! { what => what, url => url } };
            page(&hub, &visitor, StatusCode::OK, 0, told).await
        }
        Done::Not(status, error) => {
            page(&hub, &visitor, status, 0, context! { account_error => error }).await
        }
    }
}

async fn act(hub: &Hub, visitor: &Visitor, wish: Wish) -> Result<Done, PageError> {
    let by = visitor.require_user()?.name.clone();
    let (store, now) = (&hub.store, hub.clock.now());
    let link = |what: String, path: String| Done::Link {
        what,
        url: format!("{}{path}", visitor.own_origin()),
    };
    match wish {
        Wish::Activate(id) => {
            match store.local_accounts().set_status(&id, LocalStatus::Active, now).await {
                Ok(()) => tracing::info!(account = id, %by, "account approved"),
                Err(StoreError::Conflict { .. }) => {
                    return Ok(Done::Not(
                        StatusCode::CONFLICT,
                        "The hub's user of that name signs in another way.".to_owned(),
                    ));
                }
                Err(error) => return missing(error),
            }
        }
        Wish::Close(id) => {
            let account = account(hub, &id).await?;
            if account.as_ref().is_some_and(|account| account.name == by) {
                return Ok(Done::Not(
                    StatusCode::BAD_REQUEST,
                    "This is your own account; another administrator can close it.".to_owned(),
                ));
            }
            match store.local_accounts().set_status(&id, LocalStatus::Closed, now).await {
                Ok(()) => tracing::info!(account = id, %by, "account closed"),
                Err(error) => return missing(error),
            }
        }
        Wish::Refuse(id) => {
            // Only while it waits: the account of a user goes with the user.
            match account(hub, &id).await? {
                Some(account) if account.status == hub_auth::local::AccountStatus::Waiting => {
                    store.local_accounts().delete(&id).await?;
                    tracing::info!(user = %account.name, %by, "account refused");
                }
                _ => return Ok(gone()),
            }
        }
        Wish::Reset(id) => {
            let Some(account) = account(hub, &id).await? else { return Ok(gone()) };
            let secret = passwords::link(hub, &account).await?;
            tracing::info!(user = %account.name, %by, "link for a new password made");
            let what = format!("a link with which {} chooses a new password", account.name);
            return Ok(link(what, hub.paths.reset_password(Some(secret.expose()))));
        }
        Wish::RemoveSecondFactor(id) => {
            // A session alone takes nobody's own away: that is asked for with the password.
            let account = account(hub, &id).await?;
            if account.as_ref().is_some_and(|account| account.name == by) {
                return Ok(Done::Not(
                    StatusCode::BAD_REQUEST,
                    "This is your own account; turn it off on the page of your second factor."
                        .to_owned(),
                ));
            }
            if !store.second_factors().remove(&id).await? {
                let error = "This account has no second factor.".to_owned();
                return Ok(Done::Not(StatusCode::NOT_FOUND, error));
            }
            tracing::info!(account = id, %by, "second factor removed by an administrator");
        }
        Wish::Withdraw(id) => {
            store.tickets().withdraw(id).await?;
            tracing::info!(ticket = id.get(), %by, "invitation withdrawn");
        }
        Wish::Invite { name, groups, uses, good_for } => {
            let what = match &name {
                Some(name) => format!("an invitation for {name}"),
                None => "an invitation".to_owned(),
            };
            let purpose = Purpose::Invitation { name, groups: BTreeSet::from_iter(groups) };
            let secret = links::issue(hub, purpose, good_for, uses).await?;
            tracing::info!(%by, uses, "invitation made");
            return Ok(link(what, hub.paths.sign_up(Some(secret.expose()))));
        }
        Wish::Add(username) => match making::add(hub, &username).await {
            Ok((name, secret)) => {
                tracing::info!(user = %name, %by, "account made by an administrator");
                let what = format!("the account {name}, and a link to choose its password");
                return Ok(link(what, hub.paths.reset_password(Some(secret.expose()))));
            }
            Err(NotMade::Refused(error)) => {
                return Ok(Done::Not(StatusCode::BAD_REQUEST, sentence(&error.to_string())));
            }
            Err(NotMade::Ticket(_)) => return Ok(gone()),
            Err(NotMade::Failed(error)) => return Err(error.into()),
        },
    }
    Ok(Done::Plain)
}

/// Whoever may hand out links for any account can be anybody: administrators only.
fn require_admin(hub: &Hub, visitor: &Visitor) -> Result<(), PageError> {
    visitor.require_user()?;
    match visitor.may_approve() {
        true => Ok(()),
        false => {
            Err(PageError::new(StatusCode::FORBIDDEN, "Only administrators may see this page.")
                .action("Home", hub.paths.home()))
        }
    }
}

async fn account(hub: &Hub, id: &str) -> Result<Option<LocalAccount>, StoreError> {
    Ok(hub.store.local_accounts().by_id(id).await?.map(rules_of))
}

fn missing(error: StoreError) -> Result<Done, PageError> {
    match error {
        StoreError::Missing { .. } => Ok(gone()),
        other => Err(other.into()),
    }
}

fn gone() -> Done {
    Done::Not(StatusCode::NOT_FOUND, "This account is not there any more.".to_owned())
}

async fn page(
    hub: &Hub,
    visitor: &Visitor,
    status: StatusCode,
    offset: u64,
    more: Value,
) -> PageResult {
    let listed = listing::of(hub, offset).await?;
    Ok(visitor.page(status, "authorize.html", context! { ..more, ..listed }))
}
