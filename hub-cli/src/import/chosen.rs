//! What a script's spawner and authenticator are here.

/// What servers are, by the script's spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    Docker,
    SystemUsers,
    Swarm,
    Process,
}

/// How people sign in, by the script's authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Github,
    Oidc(Option<&'static str>),
    Local,
    Dummy,
}

/// What a `spawner_class` stands for.
pub(super) fn servers(class: &str) -> Option<Servers> {
    let name = class.rsplit('.').next().unwrap_or_default();
    Some(match name {
        "docker" | "DockerSpawner" => Servers::Docker,
        "docker-swarm" | "SwarmSpawner" => Servers::Swarm,
        "docker-system-user" | "SystemUserSpawner" => Servers::SystemUsers,
        "simple" | "SimpleLocalProcessSpawner" => Servers::Process,
        _ => return None,
    })
}

/// What an `authenticator_class` stands for.
pub(super) fn provider(class: &str) -> Option<Provider> {
    let name = class.rsplit('.').next().unwrap_or_default();
    let name = name.strip_prefix("local-").or_else(|| name.strip_prefix("Local")).unwrap_or(name);
    Some(match name {
        "github" | "GitHubOAuthenticator" => Provider::Github,
        "generic-oauth" | "generic" | "GenericOAuthenticator" => Provider::Oidc(None),
        "google" | "GoogleOAuthenticator" => Provider::Oidc(Some("google")),
        "gitlab" | "GitLabOAuthenticator" => Provider::Oidc(Some("gitlab")),
        "azuread" | "AzureAdOAuthenticator" => Provider::Oidc(Some("entra")),
        "native" | "NativeAuthenticator" => Provider::Local,
        "dummy" | "DummyAuthenticator" => Provider::Dummy,
        _ => return None,
    })
}
