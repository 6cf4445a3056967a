//! A browser's session: cookie to person.

use cookie::{Cookie, SameSite};
use http::HeaderMap;
use hub_auth::ApiToken;
use hub_store::{NewSession, Session, StoreError, User};
use jiff::SignedDuration;
use uuid::Uuid;

use super::browser::cookies;
use crate::hub::Hub;

/// The cookie that says who somebody is.
pub(crate) const LOGIN_COOKIE: &str = "jupyterhub-hub-login";
/// The same where notebooks are on hosts below the hub's: their pages cannot set a
/// cookie of this kind for the hub (security C4).
pub(crate) const HOST_LOGIN_COOKIE: &str = "__Host-jupyterhub-hub-login";
/// The cookie that ties the tokens of one browser session together. User servers
/// read it, so it is on the base path.
pub(crate) const SESSION_ID_COOKIE: &str = "jupyterhub-session-id";

/// How many cookies are looked up, from the first and from the last.
const MOST_CANDIDATES: usize = 16;

/// How often the time of last use is written down.
const RESOLUTION: SignedDuration = SignedDuration::from_mins(5);

/// The session of this browser. Of several cookies of the name the one that
/// verifies counts, so that a planted one locks nobody out. Two that verify for
/// two people are the work of somebody who wants this browser to act as another
/// person; then neither counts.
pub(crate) async fn of(hub: &Hub, headers: &HeaderMap) -> Result<Option<Session>, StoreError> {
    let mut found: Option<Session> = None;
    for secret in candidates(hub, headers) {
        let Some(session) = verify(hub, &secret).await? else { continue };
        match &found {
            None => found = Some(session),
            Some(first) if first.user.id == session.user.id => {}
            Some(first) => {
                tracing::warn!(
                    one = %first.user.name, other = %session.user.name,
                    "a browser sent the sessions of two people; it is taken for signed out"
                );
                return Ok(None);
            }
        }
    }
    Ok(found)
}

/// The session of which `value` is the login cookie.
pub(crate) async fn of_cookie(hub: &Hub, value: &str) -> Result<Option<Session>, StoreError> {
    match ApiToken::from_text(value) {
        Some(secret) => verify(hub, &secret).await,
        None => Ok(None),
    }
}

async fn verify(hub: &Hub, secret: &ApiToken) -> Result<Option<Session>, StoreError> {
    let now = hub.clock.now();
    let hash = secret.hash();
    let Some(session) = hub.store.sessions().by_hash(hash.as_bytes(), now).await? else {
        return Ok(None);
    };
    let live = hub.live();
    // The session stays: whoever is put back on the list goes on where they were.
    if !live.keeps(&session.user.name) {
        return Ok(None);
    }
    if now.duration_since(session.last_seen) > live.session.idle {
        let deleted = hub.store.sessions().delete(hash.as_bytes()).await;
        hub.notes.settle(deleted.map(drop), now);
        return Ok(None);
    }
    if now.duration_since(session.last_seen) > RESOLUTION {
        hub.notes.settle(hub.store.sessions().touch(hash.as_bytes(), now).await, now);
        hub.notes.settle(hub.store.users().touch(session.user.id, now).await, now);
    }
    Ok(Some(session))
}

