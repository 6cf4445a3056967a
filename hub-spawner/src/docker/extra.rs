//! Further fields of the create call: an operator's words merged into ours. Pure
//! (SPN-3, SPN-17).

use bollard::models::{ContainerCreateBody, HostConfig};
use hub_names::ServerKey;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    object_name::{FIELDS, Names},
    security::{self, Sockets},
};
use crate::{InvalidConfig, template::Template};

/// Fields that are ours: their settings have names of their own.
const OURS: [(&str, &str); 20] = [
    ("Image", "image"),
    ("Cmd", "cmd and args"),
    ("User", "user"),
    ("Memory", "mem_limit"),
    ("MemorySwap", "mem_limit: there is no swap on top of it"),
    ("CpuQuota", "cpu_limit"),
    ("PidsLimit", "pids_limit"),
    ("CapDrop", "drop_capabilities"),
    ("Binds", "volumes"),
    ("Mounts", "mounts"),
    ("Links", "links"),
    ("StorageOpt", "storage_size"),
    ("HostConfig", "extra_host_config"),
    ("NetworkingConfig", "networks"),
    ("AutoRemove", "remove"),
    ("RestartPolicy", "nothing: only the hub starts servers"),
    ("PortBindings", "host_ip and use_internal_ip"),
    ("NetworkMode", "network"),
    ("LogConfig", "log_max_bytes and log_max_files"),
    ("Init", "nothing: servers have an init process"),
];

/// What docker-py calls differently from the daemon, beside `a_b` for `AB`.
const DOCKER_PY: [(&str, &str); 9] = [
    ("command", "Cmd"),
    ("environment", "Env"),
    ("mem_limit", "Memory"),
    ("memswap_limit", "MemorySwap"),
    ("mem_reservation", "MemoryReservation"),
    ("mem_swappiness", "MemorySwappiness"),
    ("stdin_open", "OpenStdin"),
    ("read_only", "ReadonlyRootfs"),
    ("uts_mode", "UTSMode"),
];

/// `extra_create_kwargs` and `extra_host_config`, in the daemon's words.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    create: Map<String, Value>,
    host: Map<String, Value>,
}

impl Extra {
    /// Reads both settings.
    ///
    /// # Errors
    ///
    /// A field that the daemon does not know, that has the wrong type, is ours, or
    /// lets servers out of their containers. Requests for devices are ours if `has_gpus`:
    /// then some servers' are made of other settings.
    pub(super) fn read(
        create: &Map<String, Value>,
        host: &Map<String, Value>,
        has_gpus: bool,
        unsafe_allowed: bool,
        sockets: &Sockets,
    ) -> Result<Self, InvalidConfig> {
        let create = fields::<ContainerCreateBody>("extra_create_kwargs", create)?;
        let host = fields::<HostConfig>("extra_host_config", host)?;
        if has_gpus && host.contains_key("DeviceRequests") {
            let reason = "DeviceRequests is set by gpus; leave it or gpus and gpu_pool out, also \
                          those of group_overrides";
            return Err(InvalidConfig::new("extra_host_config", reason));
        }
        if let Some(Value::Object(labels)) = create.get("Labels")
            && let Some(label) = labels.keys().find(|label| label.starts_with("hub."))
        {
            let reason = format!("the label {label} is ours");
            return Err(InvalidConfig::new("extra_create_kwargs", reason));
        }
        security::check_host_config(&host, unsafe_allowed, sockets)?;
        Ok(Self { create, host })
    }

    /// Adds those of an override: maps are merged, variables are added, all else is
    /// replaced.
    pub(super) fn add(&mut self, later: &Self) {
        for (name, extra) in &later.create {
            match (name.as_str(), self.create.get_mut(name)) {
                ("Env", Some(Value::Array(lines))) => add_variables(lines, extra.clone()),
                (_, Some(field)) => merge(field, extra.clone()),
                (_, None) => {
                    self.create.insert(name.clone(), extra.clone());
                }
            }
        }
        for (name, extra) in &later.host {
            match self.host.get_mut(name) {
                Some(field) => merge(field, extra.clone()),
                None => {
                    self.host.insert(name.clone(), extra.clone());
                }
            }
        }
    }

    /// The period that a processor limit is counted in, in microseconds, if it is set.
    pub(super) fn cpu_period(&self) -> Option<i64> {
        self.host.get("CpuPeriod").and_then(Value::as_i64).filter(|period| *period > 0)
    }

