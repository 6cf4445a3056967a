//! Settings of the script to keys of ours.

mod further;

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use hub_server::config::{
    key::key,
    variables::{Effect, variable},
};
use toml::{Table, Value as Toml};

use super::{
    Finding, Outcome,
    chosen::{Provider, Servers, provider, servers},
    convert::{convert, natural, variables},
    document::Found,
    listen::{Listen, address, path_of},
    outbound::request_kwargs,
    place::{Place, Special, base, place},
    script::Setting,
    value::Value,
};

/// Where JupyterHub listens if it is not told.
const PUBLIC_PORT: i64 = 8000;
const HUB_PORT: i64 = 8081;

/// Keys as far as they are found.
pub(super) struct Taking<'a> {
    /// The one that counts for each class and trait.
    settings: Vec<&'a Setting>,
    servers: Servers,
    provider: Provider,
    /// Whether the script's hub starts no proxy itself.
    proxy_is_apart: bool,
    found: BTreeMap<String, Found>,
    findings: Vec<Finding>,
    /// Parts of `spawner.docker.system_users`.
    system_users: Option<(Table, usize)>,
    /// Addresses are put together of several settings.
    public: Listen,
    hub: Listen,
}

/// Why a setting is not taken, or the key that it is now.
type Taken = Result<String, Outcome>;

impl<'a> Taking<'a> {
    pub(super) fn of(settings: &'a [Setting]) -> Self {
        let settings = effective(settings);
        let class = |name| {
            let setting =
                settings.iter().rfind(|one| one.class == "JupyterHub" && one.name == name);
            let value = setting.and_then(|one| one.value.as_ref().ok());
            value.and_then(Value::as_text).unwrap_or_default()
        };
        let uses = |name: &str| settings.iter().any(|one| one.class.starts_with(name));
        let servers = servers(class("spawner_class")).unwrap_or_else(|| match () {
            () if uses("SystemUserSpawner") => Servers::SystemUsers,
            () if uses("SwarmSpawner") => Servers::Swarm,
            () => Servers::Docker,
        });
        let provider = provider(class("authenticator_class")).unwrap_or_else(|| match () {
            () if uses("NativeAuthenticator") => Provider::Local,
            () if uses("GenericOAuthenticator") => Provider::Oidc(None),
            () => Provider::Github,
        });
        let proxy_is_apart = settings.iter().any(|one| {
            one.class == "ConfigurableHTTPProxy"
                && one.name == "should_start"
                && one.value == Ok(Value::Boolean(false))
        });
        Self {
            settings,
            servers,
            provider,
            proxy_is_apart,
            found: BTreeMap::new(),
            findings: Vec::new(),
            system_users: None,
            public: Listen::default(),
            hub: Listen::default(),
        }
    }

    pub(super) fn finish(mut self) -> (BTreeMap<String, Found>, Vec<Finding>) {
        // Settings of a class go before those of the class it comes from.
        let mut ordered = self.settings.clone();
        // What has a key of its own goes before a further field that means the same.
        ordered.sort_by_key(|one| (one.name.starts_with("extra_"), depth(&one.class)));
        for setting in ordered {
            let outcome = match self.take(setting) {
                Ok(key) => Outcome::Taken(key),
                Err(outcome) => outcome,
            };
            let name = match setting.class.as_str() {
                "" => setting.name.clone(),
                class => format!("c.{class}.{}", setting.name),
            };
            self.findings.push(Finding { line: setting.line, setting: name, outcome });
        }
        self.together();
        self.findings.sort_by_key(|one| one.line);
        (self.found, self.findings)
    }

