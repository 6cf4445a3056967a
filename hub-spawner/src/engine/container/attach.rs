//! Programs in containers, joined to our own input and output.

use std::pin::Pin;

use bollard::{
    container::{AttachContainerResults, LogOutput},
    errors::Error,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    query_parameters::AttachContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};

use super::ContainerSpec;
use crate::engine::{CALL_DEADLINE, Engine, EngineError};

/// What a program in a container is joined to.
#[derive(Debug)]
pub struct Streams<I, O, E> {
    /// Read to its end, unless the program ends first.
    pub input: I,
    /// Gets what the program prints, and with a terminal also its errors.
    pub output: O,
    /// Gets what the program prints as errors.
    pub errors: E,
}

/// A connection to a program's three streams.
struct Line {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
}

impl Engine {
    /// Runs a command inside a running container, joined to `streams`, and returns
    /// its exit code. With `terminal`, the command finds itself at one.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the command running; most end when their input
    /// does.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if there is no such container,
    /// [`EngineError::Conflict`] if it does not run, [`EngineError::Broken`] if
    /// the connection breaks or our own output cannot be written.
    pub async fn exec_joined<I, O, E>(
        &self,
        id: &str,
        command: &[String],
        terminal: bool,
        streams: Streams<I, O, E>,
    ) -> Result<i64, EngineError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        const ACTION: &str = "run a command in a container";
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal),
            ..CreateExecOptions::default()
        };
        let start = StartExecOptions { tty: terminal, ..StartExecOptions::default() };
        let begin = async {
            let exec = self.docker.create_exec(id, options).await?;
            let started = self.docker.start_exec(&exec.id, Some(start)).await?;
            Ok((exec.id, started))
        };
        let (exec, started) = self.within(ACTION, CALL_DEADLINE, begin).await?;
        if let StartExecResults::Attached { output, input } = started {
            self.join(ACTION, Line { input, output }, streams).await?;
        }
        let ended = self.docker.inspect_exec(&exec);
        let ended = self.within(ACTION, CALL_DEADLINE, ended).await?;
        Ok(ended.exit_code.unwrap_or(-1))
    }

    /// Makes a container from `spec`, which should have
    /// [`interactive`](ContainerSpec::interactive), starts it joined to `streams`,
    /// waits for its end, removes it and returns its exit code.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the container; the labels of `spec` find it.
    ///
    /// # Errors
    ///
    /// As [`create_container_from`](Self::create_container_from), and
    /// [`EngineError::Broken`] if the connection breaks or our own output cannot be
    /// written.
    pub async fn run_joined<I, O, E>(
        &self,
        spec: &ContainerSpec,
        streams: Streams<I, O, E>,
    ) -> Result<i64, EngineError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        let id = self.create_container_from(spec).await?;
        let ended = self.start_joined(&id, streams).await;
        let removed = self.remove_container(&id, true).await;
        let code = ended?;
        removed.map(|()| code)
    }

    /// Starts a container that was made and is
    /// [`interactive`](ContainerSpec::interactive), joined to `streams`, waits for
    /// its end and returns its exit code.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the container running.
    ///
    /// # Errors
    ///
    /// As [`run_joined`](Self::run_joined).
    pub async fn start_joined<I, O, E>(
        &self,
        id: &str,
        streams: Streams<I, O, E>,
    ) -> Result<i64, EngineError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        const ACTION: &str = "attach to a container";
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        // Before the start, so that no word is lost.
        let attach = self.docker.attach_container(id, Some(options));
        let AttachContainerResults { output, input } =
            self.within(ACTION, CALL_DEADLINE, attach).await?;
        self.start_container(id).await?;
        self.join(ACTION, Line { input, output }, streams).await?;
        self.wait_container(id).await
    }

    /// Copies both ways until the program has said all.
    async fn join<I, O, E>(
        &self,
        action: &'static str,
        line: Line,
        streams: Streams<I, O, E>,
    ) -> Result<(), EngineError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        let Line { input: mut theirs, output: mut said } = line;
        let Streams { mut input, mut output, mut errors } = streams;
        let broken = |source: std::io::Error| EngineError::Broken { action, source: source.into() };
        let feed = async {
            // A program that has read enough closes its end; that is no failure.
            if copy(&mut input, &mut theirs).await.is_ok() {
                let _ = theirs.shutdown().await;
            }
            std::future::pending::<std::convert::Infallible>().await
        };
        let listen = async {
            while let Some(part) = said.next().await {
                match part.map_err(|cause| self.failed(action, cause))? {
                    LogOutput::StdErr { message } => {
                        errors.write_all(&message).await.map_err(broken)?;
                        errors.flush().await.map_err(broken)?;
                    }
                    LogOutput::StdOut { message }
                    | LogOutput::StdIn { message }
                    | LogOutput::Console { message } => {
                        output.write_all(&message).await.map_err(broken)?;
                        output.flush().await.map_err(broken)?;
                    }
                }
            }
            Ok(())
        };
        tokio::select! {
            heard = listen => heard,
            never = feed => match never {},
        }
    }
}
