//! Start a server, with options or without (hub-contract 1.5).

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::Uri, response::Response};
use http::{HeaderValue, StatusCode, header};
use hub_auth::ScopeName;
use hub_names::ServerKey;
use minijinja::context;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    home::failure_value,
    login::FRESH_COOKIE,
    spawn_options::{self, OptionsForm},
    spawn_pending::{failed, not_running, require_account, server_value},
};
use crate::{
    access::browser::cookies,
    auth_state::{
        refresh::{self, Asker},
        refreshes::Confirmed,
    },
    hub::Hub,
    servers::{Failure, Outcome, Phase, ServersError},
    web::{
        error::{PageError, answer_to, label, redirect, retry_after},
        form::Form,
        named,
        request::{Fields, PageKey},
        visitor::{Visitor, unconfirmed},
    },
};

/// How long the start page waits for a start that fails at once.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);

type HubState = State<Arc<Hub>>;
type PageResult = Result<Response, PageError>;

/// `GET /hub/spawn`
pub(super) async fn own(hub: HubState, visitor: Visitor, uri: Uri) -> PageResult {
    let key = ServerKey::default_of(visitor.require_user()?.name.clone());
    show(&hub.0, &visitor, &key, &uri).await
}

/// `GET /hub/spawn/{user}` and `/hub/spawn/{user}/{server}`
pub(super) async fn of_key(
    hub: HubState,
    visitor: Visitor,
    key: Result<PageKey, PageError>,
    uri: Uri,
) -> PageResult {
    visitor.require_user()?;
    show(&hub.0, &visitor, &key?.0, &uri).await
}

/// `POST /hub/spawn`
pub(super) async fn own_submit(
    hub: HubState,
    visitor: Visitor,
    uri: Uri,
    form: Form,
) -> PageResult {
    let key = ServerKey::default_of(visitor.require_user()?.name.clone());
    submit(&hub.0, &visitor, &key, &uri, &form).await
}

/// `POST /hub/spawn/{user}` and `/hub/spawn/{user}/{server}`
pub(super) async fn of_key_submit(
    hub: HubState,
    visitor: Visitor,
    key: Result<PageKey, PageError>,
    uri: Uri,
    form: Form,
) -> PageResult {
    visitor.require_user()?;
    submit(&hub.0, &visitor, &key?.0, &uri, &form).await
}

/// Why a start did not get going.
enum Refused {
    /// It was let in, and then failed at once.
    Failed(Failure),
    /// It was not let in.
    Page(PageError),
}

async fn show(hub: &Hub, visitor: &Visitor, key: &ServerKey, uri: &Uri) -> PageResult {
    visitor.require_server(ScopeName::StartServers, key).await?;
    require_account(hub, key).await?;
    let query = Fields::of_query(uri);
    let display_name = query.get("display_name").filter(|text| !text.is_empty());
    named::check_named(hub, key, display_name).await?;
    let next = visitor.next(query.get("next"));
    let view = hub.servers.view(key).await?;
    if view.phase.is_ready() {
        return Ok(redirect(&next.unwrap_or_else(|| hub.paths.server(key))));
    }
    if view.phase.is_active() {
        return Ok(redirect(&pending_url(hub, key, uri)));
    }
    let asked = OptionsForm::of(hub, key).await?;
    let options = spawn_options::of_query(asked.as_ref(), &query).map_err(|error| {
        PageError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            .action("Home", hub.paths.home())
    })?;
    let starts = options.is_some() || asked.is_none();
    // A link on another site may lead here, but it takes a person to start a
    // server; coming back from the sign-in service is not such a link.
    let foreign = visitor.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if starts && foreign && cookies(visitor.headers(), FRESH_COOKIE).is_empty() {
        let start_url = hub.paths.spawn_with(key, uri.query());
        return not_running(hub, visitor, key, &view, &start_url, StatusCode::OK).await;
    }
    match (options, asked) {
        // What a link asks for in vain can be put right in the form.
        (Some(options), Some(asked)) => {
            match start(hub, visitor, key, Some(options), display_name).await {
                Ok(()) => Ok(redirect(&pending_url(hub, key, uri))),
                Err(Refused::Page(page)) if page.redirect.is_some() => Err(page),
                Err(refused) => Ok(form_page(hub, visitor, key, uri, &asked, Some(refused))),
            }
        }
        (None, Some(asked)) => Ok(form_page(hub, visitor, key, uri, &asked, None)),
        (options, None) => match start(hub, visitor, key, options, display_name).await {
            Ok(()) => Ok(redirect(&pending_url(hub, key, uri))),
            Err(Refused::Failed(failure)) => {
                failed(hub, visitor, key, &failure, next.as_deref()).await
            }
            Err(Refused::Page(page)) => Err(page),
        },
    }
}

