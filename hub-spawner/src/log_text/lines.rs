//! What a server prints, as it prints it.

use super::{TAIL_BYTES, without_controls};

/// Makes whole lines without control codes of bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The line that is not over yet.
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that are over with these bytes; empty if none is. A line that
    /// does not end is handed out in pieces.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let over = match self.begun.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.begun.len() > TAIL_BYTES => self.begun.len(),
            None => return String::new(),
        };
        let rest = self.begun.split_off(over);
        clean(&std::mem::replace(&mut self.begun, rest))
    }

    /// The line that was never ended; empty if there is none.
    pub(crate) fn rest(self) -> String {
        clean(&self.begun)
    }
}

fn clean(bytes: &[u8]) -> String {
    let mut text = without_controls(&String::from_utf8_lossy(bytes));
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faq_1_pieces_become_whole_lines_without_control_codes() {
        let mut lines = Lines::default();
        for (piece, expected) in [
            ("one\ntwo\nth", "one\ntwo\n"),
            ("re", ""),
            ("e \u{1b}[3", ""),
            ("1mred\u{1b}[0m\r\n", "three red\n"),
            ("\n", "\n"),
            ("end", ""),
        ] {
            assert_eq!(lines.push(piece.as_bytes()), expected, "{piece:?}");
        }
        assert_eq!(lines.rest(), "end\n");
        assert_eq!(Lines::default().rest(), "");
    }

    #[test]
    fn characters_are_whole_however_the_bytes_come() {
        let mut lines = Lines::default();
        let said: String = "zwölf €\n".bytes().map(|byte| lines.push(&[byte])).collect();
        assert_eq!(said, "zwölf €\n");
    }

    #[test]
    fn a_line_without_end_does_not_pile_up() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&[b'x'; TAIL_BYTES]), "");
        assert_eq!(lines.push(b"x").len(), TAIL_BYTES + 2);
    }
}
