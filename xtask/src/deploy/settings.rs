//! What is to be deployed: variables and flags, read into one value.

mod address;
mod engine;
mod hub_config;
mod paths;
mod tls;

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use hub_spawner::{InvalidConfig, engine::DockerHost};
use url::Url;

pub(super) use self::paths::USERLIST;
pub(super) use self::{
    hub_config::HubConfig,
    tls::{Acme, Tls},
};
use super::{
    layout::{DEFAULT_NAME, HTTP_PORT, HTTPS_PORT, Layout, SOCKET},
    variables::Variables,
};

/// Everything an operator decides about a deployment, apart from the hub's own
/// configuration.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where the operator's files are.
    pub(super) dir: PathBuf,
    /// What everything is called.
    pub(super) layout: Layout,
    /// The image of notebook servers as it is pulled.
    pub(super) notebook_image: Option<String>,
    /// The name of an image that is made from it, with `singleuser/Dockerfile`.
    pub(super) derived_image: Option<DerivedImage>,
    /// Where people find the hub, without a path.
    pub(super) public_url: Url,
    /// Where the ports are published.
    pub(super) bind: IpAddr,
    /// The published port of https, or of plain HTTP where TLS ends elsewhere.
    pub(super) port: u16,
    /// The published port that sends people to https.
    pub(super) redirect_port: u16,
    /// Who keeps the secret of the connection.
    pub(super) tls: Tls,
    /// What the hub's configuration file says, if there is one.
    pub(super) config: HubConfig,
    /// Who is admitted.
    pub(super) userlist: PathBuf,
    /// Docker's socket on the engine's own host.
    pub(super) socket: PathBuf,
    /// All that was given, for the hub.
    pub(super) variables: Variables,
    /// The flags by which this deployment is addressed.
    pub(super) addressed: Vec<String>,
}

/// An image with the operator's own additions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DerivedImage {
    pub(super) tag: String,
    pub(super) directory: PathBuf,
    pub(super) version: Option<String>,
}

