//! Ctrl-C during work that has to be put in order before the end.
//!
//! It ends the whole command, not the part that it comes in: whoever does one part
//! after the other asks [`check`] in between. Commands that never [`listen`] end
//! at once, as programs do.

use std::{
    io, process,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The exit code of a program that Ctrl-C ended, as shells have it.
pub(crate) const EXIT_CODE: u8 = 130;

/// How often Ctrl-C was pressed since somebody listened first.
static PRESSED: OnceLock<watch::Sender<usize>> = OnceLock::new();
/// How many questions wait for a person; there is nothing to put in order then.
static QUESTIONS: AtomicUsize = AtomicUsize::new(0);

/// Somebody has pressed Ctrl-C.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// From now on Ctrl-C is heard here. A second one ends the program at once.
pub(crate) fn listen() -> anyhow::Result<()> {
    let (sender, _) = watch::channel(0);
    if PRESSED.set(sender).is_err() {
        return Ok(());
    }
    // A thread of its own: an archive is packed and read without a pause.
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let heard = move || {
        runtime.block_on(async {
            while signals.recv().await.is_some() {
                press();
            }
        });
    };
    thread::Builder::new().name("interrupt".to_owned()).spawn(heard).context("a thread")?;
    Ok(())
}

fn press() {
    let Some(pressed) = PRESSED.get() else { return };
    pressed.send_modify(|times| *times += 1);
    if *pressed.borrow() > 1 || QUESTIONS.load(Ordering::SeqCst) > 0 {
        leave();
    }
}

#[expect(clippy::disallowed_methods, reason = "main waits for what does not end by itself")]
fn leave() -> ! {
    process::exit(EXIT_CODE.into())
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_pressed() -> bool {
    PRESSED.get().is_some_and(|pressed| *pressed.borrow() > 0)
}

/// Goes on, unless Ctrl-C was pressed.
pub(crate) fn check() -> Result<(), Interrupted> {
    if is_pressed() { Err(Interrupted) } else { Ok(()) }
}

/// The same for what reads and writes.
pub(crate) fn check_io() -> io::Result<()> {
    // Not the kind called like this: everybody tries again after that one.
    check().map_err(io::Error::other)
}

/// Lets `work` go on until it is done or somebody presses Ctrl-C; then it is
/// dropped.
pub(crate) async fn until<T>(work: impl Future<Output = T>) -> Result<T, Interrupted> {
    check()?;
    tokio::select! {
        done = work => Ok(done),
        () = pressed() => Err(Interrupted),
    }
}

async fn pressed() {
    match PRESSED.get() {
        Some(pressed) => {
            // The sender is never dropped.
            let _ = pressed.subscribe().wait_for(|times| *times > 0).await;
        }
        None => std::future::pending().await,
    }
}

/// Puts a question to a person; Ctrl-C instead of an answer ends the program.
pub(crate) fn question<T>(ask: impl FnOnce() -> T) -> T {
    QUESTIONS.fetch_add(1, Ordering::SeqCst);
    let answer = ask();
    QUESTIONS.fetch_sub(1, Ordering::SeqCst);
    answer
}
