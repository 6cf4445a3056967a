//! How far a start has got, for whoever watches.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One step of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressEvent {
    /// How far the start is, from 0 to 100; `None` if that is unchanged.
    pub percent: Option<u8>,
    /// What is happening, for the user to read. Text, not HTML.
    pub message: String,
}

/// Where a spawner reports its steps. Reporting never blocks and never fails:
/// nobody may be listening.
#[derive(Clone, Debug)]
pub struct Progress(Option<UnboundedSender<ProgressEvent>>);

impl Progress {
    /// Reports to `events`.
    pub fn new(events: UnboundedSender<ProgressEvent>) -> Self {
        Self(Some(events))
    }

    /// A progress and the end where its reports come out.
    pub fn channel() -> (Self, UnboundedReceiver<ProgressEvent>) {
        let (events, reports) = unbounded_channel();
        (Self::new(events), reports)
    }

    /// Reports to nobody.
    pub fn ignored() -> Self {
        Self(None)
    }

    /// Reports a step. A percentage over 100 counts as 100.
    pub fn report(&self, percent: impl Into<Option<u8>>, message: impl Into<String>) {
        if let Some(events) = &self.0 {
            let percent = percent.into().map(|percent| percent.min(100));
            // An error means that nobody listens any more, which is their right.
            let _ = events.send(ProgressEvent { percent, message: message.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_out_in_order_and_bounded() {
        let (progress, mut reports) = Progress::channel();
        progress.report(10, "one");
        progress.report(None, "two");
        progress.report(200, "three");
        let seen: Vec<_> = std::iter::from_fn(|| reports.try_recv().ok()).collect();
        let percents: Vec<_> = seen.iter().map(|event| event.percent).collect();
        assert_eq!(percents, [Some(10), None, Some(100)]);
    }

    #[test]
    fn reporting_to_nobody_is_fine() {
        let (progress, reports) = Progress::channel();
        drop(reports);
        progress.report(1, "into the void");
        Progress::ignored().report(1, "the same");
    }
}
