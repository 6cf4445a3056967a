//! What the tasks of a service say -> what its server does. Pure.

use std::net::IpAddr;

use bollard::models::{Node, NodeState, Task, TaskState};

use crate::exit::KILLED;

/// What a server does, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) doing: Doing,
    /// The machine's address.
    pub(super) address: Option<IpAddr>,
    /// The port it has there.
    pub(super) port: Option<u16>,
    /// Whether its machine does not answer.
    pub(super) is_lost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// No machine has taken it.
    Waiting {
        why: String,
    },
    /// A machine has it, and fetches its image.
    Preparing {
        why: String,
    },
    /// A machine starts it.
    Starting {
        why: String,
    },
    Running,
    Ended {
        code: i64,
        error: Option<String>,
        /// When, in RFC 3339.
        finished_at: Option<String>,
    },
}

/// What the server of these tasks does: that of the task which is wanted, else of the
/// newest.
pub(super) fn seen(tasks: &[Task], nodes: &[Node]) -> Seen {
    let is_wanted = |task: &&Task| task.desired_state == Some(TaskState::RUNNING);
    let newest = |task: &&Task| task.created_at.as_ref().map(ToString::to_string);
    let task = tasks.iter().filter(is_wanted).max_by_key(newest);
    let Some(task) = task.or_else(|| tasks.iter().max_by_key(newest)) else {
        let doing = Doing::Waiting { why: String::new() };
        return Seen { doing, address: None, port: None, is_lost: false };
    };
    let node = nodes.iter().find(|node| node.id.is_some() && node.id == task.node_id);
    let is_lost = node.is_some_and(is_down) || node.is_none() && task.node_id.is_some();
    let address = node.and_then(|node| node.status.as_ref()?.addr.as_ref()?.parse().ok());
    let status = task.status.clone().unwrap_or_default();
    let port = status.port_status.and_then(|status| {
        status.ports?.into_iter().find_map(|port| port.published_port?.try_into().ok())
    });
    let why = || status.err.clone().or(status.message.clone()).unwrap_or_default();
    let container = status.container_status.unwrap_or_default();
    let doing = match status.state {
        Some(
            TaskState::COMPLETE
            | TaskState::SHUTDOWN
            | TaskState::FAILED
            | TaskState::REJECTED
            | TaskState::REMOVE
            | TaskState::ORPHANED,
        ) => {
            let has_run = container.container_id.is_some();
            let at = status.timestamp.as_ref().map(ToString::to_string);
            ended(status.err.clone(), container.exit_code, has_run, at)
        }
        _ if is_lost => Doing::Ended {
            code: KILLED,
            error: Some(format!("its machine {} does not answer any more", name(node, task))),
            finished_at: None,
        },
        Some(TaskState::RUNNING) => Doing::Running,
        Some(TaskState::ASSIGNED | TaskState::ACCEPTED | TaskState::PREPARING) => {
            Doing::Preparing { why: why() }
        }
        Some(TaskState::READY | TaskState::STARTING) => Doing::Starting { why: why() },
        None | Some(TaskState::NEW | TaskState::ALLOCATED | TaskState::PENDING) => {
            Doing::Waiting { why: why() }
        }
    };
    Seen { doing, address, port, is_lost }
}

/// Whether a task of these is still at a machine that answers.
pub(super) fn any_left(tasks: &[Task], nodes: &[Node]) -> bool {
    tasks.iter().any(|task| {
        let node = nodes.iter().find(|node| node.id.is_some() && node.id == task.node_id);
        let state = task.status.as_ref().and_then(|status| status.state);
        let is_over = matches!(
            state,
            Some(
                TaskState::COMPLETE
                    | TaskState::SHUTDOWN
                    | TaskState::FAILED
                    | TaskState::REJECTED
                    | TaskState::ORPHANED
            )
        );
        node.is_some_and(|node| !is_down(node)) && !is_over
    })
}

