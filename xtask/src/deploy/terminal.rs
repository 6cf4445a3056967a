//! This process's terminal, handed to a program elsewhere.

use std::io::{self, Read};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    runtime::Handle,
};

/// How much may be on its way.
const BUFFER: usize = 64 << 10;

/// Each key goes on as it is, and nothing is shown but what the program answers.
/// Dropping it gives the terminal back as it was.
#[derive(Debug)]
pub(super) struct RawMode(Termios);

impl RawMode {
    pub(super) fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Standard input, read by a thread that nobody has to wait for at the end.
pub(super) fn input() -> DuplexStream {
    let (reader, mut writer) = tokio::io::duplex(BUFFER);
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let (mut input, mut bytes) = (io::stdin().lock(), vec![0; BUFFER]);
        while let Ok(read @ 1..) = input.read(&mut bytes) {
            if runtime.block_on(writer.write_all(&bytes[..read])).is_err() {
                break;
            }
        }
    });
    reader
}
