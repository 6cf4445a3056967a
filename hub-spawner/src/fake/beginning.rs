//! How the spawner in memory begins.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::Mutex,
};

use tokio::sync::watch;

use super::{Behaviour, OnUnhealthy, Shared, State};

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            held: watch::Sender::new(false),
            removals_held: watch::Sender::new(false),
            looks_held: watch::Sender::new(false),
            broken: watch::Sender::new(0),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            default: Behaviour::NeverAnswers,
            special: HashMap::new(),
            servers: BTreeMap::new(),
            requests: Vec::new(),
            stops: Vec::new(),
            watchers: Vec::new(),
            started: 0,
            unreachable: false,
            host_address: Some(Ipv4Addr::LOCALHOST.into()),
            choices: Vec::new(),
            renames: Vec::new(),
            with_files: Vec::new(),
            forgotten: Vec::new(),
            forgotten_users: Vec::new(),
            probes: 0,
            on_unhealthy: OnUnhealthy::default(),
            keeps_stopped: false,
            replaces_kept: false,
            tells_nobody: false,
        }
    }
}
