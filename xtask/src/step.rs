//! Telling a person what happens now.
//!
//! A [`Step`] takes the lines that a build or an installation prints. On a
//! terminal it shows the newest one next to a spinner; elsewhere it prints one
//! every few seconds, so that a log shows life without being flooded. When the
//! step fails its last lines are printed in full. All of it goes to standard
//! error: standard output belongs to results.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Longest silence where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// Lines kept to explain a failure.
const TAIL_LINES: usize = 60;

/// Characters shown of a line while the work goes on.
const SHOWN_CHARS: usize = 100;

/// One thing that takes a while. Dropped without [`Step::done`], it failed.
#[derive(Debug)]
pub(crate) struct Step {
    what: String,
    begun: Instant,
    tail: Arc<Mutex<VecDeque<String>>>,
    display: Display,
    finished: bool,
}

#[derive(Debug)]
enum Display {
    Terminal(ProgressBar),
    Plain { stop: Option<mpsc::Sender<()>>, printer: Option<JoinHandle<()>> },
}

impl Step {
    /// Says that `what` begins, such as `building the notebook image`.
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let begun = Instant::now();
        let tail = Arc::default();
        let display = if std::io::stderr().is_terminal() {
            terminal(&what)
        } else {
            plain(what.clone(), begun, Arc::clone(&tail))
        };
        Self { what, begun, tail, display, finished: false }
    }

    /// Takes a line that the work printed.
    pub(crate) fn line(&self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let mut tail = lock(&self.tail);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
        if let Display::Terminal(bar) = &self.display {
            bar.set_message(format!("{}: {line}", self.what));
        }
    }

    /// Says that it succeeded; `detail` is what is worth knowing, or empty.
    pub(crate) fn done(mut self, detail: &str) {
        self.finished = true;
        self.display.close();
        let separator = if detail.is_empty() { "" } else { ": " };
        let seconds = self.begun.elapsed().as_secs();
        eprintln!("  {}{separator}{detail} ({seconds} s)", self.what);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.display.close();
        for line in lock(&self.tail).iter() {
            eprintln!("    | {line}");
        }
        eprintln!("  {}: failed after {} s", self.what, self.begun.elapsed().as_secs());
    }
}

impl Display {
    fn close(&mut self) {
        match self {
            Self::Terminal(bar) => bar.finish_and_clear(),
            Self::Plain { stop, printer } => {
                drop(stop.take());
                if let Some(printer) = printer.take() {
                    // It only prints; if that panicked there is nothing to save.
                    let _ = printer.join();
                }
            }
        }
    }
}

fn terminal(what: &str) -> Display {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}")
            .expect("the template is valid"),
    );
    bar.enable_steady_tick(Duration::from_millis(120));
    Display::Terminal(bar)
}

fn plain(what: String, begun: Instant, tail: Arc<Mutex<VecDeque<String>>>) -> Display {
    eprintln!("  {what} ...");
    let (stop, stopped) = mpsc::channel::<()>();
    let printer = std::thread::spawn(move || {
        while stopped.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let last = lock(&tail).back().map_or_else(|| "no output yet".to_owned(), |l| shown(l));
            eprintln!("    {what}, {} s: {last}", begun.elapsed().as_secs());
        }
    });
    Display::Plain { stop: Some(stop), printer: Some(printer) }
}

/// The beginning of a line: some programs print hundreds of names on one.
fn shown(line: &str) -> String {
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn lock(tail: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    tail.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_lines_are_kept() {
        let step = Step::begin("counting");
        for n in 0..TAIL_LINES + 5 {
            step.line(&format!("line {n}\n"));
        }
        let tail = lock(&step.tail).clone();
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail.front().unwrap(), "line 5");
        step.done("all there");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        let long = shown(&"ü".repeat(SHOWN_CHARS + 1));
        assert_eq!(long, format!("{}...", "ü".repeat(SHOWN_CHARS)));
    }
}