async fn submit(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    uri: &Uri,
    form: &Form,
) -> PageResult {
    visitor.require_server(ScopeName::StartServers, key).await?;
    require_account(hub, key).await?;
    let query = Fields::of_query(uri);
    visitor.require_xsrf(&form.fields)?;
    let display_name = query.get("display_name").filter(|text| !text.is_empty());
    named::check_named(hub, key, display_name).await?;
    let asked = OptionsForm::of(hub, key).await?;
    let mut options = spawn_options::of_form(asked.as_ref(), form);
    if options.is_none() {
        // The button of a page that somebody else's link led to.
        options = spawn_options::of_query(None, &query).unwrap_or_default();
    }
    if let Some(view) = hub.servers.live(key) {
        let refused = match (&view.phase, view.phase.pending()) {
            (Phase::Ready { .. }, _) => Some(ServersError::AlreadyRunning(key.clone())),
            (_, Some(pending)) => Some(ServersError::Pending { key: key.clone(), pending }),
            (_, None) => None,
        };
        if let Some(error) = refused {
            return Err(refusal(hub, key, error));
        }
    }
    let next = visitor.next(query.get("next").or_else(|| form.fields.get("next")));
    match (start(hub, visitor, key, options, display_name).await, asked) {
        (Ok(()), _) => Ok(redirect(&pending_url(hub, key, uri))),
        (Err(Refused::Page(page)), _) if page.redirect.is_some() => Err(page),
        (Err(refused), Some(asked)) => Ok(form_page(hub, visitor, key, uri, &asked, Some(refused))),
        (Err(Refused::Failed(failure)), None) => {
            failed(hub, visitor, key, &failure, next.as_deref()).await
        }
        (Err(Refused::Page(page)), None) => Err(page),
    }
}

/// Starts a server without asking anything, and goes on to watch it.
pub(super) async fn begin(hub: &Hub, visitor: &Visitor, key: &ServerKey) -> PageResult {
    match start(hub, visitor, key, None, None).await {
        Ok(()) => Ok(redirect(&hub.paths.spawn_pending(key, None))),
        Err(Refused::Failed(failure)) => failed(hub, visitor, key, &failure, None).await,
        Err(Refused::Page(page)) => Err(page),
    }
}

/// Whether the provider still vouches for whoever starts a server of their own.
async fn confirm(visitor: &Visitor, key: &ServerKey) -> Result<(), PageError> {
    let by = visitor.session.as_ref().map(Asker::of);
    match refresh::before_spawn(&visitor.hub, key.user(), by).await? {
        Confirmed::Yes => Ok(()),
        Confirmed::NotNow => Err(unconfirmed()),
        Confirmed::SignInAgain if by.is_some_and(|by| by.user.name != *key.user()) => {
            let text = format!("{} has to sign in again first.", key.user());
            Err(PageError::new(StatusCode::FORBIDDEN, text)
                .hint("This hub starts nobody's server while their sign-in is good no longer.")
                .action("Home", visitor.hub.paths.home()))
        }
        Confirmed::SignInAgain => {
            Err(PageError::redirect(visitor.hub.paths.login(Some(&visitor.requested()))))
        }
    }
}

