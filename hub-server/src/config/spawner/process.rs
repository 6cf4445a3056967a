//! `[spawner.process]`: servers as processes. The keys are read by `hub-spawner`; here
//! is what the hub says about them.

use std::path::Path;

use hub_spawner::process::ProcessConfig;

use super::{
    super::{
        ConfigError,
        key::{Key, Kind, Section},
    },
    named,
};

const NAME: &str = "spawner.process";

/// Where servers are kept unless somebody says otherwise, below the hub's data.
const DIR: &str = "servers";

pub(in super::super) const SECTION: Section = Section {
    name: NAME,
    about: "How servers run where `spawner.kind` is `process`: as processes of this machine and of the hub's own user, which keeps nobody from anybody. For development, and machines of one person.",
    keys: &[
        Key::new("spawner.process.dir", Kind::Place, "Where the hub keeps what it knows of running servers, and users' files unless `notebook_dir` says otherwise. A relative path is below `store.data_dir`.")
            .default("\"servers\"")
            .restart(),
        Key::new("spawner.process.cmd", Kind::Command, "The command of servers.")
            .default("\"jupyterhub-singleuser\"")
            .next_start(),
        Key::new("spawner.process.args", Kind::Command, "Arguments added to `cmd`.")
            .default("[]")
            .next_start(),
        Key::new("spawner.process.path", Kind::Text, "Where programs are looked for, as in `PATH`, which is not handed on.")
            .default("\"/usr/local/bin:/usr/bin:/bin\"")
            .example("\"/opt/venv/bin:/usr/bin:/bin\"")
            .next_start(),
        Key::new("spawner.process.notebook_dir", Kind::Text, "A user's directory, an absolute path; may use `{username}`. Default: `users/{username}` in `dir`.")
            .example("\"/srv/notebooks/{username}\"")
            .next_start(),
        Key::new("spawner.process.default_url", Kind::Text, "The page a server opens with.")
            .example("\"/lab\"")
            .next_start(),
        Key::new("spawner.process.ip", Kind::Text, "The address servers listen on.")
            .default("\"127.0.0.1\"")
            .restart(),
        Key::new("spawner.process.ports", Kind::Text, "The ports servers get. Default: any that is free.")
            .example("\"9000-9100\"")
            .next_start(),
        Key::new("spawner.process.environment", Kind::Secrets, "Variables for servers; they have the last word over all others. The hub's own are not handed on.")
            .default("{}")
            .next_start(),
        Key::new("spawner.process.debug", Kind::Boolean, "Whether servers log in detail.")
            .default("false")
            .next_start(),
        Key::new("spawner.process.disable_user_config", Kind::Boolean, "Whether servers ignore the user's own Jupyter configuration.")
            .default("false")
            .next_start(),
        Key::new("spawner.process.stop_timeout_seconds", Kind::Integer("seconds"), "How long a server may take to end when asked.")
            .default("10"),
    ],
};

/// Settings that make sense, with all paths whole. `data` is where the hub's own files
/// are.
pub(super) fn check(mut process: ProcessConfig, data: &Path) -> Result<ProcessConfig, ConfigError> {
    if process.dir.as_os_str().is_empty() {
        process.dir = DIR.into();
    }
    process.settle(data);
    // Where the configuration is in the working directory, its path has no beginning.
    process.dir = std::path::absolute(&process.dir).map_err(|error| {
        ConfigError::value("spawner.process.dir", format!("cannot be used: {error}"))
    })?;
    process.validate().map(|()| process).map_err(|error| named(NAME, error))
}
