//! Every URL the hub serves or links to, built in one place.

use std::sync::Arc;

use http::Uri;
use hub_names::{ServerKey, UserName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::config::{HttpConfig, Subdomains};

/// What JupyterHub leaves as it is in a path segment.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'@');

/// What JupyterHub leaves as it is in an OAuth client id: `@` is quoted there.
const CLIENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
/// The same for the name of the user, in which `-` is quoted, too: the first one in an
/// id stands before the name of a server. JupyterHub has one id for the server of `a-b`
/// and for the server `b` of `a`.
const CLIENT_USER: &AsciiSet = &CLIENT.add(b'-');

/// A query value as browsers write it.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// The hub's URL space, below one base URL.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    base: Arc<str>,
    subdomains: Option<Arc<Subdomains>>,
}

impl Paths {
    /// `base` starts and ends with `/`.
    pub(crate) fn new(base: &str) -> Self {
        Self { base: base.into(), subdomains: None }
    }

    /// The URL space that the configuration describes.
    pub(crate) fn of(config: &HttpConfig) -> Self {
        let subdomains = config.subdomains.clone().map(Arc::new);
        Self { base: config.base_url.as_str().into(), subdomains }
    }

    /// The hosts of the users' servers, if they have their own.
    pub(crate) fn subdomains(&self) -> Option<&Subdomains> {
        self.subdomains.as_deref()
    }

    /// The hub's own origin where users have hosts of their own; else nothing.
    pub(crate) fn hub_host(&self) -> String {
        self.subdomains().map(Subdomains::origin_of_hub).unwrap_or_default()
    }

    /// The origin of the user's servers where it is not the hub's; else nothing.
    pub(crate) fn server_host(&self, user: &UserName) -> String {
        self.subdomains().map(|hosts| hosts.origin_of_user(user)).unwrap_or_default()
    }

    /// The route to everything that is no server's, for a proxy elsewhere.
    pub(crate) fn hub_route(&self) -> &str {
        if self.subdomains.is_some() { "/" } else { &self.base }
    }

    /// The route to a server: its prefix, below the host if the user has one.
    pub(crate) fn server_route(&self, key: &ServerKey) -> String {
        match self.subdomains() {
            Some(hosts) => format!("/{}{}", hosts.of_user(key.user()), self.server_prefix(key)),
            None => self.server_prefix(key),
        }
    }

    /// The base URL, `/` or `/jupyter/`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The prefix of everything the hub itself serves, `/hub/`.
    pub(crate) fn hub(&self) -> String {
        format!("{}hub/", self.base)
    }

    /// `rest` below the hub prefix.
    pub(crate) fn in_hub(&self, rest: &str) -> String {
        format!("{}hub/{rest}", self.base)
    }

    /// The sign-in page, which afterwards goes on to `next`.
    pub(crate) fn login(&self, next: Option<&str>) -> String {
        with_next(self.in_hub("login"), next)
    }

    /// The start of a sign-in with GitHub.
    pub(crate) fn oauth_login(&self, provider: &str, next: Option<&str>) -> String {
        let url = format!("{}?provider={}", self.in_hub("oauth_login"), quote(provider));
        match next {
            Some(next) => format!("{url}&next={}", quote(next)),
            None => url,
        }
    }

    /// The page on which people make an account with the hub itself; with the secret
    /// of an invitation.
    pub(crate) fn sign_up(&self, secret: Option<&str>) -> String {
        with_secret(self.in_hub("signup"), secret)
    }

    /// The page on which somebody with a link chooses a new password.
    pub(crate) fn reset_password(&self, secret: Option<&str>) -> String {
        with_secret(self.in_hub("reset-password"), secret)
    }

    /// The page on which people change their password.
    pub(crate) fn change_password(&self) -> String {
        self.in_hub("change-password")
    }

    /// Where a sign-in goes on after the password.
    pub(crate) fn second_step(&self, next: Option<&str>) -> String {
        with_next(self.in_hub("login/code"), next)
    }