/// Begins a start, and looks for a moment whether it fails at once.
async fn start(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    options: Option<Value>,
    display_name: Option<&str>,
) -> Result<(), Refused> {
    let page = |page: PageError| Refused::Page(page);
    confirm(visitor, key).await.map_err(page)?;
    named::ensure(hub, key, display_name).await.map_err(|error| page(error.into()))?;
    match hub.servers.start(key, options).await {
        Ok(()) => {}
        // Somebody was faster, in another tab perhaps: watch theirs.
        Err(ServersError::AlreadyRunning(_) | ServersError::Pending { pending: "spawn", .. }) => {
            return Ok(());
        }
        Err(error) => return Err(Refused::Page(refusal(hub, key, error))),
    }
    let settled = timeout(AT_ONCE, hub.servers.settled(key)).await;
    let last = match settled {
        Err(_) => None,
        Ok(Some(view)) => view.phase.last().cloned(),
        Ok(None) => {
            let view = hub.servers.view(key).await.map_err(|error| page(error.into()))?;
            view.phase.last().cloned()
        }
    };
    match last {
        Some(Outcome::Failed(failure)) => Err(Refused::Failed(failure)),
        _ => Ok(()),
    }
}

/// What a person is told when a start was not begun.
fn refusal(hub: &Hub, key: &ServerKey, error: ServersError) -> PageError {
    match error {
        ServersError::ShuttingDown => {
            PageError::new(StatusCode::SERVICE_UNAVAILABLE, "The hub is restarting.")
                .hint("Try again in a moment; running servers are not affected.")
                .action("Try again", hub.paths.spawn(key, None))
        }
        ServersError::Crowded(crowded) => {
            let mut page = PageError::new(StatusCode::TOO_MANY_REQUESTS, crowded.to_string())
                .action("Try again", hub.paths.spawn(key, None))
                .action("Home", hub.paths.home());
            page.retry_after = retry_after(crowded);
            page
        }
        ServersError::AlreadyRunning(_) => {
            PageError::new(StatusCode::BAD_REQUEST, format!("{} is already running", label(key)))
                .action("Open", hub.paths.server(key))
        }
        ServersError::Pending { pending, .. } => {
            PageError::new(StatusCode::BAD_REQUEST, format!("{} is pending {pending}", label(key)))
                .action("Show progress", hub.paths.spawn_pending(key, None))
        }
        ServersError::Active(_) | ServersError::Refused(_) | ServersError::Left(_) => {
            PageError::new(StatusCode::BAD_REQUEST, error.to_string())
        }
        ServersError::Store(error) => error.into(),
    }
}

/// The page that asks for options, with what was wrong with the last ones.
fn form_page(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    uri: &Uri,
    asked: &OptionsForm,
    refused: Option<Refused>,
) -> Response {
    let (status, error, pause) = match &refused {
        None => (StatusCode::OK, None, None),
        Some(Refused::Failed(failure)) => {
            let (status, pause) = answer_to(failure);
            (status, Some(failure_value(hub, key, failure)), pause)
        }
        Some(Refused::Page(page)) => {
            let error = context! { message => page.message.as_str() };
            (page.status, Some(error), page.retry_after)
        }
    };
    let (html, images): (_, Vec<minijinja::Value>) = match asked {
        // The operator's own words, which are HTML.
        OptionsForm::Html(html) => {
            (Some(minijinja::Value::from_safe_string(html.clone())), Vec::new())
        }
        OptionsForm::Images(images) => {
            let image = |one: &hub_spawner::Choice| {
                context! { name => one.name.as_str(), is_default => one.is_default }
            };
            (None, images.iter().map(image).collect())
        }
    };
    let page = context! {
        server => server_value(hub, visitor, key),
        form_action => hub.paths.form_target(uri),
        options_form => html,
        images => images,
        failure => error,
    };
    let mut response = visitor.page(status, "spawn.html", page);
    if let Some(seconds) = pause {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The page that watches the start, with all that the request's query says.
fn pending_url(hub: &Hub, key: &ServerKey, uri: &Uri) -> String {
    hub.paths.spawn_pending_with(key, uri.query())
}