    fn take(&mut self, setting: &Setting) -> Taken {
        if setting.class.is_empty() {
            let why = setting.value.as_ref().err().map(|why| why.0.clone());
            return Err(Outcome::Left(why.unwrap_or_default()));
        }
        let Some(place) = place(&setting.class, &setting.name) else {
            return Err(Outcome::Left("this hub knows nothing like it".to_owned()));
        };
        if let Place::Needless(why) = place {
            return Err(Outcome::Needless(why.to_owned()));
        }
        if let Place::Instead(what) = place {
            return Err(Outcome::Left(what.to_owned()));
        }
        if setting.class == "ConfigurableHTTPProxy" && !self.proxy_is_apart {
            return Err(Outcome::Needless("the hub is its own proxy".to_owned()));
        }
        if !self.counts(&setting.class) {
            let why = format!("does not count: {}", self.chosen());
            return Err(Outcome::Needless(why));
        }
        let value = match &setting.value {
            // Unless it is told not to, this hub limits memory.
            Ok(Value::None) if setting.name == "mem_limit" && self.servers != Servers::Process => {
                return self.set("spawner.docker.mem_limit", "none".into(), setting.line);
            }
            Ok(Value::None) => {
                return Err(Outcome::Needless("None means the default".to_owned()));
            }
            Ok(value) => value,
            Err(why) => {
                let hint = self.key_of(place).map(|key| format!("; the key is {key}"));
                return Err(Outcome::Left(format!("{}{}", why.0, hint.unwrap_or_default())));
            }
        };
        match place {
            Place::Special(special) => self.special(special, setting, value),
            place => match self.key_of(place) {
                Some(name) => self.put(&name, value, setting.line),
                None => Err(Outcome::Left(format!("has no place here: {}", self.chosen()))),
            },
        }
    }

    /// The whole name of a key, if there is one.
    fn key_of(&self, place: Place) -> Option<String> {
        let name = match place {
            Place::Key(name) => name.to_owned(),
            Place::Server(name) => match self.servers {
                Servers::Process => format!("spawner.process.{name}"),
                _ => format!("spawner.docker.{name}"),
            },
            Place::Provider(name) => match self.provider {
                Provider::Github => format!("auth.github.{name}"),
                Provider::Oidc(_) => format!("auth.oidc.{name}"),
                Provider::Local | Provider::Dummy => return None,
            },
            Place::Special(Special::Further(name)) => name.to_owned(),
            Place::Special(_) | Place::Needless(_) | Place::Instead(_) => return None,
        };
        key(&name).map(|key| key.name.to_owned())
    }

    /// Whether settings of a class count with the spawner and authenticator there are.
    fn counts(&self, class: &str) -> bool {
        match class {
            "DockerSpawner" => self.servers != Servers::Process,
            "SwarmSpawner" => self.servers == Servers::Swarm,
            "SystemUserSpawner" => self.servers == Servers::SystemUsers,
            "LocalProcessSpawner" | "SimpleLocalProcessSpawner" => self.servers == Servers::Process,
            "OAuthenticator" => matches!(self.provider, Provider::Github | Provider::Oidc(_)),
            _ => provider(class).is_none_or(|its| its == self.provider),
        }
    }

    fn chosen(&self) -> String {
        let servers = match self.servers {
            Servers::Docker => "containers",
            Servers::SystemUsers => "containers of system users",
            Servers::Swarm => "services of a swarm",
            Servers::Process => "processes",
        };
        let provider = match self.provider {
            Provider::Github => "GitHub",
            Provider::Oidc(Some(preset)) => preset,
            Provider::Oidc(None) => "OAuth 2",
            Provider::Local => "accounts of the hub",
            Provider::Dummy => "one password for all",
        };
        format!("servers are {servers}, people sign in with {provider}")
    }

    /// Sets a key, unless a class that goes before has.
    fn put(&mut self, name: &str, value: &Value, line: usize) -> Taken {
        let Some(key) = key(name) else {
            return Err(Outcome::Left("this hub knows nothing like it".to_owned()));
        };
        let value = match value {
            Value::Variable(variable_name, default) => {
                match (is_read_for(variable_name, name), default) {
                    (true, None) => {
                        return Err(Outcome::Needless(format!(
                            "the hub reads {variable_name} itself"
                        )));
                    }
                    (true, Some(default)) => default,
                    (false, _) => {
                        return Err(Outcome::Left(format!(
                            "is that of the variable {variable_name}, which the hub does not read; \
                             name it {} instead",
                            key.variable()
                        )));
                    }
                }
            }
            value => value,
        };
        let converted = match key.name.ends_with(".environment") {
            true => variables(value),
            false => convert(key.kind, value),
        };
        let value = converted.map_err(|why| Outcome::Left(format!("{why}; the key is {name}")))?;
        self.set(name, value, line)
    }

