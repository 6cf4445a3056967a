//! Who has started this process.
//!
//! A JupyterHub that runs the proxy as its child gives it a second between SIGTERM and the
//! next signal (proxy contract, section 1), and is at its own end by then. Whoever else
//! starts it is taken to wait.

use std::{fs, time::Duration};

use rustix::process::{Pid, getppid};

/// How long open connections may go on after SIGTERM if the operator does not say (D-04).
const USUAL: Duration = Duration::from_secs(30);

/// Options of Python's that have a value behind them.
const WITH_VALUE: [&[u8]; 2] = [b"-X", b"-W"];

/// How long what is open may take to end.
pub(super) fn patience() -> Duration {
    match getppid().is_some_and(is_jupyterhub) {
        true => Duration::ZERO,
        false => USUAL,
    }
}

/// Whether a process is a JupyterHub; none is where processes cannot be looked at.
fn is_jupyterhub(process: Pid) -> bool {
    let words = fs::read(format!("/proc/{}/cmdline", process.as_raw_nonzero()));
    words.is_ok_and(|words| names_jupyterhub(&words))
}

/// Whether a command line, each word of it ended by NUL, is that of a program or script with
/// the name `jupyterhub`, or of `python -m jupyterhub`.
fn names_jupyterhub(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    if words.next().is_some_and(is_its_file) {
        return true;
    }
    while let Some(word) = words.next() {
        match word {
            b"-m" => return words.next().is_some_and(is_its_module),
            option if WITH_VALUE.contains(&option) => {
                words.next();
            }
            [b'-', ..] => {}
            script => return is_its_file(script),
        }
    }
    false
}

fn is_its_file(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next() == Some(b"jupyterhub")
}

fn is_its_module(name: &[u8]) -> bool {
    name == b"jupyterhub" || name.starts_with(b"jupyterhub.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_04_a_jupyterhub_is_known_by_its_command_line() {
        for (line, is_one) in [
            ("/usr/bin/python3 /usr/local/bin/jupyterhub -f x.py", true),
            ("/opt/tljh/hub/bin/python3 -m jupyterhub.app -f x.py", true),
            ("python -X dev -B -m jupyterhub", true),
            ("jupyterhub", true),
            ("/bin/sh /srv/jupyterhub/start.sh", false),
            ("python -m http.server jupyterhub", false),
            ("python /srv/other.py -m jupyterhub", false),
            ("/sbin/init", false),
            ("", false),
        ] {
            let words = line.replace(' ', "\0") + "\0";
            assert_eq!(names_jupyterhub(words.as_bytes()), is_one, "{line}");
        }
    }
}
