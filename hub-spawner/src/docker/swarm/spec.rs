//! Request and blueprint -> the body of a create-service call. Pure.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    EndpointPortConfig, EndpointPortConfigProtocolEnum, EndpointPortConfigPublishModeEnum,
    EndpointSpec, EndpointSpecModeEnum, Limit, Mount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, NetworkAttachmentConfig, ResourceObject, Service, ServiceSpec,
    ServiceSpecMode, ServiceSpecModeReplicated, TaskSpec, TaskSpecContainerSpec,
    TaskSpecContainerSpecFile, TaskSpecContainerSpecPrivileges, TaskSpecContainerSpecSecrets,
    TaskSpecLogDriver, TaskSpecPlacement, TaskSpecResources, TaskSpecRestartPolicy,
    TaskSpecRestartPolicyConditionEnum,
};
use hub_names::ServerKey;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{
    config::{Publish, Restart, SwarmConfig},
    machines::Machines,
};
use crate::{
    Environment, MemoryLimit, SpawnError, StartRequest,
    docker::{
        blueprint::Blueprint,
        extra::{merge, rendered},
        labels,
        object_name::is_object_name,
        system_users::HostAccount,
        volume,
    },
    engine::Labels,
    template::Template,
};

/// Where a server finds its token, if that is a secret.
const TOKEN_FILE: &str = "hub-token";

const NANOS: f64 = 1_000_000_000.0;

/// A secret that is kept for one server.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) id: String,
    pub(super) name: String,
}

/// The body that creates the service `name`.
///
/// # Errors
///
/// [`SpawnError::Rejected`] if the user's name makes an impossible path, or a further
/// field has the wrong type.
pub(super) fn service(
    blueprint: &Blueprint,
    swarm: &SwarmConfig,
    machines: &Machines,
    request: &StartRequest,
    name: &str,
    account: Option<&HostAccount>,
    secret: Option<&Secret>,
) -> Result<ServiceSpec, SpawnError> {
    let labels: HashMap<String, String> =
        labels::for_container(&blueprint.deployment, &request.key, "").into_iter().collect();
    let container = container(blueprint, request, account, secret, labels.clone())?;
    let networks = [&blueprint.network].into_iter().chain(&blueprint.networks);
    let attach = |network: &String| NetworkAttachmentConfig {
        target: Some(network.clone()),
        ..NetworkAttachmentConfig::default()
    };
    let task = TaskSpec {
        container_spec: Some(container),
        resources: Some(resources(blueprint, machines)),
        log_driver: log_driver(blueprint, swarm, machines),
        restart_policy: Some(TaskSpecRestartPolicy {
            condition: Some(match swarm.restart {
                Restart::None => TaskSpecRestartPolicyConditionEnum::NONE,
                Restart::OnFailure => TaskSpecRestartPolicyConditionEnum::ON_FAILURE,
                Restart::Any => TaskSpecRestartPolicyConditionEnum::ANY,
            }),
            ..TaskSpecRestartPolicy::default()
        }),
        placement: (!swarm.constraints.is_empty()).then(|| TaskSpecPlacement {
            constraints: Some(swarm.constraints.clone()),
            ..TaskSpecPlacement::default()
        }),
        networks: Some(networks.map(attach).collect()),
        ..TaskSpec::default()
    };
    let spec = ServiceSpec {
        name: Some(name.to_owned()),
        labels: Some(labels),
        task_template: Some(task),
        mode: Some(ServiceSpecMode {
            replicated: Some(ServiceSpecModeReplicated { replicas: Some(1) }),
            ..ServiceSpecMode::default()
        }),
        endpoint_spec: Some(endpoint(blueprint, swarm)),
        ..ServiceSpec::default()
    };
    with_extra(spec, blueprint, swarm, request)
}