    /// The page on which people turn their second factor on and off.
    pub(crate) fn second_factor(&self) -> String {
        self.in_hub("second-factor")
    }

    /// The page on which administrators look after accounts with the hub itself.
    pub(crate) fn authorize(&self) -> String {
        self.in_hub("authorize")
    }

    /// The home page.
    pub(crate) fn home(&self) -> String {
        self.in_hub("home")
    }

    /// The page with one's tokens.
    pub(crate) fn token(&self) -> String {
        self.in_hub("token")
    }

    /// The administration page.
    pub(crate) fn admin(&self) -> String {
        self.in_hub("admin")
    }

    /// The page that starts a server.
    pub(crate) fn spawn(&self, key: &ServerKey, next: Option<&str>) -> String {
        with_next(format!("{}hub/spawn/{}", self.base, key_path(key)), next)
    }

    /// The page that watches a server start.
    pub(crate) fn spawn_pending(&self, key: &ServerKey, next: Option<&str>) -> String {
        with_next(format!("{}hub/spawn-pending/{}", self.base, key_path(key)), next)
    }

    /// The page that starts a server, with a query that a request came with.
    pub(crate) fn spawn_with(&self, key: &ServerKey, query: Option<&str>) -> String {
        with_query(self.spawn(key, None), query)
    }

    /// The page that watches a server start, with a query that a request came with.
    /// What was said about the server itself is kept by now.
    pub(crate) fn spawn_pending_with(&self, key: &ServerKey, query: Option<&str>) -> String {
        let fields = query.unwrap_or_default().split('&');
        let kept: Vec<&str> = fields.filter(|field| !field.starts_with("display_name=")).collect();
        with_query(self.spawn_pending(key, None), Some(&kept.join("&")))
    }

    /// The form target of the page at `uri`, to which the page adds `_xsrf=..`.
    pub(crate) fn form_target(&self, uri: &Uri) -> String {
        let fields = uri.query().unwrap_or_default().split('&');
        let mut target = format!("{}?", uri.path());
        for field in fields.filter(|field| !field.is_empty() && !field.starts_with("_xsrf=")) {
            target.push_str(field);
            target.push('&');
        }
        target
    }

    /// The form target that adds a named server.
    pub(crate) fn add_server(&self) -> String {
        self.in_hub("servers")
    }

    /// The form target that removes a named server.
    pub(crate) fn remove(&self, key: &ServerKey) -> String {
        format!("{}hub/remove/{}", self.base, key_path(key))
    }

    /// The form target that stops a server.
    pub(crate) fn stop(&self, key: &ServerKey) -> String {
        format!("{}hub/stop/{}", self.base, key_path(key))
    }

    /// The page with what a server wrote.
    pub(crate) fn log(&self, key: &ServerKey) -> String {
        format!("{}hub/log/{}", self.base, key_path(key))
    }

    /// Where a server is reached, `/user/ada/` or `/user/ada/lab/`; with the host in
    /// front if the user has one.
    pub(crate) fn server(&self, key: &ServerKey) -> String {
        format!("{}{}", self.server_host(key.user()), self.server_prefix(key))
    }

    /// The prefix of a server's paths, without a host.
    pub(crate) fn server_prefix(&self, key: &ServerKey) -> String {
        format!("{}user/{}/", self.base, key_path(key))
    }

    /// Where a service is reached, `/services/culler/`; with the host in front if it has
    /// one.
    pub(crate) fn service(&self, name: &str) -> String {
        let host = self.subdomains().map(|hosts| hosts.origin_of_service(name));
        format!("{}{}", host.unwrap_or_default(), self.service_prefix(name))
    }

    /// The prefix of a service's paths, without a host.
    pub(crate) fn service_prefix(&self, name: &str) -> String {
        format!("{}services/{}/", self.base, segment(name))
    }

    /// The route to a service: its prefix, below its host if it has one.
    pub(crate) fn service_route(&self, name: &str) -> String {
        match self.subdomains() {
            Some(hosts) => format!("/{}{}", hosts.of_service(name), self.service_prefix(name)),
            None => self.service_prefix(name),
        }
    }

