//! A container that looks around and is gone.

use std::time::Duration;

use hub_spawner::{
    docker::inventory,
    engine::{ContainerSpec, Engine, EngineError, NetworkEnd, RunOutput},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// How long the program may take, on a machine that reads the image for the
/// first time.
const LIMIT: Duration = Duration::from_secs(60);

/// Memory for an interpreter and some imports.
const MEMORY_BYTES: u64 = 512 << 20;

/// Marks the container.
const KIND: &str = "doctor";

/// What to run where.
#[derive(Debug)]
pub(super) struct Look<'l> {
    pub(super) deployment: &'l str,
    pub(super) image: &'l str,
    /// `none` to be cut off.
    pub(super) network: &'l str,
    /// A program for the image's Python 3; prints one line of JSON.
    pub(super) program: &'l str,
    pub(super) arguments: Vec<String>,
}

/// Runs the program in a container that may do nothing else.
pub(super) async fn run(engine: &Engine, look: &Look<'_>) -> Result<RunOutput, EngineError> {
    let name = format!("{}-doctor-{}", look.deployment, Uuid::new_v4().simple());
    let mut spec = ContainerSpec::new(name, look.image);
    spec.labels = inventory::labels_of(look.deployment, KIND);
    spec.entrypoint = Some(vec!["python3".to_owned()]);
    let mut command = vec!["-c".to_owned(), look.program.to_owned()];
    command.extend(look.arguments.iter().cloned());
    spec.command = Some(command);
    spec.networks = vec![NetworkEnd::new(look.network)];
    spec.read_only_root = true;
    spec.cap_drop = vec!["ALL".to_owned()];
    spec.security_opt = vec!["no-new-privileges".to_owned()];
    spec.memory = Some(MEMORY_BYTES);
    spec.pids_limit = Some(64);
    engine.run_to_end(&spec, LIMIT).await
}

/// The last line of the output that is such an answer; an image may say other
/// things before.
pub(super) fn answer<T: DeserializeOwned>(output: &RunOutput) -> Option<T> {
    output.output.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())
}

/// What a container said instead of an answer, in few words.
pub(super) fn last_words(output: &RunOutput) -> String {
    let last = output.output.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let last: String = last.unwrap_or("it printed nothing").chars().take(200).collect();
    format!("exit code {}: {last}", output.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts_whatever_else_is_printed() {
        let output = RunOutput { code: 0, output: "welcome\n{\"a\": 1}\n{\"a\": 2}\nbye\n".into() };
        #[derive(serde::Deserialize)]
        struct Answer {
            a: u8,
        }
        assert_eq!(answer::<Answer>(&output).unwrap().a, 2);
        assert_eq!(last_words(&output), "exit code 0: bye");
        let silent = RunOutput { code: 3, output: String::new() };
        assert!(answer::<Answer>(&silent).is_none());
        assert_eq!(last_words(&silent), "exit code 3: it printed nothing");
    }
}