fn container(
    blueprint: &Blueprint,
    request: &StartRequest,
    account: Option<&HostAccount>,
    secret: Option<&Secret>,
    labels: HashMap<String, String>,
) -> Result<TaskSpecContainerSpec, SpawnError> {
    let mut variables = Environment::variables(request, &blueprint.settings).map_err(|error| {
        SpawnError::Rejected { what: format!("the setting {}", error.key), reason: error.reason }
    })?;
    for (name, value) in account.into_iter().flat_map(HostAccount::variables) {
        if !blueprint.settings.environment.contains_key(name) {
            variables.insert(name.to_owned(), value.into());
        }
    }
    let mut args = blueprint.command.clone();
    if let Some(args) = &mut args {
        args.extend(blueprint.args.iter().cloned());
    }
    if secret.is_some() {
        variables.retain(|name, _| !Environment::is_token(name));
        let shell = ["/bin/sh", "-c", Environment::TOKEN_FROM_FILE, "hub"].map(str::to_owned);
        let file = format!("/run/secrets/{TOKEN_FILE}");
        args = Some(shell.into_iter().chain([file]).chain(args.unwrap_or_default()).collect());
    }
    let env = variables.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
    let grace = i64::try_from(blueprint.stop_timeout.as_nanos()).ok();
    Ok(TaskSpecContainerSpec {
        image: Some(blueprint.image.to_string()),
        // The entry point of the image is left alone (SPN-16).
        args,
        env: Some(env.collect()),
        user: account.map(HostAccount::user).or_else(|| blueprint.user.clone()),
        dir: account.map(|account| account.image_home.clone()),
        labels: Some(labels),
        mounts: Some(mounts(blueprint, request, account)?),
        stop_grace_period: grace,
        init: Some(true),
        capability_drop: Some(blueprint.drop_capabilities.clone()),
        privileges: (!blueprint.allow_privilege_escalation).then(|| {
            TaskSpecContainerSpecPrivileges {
                no_new_privileges: Some(true),
                ..TaskSpecContainerSpecPrivileges::default()
            }
        }),
        secrets: secret.map(|secret| {
            vec![TaskSpecContainerSpecSecrets {
                file: Some(TaskSpecContainerSpecFile {
                    name: Some(TOKEN_FILE.to_owned()),
                    uid: Some("0".to_owned()),
                    gid: Some("0".to_owned()),
                    // Whoever the image runs as has to read it; in the container are
                    // the user's own processes only.
                    mode: Some(0o444),
                }),
                secret_id: Some(secret.id.clone()),
                secret_name: Some(secret.name.clone()),
            }]
        }),
        ..TaskSpecContainerSpec::default()
    })
}

