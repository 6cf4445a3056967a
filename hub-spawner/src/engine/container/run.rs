//! Containers that do one job and end.

use std::time::Duration;

use bollard::{errors::Error, query_parameters::WaitContainerOptions};
use futures_util::StreamExt;

use super::ContainerSpec;
use crate::engine::{Engine, EngineError};

/// How much of a log a job may leave behind, in lines.
const OUTPUT_LINES: usize = 10_000;

/// What a container that ended left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// Its exit code.
    pub code: i64,
    /// What it printed to either stream, its last lines if it was much.
    pub output: String,
}

impl Engine {
    /// Waits until a container does not run, and returns its exit code. Returns
    /// at once if it does not run now.
    pub async fn wait_container(&self, id: &str) -> Result<i64, EngineError> {
        let mut answers =
            std::pin::pin!(self.docker.wait_container(id, None::<WaitContainerOptions>));
        match answers.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // The client library makes an error of each code but 0.
            Some(Err(Error::DockerContainerWaitError { code, error })) if error.is_empty() => {
                Ok(code)
            }
            Some(Err(Error::DockerContainerWaitError { error, .. })) => {
                Err(EngineError::Refused { action: "wait for a container", text: error })
            }
            Some(Err(cause)) => Err(self.failed("wait for a container", cause)),
            None => Err(EngineError::Broken {
                action: "wait for a container",
                source: "the answer is empty".into(),
            }),
        }
    }

    /// Makes a container, starts it, waits for its end, reads what it printed and
    /// removes it, also if something fails on the way.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the container; the labels of `spec` find it.
    ///
    /// # Errors
    ///
    /// [`EngineError::TimedOut`] if it is not done within `deadline`.
    pub async fn run_to_end(
        &self,
        spec: &ContainerSpec,
        deadline: Duration,
    ) -> Result<RunOutput, EngineError> {
        let id = self.create_container_from(spec).await?;
        let outcome = self.job(&id, deadline).await;
        let removed = self.remove_container(&id, true).await;
        let output = outcome?;
        removed.map(|()| output)
    }

    async fn job(&self, id: &str, deadline: Duration) -> Result<RunOutput, EngineError> {
        self.start_container(id).await?;
        let code = match tokio::time::timeout(deadline, self.wait_container(id)).await {
            Ok(code) => code?,
            Err(_) => {
                return Err(EngineError::TimedOut {
                    action: "finish a container's job",
                    after: deadline,
                });
            }
        };
        let output = self.logs(id, OUTPUT_LINES).await?.unwrap_or_default();
        Ok(RunOutput { code, output })
    }
}