    /// A route as the REST API names it: with a host it begins with that.
    pub(crate) fn routespec<'a>(&self, route: &'a str) -> &'a str {
        match self.subdomains {
            Some(_) if route != "/" => route.strip_prefix('/').unwrap_or(route),
            Some(_) | None => route,
        }
    }

    /// What of a route is in the path of requests.
    pub(crate) fn route_path<'a>(&self, route: &'a str) -> &'a str {
        match self.subdomains {
            None => route,
            Some(_) => match route.strip_prefix('/').and_then(|rest| rest.find('/')) {
                Some(end) => &route[end + 1..],
                None => "/",
            },
        }
    }

    /// Whether a path belongs to a service.
    pub(crate) fn is_in_services(&self, path: &str) -> bool {
        path.strip_prefix(&*self.base).is_some_and(|rest| rest.starts_with("services/"))
    }

    /// Where the OAuth code of a service goes, if it does not say so itself.
    pub(crate) fn service_callback(&self, name: &str) -> String {
        format!("{}oauth_callback", self.service(name))
    }

    /// The page on which a share code is accepted.
    pub(crate) fn accept_share(&self, code: &str) -> String {
        format!("{}?code={}", self.in_hub("accept-share"), quote(code))
    }

    /// The REST API, without a slash at the end.
    pub(crate) fn api(&self) -> String {
        self.in_hub("api")
    }

    /// The name of the service that is reached below `path`, if it is a service's.
    pub(crate) fn service_of(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&*self.base)?.strip_prefix("services/")?;
        let name = rest.split('/').next().filter(|name| !name.is_empty())?;
        Some(percent_decode_str(name).decode_utf8_lossy().into_owned())
    }

    /// Where a sign-in service sends the browser back to.
    pub(crate) fn oauth_callback(&self) -> String {
        self.in_hub("oauth_callback")
    }

    /// The user model in the REST API.
    pub(crate) fn api_user(&self, user: &UserName) -> String {
        format!("{}hub/api/users/{}", self.base, segment(user.as_str()))
    }

    /// A server in the REST API.
    pub(crate) fn api_server(&self, key: &ServerKey) -> String {
        let user = self.api_user(key.user());
        match key.server().is_default() {
            true => format!("{user}/server"),
            false => format!("{user}/servers/{}", segment(key.server().as_str())),
        }
    }

    /// The progress stream of a server's start.
    pub(crate) fn progress(&self, key: &ServerKey) -> String {
        format!("{}/progress", self.api_server(key))
    }

    /// Where the OAuth code of a server goes, as JupyterHub registers it: a path, unless
    /// the user has a host.
    pub(crate) fn server_callback(&self, key: &ServerKey) -> String {
        format!("{}oauth_callback", self.server(key))
    }

    /// Where the hub's pages are, if `public` or users' own hosts tell; else nothing.
    pub(crate) fn origin(&self, public: Option<&Url>) -> String {
        public.map_or_else(|| self.hub_host(), |url| url.origin().ascii_serialization())
    }

    /// `path` as an absolute URL on `public`, or as it is without one.
    pub(crate) fn absolute(&self, public: Option<&Url>, path: &str) -> String {
        public.and_then(|url| url.join(path).ok()).map_or_else(|| path.to_owned(), String::from)
    }
}

/// The OAuth client id of a server, which is also the name of its cookie.
pub(crate) fn client_id(key: &ServerKey) -> String {
    let user = utf8_percent_encode(key.user().as_str(), CLIENT_USER);
    match key.server().is_default() {
        true => format!("jupyterhub-user-{user}"),
        false => {
            format!("jupyterhub-user-{user}-{}", utf8_percent_encode(key.server().as_str(), CLIENT))
        }
    }
}

/// Where a server reports its user's activity, below the API as servers see it.
pub(crate) fn activity(api_url: &str, user: &UserName) -> String {
    format!("{api_url}/users/{}/activity", segment(user.as_str()))
}

