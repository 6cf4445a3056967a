//! Running other programs.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Split},
    process::Command,
};

use crate::step::Step;

/// How often a process is looked at while we wait for its end.
const POLL: Duration = Duration::from_millis(100);

/// How long the outputs of a program that has ended may stay silent before we
/// no longer listen.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs a program to its end and hands what it prints to `step`.
pub(crate) async fn run(step: &Step, command: &mut Command) -> anyhow::Result<()> {
    let status = stream(command, |line| step.line(line)).await?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a program to its end and hands each line of both outputs to `on_line`.
pub(crate) async fn stream(
    command: &mut Command,
    mut on_line: impl FnMut(&str),
) -> anyhow::Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut out = BufReader::new(child.stdout.take().expect("stdout is a pipe")).split(b'\n');
    let mut err = BufReader::new(child.stderr.take().expect("stderr is a pipe")).split(b'\n');
    let (mut out_open, mut err_open) = (true, true);
    let mut status = None;
    loop {
        tokio::select! {
            line = next(&mut out), if out_open => match line? {
                Some(line) => on_line(&line),
                None => out_open = false,
            },
            line = next(&mut err), if err_open => match line? {
                Some(line) => on_line(&line),
                None => err_open = false,
            },
            ended = child.wait(), if status.is_none() => {
                let ended = ended.with_context(|| format!("cannot wait for `{}`", shown(command)))?;
                status = Some(ended);
            },
            // What starts a service may leave it with our pipes.
            () = tokio::time::sleep(LAST_WORDS), if status.is_some() => {
                (out_open, err_open) = (false, false);
            }
        }
        if let Some(status) = status
            && !out_open
            && !err_open
        {
            return Ok(status);
        }
    }
}

/// Runs a program with `input` on its standard input; returns what it prints.
pub(crate) async fn output(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A program that does not read its input closes the pipe; what it then says
    // matters more.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let result = child.wait_with_output().await?;
    if !result.status.success() {
        let said = String::from_utf8_lossy(&result.stderr);
        bail!("`{}` ended with {}: {}", shown(command), result.status, said.trim());
    }
    Ok(String::from_utf8(result.stdout)?)
}

/// Sends a signal to a process; whether it was there to receive it.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Whether `pid` is a live process that runs the program `name`.
pub(crate) fn is_running(pid: u32, name: &str) -> bool {
    // A rebuilt binary's path ends in " (deleted)", so the command line is read
    // instead; a zombie's is empty.
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let program = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    let program = String::from_utf8_lossy(program);
    Path::new(program.as_ref()).file_name().is_some_and(|file| file == name)
}

/// Ends the process `pid` if it runs the program `name`: politely first, by
/// force after `grace`. Returns whether there was one.
pub(crate) async fn end(pid: u32, name: &str, grace: Duration) -> bool {
    if !is_running(pid, name) {
        return false;
    }
    signal(pid, Signal::TERM);
    let gone = async {
        while is_running(pid, name) {
            tokio::time::sleep(POLL).await;
        }
    };
    if tokio::time::timeout(grace, gone).await.is_err() {
        signal(pid, Signal::KILL);
    }
    true
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The next line. Not every program prints UTF-8.
///
/// # Cancellation
///
/// Nothing is lost: `Split` keeps a line that has come in part.
async fn next<R: AsyncRead + Unpin>(
    from: &mut Split<BufReader<R>>,
) -> anyhow::Result<Option<String>> {
    let line = from.next_segment().await?;
    Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn both_outputs_arrive_line_by_line() {
        let mut seen = Vec::new();
        let mut command = shell("echo one; echo two >&2; printf 'no end'");
        let status = stream(&mut command, |line| seen.push(line.to_owned())).await.unwrap();
        assert!(status.success());
        seen.sort();
        assert_eq!(seen, ["no end", "one", "two"]);
    }

    #[tokio::test]
    async fn a_service_that_keeps_our_pipes_is_not_waited_for() {
        let mut seen = Vec::new();
        let mut command = shell("sleep 300 & echo $!");
        let run = stream(&mut command, |line| seen.push(line.to_owned()));
        let status = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
        assert!(status.success());
        assert!(signal(seen[0].parse().unwrap(), Signal::KILL));
    }

    #[tokio::test]
    async fn a_failing_program_is_named_with_its_words() {
        let error = output(&mut shell("echo broken >&2; exit 3"), "").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("broken"), "{text}");
    }

    #[tokio::test]
    async fn input_reaches_the_program() {
        assert_eq!(output(&mut shell("cat"), "secret").await.unwrap(), "secret");
    }

    #[tokio::test]
    async fn only_the_named_program_is_ended() {
        let mut child = Command::new("sleep").arg("600").kill_on_drop(true).spawn().unwrap();
        let pid = child.id().unwrap();
        // The kernel shows the command line a moment after the program began.
        let shown = async {
            while !is_running(pid, "sleep") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), shown).await.unwrap();
        assert!(!end(pid, "hub-server", Duration::from_secs(1)).await);
        assert!(is_running(pid, "sleep"));
        assert!(end(pid, "sleep", Duration::from_secs(10)).await);
        assert!(!child.wait().await.unwrap().success());
    }
}
