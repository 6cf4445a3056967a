//! How much of HTTP/2's own talk a client may make: pings and settings have to be answered,
//! ask for nothing, and cost the client next to nothing (H2-05). Pure.

use tokio::time::Instant;

use super::frames::{FrameHead, Frames, GOAWAY, HEADERS, PING, SETTINGS};

/// So many pings and settings are let be, whatever else a connection does.
const MOST: u64 = 1000;

/// After that, so many a second: a client that looks every second whether its WebSocket is
/// still there has many times more than it needs.
const PER_SECOND: u64 = 10;

/// And one for so many bytes that pass, in either direction: clients measure a connection
/// by pings while much comes over it. Pings alone earn one in a hundred and twenty.
const BYTES_EACH: u64 = 4096;

/// The reason to end a connection with (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u8 = 11;

/// What has passed of one connection.
#[derive(Debug)]
pub(super) struct Calm {
    arriving: Frames,
    leaving: Frames,
    last_stream: u32,
    /// The connection ends as it is.
    is_told: bool,
    left: u64,
    /// What passed since it counted for `left`.
    bytes: u64,
    since: Instant,
}

impl Calm {
    pub(super) fn new() -> Self {
        Self {
            arriving: Frames::of_client(),
            leaving: Frames::of_server(),
            last_stream: 0,
            is_told: false,
            left: MOST,
            bytes: 0,
            since: Instant::now(),
        }
    }

    /// Takes note of what a client has sent; whether it is too much.
    pub(super) fn arrived(&mut self, bytes: &[u8]) -> bool {
        self.count(bytes.len());
        let (mut last_stream, mut talk) = (self.last_stream, 0);
        self.arriving.pass(bytes, |FrameHead { kind, stream }| match kind {
            PING | SETTINGS => talk += 1,
            HEADERS => last_stream = last_stream.max(stream),
            _ => {}
        });
        if talk == 0 {
            self.last_stream = last_stream;
            return false;
        }
        if self.left < talk {
            self.refill(Instant::now());
        }
        let is_too_much = self.left < talk;
        self.left = self.left.saturating_sub(talk);
        if !is_too_much {
            // Nobody takes what is too much, so a client may ask for it again elsewhere.
            self.last_stream = last_stream;
        }
        is_too_much
    }

    /// Takes note of what it is sent.
    pub(super) fn left(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        let is_told = &mut self.is_told;
        self.leaving.pass(bytes, |frame| *is_told |= frame.kind == GOAWAY);
    }

    /// The frame that tells a client why its connection ends; `None` where there is no
    /// place for it.
    pub(super) fn goaway(&self) -> Option<[u8; 17]> {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        let frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, ENHANCE_YOUR_CALM];
        (self.leaving.is_between() && !self.is_told).then_some(frame)
    }

    fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let earned = self.bytes / BYTES_EACH + seconds.saturating_mul(PER_SECOND);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(MOST);
            (self.bytes, self.since) = (self.bytes % BYTES_EACH, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, stream: u8, len: u16) -> Vec<u8> {
        let [high, low] = len.to_be_bytes();
        let mut frame = vec![0, high, low, kind, 0, 0, 0, 0, stream];
        frame.resize(9 + usize::from(len), 0);
        frame
    }

    fn begun() -> Calm {
        let mut calm = Calm::new();
        assert!(!calm.arrived(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        calm
    }

    #[tokio::test(start_paused = true)]
    async fn h2_05_a_thousand_pings_and_settings_are_let_be_and_one_more_is_not() {
        for kind in [PING, SETTINGS] {
            let mut calm = begun();
            let len = if kind == PING { 8 } else { 0 };
            for _ in 0..MOST {
                assert!(!calm.arrived(&frame(kind, 0, len)));
            }
            // What these have earned, by their own bytes.
            let earned = MOST * (9 + u64::from(len)) / BYTES_EACH;
            assert!((1..=5).contains(&earned));
            for _ in 0..earned {
                assert!(!calm.arrived(&frame(kind, 0, len)));
            }
            assert!(calm.arrived(&frame(kind, 0, len)));
        }
        let mut calm = begun();
        assert!(calm.arrived(&frame(PING, 0, 8).repeat(2000)), "at once as well");
    }

    #[tokio::test(start_paused = true)]
    async fn h2_05_pings_are_earned_by_time_and_by_what_passes() {
        let mut calm = begun();
        for _ in 0..5_000 {
            assert!(!calm.arrived(&frame(PING, 0, 8)), "ten a second, as long as it likes");
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let mut calm = begun();
        for _ in 0..5_000 {
            assert!(!calm.arrived(&frame(PING, 0, 8)), "one with each piece of a download");
            calm.left(&frame(0, 1, 8192));
        }
        for _ in 0..5_000 {
            assert!(!calm.arrived(&frame(PING, 0, 8)), "and of an upload");
            assert!(!calm.arrived(&frame(0, 1, 8192)));
        }
        for _ in 0..5_000 {
            assert!(!calm.arrived(&frame(HEADERS, 1, 0)), "other frames are no talk");
        }
    }

    #[tokio::test]
    async fn h2_08_the_last_frame_names_the_last_stream_and_is_said_once_between_others() {
        let mut calm = begun();
        calm.arrived(&[frame(HEADERS, 5, 10), frame(HEADERS, 3, 10)].concat());
        let goaway = calm.goaway().unwrap();
        assert_eq!(goaway[..9], frame(GOAWAY, 0, 8)[..9]);
        assert_eq!(goaway[9..], [0, 0, 0, 5, 0, 0, 0, 11]);
        let data = frame(0, 1, 100);
        calm.left(&data[..50]);
        assert_eq!(calm.goaway(), None, "in the middle of another");
        calm.left(&data[50..]);
        assert!(calm.goaway().is_some());
        calm.left(&frame(GOAWAY, 0, 8));
        assert_eq!(calm.goaway(), None, "there was one");
    }

    #[tokio::test(start_paused = true)]
    async fn h2_08_streams_that_came_with_too_much_talk_are_not_named() {
        let mut calm = begun();
        assert!(!calm.arrived(&frame(HEADERS, 5, 10)));
        assert!(!calm.arrived(&[frame(HEADERS, 7, 10), frame(PING, 0, 8)].concat()));
        let flood = [frame(HEADERS, 9, 10), frame(PING, 0, 8).repeat(2000)].concat();
        assert!(calm.arrived(&flood));
        assert_eq!(calm.goaway().unwrap()[9..13], [0, 0, 0, 7]);
    }
}
