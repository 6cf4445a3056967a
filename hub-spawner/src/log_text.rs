//! What a server printed, made fit to be shown.

mod lines;

pub(crate) use self::lines::Lines;

/// How many lines of a server's last words are kept (SPN-33).
pub(crate) const TAIL_LINES: usize = 50;

/// How many bytes of a server's last words are kept.
pub(crate) const TAIL_BYTES: usize = 16 * 1024;

/// How many bytes of a log are handed out at once.
pub(crate) const LOG_BYTES: usize = 256 * 1024;

/// The end of `raw` without control codes: at most `lines` lines and `bytes`
/// bytes, beginning at the start of a line where possible.
///
/// Takes out terminal escape sequences, all other control characters but line
/// feed and tab, and the characters that turn the writing direction around.
/// What is left is text; whoever puts it on a page still has to escape it.
pub(crate) fn tail(raw: &str, lines: usize, bytes: usize) -> String {
    let clean = without_controls(raw);
    let text = clean.trim_end_matches('\n');
    let mut start = text.len();
    for (count, line) in text.split('\n').rev().enumerate() {
        let line_start = start - line.len();
        if count == lines || text.len() - line_start > bytes {
            break;
        }
        // The line feed before this line belongs to the one before.
        start = line_start.saturating_sub(1);
    }
    let kept = text[start..].trim_start_matches('\n');
    if !kept.is_empty() {
        return format!("{kept}\n");
    }
    let from = text.ceil_char_boundary(text.len().saturating_sub(bytes));
    match &text[from..] {
        "" => String::new(),
        end => format!("{end}\n"),
    }
}

fn without_controls(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // A bar that redraws itself becomes one line for each state.
            '\r' if chars.peek() != Some(&'\n') => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ if c.is_control() => {}
            _ => clean.push(c),
        }
    }
    clean
}

/// Skips the rest of an escape sequence (ECMA-48, sections 5.4 and 5.6).
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // Control sequence: parameters, then one final character.
        Some('[') => {
            while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
            chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        // Strings (titles, links): up to BEL or ESC backslash, on one line.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                match c {
                    '\u{7}' => break,
                    '\u{1b}' => {
                        chars.next_if_eq(&'\\');
                        break;
                    }
                    _ => {}
                }
            }
        }
        // Two-character sequences, with intermediates such as `ESC ( B`.
        Some(c) if ('\u{20}'..='\u{2f}').contains(&c) => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_codes_are_removed() {
        let rows = [
            ("plain", "one\ntwo\n", "one\ntwo\n"),
            ("colour", "\u{1b}[1;31mred\u{1b}[0m", "red\n"),
            ("title", "\u{1b}]0;owned\u{7}after", "after\n"),
            ("link", "\u{1b}]8;;http://x\u{1b}\\text", "text\n"),
            ("charset", "\u{1b}(Btext", "text\n"),
            ("carriage return", "10%\r20%\r\ndone", "10%\n20%\ndone\n"),
            ("bell, backspace, nul", "a\u{7}b\u{8}c\0", "abc\n"),
            ("direction", "a\u{202e}b", "ab\n"),
            ("nothing", "\n\n", ""),
        ];
        for (label, raw, expected) in rows {
            assert_eq!(tail(raw, 50, 1000), expected, "{label}");
        }
    }

    #[test]
    fn spn_33_only_the_last_lines_are_kept() {
        let raw: String = (0..200).map(|n| format!("line {n}\n")).collect();
        let kept = tail(&raw, 50, 10_000);
        assert_eq!(kept.lines().count(), 50);
        assert!(kept.starts_with("line 150\n") && kept.ends_with("line 199\n"), "{kept}");
    }

    #[test]
    fn a_long_last_line_is_cut_at_the_front() {
        let raw = "ü".repeat(100);
        assert_eq!(tail(&raw, 50, 11), format!("{}\n", "ü".repeat(5)));
        assert_eq!(tail("long first line\nend", 50, 5), "end\n");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_to_size(raw: String, lines in 1_usize..5, bytes in 1_usize..40) {
            let kept = tail(&raw, lines, bytes);
            prop_assert!(kept.len() <= bytes + 1);
            prop_assert!(kept.lines().count() <= lines);
            prop_assert!(!kept.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
