//! What a program in a container writes from a moment on.

use std::time::Duration;

use hub_spawner::engine::{Engine, EngineError};
use tokio::time::sleep;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// More lines than are written between two looks.
const LINES: usize = 500;

/// Listens to one program.
#[derive(Debug)]
pub(super) struct Ear<'a> {
    engine: &'a Engine,
    name: &'a str,
    /// What it had written before.
    known: String,
}

impl<'a> Ear<'a> {
    /// Listens from now on.
    pub(super) async fn begin(engine: &'a Engine, name: &'a str) -> Result<Self, EngineError> {
        let mut ear = Self { engine, name, known: String::new() };
        ear.known = ear.all().await?;
        Ok(ear)
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// Waits for a line with one of `parts` in it, and returns all until then.
    pub(super) async fn until(&self, parts: &[&str]) -> Result<Vec<String>, EngineError> {
        loop {
            let all = self.all().await?;
            let lines = newer(&self.known, &all);
            if let Some(last) =
                lines.iter().rposition(|line| parts.iter().any(|part| line.contains(part)))
            {
                return Ok(lines[..=last].iter().map(ToString::to_string).collect());
            }
            sleep(PAUSE).await;
        }
    }

    async fn all(&self) -> Result<String, EngineError> {
        Ok(self.engine.logs(self.name, LINES).await?.unwrap_or_default())
    }
}

/// The lines of `all` that came after those in `known`.
fn newer<'a>(known: &str, all: &'a str) -> Vec<&'a str> {
    let lines: Vec<&str> = all.lines().collect();
    let after = known.lines().last().and_then(|last| lines.iter().rposition(|line| *line == last));
    lines[after.map_or(0, |at| at + 1)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_lines_are_heard() {
        assert_eq!(newer("1 a\n2 b\n", "2 b\n3 c\n4 d\n"), ["3 c", "4 d"]);
        assert_eq!(newer("", "1 a\n"), ["1 a"]);
        assert!(newer("1 a\n", "1 a\n").is_empty());
    }
}