    /// The body with the further fields of a server: maps are merged, the variables,
    /// labels and security options are added, all else is replaced.
    ///
    /// # Errors
    ///
    /// If a name in a template makes a field that the daemon cannot read.
    pub(super) fn merge(
        &self,
        body: ContainerCreateBody,
        names: &Names,
        key: &ServerKey,
    ) -> Result<ContainerCreateBody, String> {
        if self.create.is_empty() && self.host.is_empty() {
            return Ok(body);
        }
        let mut value = serde_json::to_value(body).map_err(|error| error.to_string())?;
        for (name, extra) in &self.create {
            let extra = rendered(extra, names, key);
            match (name.as_str(), value.get_mut(name)) {
                ("Env", Some(Value::Array(lines))) => add_variables(lines, extra),
                (_, Some(field)) => merge(field, extra),
                (_, None) => value[name] = extra,
            }
        }
        let mut host = rendered(&Value::Object(self.host.clone()), names, key);
        // Ours says that nobody gains rights (SPN-37); the daemon takes the last word.
        if let Some(Value::Array(ours)) = value["HostConfig"].get("SecurityOpt")
            && let Some(Value::Array(further)) = host.get_mut("SecurityOpt")
        {
            further.splice(0..0, ours.iter().cloned());
        }
        merge(&mut value["HostConfig"], host);
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

/// `extra` in the daemon's words, each field known to `T`.
fn fields<T: DeserializeOwned + Serialize>(
    key: &'static str,
    extra: &Map<String, Value>,
) -> Result<Map<String, Value>, InvalidConfig> {
    let mut fields = Map::new();
    for (given, value) in extra {
        let name = daemons_word(given);
        if let Some((_, setting)) = OURS.iter().find(|(ours, _)| *ours == name) {
            let reason = format!("{given} is set by {setting}");
            return Err(InvalidConfig::new(key, reason));
        }
        let mut value = value.clone();
        if name == "Env" {
            let mut lines = Vec::new();
            add_variables(&mut lines, value);
            value = Value::Array(lines);
        }
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        let read: T = serde_json::from_value(alone).map_err(|error| {
            InvalidConfig::new(key, format!("{given} has the wrong type: {error}"))
        })?;
        let known = serde_json::to_value(read).unwrap_or_default();
        if known.get(&name).is_none() {
            let reason = format!("{given} is no field that Docker knows");
            return Err(InvalidConfig::new(key, reason));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

/// `shm_size` and `ShmSize` are the same field.
fn daemons_word(name: &str) -> String {
    if let Some((_, word)) = DOCKER_PY.iter().find(|(theirs, _)| *theirs == name) {
        return (*word).to_owned();
    }
    if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let word = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    name.split('_').map(word).collect()
}

/// Templates filled in, in keys as well; what is none stays as it is.
pub(super) fn rendered(value: &Value, names: &Names, key: &ServerKey) -> Value {
    let text = |text: &str| match Template::parse(text, FIELDS) {
        Ok(template) => names.render(&template, key),
        Err(_) => text.to_owned(),
    };
    match value {
        Value::String(plain) => Value::String(text(plain)),
        Value::Array(list) => {
            Value::Array(list.iter().map(|item| rendered(item, names, key)).collect())
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(name, item)| (text(name), rendered(item, names, key)));
            Value::Object(entries.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// `from` put into `into`: maps are merged, all else is replaced.
pub(super) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(&name) {
                    Some(field) => merge(field, value),
                    None => {
                        into.insert(name, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// Adds variables, given as a table or as lines, in place of those of their names.
fn add_variables(lines: &mut Vec<Value>, more: Value) {
    let more: Vec<String> = match more {
        Value::Object(table) => {
            let line = |(name, value): (String, Value)| match value {
                Value::String(value) => format!("{name}={value}"),
                other => format!("{name}={other}"),
            };
            table.into_iter().map(line).collect()
        }
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    for line in more {
        let name = line.split('=').next().unwrap_or_default().to_owned() + "=";
        lines.retain(|old| !old.as_str().is_some_and(|old| old.starts_with(&name)));
        lines.push(Value::String(line));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn read(create: Value, host: Value) -> Result<Extra, String> {
        let sockets = Sockets::default();
        Extra::read(&map(create), &map(host), false, false, &sockets)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn spn_17_both_spellings_of_a_field_are_read_and_unknown_ones_are_not() {
        let extra = read(
            json!({"working_dir": "/x", "Hostname": "h", "environment": {"A": "b"}}),
            json!({"shm_size": 1024, "extra_hosts": ["a:1.2.3.4"], "nano_cpus": 5}),
        )
        .unwrap();
        let names = |fields: &Map<String, Value>| {
            let mut names: Vec<String> = fields.keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(names(&extra.create), ["Env", "Hostname", "WorkingDir"]);
        assert_eq!(names(&extra.host), ["ExtraHosts", "NanoCpus", "ShmSize"]);
        let rows = [
            (json!({"hostnam": "x"}), json!({}), "hostnam is no field"),
            (json!({"hostname": 7}), json!({}), "wrong type"),
            (json!({"image": "x"}), json!({}), "image is set by image"),
            (json!({"labels": {"hub.user": "bob"}}), json!({}), "hub.user is ours"),
            (json!({}), json!({"auto_remove": true}), "auto_remove is set by remove"),
            (json!({}), json!({"privileged": true}), "Privileged lets servers out"),
            (json!({"command": "x"}), json!({}), "command is set by cmd and args"),
            (json!({"user": "root"}), json!({}), "user is set by user"),
        ];
        for (create, host, words) in rows {
            let said = read(create.clone(), host.clone()).err().unwrap_or_default();
            assert!(said.contains(words), "{create} {host}: {said}");
        }
    }

    #[test]
    fn spn_37_fields_that_have_a_key_of_their_own_are_refused_with_its_name() {
        for (host, words) in [
            (json!({"mem_limit": "8g"}), "mem_limit is set by mem_limit"),
            (json!({"Memory": 1}), "Memory is set by mem_limit"),
            (json!({"memswap_limit": -1}), "memswap_limit is set by mem_limit"),
            (json!({"cpu_quota": 1}), "cpu_quota is set by cpu_limit"),
            (json!({"pids_limit": -1}), "pids_limit is set by pids_limit"),
            (json!({"cap_drop": []}), "cap_drop is set by drop_capabilities"),
            (json!({"binds": ["a:/b"]}), "binds is set by volumes"),
            (json!({"mounts": []}), "mounts is set by mounts"),
        ] {
            let said = read(json!({}), host.clone()).err().unwrap_or_default();
            assert!(said.contains(words), "{host}: {said}");
        }
        read(json!({}), json!({"cpu_period": 50_000})).unwrap();
    }

    #[test]
    fn spn_37_further_security_options_leave_ours_in_place() {
        let names =
            Names::new(None, "jupyter", &"lab".parse().unwrap(), Default::default()).unwrap();
        let key = ServerKey::default_of("ada".parse().unwrap());
        let extra = read(json!({}), json!({"security_opt": ["apparmor=notebooks"]})).unwrap();
        let merged = |ours: Option<&str>| {
            let security_opt = ours.map(|word| vec![word.to_owned()]);
            let host_config = Some(HostConfig { security_opt, ..HostConfig::default() });
            let body = ContainerCreateBody { host_config, ..ContainerCreateBody::default() };
            let body = extra.merge(body, &names, &key).unwrap();
            body.host_config.unwrap().security_opt.unwrap()
        };
        assert_eq!(merged(Some("no-new-privileges")), ["no-new-privileges", "apparmor=notebooks"]);
        assert_eq!(merged(None), ["apparmor=notebooks"]);
    }

    #[test]
    fn spn_3_fields_are_merged_and_templates_filled_in_at_any_depth() {
        let names =
            Names::new(None, "jupyter", &"lab".parse().unwrap(), Default::default()).unwrap();
        let key = ServerKey::default_of("ada@x.org".parse().unwrap());
        let extra = read(
            json!({"environment": {"WHO": "{username}", "ODD": "{nope} {"},
                   "labels": {"of-{raw_username}": "{prefix}"}}),
            json!({"sysctls": {"net.x": "{username}"}, "extra_hosts": ["{username}:1.2.3.4"]}),
        )
        .unwrap();
        let body = ContainerCreateBody {
            env: Some(vec!["WHO=nobody".to_owned(), "KEPT=1".to_owned()]),
            labels: Some([("hub.user".to_owned(), "ada".to_owned())].into()),
            host_config: Some(HostConfig { memory: Some(5), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let body = serde_json::to_value(extra.merge(body, &names, &key).unwrap()).unwrap();
        let mut env: Vec<&str> =
            body["Env"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        env.sort_unstable();
        assert_eq!(env, ["KEPT=1", "ODD={nope} {", "WHO=ada-40x-2eorg"]);
        assert_eq!(body["Labels"], json!({"hub.user": "ada", "of-ada@x.org": "jupyter"}));
        assert_eq!(
            body["HostConfig"],
            json!({"Memory": 5, "Sysctls": {"net.x": "ada-40x-2eorg"},
                   "ExtraHosts": ["ada-40x-2eorg:1.2.3.4"]})
        );
    }
}