/// One path segment, escaped as JupyterHub does.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A query value, escaped.
pub(crate) fn quote(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// `url` with `next` in its query, when there is one.
pub(crate) fn with_next(url: String, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{url}?next={}", quote(next)),
        None => url,
    }
}

/// `url` with the secret of a link, under a name whose values stay out of logs.
fn with_secret(url: String, secret: Option<&str>) -> String {
    match secret {
        Some(secret) => format!("{url}?token={}", quote(secret)),
        None => url,
    }
}

/// `url` with the query of a request, as it was sent.
fn with_query(url: String, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() => format!("{url}?{query}"),
        _ => url,
    }
}

fn key_path(key: &ServerKey) -> String {
    let user = segment(key.user().as_str());
    match key.server().is_default() {
        true => user,
        false => format!("{user}/{}", segment(key.server().as_str())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(user: &str, server: &str) -> ServerKey {
        ServerKey::new(user.parse().unwrap(), server.parse().unwrap())
    }

    #[test]
    fn urls_are_those_of_jupyterhub() {
        let paths = Paths::new("/");
        assert_eq!(paths.server(&key("ada", "")), "/user/ada/");
        assert_eq!(paths.server(&key("al.ice+x@b", "second")), "/user/al.ice%2Bx@b/second/");
        assert_eq!(
            paths.spawn(&key("ada", ""), Some("/user/ada/lab?x=1")),
            "/hub/spawn/ada?next=%2Fuser%2Fada%2Flab%3Fx%3D1"
        );
        assert_eq!(paths.progress(&key("ada", "lab")), "/hub/api/users/ada/servers/lab/progress");
        assert_eq!(Paths::new("/base/").login(None), "/base/hub/login");
        let uri = "/hub/spawn?next=%2Fx&_xsrf=old&opt-n=1".parse().unwrap();
        assert_eq!(paths.form_target(&uri), "/hub/spawn?next=%2Fx&opt-n=1&");
        let query = Some("next=%2Fx&display_name=Lab&opt-n=1");
        assert_eq!(
            paths.spawn_pending_with(&key("ada", "lab"), query),
            "/hub/spawn-pending/ada/lab?next=%2Fx&opt-n=1"
        );
    }

    #[test]
    fn a_services_path_tells_its_name() {
        let paths = Paths::new("/base/");
        assert_eq!(paths.service_of("/base/services/a%20b/x").as_deref(), Some("a b"));
        for other in ["/base/user/ada/", "/services/a/", "/base/services/"] {
            assert_eq!(paths.service_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_services_callback_is_below_its_path() {
        let callback = Paths::new("/base/").service_callback("who am i");
        assert_eq!(callback, "/base/services/who%20am%20i/oauth_callback");
    }

    #[test]
    fn client_ids_quote_the_at_sign() {
        assert_eq!(client_id(&key("a@b.c", "")), "jupyterhub-user-a%40b.c");
        assert_eq!(client_id(&key("ada", "lab")), "jupyterhub-user-ada-lab");
    }

    #[test]
    fn no_two_servers_have_one_client_id() {
        assert_eq!(client_id(&key("a", "b")), "jupyterhub-user-a-b");
        assert_eq!(client_id(&key("a-b", "")), "jupyterhub-user-a%2Db");
        assert_eq!(client_id(&key("a", "b-c")), "jupyterhub-user-a-b-c");
        assert_eq!(client_id(&key("a-b", "c")), "jupyterhub-user-a%2Db-c");
    }

    proptest! {
        #[test]
        fn every_escape_can_be_undone(text in "\\PC{0,30}") {
            let client = utf8_percent_encode(&text, CLIENT).to_string();
            for escaped in [segment(&text), client, quote(&text)] {
                let fits = |byte: u8| byte.is_ascii_graphic() && !b"/?#\"<>&+ ".contains(&byte);
                prop_assert!(escaped.bytes().all(fits), "{}", escaped);
                prop_assert_eq!(percent_decode_str(&escaped).decode_utf8_lossy(), text.as_str());
            }
        }
    }
}
