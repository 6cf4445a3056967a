//! The programs by which Docker's own tools keep logins: `docker-credential-NAME`.

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::RegistryLogin;
use crate::InvalidConfig;

/// How long such a program may take; some ask a server.
const DEADLINE: Duration = Duration::from_secs(30);

/// What it says of a registry it does not know.
const UNKNOWN: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the program called `name` for the login at `registry`; `None` if it has none.
pub(super) async fn ask(
    name: &str,
    registry: &str,
) -> Result<Option<RegistryLogin>, InvalidConfig> {
    let program = format!("docker-credential-{name}");
    let failed = |reason: String| InvalidConfig::new("config_dir", format!("{program}: {reason}"));
    // A name is part of a program's name, and no path.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(failed("is no program for logins".to_owned()));
    }
    let run = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(registry.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = timeout(DEADLINE, run)
        .await
        .map_err(|_| failed(format!("does not answer within {} s", DEADLINE.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return match said.contains(UNKNOWN) {
            true => Ok(None),
            false => Err(failed(format!("failed with {}", output.status))),
        };
    }
    let answer: Answer =
        serde_json::from_str(&said).map_err(|_| failed("gave no usable answer".to_owned()))?;
    Ok(Some(RegistryLogin { username: answer.username, password: answer.secret.into() }))
}
