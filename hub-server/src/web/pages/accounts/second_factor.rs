//! The page on which people turn their second factor on and off, and make new recovery
//! codes. Everything takes the password: somebody may sit at another person's browser.

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State, response::Response};
use http::StatusCode;
use hub_auth::{
    Verified,
    local::{LocalAccount, SecondFactorMode, account_key},
    verify_password,
};
use hub_store::StoreError;
use minijinja::context;
use secrecy::SecretString;

use super::{
    PageResult, change_password, local,
    second_step::{WRONG, recovery_codes, shown},
    told, wait_text, with_retry_after,
};
use crate::{
    access::attempts,
    accounts::{
        count,
        second_factor::{self, Checked, Offer},
    },
    config::LocalConfig,
    hub::Hub,
    web::{error::PageError, request::Fields, visitor::Visitor},
};

/// `GET /hub/second-factor`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor) -> PageResult {
    visitor.require_user()?;
    let config = local(&hub)?;
    let (_, account) = change_password::own(&hub, &visitor).await?;
    page(&hub, &visitor, &config, &account, StatusCode::OK, None, None).await
}

/// What has become of a form.
enum Done {
    /// It is answered.
    With(Response),
    /// It was not done; the same secret is shown again to an app that has it already.
    Not(StatusCode, &'static str, Option<Offer>),
    /// It was not looked at.
    Wait(Duration, Option<Offer>),
}

/// `POST /hub/second-factor`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> PageResult {
    visitor.require_user()?;
    let config = local(&hub)?;
    let fields = Fields::parse(&body);
    visitor.require_xsrf(&fields)?;
    let (_, account) = change_password::own(&hub, &visitor).await?;
    match act(&hub, &config, &visitor, &account, &fields).await? {
        Done::With(response) => Ok(response),
        Done::Not(status, error, offer) => {
            page(&hub, &visitor, &config, &account, status, Some(error), offer).await
        }
        Done::Wait(wait, offer) => {
            let (status, text) = (StatusCode::TOO_MANY_REQUESTS, wait_text(wait));
            let page = page(&hub, &visitor, &config, &account, status, Some(&text), offer).await?;
            Ok(with_retry_after(page, wait))
        }
    }
}

async fn act(
    hub: &Hub,
    config: &LocalConfig,
    visitor: &Visitor,
    account: &LocalAccount,
    fields: &Fields,
) -> Result<Done, PageError> {
    let id = account.id.as_str();
    let offer = fields.get("offer").and_then(|sealed| second_factor::offered(hub, id, sealed));
    let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let password = SecretString::from(text("current_password"));
    match password_is_right(hub, config, visitor, account, password).await? {
        Checked::Right => {}
        Checked::Wrong => {
            let error = "The current password is wrong.";
            return Ok(Done::Not(StatusCode::FORBIDDEN, error, offer));
        }
        Checked::Wait(wait) => return Ok(Done::Wait(wait, offer)),
    }
    let (action, code) = (text("action"), text("otp"));
    if action == "on" {
        return turn_on(hub, config, visitor, id, offer, &code).await;
    }
    match second_factor::check(hub, id, &code, None).await? {
        Checked::Right => {}
        Checked::Wrong => {
            attempts::failed(hub, &visitor.browser.remote).await?;
            return Ok(Done::Not(StatusCode::FORBIDDEN, WRONG, None));
        }
        Checked::Wait(wait) => return Ok(Done::Wait(wait, None)),
    }
    match action.as_str() {
        "off" => {
            hub.store.second_factors().remove(id).await?;
            tracing::info!(user = %account.name, "second factor turned off by its owner");
            let text = "From now on your password is enough to sign in, unless this hub asks everybody for a second factor: then you set up another one.";
            let home = ("Home", hub.paths.home());
            Ok(Done::With(told(visitor, "Your second factor is off", text, home)))
        }
        "codes" => match second_factor::new_codes(hub, id).await? {
            Some(codes) => {
                tracing::info!(user = %account.name, "new recovery codes");
                Ok(Done::With(recovery_codes(visitor, &codes, &hub.paths.home())))
            }
            None => Ok(Done::Not(StatusCode::CONFLICT, "It was changed a moment ago.", None)),
        },
        _ => {
            let error = "The form asks for something unknown.";
            Ok(Done::Not(StatusCode::BAD_REQUEST, error, None))
        }
    }
}

async fn turn_on(
    hub: &Hub,
    config: &LocalConfig,
    visitor: &Visitor,
    id: &str,
    offer: Option<Offer>,
    code: &str,
) -> Result<Done, PageError> {
    if config.second_factor == SecondFactorMode::Off {
        return Ok(Done::Not(StatusCode::FORBIDDEN, "This hub offers no second factor.", None));
    }
    let Some(offer) = offer else {
        let error = "The form is too old. Scan the new code and try again.";
        return Ok(Done::Not(StatusCode::FORBIDDEN, error, None));
    };
    match second_factor::enrol(hub, id, offer.secret.clone(), code, None).await {
        Ok(Some(codes)) => Ok(Done::With(recovery_codes(visitor, &codes, &hub.paths.home()))),
        Ok(None) => Ok(Done::Not(StatusCode::FORBIDDEN, WRONG, Some(offer))),
        Err(StoreError::Conflict { .. }) => {
            Ok(Done::Not(StatusCode::CONFLICT, "You have a second factor already.", None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether it is the account's password; a wrong one counts as at a sign-in.
async fn password_is_right(
    hub: &Hub,
    config: &LocalConfig,
    visitor: &Visitor,
    account: &LocalAccount,
    password: SecretString,
) -> Result<Checked, PageError> {
    let remote = &visitor.browser.remote;
    if let Some(wait) = attempts::wait(hub, remote).await? {
        return Ok(Checked::Wait(wait));
    }
    let key = account_key(&account.name);
    if let Err(wait) = count(&hub.store, &key, &config.account_limit, hub.clock.now()).await? {
        return Ok(Checked::Wait(wait));
    }
    let hash = account.hash.clone();
    let verified = hub
        .accounts
        .hashing(move || verify_password(&hash, &password))
        .await
        .map_err(PageError::from)?;
    if verified == Verified::Wrong {
        attempts::failed(hub, remote).await?;
        return Ok(Checked::Wrong);
    }
    hub.store.login_tries().forget(&key).await?;
    Ok(Checked::Right)
}

async fn page(
    hub: &Hub,
    visitor: &Visitor,
    config: &LocalConfig,
    account: &LocalAccount,
    status: StatusCode,
    error: Option<&str>,
    offer: Option<Offer>,
) -> PageResult {
    let row = hub.store.second_factors().get(&account.id).await?;
    let may_begin = row.is_none() && config.second_factor != SecondFactorMode::Off;
    let offer = match may_begin {
        true => offer.or_else(|| second_factor::offer(hub, &account.id)),
        false => None,
    };
    let shown = offer.as_ref().map(|offer| shown(visitor, account, offer));
    let page = context! {
        form_action => hub.paths.second_factor(),
        account => account.name.as_str(),
        is_on => row.is_some(),
        codes_left => row.map(|row| row.recovery.len()),
        code_error => error,
        cancel_url => hub.paths.change_password(),
        ..shown.unwrap_or_default()
    };
    Ok(visitor.page(status, "second-factor.html", page))
}
