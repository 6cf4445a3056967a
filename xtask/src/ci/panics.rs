//! Why tests failed, in short, picked out of what the runners print about them.

/// How much of one message is kept: what a test compares may be long.
const LINES: usize = 20;

/// The panics of tests that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Panics {
    told: Vec<Vec<String>>,
    /// Whether the last one goes on.
    open: bool,
}

impl Panics {
    /// Takes in the next line that a runner printed.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("thread '") && line.contains("panicked at") {
            self.told.push(vec![line.to_owned()]);
            self.open = true;
            return;
        }
        let ends = ["stack backtrace:", "note: ", "---- "];
        self.open &= !ends.iter().any(|end| line.starts_with(end));
        let last = self.told.last_mut().filter(|last| self.open && last.len() < LINES);
        if let Some(last) = last.filter(|_| !line.is_empty()) {
            last.push(line.to_owned());
        }
    }

    /// What to print, a panic after the other.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let indented = |(at, line): (usize, &String)| match at {
            0 => line.clone(),
            _ => format!("    {line}"),
        };
        self.told.iter().flat_map(move |lines| lines.iter().enumerate().map(indented))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut panics = Panics::default();
        text.lines().for_each(|line| panics.read(line));
        panics.lines().collect()
    }

    #[test]
    fn a_panic_is_told_with_its_message_and_without_its_backtrace() {
        let text = "    running 1 test\n\n    thread 'login::a' (7) panicked at tests/e2e/a.rs:1:2:\n    \
             assertion failed\n      left: 1\n\n    stack backtrace:\n    0: somewhere\n    \
             thread 'login::b' panicked at tests/e2e/b.rs:3:4:\n    gone\n    note: run with";
        let told = read(text);
        let expected = [
            "thread 'login::a' (7) panicked at tests/e2e/a.rs:1:2:",
            "    assertion failed",
            "    left: 1",
            "thread 'login::b' panicked at tests/e2e/b.rs:3:4:",
            "    gone",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_long_message_is_cut() {
        let text = "thread 'a' panicked at b.rs:1:2:\n".to_owned() + &"x\n".repeat(100);
        assert_eq!(read(&text).len(), LINES);
        assert!(read("test a ... ok\nSummary").is_empty());
    }
}
