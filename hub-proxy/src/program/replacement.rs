//! Running another program file in our place from the start.
//!
//! After an upgrade by hand-over, the new program lies in a volume while the
//! image still has the old one. A container that is started again must run the
//! new one.

use std::{
    env,
    fs::File,
    io::{self, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::environment::CHOSEN;

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// How often to look whether it has.
const POLL: Duration = Duration::from_millis(5);

/// Compared at once.
const CHUNK: usize = 1024 * 1024;

/// Becomes the program at `path` if it is there, another than ours, and sound.
/// Returns what to log when we go on ourselves.
pub(super) fn run_instead(path: &Path) -> Option<String> {
    match is_another(path) {
        Ok(false) => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(staying(path, &format!("it cannot be read: {error}"))),
        Ok(true) => {}
    }
    if let Err(why) = says_its_version(path) {
        return Some(staying(path, &why));
    }
    // Comes back only if it fails.
    let error = Command::new(path).args(env::args_os().skip(1)).env(CHOSEN, "1").exec();
    Some(staying(path, &format!("it cannot be run: {error}")))
}

fn staying(path: &Path, why: &str) -> String {
    format!("--upgrade-binary {}: not used, {why}", path.display())
}

/// Whether the file differs from the program that runs.
fn is_another(path: &Path) -> io::Result<bool> {
    let (mut theirs, mut ours) = (File::open(path)?, File::open("/proc/self/exe")?);
    if theirs.metadata()?.len() != ours.metadata()?.len() {
        return Ok(true);
    }
    let (mut chunk, mut own_chunk) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = theirs.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        ours.read_exact(&mut own_chunk[..read])?;
        if chunk[..read] != own_chunk[..read] {
            return Ok(true);
        }
    }
}

/// An interrupted copy or a file for another machine does not get this far.
fn says_its_version(path: &Path) -> Result<(), String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it cannot be run: {error}"))?;
    let mut left = VERSION_LIMIT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left.is_zero() => {
                // Ours, and of no use; failing means that it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it does not say its version within {VERSION_LIMIT:?}"));
            }
            Ok(None) => {
                thread::sleep(POLL);
                left = left.saturating_sub(POLL);
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    };
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        // What is not text is no version.
        let _ = stdout.read_to_string(&mut said);
    }
    match status.success() && said.starts_with("hub-proxy ") {
        true => Ok(()),
        false => Err("it is no hub-proxy that runs here".to_owned()),
    }
}
