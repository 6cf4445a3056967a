//! What containers print.

use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::{CALL_DEADLINE, Engine, EngineError};

const ACTION: &str = "read a container's log";

/// In the daemon's words, that it has only passed the log on.
const PASSED_ON: &str = "does not support reading";

/// What stands for such a log.
const ELSEWHERE: &str = "(Docker sends this log elsewhere and keeps nothing of it: see the log \
                         driver of its machine)\n";

impl Engine {
    /// The last `tail` lines a container printed; `None` if there is no such
    /// container. Where the daemon keeps no log, a line says so.
    pub async fn logs(&self, id: &str, tail: usize) -> Result<Option<String>, EngineError> {
        let lines = async {
            let mut text = Vec::new();
            let mut parts = std::pin::pin!(self.docker.logs(id, Some(options(Some(tail), false))));
            while let Some(part) = parts.next().await {
                text.extend_from_slice(&part?.into_bytes());
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        match self.once(ACTION, CALL_DEADLINE, lines).await {
            Ok(text) => Ok(Some(text)),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(EngineError::Forbidden { text, .. } | EngineError::Refused { text, .. })
                if text.contains(PASSED_ON) =>
            {
                Ok(Some(ELSEWHERE.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// What a container printed, from its last `tail` lines on or from the
    /// beginning, in pieces of any size; with `follow` also what it will print,
    /// until it ends.
    pub fn logs_follow(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
        let engine = self.clone();
        self.docker.logs(id, Some(options(tail, follow))).map(move |part| match part {
            Ok(part) => Ok(part.into_bytes()),
            Err(cause) => Err(engine.failed(ACTION, cause)),
        })
    }
}

fn options(tail: Option<usize>, follow: bool) -> LogsOptions {
    let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    LogsOptionsBuilder::new().stdout(true).stderr(true).follow(follow).tail(&tail).build()
}
