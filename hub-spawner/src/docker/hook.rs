//! The command that runs in a container after its start (SPN-22).

use crate::{Progress, SpawnError, engine::Engine};

use super::{blueprint::Blueprint, error::spawn_error};

/// How much of what it printed is told.
const TOLD: usize = 500;

/// Runs `post_start_cmd` in the container `id`, if there is one.
///
/// # Errors
///
/// If it fails and `post_start_required` is set.
pub(super) async fn run(
    engine: &Engine,
    blueprint: &Blueprint,
    id: &str,
    progress: &Progress,
) -> Result<(), SpawnError> {
    if blueprint.post_start.is_empty() {
        return Ok(());
    }
    progress.report(75, "Running the command that prepares the server");
    let words: Vec<&str> = blueprint.post_start.iter().map(String::as_str).collect();
    let trouble = match engine.exec(id, &words).await {
        Ok(ran) if ran.code == 0 => return Ok(()),
        Ok(ran) => {
            let printed: String = ran.output.trim().chars().take(TOLD).collect();
            format!("it ended with code {}: {printed}", ran.code)
        }
        Err(error) if blueprint.post_start_required => {
            return Err(spawn_error("run post_start_cmd", error));
        }
        Err(error) => error.to_string(),
    };
    if blueprint.post_start_required {
        return Err(SpawnError::Backend {
            action: "run post_start_cmd",
            hint: Some("the command that prepares servers failed; see the hub's log"),
            source: trouble.into(),
        });
    }
    tracing::warn!(container = id, trouble, "post_start_cmd failed; the server goes on");
    Ok(())
}
