//! The file that the access log goes to (G-06).
//!
//! A thread of its own writes it, since a full pipe or a slow disk may keep a write for as
//! long as it likes. Nobody else ever waits for one, the end of the process a moment.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::lines::Lines;
use super::args::LogFormat;
use crate::{AccessEntries, AccessLog, Meters};

mod lines;

/// Entries that may wait for the writer: less than 10 MiB with the longest paths.
const ROOM: usize = 4096;

/// Most that is written at once.
const MOST: usize = 64 * 1024;

/// How long the end of the process waits for what is not written yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// The group of the file may read it: it has addresses of people.
const MODE: u32 = 0o640;

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Stdout,
    Stderr,
    File(PathBuf),
}

/// Nothing between the equals sign and the end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there is no path; without =PATH it is standard output")]
pub(super) struct NoPath;

impl FromStr for Destination {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        match text {
            "" => Err(NoPath),
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct AccessWriter {
    orders: Arc<Orders>,
    has_ended: oneshot::Receiver<()>,
}

/// What it is told.
#[derive(Debug, Default)]
struct Orders {
    /// The file may have been moved.
    reopen: Notify,
    /// There will be no more.
    finish: CancellationToken,
}

/// What it writes to.
struct Sink {
    to: Destination,
    /// That of [`Destination::File`].
    file: Option<File>,
    log: AccessLog,
    /// Whether the last write failed, which has been said.
    is_failing: bool,
}

impl AccessWriter {
    /// Opens the file and begins to write what the log hears of.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing, or there can be no thread.
    pub(super) fn start(
        to: &Destination,
        format: LogFormat,
        meters: Option<Meters>,
    ) -> io::Result<(AccessLog, Self)> {
        let (log, entries) = AccessLog::with_room_for(ROOM, meters);
        let sink = Sink { to: to.clone(), file: open(to)?, log: log.clone(), is_failing: false };
        let orders = Arc::new(Orders::default());
        let (told, (end, has_ended)) = (Arc::clone(&orders), oneshot::channel());
        let runtime = Handle::current();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            runtime.block_on(write(entries, sink, Lines::new(format), &told));
            // The process may have ended without waiting.
            let _ = end.send(());
        })?;
        Ok((log, Self { orders, has_ended }))
    }

    /// Opens the file anew: it may have been moved out of the way.
    pub(super) fn reopen(&self) {
        self.orders.reopen.notify_one();
    }

    /// Writes what has been heard of until now, if that takes no time.
    pub(super) async fn finish(self) {
        self.orders.finish.cancel();
        if timeout(PATIENCE, self.has_ended).await.is_err() {
            tracing::warn!("the end of the access log was not written in time");
        }
    }
}

/// Writes until it is told to end. Everything in here may take its time.
async fn write(mut entries: AccessEntries, mut sink: Sink, mut lines: Lines, orders: &Orders) {
    loop {
        tokio::select! {
            entry = entries.next() => match entry {
                Some(entry) => lines.add(&entry),
                None => return,
            },
            () = orders.reopen.notified() => sink.reopen(),
            () = orders.finish.cancelled() => break,
        }
        while lines.len() < MOST
            && let Some(entry) = entries.try_next()
        {
            lines.add(&entry);
        }
        sink.write(&lines.take());
    }
    while let Some(entry) = entries.try_next() {
        lines.add(&entry);
    }
    sink.write(&lines.take());
}

fn open(to: &Destination) -> io::Result<Option<File>> {
    let Destination::File(path) = to else { return Ok(None) };
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    // A FIFO is opened when somebody reads it, and nobody can wait for that here.
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.custom_flags(at_once).open(path).map_err(|error| {
        match error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
            true => io::Error::new(error.kind(), "it is a FIFO that nobody reads"),
            false => error,
        }
    })?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(Some(file))
}

impl Sink {
    fn reopen(&mut self) {
        match open(&self.to) {
            Ok(Some(file)) => {
                self.file = Some(file);
                tracing::info!("The access log was opened again");
            }
            Ok(None) => {}
            Err(error) => tracing::error!(
                %error, "the access log cannot be opened again; the old file is written on"
            ),
        }
    }

    /// Writes whole lines.
    fn write(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        // What failed may have left a part of a line.
        let lines = match self.is_failing {
            true => Cow::Owned(format!("\n{lines}")),
            false => Cow::Borrowed(lines),
        };
        // Locked as a whole, so that no line of the log comes between.
        let written = match (&self.to, &mut self.file) {
            (Destination::Stdout, _) => {
                let mut out = io::stdout().lock();
                out.write_all(lines.as_bytes()).and_then(|()| out.flush())
            }
            (Destination::Stderr, _) => io::stderr().lock().write_all(lines.as_bytes()),
            (Destination::File(_), Some(file)) => file.write_all(lines.as_bytes()),
            (Destination::File(_), None) => Ok(()),
        };
        let has_failed = written.is_err();
        if let Err(error) = written {
            self.log.lose(lines.lines().filter(|line| !line.is_empty()).count());
            if !self.is_failing {
                tracing::error!(
                    %error, "the access log cannot be written; requests are not in it until it can"
                );
            }
        }
        if mem::replace(&mut self.is_failing, has_failed) && !has_failed {
            tracing::info!("The access log is written again");
        }
    }
}