/// A variable that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem(pub(super) String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    /// Reads them, if nothing is wrong.
    #[cfg(test)]
    pub(super) fn read(dir: &Path, variables: Variables) -> Result<Self, Vec<Problem>> {
        let (settings, problems) = Self::with_problems(dir, variables);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Reads them, with what is usual in the place of what is wrong, and tells all
    /// of that.
    pub(super) fn with_problems(dir: &Path, variables: Variables) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let name = variables.or("HUB_DEPLOY_NAME", DEFAULT_NAME);
        if !is_name(&name) {
            problems.push(Problem(format!(
                "HUB_DEPLOY_NAME: {name:?} cannot name a container; use a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
            )));
        }
        let stem = |default: &str| match name.as_str() {
            DEFAULT_NAME => default.to_owned(),
            other => default.replacen("jupyterhub", other, 1),
        };
        let layout = Layout::new(
            &name,
            &variables.or("DOCKER_NETWORK_NAME", &stem("jupyterhub-network")),
            &variables.or("DATA_VOLUME_HOST", &stem("jupyterhub-data")),
            &variables.or("DATA_VOLUME_CONTAINER", "/data"),
        );
        if !layout.data_dir.starts_with('/') {
            problems.push(Problem(
                "DATA_VOLUME_CONTAINER: write an absolute path, for example /data".to_owned(),
            ));
        }
        let port = number(&variables, "HUB_HTTPS_PORT", 443, &mut problems);
        let redirect_port = number(&variables, "HUB_HTTP_PORT", 80, &mut problems);
        let tls = tls::read(dir, &variables, &mut problems);
        let off = tls == Tls::Elsewhere;
        if port == redirect_port && !off {
            problems.push(Problem(format!(
                "HUB_HTTPS_PORT and HUB_HTTP_PORT are both {port}; choose two ports"
            )));
        }
        let default_bind = if off { "127.0.0.1" } else { "0.0.0.0" };
        let bind = variables.or("HUB_BIND_IP", default_bind);
        let bind = bind.parse().unwrap_or_else(|_| {
            problems.push(Problem(format!("HUB_BIND_IP: {bind:?} is not an IP address")));
            IpAddr::from([127, 0, 0, 1])
        });
        // Behind somebody else's TLS one port is enough.
        let port = if off { redirect_port } else { port };
        let config = HubConfig::read(match variables.get("HUB_CONFIG") {
            Some(path) => Some(dir.join(path)),
            None => Some(dir.join("hub.toml")).filter(|path| path.exists()),
        });
        problems.extend(config.decided(&variables));
        problems.extend(paths::problems(&config, &variables, &layout.data_dir));
        let public_url = address::public_url(&variables, &config, &tls, port, &mut problems);
        let derived_image = derived_image(dir, &variables);
        let image = variables.get("DOCKER_NOTEBOOK_IMAGE").map(str::to_owned);
        let image = image.or_else(|| Some(config.get(&variables, "spawner.docker.image")?.1));
        let settings = Self {
            dir: dir.to_owned(),
            layout,
            notebook_image: image,
            derived_image,
            public_url,
            bind,
            port,
            redirect_port,
            tls,
            userlist: userlist(dir, &config, &variables),
            socket: engine::socket(dir, &variables),
            config,
            variables,
            addressed: Vec::new(),
        };
        (settings, problems)
    }

    /// A command for this deployment, as a person types it: `upgrade` and the like,
    /// or nothing.
    pub(super) fn command(&self, arguments: &str) -> String {
        let flags = self.addressed.iter().map(|word| match word {
            word if word
                .contains(|c: char| c.is_whitespace() || "'\"$`\\;&|<>()*?!#".contains(c)) =>
            {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
            word => word.clone(),
        });
        let words = ["cargo xtask deploy".to_owned()].into_iter().chain(flags);
        let arguments = Some(arguments.to_owned()).filter(|arguments| !arguments.is_empty());
        words.chain(arguments).collect::<Vec<_>>().join(" ")
    }

    /// The image that servers run from: the derived one where there is one.
    pub(super) fn server_image(&self) -> Option<&str> {
        match &self.derived_image {
            Some(derived) => Some(&derived.tag),
            None => self.notebook_image.as_deref(),
        }
    }

    /// Where the hub's URLs begin, with a slash at both ends.
    pub(super) fn base_url(&self) -> String {
        let given = self.setting("http.base_url").unwrap_or_default();
        match given.trim_matches('/') {
            "" => "/".to_owned(),
            path => format!("/{path}/"),
        }
    }

    /// What people type to come to the hub.
    pub(super) fn address(&self) -> String {
        let host = self.public_url.as_str().trim_end_matches('/');
        match self.base_url().as_str() {
            "/" => host.to_owned(),
            path => format!("{host}{path}"),
        }
    }

    /// Where the hub is asked how it is, from the machine that deploys: the
    /// published port. `None` if that is open only on another machine.
    pub(super) fn outer_url(&self) -> Option<String> {
        let engine = self.docker().ok().and_then(|engine| engine.machine().map(str::to_owned));
        let host = match (engine, self.bind) {
            (Some(_), ip) if ip.is_loopback() => return None,
            (Some(machine), ip) if ip.is_unspecified() => machine,
            (None, ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            (_, IpAddr::V4(ip)) => ip.to_string(),
            (_, IpAddr::V6(ip)) => format!("[{ip}]"),
        };
        Some(format!("{}://{host}:{}{}hub/health", self.scheme(), self.port, self.base_url()))
    }

    /// The same, from inside the proxy's container.
    pub(super) fn inner_url(&self) -> String {
        let port = if self.tls == Tls::Elsewhere { HTTP_PORT } else { HTTPS_PORT };
        format!("{}://127.0.0.1:{port}{}hub/health", self.scheme(), self.base_url())
    }

    fn scheme(&self) -> &'static str {
        if self.tls == Tls::Elsewhere { "http" } else { "https" }
    }

    /// What a key of the hub's configuration is, as text: a variable before the
    /// file.
    pub(super) fn setting(&self, key: &str) -> Option<String> {
        self.config.get(&self.variables, key).map(|(_, value)| value)
    }

    /// The hosts in the addresses that browsers are sent to: the certificate has to
    /// be for them (TLS-2).
    pub(super) fn hosts(&self) -> Vec<String> {
        address::hosts(&self.public_url, &self.variables, &self.config)
    }

    /// Whether the hub finds the list of users by what its own file says.
    pub(super) fn userlist_is_configured(&self) -> bool {
        named_userlist(&self.variables).is_none() && self.config.text(USERLIST).is_some()
    }

    /// The weak settings that are meant.
    pub(super) fn accepted(&self) -> Vec<String> {
        let names = self.variables.get("HUB_ACCEPT_WEAK").unwrap_or_default();
        names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Where the Docker engine is (DM-1).
    pub(super) fn docker(&self) -> Result<DockerHost, InvalidConfig> {
        engine::resolve(&self.dir, &self.variables)
    }

    /// The path in one of the variables of Docker's own tools.
    pub(super) fn docker_place(&self, name: &str) -> Option<PathBuf> {
        engine::place(&self.dir, &self.variables, name)
    }
}

/// The list of users: where a variable or the configuration names it, else beside
/// it.
fn userlist(dir: &Path, config: &HubConfig, variables: &Variables) -> PathBuf {
    match (named_userlist(variables), config.text(USERLIST)) {
        (Some(path), _) => dir.join(path),
        (None, Some(path)) => config.dir().unwrap_or(dir).join(path),
        (None, None) => dir.join("userlist"),
    }
}

fn named_userlist(variables: &Variables) -> Option<&str> {
    variables.get("HUB_USERLIST").or_else(|| variables.get("HUB__AUTH__USERLIST"))
}

/// What Docker accepts as a container's name, in lower case as DNS wants it.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 48
        && text.starts_with(plain)
        && text.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
}

