//! A log whose reader may stop reading: nothing that serves people waits for that.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that may wait for the thread.
const ROOM: usize = 4096;

/// How often, at the end, room is looked for, and how long nothing is done between.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end waits for what is not written yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a log by a thread of its own, for which 4,096 lines may wait.
///
/// A pipe is full when nobody reads it, a disk may be slow: whoever writes a line then waits,
/// and in a proxy everybody waits with it. Here lines are left out for which there is no room.
/// They are counted, and the next line that there is room for has one before it that says how
/// many.
///
/// Each [`write`](Write::write) is one line or several, which stay together, as
/// `tracing-subscriber` writes them:
///
/// ```
/// use std::io::{self, Write};
///
/// let mut log = hub_proxy::LogWriter::to(io::stdout(), |lost| format!("{lost} are missing\n"))?;
/// writeln!(log, "a line")?;
/// log.finish();
/// # io::Result::Ok(())
/// ```
///
/// Clones write by the same thread.
#[derive(Clone, Debug)]
pub struct LogWriter {
    pieces: SyncSender<Piece>,
    counts: Arc<Counts>,
    note: fn(u64) -> String,
}

#[derive(Debug)]
enum Piece {
    Lines(Vec<u8>),
    /// Tells that all before it is written.
    Mark(Sender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    /// Lines that there was no room for.
    lost: AtomicU64,
    /// Those of them that a note speaks of.
    told: AtomicU64,
}

impl LogWriter {
    /// Begins to write to `to`. `note` makes the line, with its end, that tells of so many lost
    /// ones.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn to(to: impl Write + Send + 'static, note: fn(u64) -> String) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel(ROOM);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&waiting, to))?;
        Ok(Self { pieces, counts: Arc::default(), note })
    }

    /// How many lines there was no room for until now.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Waits until all is written, though no longer than two seconds.
    pub fn finish(&self) {
        let (mark, is_written) = channel();
        let mut piece = Piece::Mark(mark);
        for _ in 0..LOOKS {
            match self.pieces.try_send(piece) {
                Ok(()) => {
                    // Written or not, the process ends.
                    let _ = is_written.recv_timeout(PATIENCE);
                    return;
                }
                Err(TrySendError::Full(back)) => piece = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(PAUSE);
        }
    }

    fn has_room_for(&self, lines: Vec<u8>) -> bool {
        self.pieces.try_send(Piece::Lines(lines)).is_ok()
    }

    /// Says what is missing, as soon as there is room for that.
    fn tell_of_lost(&self) {
        let (lost, told) = (self.lost(), self.counts.told.load(Ordering::Relaxed));
        if lost > told && self.has_room_for((self.note)(lost - told).into_bytes()) {
            // Two that tell at once would at worst tell the same.
            self.counts.told.store(lost, Ordering::Relaxed);
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.tell_of_lost();
        if !self.has_room_for(lines.to_vec()) {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything in here may take its time. What cannot be written has nowhere to be told.
fn write(waiting: &Receiver<Piece>, mut to: impl Write) {
    while let Ok(piece) = waiting.recv() {
        match piece {
            Piece::Lines(lines) => {
                let _ = to.write_all(&lines).and_then(|()| to.flush());
            }
            Piece::Mark(mark) => {
                let _ = mark.send(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    /// What has been written, unless somebody holds it.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl Pipe {
        fn hold(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }

        fn text(&self) -> String {
            String::from_utf8(self.hold().clone()).unwrap()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            self.hold().extend_from_slice(lines);
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_told_before_the_next_line() {
        let pipe = Pipe::default();
        let mut output = LogWriter::to(pipe.clone(), |lost| format!("{lost} lost\n")).unwrap();
        let held = pipe.hold();
        // One may be with the writer already.
        let count = ROOM + 100;
        for line in 0..count {
            output.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        let lost = output.lost();
        assert!(lost == 99 || lost == 100, "{lost}");
        drop(held);
        output.finish();
        output.write_all(b"next\n").unwrap();
        output.finish();

        let text = pipe.text();
        assert!(text.ends_with(&format!("{lost} lost\nnext\n")), "{}", &text[text.len() - 60..]);
        assert_eq!(text.lines().count() as u64, count as u64 - lost + 2);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_for_ever() {
        let pipe = Pipe::default();
        let mut output = LogWriter::to(pipe.clone(), |lost| format!("{lost} lost\n")).unwrap();
        let held = pipe.hold();
        for _ in 0..ROOM * 2 {
            output.write_all(b"line\n").unwrap();
        }
        output.finish();
        drop(held);
        output.finish();
        assert!(pipe.text().starts_with("line\n"));
    }
}
