//! Answers that go on for a while: server-sent events (hub-contract 5.5).

use std::marker::PhantomData;

use reqwest::Response;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Answer;

/// Longest event. The hub's are far below; what is not is no hub's.
const EVENT_LEN: usize = 1 << 20;

/// One step of a start, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ProgressEvent {
    pub(crate) progress: Option<u8>,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) failed: bool,
}

/// Events, from the first one on, as they happen.
#[derive(Debug)]
pub(crate) struct Events<T> {
    response: Response,
    text: EventText,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Events<T> {
    pub(super) fn new(response: Response) -> Self {
        Self { response, text: EventText::default(), of: PhantomData }
    }

    /// The next event; `None` when the stream is over or broken, which is the
    /// same to a reader: the last event says that it is the last.
    pub(crate) async fn next(&mut self) -> Option<Answer<T>> {
        loop {
            while let Some(data) = self.text.take() {
                // Events of another kind are nobody's loss.
                let event = serde_json::from_str::<Value>(&data).and_then(Answer::read);
                if let Ok(event) = event {
                    return Some(event);
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push(&chunk)?;
        }
    }
}

/// Cuts the bytes of a stream into events.
///
/// Source: the HTML standard, section 9.2.6, as far as `data` lines go.
#[derive(Debug, Default)]
struct EventText(Vec<u8>);

impl EventText {
    /// Adds bytes; `None` if an event is too long to be one.
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        // A line may end in CR LF too.
        self.0.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        (self.0.len() <= EVENT_LEN).then_some(())
    }

    /// The data of the next whole event.
    fn take(&mut self) -> Option<String> {
        loop {
            let end = self.0.windows(2).position(|pair| pair == b"\n\n")?;
            let event: Vec<u8> = self.0.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                return Some(data.join("\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&str]) -> Vec<String> {
        let mut text = EventText::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            text.push(chunk.as_bytes()).unwrap();
            seen.extend(std::iter::from_fn(|| text.take()));
        }
        seen
    }

    #[test]
    fn events_are_found_however_the_bytes_arrive() {
        for (what, chunks, expected) in [
            ("one at a time", vec!["data: a\n\n", "data: b\n\n"], vec!["a", "b"]),
            ("two at once", vec!["data: a\n\ndata: b\n\n"], vec!["a", "b"]),
            ("split anywhere", vec!["da", "ta: a", "\n", "\ndata:b\n\n"], vec!["a", "b"]),
            ("signs of life", vec!["\n\n", "data: a\n\n", "\n\n", ": hello\n\n"], vec!["a"]),
            ("carriage returns", vec!["data: a\r\n\r", "\ndata: b\r\n\r\n"], vec!["a", "b"]),
            ("several lines", vec!["event: x\ndata: a\ndata: b\n\n"], vec!["a\nb"]),
            ("an unfinished one", vec!["data: a\n"], vec![]),
        ] {
            assert_eq!(events(&chunks), expected, "{what}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        assert_eq!(EventText::default().push(&vec![b'x'; EVENT_LEN + 1]), None);
    }
}
