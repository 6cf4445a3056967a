//! Where settings of JupyterHub are in this hub.

/// What becomes of a trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This key has the same meaning.
    Key(&'static str),
    /// The key of this name in the section of the spawner's kind.
    Server(&'static str),
    /// The key of this name in the section of the provider.
    Provider(&'static str),
    /// Needs more than another name.
    Special(Special),
    /// Nothing has to be set, because of this.
    Needless(&'static str),
    /// Nothing is like it; what to do instead.
    Instead(&'static str),
}

/// Settings that are not a key under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    SpawnerClass,
    AuthenticatorClass,
    PublicIp,
    PublicPort,
    BindUrl,
    HubIp,
    HubPort,
    LogLevel,
    TemplatePaths,
    TemplateVars,
    TornadoSettings,
    Groups,
    Scopes,
    GroupOverrides,
    OpenSignUp,
    GroupsKey,
    /// The same as a path in what is kept of a sign-in.
    StateGroupsKey,
    HostedDomains,
    IdTokenAlone,
    GithubHost,
    /// Further fields of the create call, in this key.
    Further(&'static str),
    RequestKwargs,
    /// A key of `spawner.docker.system_users`.
    SystemUsers(&'static str),
}

use Place::{Instead, Key, Needless, Provider, Server};

/// Classes whose settings count as those of another class.
pub(super) fn base(class: &str) -> Option<&'static str> {
    Some(match class {
        "SystemUserSpawner" | "SwarmSpawner" => "DockerSpawner",
        "DockerSpawner" | "LocalProcessSpawner" | "SimpleLocalProcessSpawner" => "Spawner",
        "GitHubOAuthenticator"
        | "LocalGitHubOAuthenticator"
        | "GenericOAuthenticator"
        | "LocalGenericOAuthenticator"
        | "GoogleOAuthenticator"
        | "LocalGoogleOAuthenticator"
        | "GitLabOAuthenticator"
        | "LocalGitLabOAuthenticator"
        | "AzureAdOAuthenticator"
        | "LocalAzureAdOAuthenticator" => "OAuthenticator",
        "OAuthenticator"
        | "NativeAuthenticator"
        | "DummyAuthenticator"
        | "PAMAuthenticator"
        | "LocalAuthenticator" => "Authenticator",
        _ => return None,
    })
}

/// Where `class.name` is; `None` for what is not known.
pub(super) fn place(class: &str, name: &str) -> Option<Place> {
    let mut class = class;
    loop {
        if let Some(place) = own(class, name) {
            return Some(place);
        }
        class = base(class)?;
    }
}

/// What a class brings itself.
fn own(class: &str, name: &str) -> Option<Place> {
    match class {
        "JupyterHub" => hub(name),
        "Spawner" => spawner(name),
        "DockerSpawner" => docker(name),
        "SwarmSpawner" => swarm(name),
        "SystemUserSpawner" => system_users(name),
        "Authenticator" => authenticator(name),
        "OAuthenticator" => oauth(name),
        "GitHubOAuthenticator" | "LocalGitHubOAuthenticator" => github(name),
        "GitLabOAuthenticator" | "LocalGitLabOAuthenticator" => match name {
            "gitlab_url" => Some(Key("auth.oidc.site")),
            "allowed_gitlab_groups" | "gitlab_group_whitelist" => {
                Some(Key("auth.oidc.allowed_groups"))
            }
            _ => None,
        },
        "AzureAdOAuthenticator" | "LocalAzureAdOAuthenticator" => match name {
            "tenant_id" => Some(Key("auth.oidc.tenant")),
            _ => None,
        },
        "GoogleOAuthenticator" | "LocalGoogleOAuthenticator" => match name {
            "hosted_domain" => Some(Place::Special(Special::HostedDomains)),
            "allowed_google_groups" => Some(Key("auth.oidc.allowed_groups")),
            "admin_google_groups" => Some(Key("auth.oidc.admin_groups")),
            _ => None,
        },
        "NativeAuthenticator" => native(name),
        "DummyAuthenticator" => (name == "password").then_some(Key("auth.dummy.password")),
        "LocalAuthenticator" | "PAMAuthenticator" => Some(Instead(
            "the hub makes no accounts of the system; see docs/sign-in.md for ways to sign in",
        )),
        "ConfigurableHTTPProxy" => match name {
            "api_url" => Some(Key("proxy.api_url")),
            "auth_token" => Some(Key("proxy.auth_token")),
            "should_start" | "command" | "debug" | "check_running_interval" | "pid_file" => {
                Some(Needless("the hub is its own proxy, and starts none"))
            }
            _ => None,
        },
        "CryptKeeper" => (name == "keys").then_some(Instead(
            "set JUPYTERHUB_CRYPT_KEY, or auth.crypt_key: keys, separated by `;`",
        )),
        "LocalProcessSpawner" => match name {
            "shell_cmd" | "popen_kwargs" => {
                Some(Instead("set spawner.process.cmd to the whole command"))
            }
            "interrupt_timeout" | "term_timeout" | "kill_timeout" => {
                Some(Instead("set spawner.process.stop_timeout_seconds"))
            }
            _ => None,
        },
        "SimpleLocalProcessSpawner" => match name {
            "home_dir_template" => Some(Key("spawner.process.notebook_dir")),
            _ => None,
        },
        _ => None,
    }
}

fn hub(name: &str) -> Option<Place> {
    use Special as S;
    let special = |special| Some(Place::Special(special));
    Some(match name {
        "spawner_class" => return special(S::SpawnerClass),
        "authenticator_class" => return special(S::AuthenticatorClass),
        "ip" => return special(S::PublicIp),
        "port" => return special(S::PublicPort),
        "bind_url" => return special(S::BindUrl),
        "hub_ip" => return special(S::HubIp),
        "hub_port" => return special(S::HubPort),
        "log_level" => return special(S::LogLevel),
        "template_paths" => return special(S::TemplatePaths),
        "template_vars" => return special(S::TemplateVars),
        "tornado_settings" => return special(S::TornadoSettings),
        "load_groups" => return special(S::Groups),
        "custom_scopes" => return special(S::Scopes),
        "base_url" => Key("http.base_url"),
        "public_url" => Key("http.public_url"),
        "subdomain_host" => Key("http.subdomain_host"),
        "subdomain_hook" => Key("http.subdomain_hook"),
        "ssl_cert" => Key("http.tls.certificate"),
        "ssl_key" => Key("http.tls.key"),
        "hub_connect_url" => Key("hub_api.url"),
        "hub_connect_ip" | "hub_connect_port" | "hub_bind_url" => {
            Instead("set hub_api.listen, and hub_api.url if servers reach the hub by another name")
        }
        "cookie_secret_file" => Key("store.cookie_secret_file"),
        "cookie_secret" => Instead("set JPY_COOKIE_SECRET, or store.cookie_secret_file"),
        "cookie_max_age_days" => Key("auth.cookie_max_age_days"),
        "admin_users" => Key("auth.admin_users"),
        "admin_access" => Key("servers.admin_access"),
        "concurrent_spawn_limit" => Key("servers.concurrent_spawn_limit"),
        "active_server_limit" => Key("servers.active_server_limit"),
        "allow_named_servers" => Key("servers.allow_named_servers"),
        "named_server_limit_per_user" => Key("servers.named_server_limit_per_user"),
        "default_server_name" => Key("servers.default_server_name"),
        "init_spawners_timeout" => Key("servers.init_spawners_timeout_seconds"),
        "implicit_spawn_seconds" => Key("servers.implicit_spawn_seconds"),
        "shutdown_on_logout" => Key("servers.shutdown_on_logout"),
        "use_legacy_stopped_server_status_code" => {
            Key("servers.use_legacy_stopped_server_status_code")
        }
        "default_url" => Key("pages.default_url"),
        "redirect_to_server" => Key("pages.redirect_to_server"),
        "token_expires_in_max_seconds" | "api_token_max_age" => {
            Key("auth.token_expires_in_max_seconds")
        }
        "services" => Key("services"),
        "load_roles" => Key("roles"),
        "authenticate_prometheus" => Key("metrics.authenticate"),
        "metrics_prefix" => Key("metrics.prefix"),
        "trusted_downstream_ips" => Key("http.trusted_proxies"),
        "api_tokens" => Instead("write a [[services]] with api_token for each token"),
        "service_tokens" => Instead("set api_token in the [[services]] of each"),
        "db_url" | "db_kwargs" => Instead(
            "the hub has a database of its own and reads none of JupyterHub's; docs/migrating.md says what comes along",
        ),
        "internal_ssl" | "internal_certs_location" | "trusted_alt_names" => {
            Instead("the hub and its servers speak plain HTTP to each other in their own network")
        }
        "extra_handlers" | "extra_log_file" | "logo_file" => {
            Instead("there is nothing like it; pages.templates can change every page")
        }
        "cleanup_servers" => Needless("servers go on when the hub is stopped"),
        "cleanup_proxy"
        | "proxy_cmd"
        | "proxy_class"
        | "proxy_check_interval"
        | "confirm_no_ssl"
        | "pid_file"
        | "last_activity_interval"
        | "activity_resolution"
        | "debug_proxy"
        | "proxy_api_ip"
        | "proxy_api_port"
        | "data_files_path"
        | "upgrade_db"
        | "generate_certs"
        | "allow_origin" => Needless("the hub does without"),
        "statsd_host" | "statsd_port" | "statsd_prefix" => {
            Instead("the hub's numbers are at /hub/metrics, for Prometheus")
        }
        _ => return None,
    })
}

fn spawner(name: &str) -> Option<Place> {
    Some(match name {
        "args" => Server("args"),
        "cmd" => Server("cmd"),
        "debug" => Server("debug"),
        "default_url" => Server("default_url"),
        "disable_user_config" => Server("disable_user_config"),
        "environment" => Server("environment"),
        "notebook_dir" => Server("notebook_dir"),
        "ip" => Server("ip"),
        "port" => Server("port"),
        "mem_limit" => Server("mem_limit"),
        "mem_guarantee" => Server("mem_guarantee"),
        "cpu_limit" => Server("cpu_limit"),
        "cpu_guarantee" => Server("cpu_guarantee"),
        "group_overrides" => Place::Special(Special::GroupOverrides),
        "start_timeout" => Key("servers.start_timeout_seconds"),
        "http_timeout" => Key("servers.http_timeout_seconds"),
        "poll_interval" => Key("servers.poll_interval_seconds"),
        "consecutive_failure_limit" => Key("servers.consecutive_failure_limit"),
        "options_form" => Key("servers.options_form"),
        "poll_jitter" => Needless("the hub spreads its looks at servers itself"),
        "env_keep" => Instead("servers get nothing of the hub's environment; set environment"),
        "pre_spawn_hook"
        | "post_stop_hook"
        | "auth_state_hook"
        | "options_from_form"
        | "progress_ready_hook"
        | "apply_user_options" => Instead(
            "settings are values, not programs; group_overrides, the user list and auth.spawn_env_from_auth_state may do",
        ),
        "oauth_client_allowed_scopes" | "oauth_roles" | "server_token_scopes" => {
            Instead("the scopes of servers are those of the role `server`: [[roles]]")
        }
        "ssl_alt_names" | "hub_connect_url" => Instead("set hub_api.url"),
        _ => return None,
    })
}

fn docker(name: &str) -> Option<Place> {
    Some(match name {
        "image" | "container_image" => Key("spawner.docker.image"),
        "allowed_images" | "image_whitelist" => Key("spawner.docker.allowed_images"),
        "pull_policy" => Key("spawner.docker.pull_policy"),
        "prefix" | "container_prefix" => Key("spawner.docker.prefix"),
        "name_template" | "container_name_template" => Key("spawner.docker.name_template"),
        "volumes" => Key("spawner.docker.volumes"),
        "read_only_volumes" => Key("spawner.docker.read_only_volumes"),
        "mounts" => Key("spawner.docker.mounts"),
        "escape" => Key("spawner.docker.escape"),
        "host_ip" | "container_ip" => Key("spawner.docker.host_ip"),
        "port" | "container_port" => Key("spawner.docker.port"),
        "network_name" => Key("spawner.docker.network"),
        "use_internal_ip" => Key("spawner.docker.use_internal_ip"),
        "use_internal_hostname" => Key("spawner.docker.use_internal_hostname"),
        "links" => Key("spawner.docker.links"),
        "remove" | "remove_containers" => Key("spawner.docker.remove"),
        "extra_create_kwargs" => {
            Place::Special(Special::Further("spawner.docker.extra_create_kwargs"))
        }
        "extra_host_config" => Place::Special(Special::Further("spawner.docker.extra_host_config")),
        "post_start_cmd" => Key("spawner.docker.post_start_cmd"),
        "format_volume_name" => Instead("names of volumes are templates: spawner.docker.volumes"),
        "move_certs_image" | "certs_volume_name" => Needless("there is no internal TLS"),
        "client_kwargs" | "tls_config" => Instead(
            "set DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or the keys of the same meaning in [spawner.docker]",
        ),
        "use_docker_client_env"
        | "hub_ip_connect"
        | "tls"
        | "tls_verify"
        | "tls_ca"
        | "tls_cert"
        | "tls_key"
        | "tls_assert_hostname" => Needless("DockerSpawner has ignored it for years"),
        _ => return None,
    })
}

fn swarm(name: &str) -> Option<Place> {
    Some(match name {
        "extra_container_spec" => Key("spawner.swarm.extra_container_spec"),
        "extra_resources_spec" => Key("spawner.swarm.extra_resources_spec"),
        "extra_placement_spec" => Key("spawner.swarm.extra_placement_spec"),
        "extra_task_spec" => Key("spawner.swarm.extra_task_spec"),
        "extra_endpoint_spec" => Key("spawner.swarm.extra_endpoint_spec"),
        "volume_driver" => Key("spawner.docker.volume_driver"),
        "volume_driver_options" => Key("spawner.docker.volume_driver_options"),
        "host_ip" => Key("spawner.swarm.host_ip"),
        "remove" | "pull_policy" => {
            Needless("services are always removed, and pulled by their machines")
        }
        _ => return None,
    })
}

fn system_users(name: &str) -> Option<Place> {
    let key = match name {
        "host_homedir_format_string" => "host_homedir",
        "image_homedir_format_string" => "image_homedir",
        "homedir_bind_propagation" => "homedir_bind_propagation",
        "run_as_root" => "run_as_root",
        "user_id" => "user_id",
        "group_id" => "group_id",
        _ => return None,
    };
    Some(Place::Special(Special::SystemUsers(key)))
}

const SECOND_FACTOR: &str = "see auth.local.second_factor, and docs/local-accounts.md";

fn authenticator(name: &str) -> Option<Place> {
    Some(match name {
        "allowed_users" | "whitelist" => Key("auth.allowed_users"),
        "blocked_users" | "blacklist" | "blocked_user" => Key("auth.blocked_users"),
        "admin_users" => Key("auth.admin_users"),
        "allow_all" => Key("auth.allow_all"),
        "allow_existing_users" => Key("auth.allow_existing_users"),
        "auto_login" => Key("auth.auto_login"),
        "enable_auth_state" => Key("auth.enable_auth_state"),
        "auth_refresh_age" => Key("auth.auth_refresh_age_seconds"),
        "refresh_pre_spawn" => Key("auth.refresh_pre_spawn"),
        "refresh_pre_stop" => Needless("nothing that ends a server looks at the sign-in"),
        "auth_refresh_strict" => Key("auth.auth_refresh_strict"),
        "username_map" => Key("auth.username_map"),
        "username_pattern" => Key("auth.username_pattern"),
        "manage_groups" => Key("auth.manage_groups"),
        "any_allow_config" => Needless("the hub warns by itself when nobody is let in"),
        "auto_login_oauth2_authorize" => Key("auth.auto_login_oauth2_authorize"),
        "delete_invalid_users" => Key("auth.delete_invalid_users"),
        "reset_managed_roles_on_startup" => Needless("the hub does without"),
        "post_auth_hook"
        | "reconcile_auth_state_hook"
        | "refresh_user_hook"
        | "custom_login_error"
        | "custom_html"
        | "manage_roles" => Instead("there is nothing like it; see docs/sign-in.md"),
        "request_otp" | "otp_prompt" => Instead(SECOND_FACTOR),
        "custom_403_message" => Key("pages.custom_403_message"),
        "admin_groups" => Provider("admin_groups"),
        "allowed_groups" => Provider("allowed_groups"),
        _ => return None,
    })
}

fn oauth(name: &str) -> Option<Place> {
    Some(match name {
        "client_id" => Provider("client_id"),
        "client_secret" => Provider("client_secret"),
        "oauth_callback_url" => Provider("callback_url"),
        "scope" => Provider("scope"),
        "allowed_scopes" => Provider("allowed_scopes"),
        "authorize_url" => Provider("authorize_url"),
        "token_url" => Provider("token_url"),
        "userdata_url" => Provider("userdata_url"),
        "username_claim" | "username_key" => Provider("username_claim"),
        "login_service" => Provider("service"),
        "basic_auth" => Provider("basic_auth"),
        "extra_authorize_params" => Provider("extra_authorize_params"),
        "token_params" | "extra_params" => Provider("token_params"),
        "userdata_params" => Provider("userdata_params"),
        "allowed_groups" => Provider("allowed_groups"),
        "admin_groups" => Provider("admin_groups"),
        "claim_groups_key" => Place::Special(Special::GroupsKey),
        "auth_state_groups_key" => Place::Special(Special::StateGroupsKey),
        "userdata_from_id_token" => Place::Special(Special::IdTokenAlone),
        "enable_pkce" => Needless("always"),
        "validate_server_cert" | "tls_verify" => Instead(
            "certificates are always checked; auth.outbound.ca_file names an authority of your own",
        ),
        "http_request_kwargs" => Place::Special(Special::RequestKwargs),
        "modify_auth_state_hook" | "userdata_token_method" => {
            Instead("there is nothing like it; see docs/sign-in.md")
        }
        "logout_redirect_url" => Key("pages.logout_redirect_url"),
        _ => return None,
    })
}

fn github(name: &str) -> Option<Place> {
    Some(match name {
        "allowed_organizations" | "github_organization_whitelist" => {
            Key("auth.github.allowed_organizations")
        }
        "populate_teams_in_auth_state" => Key("auth.github.populate_teams"),
        "github_url" => Key("auth.github.url"),
        "github_api" => Key("auth.github.api_url"),
        "github_host" => Place::Special(Special::GithubHost),
        "client_id" | "github_client_id" => Key("auth.github.client_id"),
        "client_secret" | "github_client_secret" => Key("auth.github.client_secret"),
        "oauth_callback_url" => Key("auth.github.callback_url"),
        "scope" => Key("auth.github.scope"),
        _ => return None,
    })
}

fn native(name: &str) -> Option<Place> {
    Some(match name {
        "minimum_password_length" => Key("auth.local.minimum_password_length"),
        "check_common_password" => Key("auth.local.refuse_common_passwords"),
        "allowed_failed_logins" => Key("auth.local.allowed_failed_logins"),
        "seconds_before_next_try" => Key("auth.local.failed_login_seconds"),
        "open_signup" => Place::Special(Special::OpenSignUp),
        "allow_2fa" => Instead(SECOND_FACTOR),
        "enable_signup"
        | "ask_email_on_signup"
        | "import_from_firstuse"
        | "firstuse_db_path"
        | "delete_firstuse_db_after_import"
        | "recaptcha_key"
        | "recaptcha_secret"
        | "tos"
        | "allow_self_approval_for"
        | "self_approval_email"
        | "self_approval_server"
        | "secret_key" => Instead("see auth.local.sign_up, and docs/local-accounts.md"),
        _ => return None,
    })
}