/// Begins a session of somebody who has signed in by `provider`: its id, and the cookies
/// to set, which replace those of an earlier one. Not if `user` was signed out everywhere since they were looked up.
///
/// What this browser held until now ends. Only if it was this user's goes on what was
/// given out in it: their notebooks may be open in other tabs (hub-contract 2.2). The ids
/// are always new, so that nobody can plant one before the sign-in.
pub(crate) async fn begin(
    hub: &Hub,
    user: &User,
    provider: &str,
    headers: &HeaderMap,
) -> Result<(String, Vec<Cookie<'static>>), StoreError> {
    let (now, max_age) = (hub.clock.now(), hub.live().session.max_age);
    let (sessions, mut earlier) = (hub.store.sessions(), Vec::new());
    for secret in candidates(hub, headers) {
        let hash = *secret.hash().as_bytes();
        match sessions.by_hash(&hash, now).await? {
            Some(session) if session.user.id == user.id => earlier.push(hash),
            Some(_) => _ = sessions.end(&hash).await?,
            None => {}
        }
    }
    let secret = ApiToken::generate();
    let session_id = Uuid::new_v4().simple().to_string();
    let new = NewSession {
        hash: *secret.hash().as_bytes(),
        user: user.id,
        sign_outs: user.sign_outs,
        provider: provider.to_owned(),
        session_id: session_id.clone(),
        created: now,
        expires_at: now + max_age,
    };
    sessions.create_in_place_of(&new, &earlier).await?;
    hub.store.users().touch(user.id, now).await?;
    let mut login = login_cookie(hub, secret.expose().to_owned());
    login.set_max_age(cookie::time::Duration::seconds(max_age.as_secs()));
    Ok((session_id.clone(), vec![login, session_id_cookie(hub, session_id)]))
}

/// The cookie that says who somebody is, with this value.
pub(crate) fn login_cookie(hub: &Hub, value: String) -> Cookie<'static> {
    let name = login_cookie_name(hub);
    let mut cookie = Cookie::new(name, value);
    // The prefix demands the path.
    cookie.set_path(if name == HOST_LOGIN_COOKIE { "/".to_owned() } else { hub.paths.hub() });
    cookie.set_http_only(true);
    cookie.set_secure(hub.https);
    cookie.set_same_site(SameSite::Lax);
    cookie
}

/// What that cookie is called here.
pub(crate) fn login_cookie_name(hub: &Hub) -> &'static str {
    match hub.https && hub.paths.subdomains().is_some() {
        true => HOST_LOGIN_COOKIE,
        false => LOGIN_COOKIE,
    }
}

/// The cookie with the id of a session.
pub(crate) fn session_id_cookie(hub: &Hub, id: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(SESSION_ID_COOKIE, id);
    cookie.set_path(hub.paths.base().to_owned());
    // Servers on hosts of their own read it, too.
    if let Some(hosts) = hub.paths.subdomains() {
        cookie.set_domain(hosts.domain().to_owned());
    }
    cookie.set_http_only(true);
    cookie.set_secure(hub.https);
    cookie.set_same_site(SameSite::Lax);
    cookie
}

/// Ends all sessions that this browser holds, with the tokens and codes that were issued
/// in them.
pub(crate) async fn end(hub: &Hub, headers: &HeaderMap) -> Result<(), StoreError> {
    let (sessions, now) = (hub.store.sessions(), hub.clock.now());
    for secret in candidates(hub, headers) {
        let hash = secret.hash();
        // Anybody may send such cookies, and must not have the database written to.
        if sessions.by_hash(hash.as_bytes(), now).await?.is_some() {
            sessions.end(hash.as_bytes()).await?;
        }
    }
    Ok(())
}

/// What may be the secret of a session. A server's page can set many cookies of that name;
/// each costs a question to the database, so only so many are asked about, from either end:
/// the browser puts those for longer paths first.
fn candidates(hub: &Hub, headers: &HeaderMap) -> Vec<ApiToken> {
    // As generated: 64 hexadecimal digits.
    let is_whole = |value: &&str| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    let values = cookies(headers, login_cookie_name(hub)).into_iter().filter(is_whole);
    let secrets: Vec<_> = values.filter_map(ApiToken::from_text).collect();
    let len = secrets.len();
    let is_asked_about = |at: usize| at < MOST_CANDIDATES || at + MOST_CANDIDATES >= len;
    secrets
        .into_iter()
        .enumerate()
        .filter(|(at, _)| is_asked_about(*at))
        .map(|(_, one)| one)
        .collect()
}