    fn set(&mut self, name: &str, value: Toml, line: usize) -> Taken {
        match self.found.entry(name.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(Found { value, line });
                Ok(name.to_owned())
            }
            Entry::Occupied(taken) => {
                let line = taken.get().line;
                Err(Outcome::Needless(format!("line {line} goes before it")))
            }
        }
    }

    fn special(&mut self, special: Special, setting: &Setting, value: &Value) -> Taken {
        let line = setting.line;
        match special {
            Special::SpawnerClass => self.spawner_class(value, line),
            Special::AuthenticatorClass => self.authenticator_class(value, line),
            Special::PublicIp | Special::PublicPort | Special::BindUrl => {
                address(&mut self.public, special, value, line)?;
                if let (Special::BindUrl, Some(path)) =
                    (special, value.as_text().and_then(path_of).filter(|path| path != "/"))
                {
                    self.set("http.base_url", Toml::String(path), line)?;
                }
                Ok("http.listen".to_owned())
            }
            Special::HubIp | Special::HubPort => {
                address(&mut self.hub, special, value, line)?;
                Ok("hub_api.listen".to_owned())
            }
            Special::LogLevel => self.log_level(value, line),
            Special::TemplatePaths => match value {
                Value::List(paths) if paths.len() == 1 => {
                    let path = paths.first().unwrap_or(value);
                    self.put("pages.templates", path, line)
                }
                _ => Err(Outcome::Left("pages.templates is one directory".to_owned())),
            },
            Special::TemplateVars => match value.only("announcement") {
                Some(text) => self.put("pages.announcement", text, line),
                None => Err(Outcome::Left(
                    "of such variables there is pages.announcement; others go into templates"
                        .to_owned(),
                )),
            },
            Special::TornadoSettings => match value.only("slow_spawn_timeout") {
                Some(seconds) => self.put("servers.slow_spawn_timeout_seconds", seconds, line),
                None => Err(Outcome::Left(
                    "of these there is servers.slow_spawn_timeout_seconds; there is no Tornado"
                        .to_owned(),
                )),
            },
            Special::Groups => self.named("groups", value, line),
            Special::Scopes => self.named("custom_scopes", value, line),
            Special::GroupOverrides => self.group_overrides(value, line),
            Special::Further(key) => self.further(key, value, line),
            Special::OpenSignUp => {
                let word = match value {
                    Value::Boolean(true) => "open",
                    _ => "approval",
                };
                self.found.remove("auth.local.sign_up");
                self.put("auth.local.sign_up", &Value::Text(word.to_owned()), line)
            }
            Special::GroupsKey => {
                let Provider::Oidc(_) = self.provider else {
                    return Err(Outcome::Left(
                        "groups are organizations and teams: auth.github.populate_teams".to_owned(),
                    ));
                };
                let list = Value::List(vec![value.clone()]);
                self.put("auth.oidc.groups_claims", &list, line)
            }
            Special::StateGroupsKey => match value.as_text().and_then(|path| path.split_once('.')) {
                // What the provider told of the person is there under such a name.
                Some((first, claim)) if first.ends_with("_user") => {
                    let claim = Value::Text(claim.to_owned());
                    self.special(Special::GroupsKey, setting, &claim)
                }
                _ => Err(Outcome::Left(
                    "is a path in what JupyterHub keeps; auth.oidc.groups_claims are paths in the \
                     provider's claims"
                        .to_owned(),
                )),
            },
            Special::HostedDomains => match value {
                Value::Text(_) => {
                    let list = Value::List(vec![value.clone()]);
                    self.put("auth.oidc.hosted_domains", &list, line)
                }
                value => self.put("auth.oidc.hosted_domains", value, line),
            },
            Special::IdTokenAlone => match (value, self.provider) {
                (_, Provider::Github | Provider::Local | Provider::Dummy) => Err(Outcome::Left(
                    "has no place here: only an OpenID provider has ID tokens".to_owned(),
                )),
                (Value::Boolean(true), Provider::Oidc(_)) => {
                    self.put("auth.oidc.userinfo", &Value::Text("never".to_owned()), line)
                }
                (Value::Boolean(false), Provider::Oidc(_)) => Err(Outcome::Needless(
                    "the user info is asked for what the ID token lacks".to_owned(),
                )),
                (_, Provider::Oidc(_)) => Err(Outcome::Left(
                    "is no True or False; the key is auth.oidc.userinfo".to_owned(),
                )),
            },
            Special::GithubHost => match value.as_text() {
                Some(host) => {
                    let url = Value::Text(format!("https://{host}"));
                    self.put("auth.github.url", &url, line)
                }
                None => Err(Outcome::Left("the key is auth.github.url".to_owned())),
            },
            Special::RequestKwargs => self.request_kwargs(value, line),
            Special::SystemUsers(name) => {
                if matches!(value, Value::Integer(number) if *number < 0) {
                    return Err(Outcome::Needless(
                        "that is what it is unless it is set".to_owned(),
                    ));
                }
                let value = natural(value).map_err(Outcome::Left)?;
                self.system_users(line).insert(name.to_owned(), value);
                Ok(format!("spawner.docker.system_users.{name}"))
            }
        }
    }

    fn system_users(&mut self, line: usize) -> &mut Table {
        &mut self.system_users.get_or_insert_with(|| (Table::new(), line)).0
    }

    fn spawner_class(&mut self, value: &Value, line: usize) -> Taken {
        let kind = match servers(value.as_text().unwrap_or_default()) {
            None => {
                return Err(Outcome::Left(
                    "there is no such spawner: spawner.kind is docker, swarm or process, where \
                     process runs all servers as the hub's own user; for people with accounts of \
                     the machine there is spawner.docker.system_users"
                        .to_owned(),
                ));
            }
            Some(Servers::SystemUsers) => {
                self.system_users(line);
                "docker"
            }
            Some(Servers::Docker) => "docker",
            Some(Servers::Swarm) => "swarm",
            Some(Servers::Process) => "process",
        };
        self.put("spawner.kind", &Value::Text(kind.to_owned()), line)
    }

    fn authenticator_class(&mut self, value: &Value, line: usize) -> Taken {
        match provider(value.as_text().unwrap_or_default()) {
            None => Err(Outcome::Left(
                "there is no such way to sign in; docs/sign-in.md says which there are".to_owned(),
            )),
            Some(Provider::Github) => Ok("auth.github".to_owned()),
            Some(Provider::Oidc(None)) => Ok("auth.oidc".to_owned()),
            Some(Provider::Oidc(Some(preset))) => {
                self.put("auth.oidc.preset", &Value::Text(preset.to_owned()), line)
            }
            Some(Provider::Local) => {
                // NativeAuthenticator's own way.
                self.put("auth.local.sign_up", &Value::Text("approval".to_owned()), line)
            }
            Some(Provider::Dummy) => Ok("auth.dummy".to_owned()),
        }
    }

    fn log_level(&mut self, value: &Value, line: usize) -> Taken {
        let word = match value {
            Value::Text(word) => word.to_lowercase(),
            Value::Integer(10) => "debug".to_owned(),
            Value::Integer(20) => "info".to_owned(),
            Value::Integer(30) => "warn".to_owned(),
            Value::Integer(_) => "error".to_owned(),
            _ => return Err(Outcome::Left("the key is log.level".to_owned())),
        };
        let word = match word.as_str() {
            "warning" => "warn",
            "critical" => "error",
            word => word,
        };
        self.put("log.level", &Value::Text(word.to_owned()), line)
    }

    /// Sections with names, written `{name: {...}}`, or for groups `{name: [users]}`.
    fn request_kwargs(&mut self, value: &Value, line: usize) -> Taken {
        let read = request_kwargs(value).map_err(|why| Outcome::Left(why.0))?;
        let mut taken = Vec::new();
        for (place, value) in read.keys {
            let Some(name) = self.key_of(place) else { continue };
            taken.push(self.put(&name, &value, line)?);
        }
        match read.left.as_slice() {
            [] => Ok(taken.join(", ")),
            left => Err(Outcome::Left(format!("has no place in part: {}", left.join("; ")))),
        }
    }

    fn named(&mut self, key: &str, value: &Value, line: usize) -> Taken {
        let Value::Table(all) = value else {
            return Err(Outcome::Left("is no dictionary".to_owned()));
        };
        let sections = all.iter().map(|(name, one)| {
            let mut section = match natural(one)? {
                Toml::Table(table) => table,
                users @ Toml::Array(_) => Table::from_iter([("users".to_owned(), users)]),
                _ => return Err(format!("has {} where a dictionary is needed", one.kind())),
            };
            section.insert("name".to_owned(), natural(name)?);
            Ok(Toml::Table(section))
        });
        let sections = sections.collect::<Result<_, _>>().map_err(Outcome::Left)?;
        self.set(key, Toml::Array(sections), line)
    }

    /// `{name: {"groups": [...], "spawner_override": {trait: value}}}`.
    fn group_overrides(&mut self, value: &Value, line: usize) -> Taken {
        let Value::Table(all) = value else {
            return Err(Outcome::Left("is no dictionary".to_owned()));
        };
        let mut overrides = Table::new();
        for (name, one) in all {
            let name = name.as_text().unwrap_or_default();
            let mut table = Table::new();
            for list in ["groups", "users"] {
                if let Some(members) = one.get(list) {
                    table.insert(list.to_owned(), natural(members).map_err(Outcome::Left)?);
                }
            }
            let Some(Value::Table(traits)) = one.get("spawner_override") else {
                return Err(Outcome::Left(format!("{name}: has no spawner_override")));
            };
            for (trait_name, value) in traits {
                let trait_name = trait_name.as_text().unwrap_or_default();
                let key = place("DockerSpawner", trait_name)
                    .and_then(|place| self.key_of(place))
                    .and_then(|name| key(&name))
                    .filter(|key| key.name.starts_with("spawner.docker."));
                let Some(key) = key else {
                    return Err(Outcome::Left(format!("{name}: {trait_name} is no key here")));
                };
                let value = match key.short_name() {
                    "environment" => variables(value),
                    _ => convert(key.kind, value),
                };
                let value =
                    value.map_err(|why| Outcome::Left(format!("{name}: {trait_name}: {why}")))?;
                table.insert(key.short_name().to_owned(), value);
            }
            overrides.insert(name.to_owned(), Toml::Table(table));
        }
        self.set("spawner.docker.group_overrides", Toml::Table(overrides), line)
    }

    /// Sets what is put together of several settings.
    fn together(&mut self) {
        if let Some((table, line)) = self.system_users.take() {
            let found = Found { value: Toml::Table(table), line };
            self.found.insert("spawner.docker.system_users".to_owned(), found);
        }
        if self.servers != Servers::Process && self.settings.iter().any(is_of_docker) {
            // What JupyterHub does unless it is told.
            let found = Found { value: Toml::Boolean(false), line: 0 };
            self.found.entry("spawner.docker.remove".to_owned()).or_insert(found);
        }
        // JupyterHub serves browsers at all addresses, and its servers at this machine's own.
        let inside = match self.servers {
            Servers::Process => "127.0.0.1",
            _ => "auto",
        };
        for (key, listen, ip, default) in [
            ("http.listen", &self.public, "0.0.0.0", PUBLIC_PORT),
            ("hub_api.listen", &self.hub, inside, HUB_PORT),
        ] {
            let Some(line) = listen.line else { continue };
            let ip = match listen.ip.as_deref() {
                None => ip,
                Some("") => "0.0.0.0",
                Some(ip) => ip,
            };
            let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
            let value = Toml::String(format!("{ip}:{}", listen.port.unwrap_or(default)));
            self.found.entry(key.to_owned()).or_insert(Found { value, line });
        }
    }
}

