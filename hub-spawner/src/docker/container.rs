//! Request and blueprint -> the body of a create-container call. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, NetworkingConfig, PortBinding,
    RestartPolicy, RestartPolicyNameEnum,
};
use hub_names::UserName;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    assignment::Assigned,
    blueprint::{Blueprint, Reach, is_of_every_daemon},
    labels,
    system_users::HostAccount,
    volume::Mounts,
};
use crate::{Environment, SpawnError, StartRequest, engine::EngineInfo};

/// The period that a processor limit is counted in, in microseconds: Docker's
/// default.
const CPU_PERIOD: i64 = 100_000;

/// When the host runs out of memory, a server is a better victim than the hub
/// or the daemon (SPN-27).
const OOM_SCORE_ADJUSTMENT: i64 = 500;

/// The body that creates the container on `machine`, and the hash of what it asks
/// for.
///
/// # Errors
///
/// [`SpawnError::Rejected`] if a template of the environment makes no sense.
pub(super) fn create_body(
    blueprint: &Blueprint,
    machine: &EngineInfo,
    request: &StartRequest,
    parts: Parts<'_>,
) -> Result<(ContainerCreateBody, String), SpawnError> {
    let mut settings = Cow::Borrowed(&blueprint.settings);
    if let Some(port) = parts.assigned.port {
        settings.to_mut().port = port;
    }
    let mut variables = Environment::variables(request, &settings).map_err(|error| {
        SpawnError::Rejected { what: format!("the setting {}", error.key), reason: error.reason }
    })?;
    for (name, value) in parts.account.iter().flat_map(HostAccount::variables) {
        // The operator's variables have the last word.
        if !settings.environment.contains_key(name) {
            variables.insert(name.to_owned(), value.into());
        }
    }
    let env =
        variables.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect();
    let mut body = ContainerCreateBody {
        image: Some(blueprint.image.to_string()),
        user: parts.account.as_ref().map(HostAccount::user).or(blueprint.user.clone()),
        working_dir: parts.account.as_ref().map(|account| account.image_home.clone()),
        env: Some(env),
        exposed_ports: Some(vec![port(blueprint)]),
        host_config: Some(host_config(blueprint, machine, request.key.user(), &parts)),
        networking_config: networking_config(blueprint, request.key.user()),
        cmd: parts.command,
        ..ContainerCreateBody::default()
    };
    body = blueprint.extra.merge(body, &blueprint.names, &request.key).map_err(|reason| {
        SpawnError::Rejected {
            what: "what extra_create_kwargs and extra_host_config make of this user's name".into(),
            reason,
        }
    })?;
    let spec_hash = spec_hash(&body, parts.image_id.as_deref(), &blueprint.networks);
    let ours = labels::for_container(&blueprint.deployment, &request.key, &spec_hash);
    let assigned = labels::of_assigned(parts.assigned.gpus.as_deref(), parts.assigned.port);
    body.labels.get_or_insert_default().extend(ours.into_iter().chain(assigned));
    Ok((body, spec_hash))
}

/// What is known of one server beside its request: what is there for it already.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    pub(super) mounts: Mounts,
    pub(super) command: Option<Vec<String>>,
    pub(super) account: Option<HostAccount>,
    /// The id of the image, where a container may be started again: its name may mean
    /// another one by then.
    pub(super) image_id: Option<String>,
    pub(super) assigned: &'a Assigned,
}

/// What the container may use and do (SPN-17, SPN-37).
fn host_config(
    blueprint: &Blueprint,
    machine: &EngineInfo,
    user: &UserName,
    parts: &Parts<'_>,
) -> HostConfig {
    let mut binds = parts.mounts.binds.clone();
    binds.extend(parts.account.as_ref().map(HostAccount::bind));
    let memory = blueprint.memory.on_machine(machine.memory);
    let memory = memory.and_then(|limit| i64::try_from(limit.bytes()).ok());
    let period = blueprint.extra.cpu_period().unwrap_or(CPU_PERIOD);
    let quota = blueprint.settings.cpu_limit.map(|count| (count * period as f64) as i64);
    HostConfig {
        binds: Some(binds),
        mounts: Some(parts.mounts.mounts.clone()).filter(|mounts| !mounts.is_empty()),
        links: links(blueprint).filter(|_| is_of_every_daemon(&blueprint.network_of(user))),
        device_requests: blueprint.gpus.request(parts.assigned.gpus.as_deref()),
        storage_opt: blueprint
            .storage_size
            .map(|size| HashMap::from([("size".to_owned(), size.bytes().to_string())])),
        memory,
        // Equal to memory: no swap on top, so that a limit is a limit (API-4).
        memory_swap: memory,
        cpu_period: quota.map(|_| period),
        cpu_quota: quota,
        pids_limit: Some(blueprint.pids_limit.into()),
        network_mode: Some(blueprint.network_of(user)),
        port_bindings: match blueprint.reach {
            Reach::Published(ip) => {
                // Without a host port the daemon chooses one (SPN-20).
                let binding = PortBinding { host_ip: Some(ip.to_string()), host_port: None };
                Some(HashMap::from([(port(blueprint), Some(vec![binding]))]))
            }
            Reach::Network | Reach::Name | Reach::Host(_) => None,
        },
        privileged: Some(false),
        security_opt: (!blueprint.allow_privilege_escalation)
            .then(|| vec!["no-new-privileges".to_owned()]),
        cap_drop: Some(blueprint.drop_capabilities.clone()),
        // Something has to reap what kernels leave behind.
        init: Some(true),
        oom_score_adj: Some(OOM_SCORE_ADJUSTMENT),
        log_config: blueprint.log.body(&machine.log_driver),
        // Only the hub starts servers: one that it stopped must stay stopped.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        auto_remove: Some(false),
        ..HostConfig::default()
    }
}

/// Links in a network that was made: there the daemon takes no notice of those in
/// `HostConfig`.
fn networking_config(blueprint: &Blueprint, user: &UserName) -> Option<NetworkingConfig> {
    let network = blueprint.network_of(user);
    let links = links(blueprint).filter(|_| !is_of_every_daemon(&network))?;
    let end = EndpointSettings { links: Some(links), ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network, end)])) })
}

/// The links in Docker's notation, `container:alias`; `None` if there are none.
fn links(blueprint: &Blueprint) -> Option<Vec<String>> {
    let links = blueprint.links.iter().map(|(container, alias)| format!("{container}:{alias}"));
    Some(links.collect()).filter(|links: &Vec<String>| !links.is_empty())
}

fn port(blueprint: &Blueprint) -> String {
    format!("{}/tcp", blueprint.settings.port)
}

/// A hash of what a container is made of, by which a later start tells whether
/// an old container is what it wants (SPN-11). Further networks are joined by calls of
/// their own.
fn spec_hash(body: &ContainerCreateBody, image_id: Option<&str>, networks: &[String]) -> String {
    let mut body = body.clone();
    if let Some(env) = &mut body.env {
        env.retain(|line| !Environment::is_fresh_each_time(line));
    }
    let networks: BTreeSet<&String> = networks.iter().collect();
    let value = json!({"body": body, "image": image_id, "networks": networks});
    let mut text = String::new();
    write_sorted(&value, &mut text);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with the fields of objects in order: the maps of the body have none.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_sorted(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
