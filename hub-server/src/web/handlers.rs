//! Which of JupyterHub's handler classes an address belongs to there.
//!
//! Dashboards pick requests by these names: `handler!~".*SpawnProgressAPIHandler"`
//! leaves out the streams, for example. Addresses that JupyterHub does not have are
//! named after their path.

/// Below the hub's prefix, as the router writes them.
const CLASSES: &[(&str, &str)] = &[
    ("", "handlers.pages.RootHandler"),
    ("home", "handlers.pages.HomeHandler"),
    ("admin", "handlers.pages.AdminHandler"),
    ("token", "handlers.pages.TokenPageHandler"),
    ("spawn", "handlers.pages.SpawnHandler"),
    ("spawn/{user}", "handlers.pages.SpawnHandler"),
    ("spawn/{user}/{server}", "handlers.pages.SpawnHandler"),
    ("spawn-pending/{user}", "handlers.pages.SpawnPendingHandler"),
    ("spawn-pending/{user}/{server}", "handlers.pages.SpawnPendingHandler"),
    ("accept-share", "handlers.pages.AcceptShareHandler"),
    ("error/{status}", "handlers.pages.ProxyErrorHandler"),
    ("health", "handlers.pages.HealthCheckHandler"),
    ("api/health", "handlers.pages.HealthCheckHandler"),
    ("login", "handlers.login.LoginHandler"),
    ("logout", "handlers.login.LogoutHandler"),
    ("metrics", "handlers.metrics.MetricsHandler"),
    ("api/metrics", "handlers.metrics.MetricsHandler"),
    ("user/{user}", "handlers.base.UserUrlHandler"),
    ("user/{user}/", "handlers.base.UserUrlHandler"),
    ("user/{user}/{*rest}", "handlers.base.UserUrlHandler"),
    ("user-redirect/{*path}", "handlers.base.UserRedirectHandler"),
    ("security/csp-report", "handlers.base.CSPReportHandler"),
    ("static/{*path}", "handlers.static.CacheControlStaticFilesHandler"),
    ("logo", "handlers.static.LogoHandler"),
    ("api", "apihandlers.hub.RootAPIHandler"),
    ("api/", "apihandlers.hub.RootAPIHandler"),
    ("api/info", "apihandlers.hub.InfoAPIHandler"),
    ("api/shutdown", "apihandlers.hub.ShutdownAPIHandler"),
    ("api/proxy", "apihandlers.proxy.ProxyAPIHandler"),
    ("api/authorizations/token", "apihandlers.auth.TokenAPIHandler"),
    ("api/authorizations/token/{token}", "apihandlers.auth.TokenAPIHandler"),
    ("api/oauth2/authorize", "apihandlers.auth.OAuthAuthorizeHandler"),
    ("api/oauth2/token", "apihandlers.auth.OAuthTokenHandler"),
    ("api/user", "apihandlers.users.SelfAPIHandler"),
    ("api/users", "apihandlers.users.UserListAPIHandler"),
    ("api/users/{user}", "apihandlers.users.UserAPIHandler"),
    ("api/users/{user}/activity", "apihandlers.users.ActivityAPIHandler"),
    ("api/users/{user}/server", "apihandlers.users.UserServerAPIHandler"),
    ("api/users/{user}/servers/", "apihandlers.users.UserServerAPIHandler"),
    ("api/users/{user}/servers/{server}", "apihandlers.users.UserServerAPIHandler"),
    ("api/users/{user}/server/progress", "apihandlers.users.SpawnProgressAPIHandler"),
    ("api/users/{user}/servers/{server}/progress", "apihandlers.users.SpawnProgressAPIHandler"),
    ("api/users/{user}/tokens", "apihandlers.users.UserTokenListAPIHandler"),
    ("api/users/{user}/tokens/{id}", "apihandlers.users.UserTokenAPIHandler"),
    ("api/users/{user}/shared", "apihandlers.shares.UserShareListAPIHandler"),
    ("api/users/{user}/shared/{owner}/{server}", "apihandlers.shares.UserShareAPIHandler"),
    ("api/groups", "apihandlers.groups.GroupListAPIHandler"),
    ("api/groups/{group}", "apihandlers.groups.GroupAPIHandler"),
    ("api/groups/{group}/users", "apihandlers.groups.GroupUsersAPIHandler"),
    ("api/groups/{group}/properties", "apihandlers.groups.GroupPropertiesAPIHandler"),
    ("api/groups/{group}/shared", "apihandlers.shares.GroupShareListAPIHandler"),
    ("api/groups/{group}/shared/{owner}/{server}", "apihandlers.shares.GroupShareAPIHandler"),
    ("api/services", "apihandlers.services.ServiceListAPIHandler"),
    ("api/services/{service}", "apihandlers.services.ServiceAPIHandler"),
    ("api/shares/{user}", "apihandlers.shares.ServerShareAPIHandler"),
    ("api/shares/{user}/{server}", "apihandlers.shares.ServerShareAPIHandler"),
    ("api/share-codes/{user}", "apihandlers.shares.ServerShareCodeAPIHandler"),
    ("api/share-codes/{user}/{server}", "apihandlers.shares.ServerShareCodeAPIHandler"),
];

/// Where requests go that no route is for: to servers that are not running, mostly.
const ELSEWHERE: &str = "jupyterhub.handlers.base.PrefixRedirectHandler";

/// The class for a route below `hub_prefix` as the router writes it; `None` is a
/// request that no route is for.
pub(super) fn class(route: Option<&str>, hub_prefix: &str) -> String {
    let Some(path) = route.and_then(|route| route.strip_prefix(hub_prefix)) else {
        return ELSEWHERE.to_owned();
    };
    // What a placeholder is called is not what the route is.
    let same = |known: &str| {
        let (known, path) = (known.split('/'), path.split('/'));
        known.clone().count() == path.clone().count()
            && known
                .zip(path)
                .all(|(one, other)| one == other || one.starts_with('{') && other.starts_with('{'))
    };
    match CLASSES.iter().find(|(known, _)| same(known)) {
        Some((_, class)) => format!("jupyterhub.{class}"),
        None if path == "api/{*rest}" => "jupyterhub.apihandlers.base.API404".to_owned(),
        None => format!("hub.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_the_names_of_jupyterhubs_classes() {
        for (route, expected) in [
            (Some("/base/hub/api/users/{user}"), "jupyterhub.apihandlers.users.UserAPIHandler"),
            (Some("/base/hub/api/users/{name}"), "jupyterhub.apihandlers.users.UserAPIHandler"),
            (
                Some("/base/hub/api/users/{user}/servers/{server}/progress"),
                "jupyterhub.apihandlers.users.SpawnProgressAPIHandler",
            ),
            (Some("/base/hub/"), "jupyterhub.handlers.pages.RootHandler"),
            (Some("/base/hub/spawn/{user}"), "jupyterhub.handlers.pages.SpawnHandler"),
            (Some("/base/hub/api/{*rest}"), "jupyterhub.apihandlers.base.API404"),
            (Some("/base/hub/api/users/{user}/server/log"), "hub.api/users/{user}/server/log"),
            (None, "jupyterhub.handlers.base.PrefixRedirectHandler"),
        ] {
            assert_eq!(class(route, "/base/hub/"), expected, "{route:?}");
        }
    }
}