/// The last setting of each trait that surely counts, and all that may be.
fn effective(settings: &[Setting]) -> Vec<&Setting> {
    let mut last = HashMap::new();
    for (index, one) in settings.iter().enumerate().filter(|(_, one)| !one.perhaps) {
        last.insert((&one.class, &one.name), index);
    }
    settings
        .iter()
        .enumerate()
        .filter(|(index, one)| one.perhaps || last.get(&(&one.class, &one.name)) == Some(index))
        .map(|(_, one)| one)
        .collect()
}

/// How many classes a class comes from: greater goes first.
fn depth(class: &str) -> std::cmp::Reverse<usize> {
    std::cmp::Reverse(std::iter::successors(base(class), |class| base(class)).count())
}

fn is_of_docker(setting: &&Setting) -> bool {
    matches!(setting.class.as_str(), "DockerSpawner" | "SystemUserSpawner")
}

/// Whether the hub looks at a variable for this key.
fn is_read_for(name: &str, key: &str) -> bool {
    variable(name).is_some_and(|known| match known.effect {
        Effect::Sets(one) | Effect::PartOf(one) | Effect::AddsTo(one) => one == key,
        Effect::Nothing => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between `begin` and a quotation mark.
    fn quoted_after<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
        let pieces = text.split(begin).skip(1);
        pieces.filter_map(|piece| piece.split('"').next()).collect()
    }

    #[test]
    fn every_place_is_a_key() {
        let table = include_str!("place.rs");
        let keys = quoted_after(table, "Key(\"");
        assert!(keys.len() > 80, "{keys:?}");
        for name in keys {
            assert!(key(name).is_some(), "{name}");
        }
        for (begin, section) in [("Server(\"", "spawner.docker"), ("Provider(\"", "auth.oidc")] {
            for name in quoted_after(table, begin) {
                assert!(key(&format!("{section}.{name}")).is_some(), "{section}.{name}");
            }
        }
    }
}
