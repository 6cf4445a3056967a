//! The environment variables that mean something, and to whom.
//!
//! They are those of the reference deployment (deployment-contract 1.2), with a
//! few of our own. Whatever has no name of its own can be set as
//! `HUB__SECTION__KEY`; every secret also as `NAME_FILE`, the path of a file that
//! holds it (ENV-5).

use super::suggest::closest;

/// An environment variable, or line of a `.env` file, that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
    /// Whether the value must not be shown; then `NAME_FILE` works too.
    pub secret: bool,
    /// Who reads it.
    pub readers: &'static [Reader],
    /// What it is for, in a sentence.
    pub meaning: &'static str,
}

/// What a variable does in the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sets this key.
    Sets(&'static str),
    /// Together with others, makes the value of this key.
    PartOf(&'static str),
    /// Adds to this list.
    AddsTo(&'static str),
    /// Nothing in the hub's configuration.
    Nothing,
}

/// A program that reads a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The hub itself.
    Hub,
    /// The commands that set up a deployment.
    Deploy,
    /// The operator's tool `hub`.
    Tool,
}

const HUB: &[Reader] = &[Reader::Hub];
const DEPLOY: &[Reader] = &[Reader::Deploy];
const BOTH: &[Reader] = &[Reader::Hub, Reader::Deploy];
const TOOL: &[Reader] = &[Reader::Tool];

impl Variable {
    const fn sets(
        name: &'static str,
        key: &'static str,
        readers: &'static [Reader],
        meaning: &'static str,
    ) -> Self {
        Self { name, effect: Effect::Sets(key), secret: false, readers, meaning }
    }

    const fn other(
        name: &'static str,
        effect: Effect,
        readers: &'static [Reader],
        meaning: &'static str,
    ) -> Self {
        Self { name, effect, secret: false, readers, meaning }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// All of them, in the order of the reference.
pub const VARIABLES: &[Variable] = &[
    Variable::sets(
        "DOCKER_NOTEBOOK_IMAGE",
        "spawner.docker.image",
        BOTH,
        "Image of the notebook servers.",
    ),
    Variable::other(
        "LOCAL_NOTEBOOK_IMAGE",
        Effect::Nothing,
        DEPLOY,
        "Name of the notebook image that a deployment derives; it gives it to the hub as `DOCKER_NOTEBOOK_IMAGE`.",
    ),
    Variable::sets(
        "DOCKER_NETWORK_NAME",
        "spawner.docker.network",
        BOTH,
        "Network of the hub and the notebook servers.",
    ),
    Variable::sets(
        "DOCKER_NOTEBOOK_DIR",
        "spawner.docker.notebook_dir",
        HUB,
        "Where a user's volume is mounted, and the root directory of the server.",
    ),
    Variable::sets(
        "DOCKER_SPAWN_CMD",
        "spawner.docker.cmd",
        HUB,
        "Command of the notebook servers, split as a shell would.",
    ),
    Variable::sets("DOCKER_HOST", "spawner.docker.host", BOTH, "Where the Docker daemon is."),
    Variable::sets(
        "DOCKER_TLS_VERIFY",
        "spawner.docker.tls_verify",
        BOTH,
        "Any text: the daemon is asked over TLS.",
    ),
    Variable::sets(
        "DOCKER_CERT_PATH",
        "spawner.docker.cert_path",
        BOTH,
        "Directory of `ca.pem`, `cert.pem` and `key.pem` for the daemon.",
    ),
    Variable::sets(
        "DOCKER_CONTEXT",
        "spawner.docker.context",
        BOTH,
        "A context of Docker's own tools, instead of `DOCKER_HOST`.",
    ),
    Variable::sets(
        "DOCKER_CONFIG",
        "spawner.docker.config_dir",
        BOTH,
        "Where Docker's own tools keep their settings.",
    ),
    Variable::other(
        "HOME",
        Effect::Nothing,
        BOTH,
        "Docker's own tools keep their settings in `.docker` there.",
    ),
    Variable::other("DOCKER_MACHINE_NAME", Effect::Nothing, &[], "Accepted and ignored, as ever."),
    Variable::other(
        "DATA_VOLUME_HOST",
        Effect::Nothing,
        DEPLOY,
        "Name of the volume for the hub's state.",
    ),
    Variable::sets(
        "DATA_VOLUME_CONTAINER",
        "store.data_dir",
        BOTH,
        "Where that volume is mounted: directory of the database and the cookie secret.",
    ),
    Variable::other(
        "SECRETS_VOLUME",
        Effect::Nothing,
        DEPLOY,
        "Volume with certificates, instead of files.",
    ),
    Variable::sets(
        "SSL_CERT",
        "http.tls.certificate",
        BOTH,
        "Certificate chain, PEM, the server's own first.",
    ),
    Variable::sets("SSL_KEY", "http.tls.key", BOTH, "Private key, PEM."),
    Variable::sets(
        "JUPYTERHUB_METRICS_PREFIX",
        "metrics.prefix",
        HUB,
        "What the names of the hub's own numbers begin with.",
    ),
    Variable::sets(
        "OAUTH_CALLBACK_URL",
        "auth.github.callback_url",
        BOTH,
        "`https://HOST/hub/oauth_callback`.",
    ),
    Variable::sets(
        "OAUTH_LOGOUT_REDIRECT_URL",
        "pages.logout_redirect_url",
        HUB,
        "Where people go who signed out.",
    ),
    Variable::sets(
        "GITHUB_CLIENT_ID",
        "auth.github.client_id",
        HUB,
        "Client id of the OAuth application.",
    ),
    Variable::sets(
        "GITHUB_CLIENT_SECRET",
        "auth.github.client_secret",
        HUB,
        "Client secret of the OAuth application.",
    )
    .secret(),
    Variable::other(
        "GITHUB_URL",
        Effect::PartOf("auth.github.url"),
        HUB,
        "Address of a GitHub Enterprise server.",
    ),
    Variable::other(
        "GITHUB_HOST",
        Effect::PartOf("auth.github.url"),
        HUB,
        "Host of a GitHub Enterprise server, instead of `GITHUB_URL`.",
    ),
    Variable::other(
        "GITHUB_HTTP",
        Effect::PartOf("auth.github.url"),
        HUB,
        "Any text: `GITHUB_HOST` is asked without TLS.",
    ),
    Variable::other(
        "OAUTH_CLIENT_ID",
        Effect::PartOf("auth.oidc.client_id"),
        HUB,
        "Client id at the provider, whichever it is; without `[auth.oidc]` and `OAUTH2_*` at GitHub.",
    ),
    Variable::other(
        "OAUTH_CLIENT_SECRET",
        Effect::PartOf("auth.oidc.client_secret"),
        HUB,
        "The secret of that client.",
    )
    .secret(),
    Variable::other(
        "LOGIN_SERVICE",
        Effect::PartOf("auth.oidc.service"),
        HUB,
        "What the button calls that provider.",
    ),
    Variable::sets(
        "OAUTH2_AUTHORIZE_URL",
        "auth.oidc.authorize_url",
        HUB,
        "Where a plain OAuth 2 provider asks people.",
    ),
    Variable::sets("OAUTH2_TOKEN_URL", "auth.oidc.token_url", HUB, "Where it gives tokens."),
    Variable::sets(
        "OAUTH2_USERDATA_URL",
        "auth.oidc.userdata_url",
        HUB,
        "Where it says who somebody is.",
    ),
    Variable::sets(
        "OAUTH2_USERNAME_KEY",
        "auth.oidc.username_claim",
        HUB,
        "What of that is the user name.",
    ),
    Variable::other(
        "OAUTH2_GROUPS_KEY",
        Effect::PartOf("auth.oidc.groups_claims"),
        HUB,
        "What of that are the groups.",
    ),
    Variable::other(
        "OAUTH2_BASIC_AUTH",
        Effect::PartOf("auth.oidc.basic_auth"),
        HUB,
        "`true`: the client shows its secret in a header.",
    ),
    Variable::other(
        "HTTPS_PROXY",
        Effect::PartOf("auth.outbound.proxy_url"),
        HUB,
        "A forward proxy by which the hub reaches the providers of sign-in.",
    )
    .secret(),
    Variable::other(
        "https_proxy",
        Effect::PartOf("auth.outbound.proxy_url"),
        HUB,
        "The same, if `HTTPS_PROXY` is not set.",
    )
    .secret(),
    Variable::other(
        "ALL_PROXY",
        Effect::PartOf("auth.outbound.proxy_url"),
        HUB,
        "The same, if neither is set.",
    )
    .secret(),
    Variable::other(
        "all_proxy",
        Effect::PartOf("auth.outbound.proxy_url"),
        HUB,
        "The same, if none of these is set.",
    )
    .secret(),
    Variable::other(
        "NO_PROXY",
        Effect::PartOf("auth.outbound.no_proxy"),
        HUB,
        "Who is reached without it, separated by commas.",
    ),
    Variable::other(
        "no_proxy",
        Effect::PartOf("auth.outbound.no_proxy"),
        HUB,
        "The same, if `NO_PROXY` is not set.",
    ),
    Variable::other(
        "JUPYTERHUB_ADMIN",
        Effect::AddsTo("auth.admin_users"),
        HUB,
        "One more administrator.",
    ),
    Variable::sets(
        "JPY_COOKIE_SECRET",
        "store.cookie_secret",
        HUB,
        "The cookie secret itself: 64 hexadecimal digits.",
    )
    .secret(),
    Variable::sets(
        "JUPYTERHUB_CRYPT_KEY",
        "auth.crypt_key",
        HUB,
        "Keys that seal what is kept of sign-ins, separated by `;`.",
    )
    .secret(),
    Variable::other(
        "POSTGRES_HOST",
        Effect::PartOf("store.url"),
        HUB,
        "Host of a PostgreSQL server, `HOST` or `HOST:PORT`. If it is set, it holds the hub's state.",
    ),
    Variable::other(
        "POSTGRES_DB",
        Effect::PartOf("store.url"),
        HUB,
        "Database at `POSTGRES_HOST`; default `jupyterhub`.",
    ),
    Variable::other(
        "POSTGRES_USER",
        Effect::PartOf("store.url"),
        HUB,
        "User at `POSTGRES_HOST`; default `postgres`.",
    ),
    Variable::other(
        "POSTGRES_PASSWORD",
        Effect::PartOf("store.url"),
        HUB,
        "Password at `POSTGRES_HOST`.",
    )
    .secret(),
    Variable::other(
        "DB_VOLUME_HOST",
        Effect::Nothing,
        DEPLOY,
        "Volume of a PostgreSQL container; known to older deployments.",
    ),
    Variable::other(
        "DB_VOLUME_CONTAINER",
        Effect::Nothing,
        DEPLOY,
        "Where that volume is mounted; known to older deployments.",
    ),
    Variable::other(
        "JUPYTERHUB_VERSION",
        Effect::Nothing,
        DEPLOY,
        "Version of the `jupyterhub` package in the notebook image that a deployment derives.",
    ),
    Variable::sets(
        "CONFIGPROXY_AUTH_TOKEN",
        "proxy.auth_token",
        BOTH,
        "What hub and proxy know each other by, if the proxy is a program of its own.",
    )
    .secret(),
    Variable::sets(
        "HUB_OPERATOR_TOKEN",
        "hub_api.operator_token",
        HUB,
        "Token with which `hub` may do what an administrator may.",
    )
    .secret(),
    Variable::sets(
        "HUB_PROXY_API",
        "proxy.api_url",
        HUB,
        "Address of the REST API of a proxy that is a program of its own.",
    ),
    Variable::sets("HUB_LISTEN", "http.listen", HUB, "Address of the public listener."),
    Variable::sets("HUB_DATABASE_URL", "store.url", HUB, "URL of the database.").secret(),
    Variable::sets("HUB_LOG", "log.level", HUB, "Log level or filter."),
    Variable::other(
        "HUB_DEPLOY_NAME",
        Effect::Nothing,
        DEPLOY,
        "Name of the deployment and of the hub's container; default `jupyterhub`.",
    ),
    Variable::other(
        "HUB_HTTPS_PORT",
        Effect::Nothing,
        DEPLOY,
        "Published port of https; default 443.",
    ),
    Variable::other(
        "HUB_HTTP_PORT",
        Effect::Nothing,
        DEPLOY,
        "Published port that leads to https; default 80.",
    ),
    Variable::other(
        "HUB_BIND_IP",
        Effect::Nothing,
        DEPLOY,
        "Address at which the ports are published; default all.",
    ),
    Variable::other(
        "HUB_PUBLIC_URL",
        Effect::Nothing,
        DEPLOY,
        "How people write the hub's address; default that of `OAUTH_CALLBACK_URL`.",
    ),
    Variable::other(
        "HUB_TLS",
        Effect::Nothing,
        DEPLOY,
        "Where TLS ends: `files`, `acme`, or `off` behind another terminator.",
    ),
    Variable::other(
        "HUB_TRUSTED_PROXIES",
        Effect::Nothing,
        DEPLOY,
        "Networks of terminators in front whose forwarded headers are believed; default none.",
    ),
    Variable::other(
        "HUB_ACCEPT_WEAK",
        Effect::Nothing,
        DEPLOY,
        "Weak settings that are meant, by name; a deployment refuses others.",
    ),
    Variable::other(
        "HUB_CONFIG",
        Effect::Nothing,
        DEPLOY,
        "The hub's configuration file; default `hub.toml`, if it is there.",
    ),
    Variable::other(
        "HUB_USERLIST",
        Effect::Nothing,
        DEPLOY,
        "The list of users; default `userlist`.",
    ),
    Variable::other(
        "ACME_DOMAINS",
        Effect::Nothing,
        DEPLOY,
        "Domains of the certificate that the proxy obtains by itself.",
    ),
    Variable::other("ACME_EMAIL", Effect::Nothing, DEPLOY, "Whom the authority may write to."),
    Variable::other(
        "ACME_AGREE_TOS",
        Effect::Nothing,
        DEPLOY,
        "`yes`: the authority's terms of service are accepted.",
    ),
    Variable::other(
        "ACME_DIRECTORY",
        Effect::Nothing,
        DEPLOY,
        "The authority's directory; default Let's Encrypt.",
    ),
    Variable::other(
        "ACME_DIRECTORY_CA",
        Effect::Nothing,
        DEPLOY,
        "Certificates to trust for the directory, PEM.",
    ),
    Variable::other("ACME_CHALLENGE", Effect::Nothing, DEPLOY, "`http-01` or `tls-alpn-01`."),
    Variable::other("HUB_URL", Effect::Nothing, TOOL, "Address of the hub."),
    Variable::other("HUB_TOKEN", Effect::Nothing, TOOL, "API token.").secret(),
    Variable::other("HUB_CA_FILE", Effect::Nothing, TOOL, "Certificates to trust, PEM."),
];

/// The ending of a variable that names a file with the secret.
pub(super) const FILE_ENDING: &str = "_FILE";

/// What every key can be set with: `HUB__SECTION__KEY`.
pub(super) const KEY_PREFIX: &str = "HUB__";

/// The variable called `name`.
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The secret variable for which `name` names a file.
pub(super) fn secret_of_file(name: &str) -> Option<&'static Variable> {
    variable(name.strip_suffix(FILE_ENDING)?).filter(|variable| variable.secret)
}

/// Whether a value under this name must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    match name.strip_prefix(KEY_PREFIX) {
        Some(key) => super::key::of_variable(key).is_none_or(|key| key.kind.is_secret()),
        None => variable(name).is_some_and(|variable| variable.secret),
    }
}

/// Whether this value under this name is one: most proxies want no password.
pub(super) fn holds_secret(name: &str, value: &str) -> bool {
    is_secret(name) && (!name.to_ascii_lowercase().ends_with("_proxy") || value.contains('@'))
}

/// Whether the name means something to the hub.
pub(super) fn is_known(name: &str) -> bool {
    name.starts_with(KEY_PREFIX) || variable(name).is_some() || secret_of_file(name).is_some()
}

/// The known variable that `name` is a slip of.
pub(super) fn nearly(name: &str) -> Option<&'static str> {
    // Short names, and those that belong to others, are no slips.
    let ours = ["DOCKER_", "GITHUB_", "JUPYTERHUB_", "POSTGRES_", "HUB_", "SSL_", "OAUTH_"];
    if is_known(name) || !ours.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    closest(name, VARIABLES.iter().map(|variable| variable.name))
}