fn ended(
    error: Option<String>,
    code: Option<i64>,
    has_run: bool,
    finished_at: Option<String>,
) -> Doing {
    let code = code.unwrap_or_default();
    // "task: non-zero exit (3)" says nothing that the code does not.
    let error = error.filter(|text| !text.is_empty() && !text.contains("non-zero exit"));
    let error = if has_run && code != 0 { None } else { error };
    Doing::Ended { code, error, finished_at }
}

pub(super) fn is_down(node: &Node) -> bool {
    let state = node.status.as_ref().and_then(|status| status.state);
    matches!(state, Some(NodeState::DOWN | NodeState::DISCONNECTED))
}

fn name(node: Option<&Node>, task: &Task) -> String {
    let host = node.and_then(|node| node.description.as_ref()?.hostname.clone());
    host.or_else(|| task.node_id.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(state: &str, more: serde_json::Value, node: &str) -> Seen {
        let mut status = json!({"State": state});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let task = json!({"ID": "t", "NodeID": "n", "DesiredState": "running", "Status": status,
                          "CreatedAt": "2026-01-01T00:00:00Z"});
        let node = json!({"ID": "n", "Description": {"Hostname": "blade-7"},
                          "Status": {"State": node, "Addr": "192.0.2.7"}});
        seen(&[serde_json::from_value(task).unwrap()], &[serde_json::from_value(node).unwrap()])
    }

    #[test]
    fn swm_1_states_of_a_task_become_what_the_server_does() {
        let none = || json!({});
        for (state, doing) in [
            ("new", Doing::Waiting { why: String::new() }),
            ("pending", Doing::Waiting { why: String::new() }),
            ("assigned", Doing::Preparing { why: String::new() }),
            ("preparing", Doing::Preparing { why: String::new() }),
            ("ready", Doing::Starting { why: String::new() }),
            ("starting", Doing::Starting { why: String::new() }),
            ("running", Doing::Running),
            ("complete", Doing::Ended { code: 0, error: None, finished_at: None }),
        ] {
            assert_eq!(look(state, none(), "ready").doing, doing, "{state}");
        }
        let at = "2026-01-01T00:00:01Z";
        let failed = json!({"Err": "task: non-zero exit (3)", "Timestamp": at,
                            "ContainerStatus": {"ContainerID": "c", "ExitCode": 3}});
        let ended = Doing::Ended { code: 3, error: None, finished_at: Some(at.to_owned()) };
        assert_eq!(look("failed", failed, "ready").doing, ended, "SPN-26");
        let rejected = look("rejected", json!({"Err": "No such image: lab:4"}), "ready");
        assert!(
            matches!(rejected.doing, Doing::Ended { error: Some(text), .. } if text.contains("lab:4"))
        );
        let pending = look("pending", json!({"Err": "no suitable node"}), "ready");
        assert_eq!(pending.doing, Doing::Waiting { why: "no suitable node".to_owned() });
        assert_eq!(seen(&[], &[]).doing, Doing::Waiting { why: String::new() });
    }

    #[test]
    fn a_server_on_a_machine_that_is_gone_has_ended_and_says_so() {
        for state in ["running", "starting"] {
            let lost = look(state, json!({}), "down");
            let Doing::Ended { error: Some(text), .. } = lost.doing else { panic!("{lost:?}") };
            assert!(text.contains("blade-7") && lost.is_lost, "{text}");
        }
        let ended = look("failed", json!({"ContainerStatus": {"ExitCode": 1}}), "down");
        let before = Doing::Ended { code: 1, error: None, finished_at: None };
        assert_eq!(ended.doing, before, "it ended before");
    }

    #[test]
    fn a_published_port_is_told_with_its_machine() {
        let port = json!({"PortStatus": {"Ports": [{"TargetPort": 8888, "PublishedPort": 32768}]}});
        let seen = look("running", port, "ready");
        assert_eq!((seen.port, seen.address), (Some(32768), "192.0.2.7".parse().ok()));
    }
}