fn number(variables: &Variables, name: &str, default: u16, problems: &mut Vec<Problem>) -> u16 {
    match variables.get(name).map(str::parse) {
        None => default,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            problems.push(Problem(format!("{name}: write a port between 1 and 65535")));
            default
        }
    }
}

/// The reference deployment of 2017 and later builds its own image from
/// `singleuser/`.
fn derived_image(dir: &Path, variables: &Variables) -> Option<DerivedImage> {
    let directory = dir.join("singleuser");
    directory.join("Dockerfile").is_file().then(|| DerivedImage {
        tag: variables.or("LOCAL_NOTEBOOK_IMAGE", "jupyterhub-user"),
        directory,
        version: variables.get("JUPYTERHUB_VERSION").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let variables = given.iter().copied().collect();
        Settings::read(Path::new("/nowhere"), variables)
            .map_err(|problems| problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn the_reference_deployment_needs_no_new_variable() {
        let settings = read(&[
            ("DOCKER_NOTEBOOK_IMAGE", "jupyter/scipy-notebook:2d878db5cbff"),
            ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback"),
            ("SSL_CERT", "/srv/jupyterhub/secrets/jupyterhub.crt"),
        ])
        .unwrap();
        assert_eq!(settings.layout.servers, "jupyterhub-network");
        assert_eq!(settings.layout.data, "jupyterhub-data");
        assert_eq!(settings.public_url.as_str(), "https://hub.example.org/");
        assert_eq!((settings.port, settings.redirect_port), (443, 80));
        let Tls::Files { certificate, key } = &settings.tls else { panic!("{:?}", settings.tls) };
        assert_eq!(certificate, Path::new("/nowhere/secrets/jupyterhub.crt"));
        assert_eq!(key, Path::new("/nowhere/secrets/jupyterhub.key"));
    }

    #[test]
    fn a_variable_names_the_list_of_users_before_the_configuration_does() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hub.toml"), "[auth]\nuserlist = \"class\"\n").unwrap();
        for (given, expected, configured) in [
            (None, "class", true),
            (Some("HUB_USERLIST"), "users.txt", false),
            (Some("HUB__AUTH__USERLIST"), "users.txt", false),
        ] {
            let variables = given.map(|name| (name, "users.txt")).into_iter().collect();
            let settings = Settings::read(dir.path(), variables).unwrap();
            assert_eq!(settings.userlist, dir.path().join(expected), "{given:?}");
            assert_eq!(settings.userlist_is_configured(), configured, "{given:?}");
            let environment = super::super::environment::of_hub(&settings, &[]);
            let told = environment.get("HUB__AUTH__USERLIST").map(String::as_str);
            assert_eq!(told, (!configured).then_some("/data/config/userlist"), "{given:?}");
        }
    }

    #[test]
    fn env_4_an_address_without_tls_does_not_go_with_a_certificate() {
        let callback = ("OAUTH_CALLBACK_URL", "http://hub.example.org/hub/oauth_callback");
        let problems = read(&[callback]).unwrap_err();
        assert!(problems[0].starts_with("OAUTH_CALLBACK_URL: "), "{problems:?}");
        assert!(problems[0].contains("write https://"), "{problems:?}");
        assert!(read(&[callback, ("HUB_TLS", "off")]).is_ok());
    }

    #[test]
    fn a_command_that_is_named_addresses_this_deployment() {
        let mut settings = read(&[]).unwrap();
        assert_eq!(settings.command("upgrade"), "cargo xtask deploy upgrade");
        settings.addressed = ["--dir", "my class", "--name", "b"].map(str::to_owned).to_vec();
        assert_eq!(settings.command(""), "cargo xtask deploy --dir 'my class' --name b");
        let logs = "cargo xtask deploy --dir 'my class' --name b logs -f";
        assert_eq!(settings.command("logs -f"), logs);
    }

    #[test]
    fn a_secrets_volume_asks_for_no_files() {
        let settings = read(&[("SECRETS_VOLUME", "jupyterhub-secrets")]).unwrap();
        assert_eq!(settings.tls, Tls::Volume("jupyterhub-secrets".to_owned()));
    }

    #[test]
    fn acme_3_the_terms_have_to_be_accepted_in_words() {
        let problems = read(&[("ACME_DOMAINS", "hub.example.org")]).unwrap_err();
        assert!(problems[0].starts_with("ACME_AGREE_TOS"), "{problems:?}");
        let settings =
            read(&[("ACME_DOMAINS", "a.example.org, b.example.org"), ("ACME_AGREE_TOS", "yes")])
                .unwrap();
        let Tls::Acme(acme) = settings.tls else { panic!("{:?}", settings.tls) };
        assert_eq!(acme.domains, ["a.example.org", "b.example.org"]);
        assert_eq!(settings.public_url.as_str(), "https://a.example.org/");
    }

    #[test]
    fn tls_6_behind_somebody_elses_tls_one_local_port_is_published() {
        let settings = read(&[("HUB_TLS", "off"), ("HUB_HTTP_PORT", "8000")]).unwrap();
        assert_eq!((settings.port, settings.bind.to_string().as_str()), (8000, "127.0.0.1"));
        assert_eq!(settings.public_url.as_str(), "http://localhost:8000/");
    }

    #[test]
    fn xt_2_everything_that_is_wrong_is_told_at_once() {
        let problems = read(&[
            ("HUB_DEPLOY_NAME", "My Hub"),
            ("HUB_HTTPS_PORT", "https"),
            ("HUB_TLS", "maybe"),
            ("OAUTH_CALLBACK_URL", "hub.example.org"),
        ])
        .unwrap_err();
        for name in ["HUB_DEPLOY_NAME", "HUB_HTTPS_PORT", "HUB_TLS", "OAUTH_CALLBACK_URL"] {
            assert!(problems.iter().any(|text| text.starts_with(name)), "{name} in {problems:?}");
        }
    }

    #[test]
    fn dm_2_the_hub_is_asked_where_its_port_is_open() {
        let rows = [
            ("", "", Some("https://127.0.0.1:443/hub/health")),
            ("", "192.0.2.5", Some("https://192.0.2.5:443/hub/health")),
            ("tcp://192.0.2.7:2375", "", Some("https://192.0.2.7:443/hub/health")),
            ("tcp://192.0.2.7:2375", "198.51.100.3", Some("https://198.51.100.3:443/hub/health")),
            ("ssh://ada@far", "127.0.0.1", None),
        ];
        for (engine, bind, expected) in rows {
            let settings = read(&[("DOCKER_HOST", engine), ("HUB_BIND_IP", bind)]).unwrap();
            assert_eq!(settings.outer_url().as_deref(), expected, "{engine} {bind}");
        }
    }

    #[test]
    fn another_name_renames_what_is_not_named_itself() {
        let settings =
            read(&[("HUB_DEPLOY_NAME", "class"), ("DATA_VOLUME_HOST", "my-data")]).unwrap();
        assert_eq!(settings.layout.servers, "class-network");
        assert_eq!(settings.layout.data, "my-data");
    }
}
