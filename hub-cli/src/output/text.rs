//! Other people's text at the operator's terminal. Names, notes and logs come from
//! users, and a terminal obeys what it prints.

const ESCAPE: char = '\u{1b}';

/// One line of text with nothing in it that a terminal acts on.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if is_active(char) { char::REPLACEMENT_CHARACTER } else { char })
        .collect()
}

/// Text of many lines for a terminal: line ends, tabs and colours are kept.
pub(super) fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let taken = match char {
            ESCAPE => colour_len(rest),
            _ => None,
        };
        let len = taken.unwrap_or(char.len_utf8());
        match (taken, char) {
            (Some(_), _) | (None, '\n' | '\t') => shown.push_str(&rest[..len]),
            (None, '\r') => {}
            (None, char) if is_active(char) => shown.push(char::REPLACEMENT_CHARACTER),
            (None, char) => shown.push(char),
        }
        rest = &rest[len..];
    }
    shown
}

/// The length of the colour sequence (`ESC [ 1;31 m`) that `text` begins with.
fn colour_len(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix(ESCAPE)?.strip_prefix('[')?;
    let end = parameters.find(|char: char| !(char.is_ascii_digit() || char == ';'))?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

/// Whether a terminal does something else than show it; includes what turns the
/// direction of writing around, which can make a name look like another one.
fn is_active(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable("ada\u{1b}[2J\nroot"), "ada\u{fffd}[2J\u{fffd}root");
        assert_eq!(printable("evil\u{202e}txt"), "evil\u{fffd}txt");
        assert_eq!(printable("Ωμέγα — ok"), "Ωμέγα — ok");
    }

    #[test]
    fn logs_keep_their_colours_and_lose_the_rest() {
        for (what, text, expected) in [
            ("colour", "\u{1b}[1;31mred\u{1b}[0m\n", "\u{1b}[1;31mred\u{1b}[0m\n"),
            ("clear", "\u{1b}[2Jgone", "\u{fffd}[2Jgone"),
            ("title", "\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("lines", "a\tb\r\nc", "a\tb\nc"),
            ("cut off", "end\u{1b}[1", "end\u{fffd}[1"),
            ("other scripts", "é\u{1b}é", "é\u{fffd}é"),
        ] {
            assert_eq!(for_terminal(text), expected, "{what}");
        }
    }
}
