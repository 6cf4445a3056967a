//! Frames of HTTP/2 in bytes that pass by: their heads and no more (RFC 9113 section 4.1).
//! Pure.

/// What a client sends before its first frame (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head.
const HEAD: usize = 9;

pub(super) const HEADERS: u8 = 1;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// Where one direction of a connection is.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes that belong to what has begun: the preface, or a frame.
    skip: usize,
    head: [u8; HEAD],
    /// How much of the next frame's head is there.
    have: usize,
}

/// What is known of a frame when its head is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u8,
    pub(super) stream: u32,
}

impl Frames {
    pub(super) fn of_client() -> Self {
        Self { skip: PREFACE.len(), ..Self::of_server() }
    }

    pub(super) fn of_server() -> Self {
        Self { skip: 0, head: [0; HEAD], have: 0 }
    }

    /// Whether what has passed ends with a frame.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.have == 0
    }

    /// Tells `seen` of each frame whose head is complete with `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut seen: impl FnMut(FrameHead)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < HEAD {
                return;
            }
            let [a, b, c, kind, _flags, stream @ ..] = self.head;
            self.have = 0;
            self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            // The first bit is reserved.
            seen(FrameHead { kind, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, len: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, len, kind, 0xff];
        frame.extend(stream.to_be_bytes());
        frame.resize(HEAD + usize::from(len), 0);
        frame
    }

    #[test]
    fn frames_are_seen_however_their_bytes_come() {
        let frames =
            [frame(SETTINGS, 0, 6), frame(HEADERS, 1, 200), frame(0, 1, 0), frame(PING, 0, 8)];
        let bytes = [PREFACE, &frames.concat()].concat();
        let expected = [(SETTINGS, 0), (HEADERS, 1), (0, 1), (PING, 0)];
        for size in [1, 2, 8, 9, 10, 64, bytes.len()] {
            let (mut passed, mut seen) = (Frames::of_client(), Vec::new());
            for piece in bytes.chunks(size) {
                passed.pass(piece, |frame| seen.push((frame.kind, frame.stream)));
            }
            assert_eq!(seen, expected, "{size}");
            assert!(passed.is_between());
        }
    }

    #[test]
    fn the_end_of_a_frame_is_known() {
        let mut passed = Frames::of_server();
        assert!(passed.is_between());
        let bytes = frame(PING, 0x8000_0003, 8);
        for (at, byte) in bytes.iter().enumerate() {
            let mut stream = None;
            passed.pass(&[*byte], |frame| stream = Some(frame.stream));
            assert_eq!(stream, (at == HEAD - 1).then_some(3), "the first bit says nothing");
            assert_eq!(passed.is_between(), at == bytes.len() - 1);
        }
    }
}