/// What is mounted. Volumes are real ones, with labels and their driver.
fn mounts(
    blueprint: &Blueprint,
    request: &StartRequest,
    account: Option<&HostAccount>,
) -> Result<Vec<Mount>, SpawnError> {
    let rejected = |reason| SpawnError::Rejected { what: "this user's volume".to_owned(), reason };
    let key = &request.key;
    let mut mounts = Vec::new();
    for mounted in &blueprint.volumes {
        if !mounted.is_for(&request.preset.groups) {
            continue;
        }
        let (source, target) = mounted.render(&blueprint.names, key).map_err(rejected)?;
        let is_volume = is_object_name(&source);
        mounts.push(Mount {
            target: Some(target),
            source: Some(source),
            typ: Some(if is_volume { MountType::VOLUME } else { MountType::BIND }),
            read_only: Some(mounted.mode.split(',').any(|word| word == "ro")),
            volume_options: is_volume
                .then(|| made_by(blueprint, MountVolumeOptions::default(), &mounted.source, key)),
            ..Mount::default()
        });
    }
    for plan in &blueprint.mounts {
        let mut mount = plan.render(&blueprint.names, key).map_err(rejected)?;
        if plan.is_volume() {
            let options = mount.volume_options.unwrap_or_default();
            mount.volume_options = Some(made_by(blueprint, options, plan.source(), key));
        }
        mounts.push(mount);
    }
    mounts.extend(account.map(|account| Mount {
        target: Some(account.image_home.clone()),
        source: Some(account.host_home.clone()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    }));
    Ok(mounts)
}

/// `options` of a volume with our labels, and with the driver of all unless they name
/// another: the machine that a server lands on makes the volume.
fn made_by(
    blueprint: &Blueprint,
    mut options: MountVolumeOptions,
    template: &Template,
    key: &ServerKey,
) -> MountVolumeOptions {
    let ours = labels::of_volume(&blueprint.deployment, volume::owner_by(template, key));
    options.labels.get_or_insert_default().extend(ours);
    options.driver_config = options.driver_config.or_else(|| {
        blueprint.volume_driver.clone().map(|driver| MountVolumeOptionsDriverConfig {
            name: Some(driver),
            options: Some(blueprint.volume_driver_options.clone().into_iter().collect()),
        })
    });
    options
}

/// Output is bounded as a container's is, unless an operator says where it goes.
fn log_driver(
    blueprint: &Blueprint,
    swarm: &SwarmConfig,
    machines: &Machines,
) -> Option<TaskSpecLogDriver> {
    if swarm.extra_task_spec.contains_key("LogDriver") {
        return None;
    }
    let body = blueprint.log.body(&machines.log_driver)?;
    Some(TaskSpecLogDriver { name: body.typ, options: body.config })
}

fn resources(blueprint: &Blueprint, machines: &Machines) -> TaskSpecResources {
    let settings = &blueprint.settings;
    let bytes = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let memory = blueprint.memory.on_machine(machines.memory).map(MemoryLimit::bytes);
    // What is promised is no more than what may be used.
    let memory = memory.map(|limit| limit.max(settings.memory_guarantee.unwrap_or_default()));
    let nanos = |count: Option<f64>| count.map(|count| (count * NANOS) as i64);
    TaskSpecResources {
        limits: Some(Limit {
            memory_bytes: bytes(memory),
            nano_cpus: nanos(settings.cpu_limit),
            pids: Some(blueprint.pids_limit.into()),
        }),
        reservations: Some(ResourceObject {
            memory_bytes: bytes(settings.memory_guarantee),
            nano_cpus: nanos(settings.cpu_guarantee),
            ..ResourceObject::default()
        }),
        ..TaskSpecResources::default()
    }
}

/// A name leads to the task itself: there is one, and nothing to balance.
fn endpoint(blueprint: &Blueprint, swarm: &SwarmConfig) -> EndpointSpec {
    let publish = match swarm.publish {
        Publish::None => None,
        Publish::Host => Some(EndpointPortConfigPublishModeEnum::HOST),
        Publish::Ingress => Some(EndpointPortConfigPublishModeEnum::INGRESS),
    };
    let ports = publish.map(|mode| {
        vec![EndpointPortConfig {
            protocol: Some(EndpointPortConfigProtocolEnum::TCP),
            target_port: Some(blueprint.settings.port.into()),
            publish_mode: Some(mode),
            ..EndpointPortConfig::default()
        }]
    });
    let mode = match swarm.publish {
        Publish::None | Publish::Host => EndpointSpecModeEnum::DNSRR,
        // The ingress needs an address of the service's own.
        Publish::Ingress => EndpointSpecModeEnum::VIP,
    };
    EndpointSpec { mode: Some(mode), ports }
}

fn with_extra(
    spec: ServiceSpec,
    blueprint: &Blueprint,
    swarm: &SwarmConfig,
    request: &StartRequest,
) -> Result<ServiceSpec, SpawnError> {
    let parts: [(&[&str], &Map<String, Value>); 5] = [
        (&["TaskTemplate", "ContainerSpec"], &swarm.extra_container_spec),
        (&["TaskTemplate", "Resources"], &swarm.extra_resources_spec),
        (&["TaskTemplate", "Placement"], &swarm.extra_placement_spec),
        (&["TaskTemplate"], &swarm.extra_task_spec),
        (&["EndpointSpec"], &swarm.extra_endpoint_spec),
    ];
    if parts.iter().all(|(_, extra)| extra.is_empty()) {
        return Ok(spec);
    }
    let failed = |error: serde_json::Error| SpawnError::Rejected {
        what: "a further field of the swarm's service".to_owned(),
        reason: error.to_string(),
    };
    let mut value = serde_json::to_value(spec).map_err(failed)?;
    for (path, extra) in parts.into_iter().filter(|(_, extra)| !extra.is_empty()) {
        let part = path.iter().fold(&mut value, |part, name| &mut part[*name]);
        let extra = rendered(&Value::Object(extra.clone()), &blueprint.names, &request.key);
        match part.is_null() {
            true => *part = extra,
            false => merge(part, extra),
        }
    }
    serde_json::from_value(value).map_err(failed)
}

/// What a service is labelled with.
pub(super) fn labels_of(service: &Service) -> Labels {
    let labels = service.spec.as_ref().and_then(|spec| spec.labels.clone());
    labels.unwrap_or_default().into_iter().collect()
}

/// What a service is called.
pub(super) fn name_of(service: &Service) -> String {
    service.spec.as_ref().and_then(|spec| spec.name.clone()).unwrap_or_default()
}

/// The variables a service was made with.
pub(super) fn variables(service: &Service) -> BTreeMap<String, SecretString> {
    let spec = service.spec.as_ref().and_then(|spec| spec.task_template.as_ref());
    let env = spec.and_then(|task| task.container_spec.as_ref()?.env.as_ref());
    let pairs = env.into_iter().flatten().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect()
}

#[cfg(test)]
mod tests;
