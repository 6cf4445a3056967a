//! How many tests passed and failed, read from what the runners print.

use std::ops::AddAssign;

/// Tests by result. Ignored ones are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Counts {
    /// Adds what `line` says, if it is a runner's closing line.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(counts) = nextest(line).or_else(|| cargo_test(line)) {
            *self += counts;
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// `Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 3 skipped`
fn nextest(line: &str) -> Option<Counts> {
    let (_, results) = line.trim().strip_prefix("Summary [")?.split_once(" run: ")?;
    let passed = number_before(results, "passed").unwrap_or(0);
    let failures = ["failed", "timed out", "exec failed"];
    // `exec failed` also reads as `failed`, with no number right before it.
    let failed = failures.iter().filter_map(|word| number_before(results, word)).sum();
    Some(Counts { passed, failed })
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; ...`
fn cargo_test(line: &str) -> Option<Counts> {
    // Indented, it is what nextest shows again of a test that failed, which its
    // own summary counts.
    let results = line.strip_prefix("test result: ")?;
    Some(Counts {
        passed: number_before(results, "passed")?,
        failed: number_before(results, "failed")?,
    })
}

/// The number in front of `word`, as in `7 passed`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word)
        .find_map(|(at, _)| text[..at].trim_end().rsplit([' ', ',', ';', '.']).next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> (u64, u64) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read(line));
        (counts.passed, counts.failed)
    }

    #[test]
    fn summaries_of_nextest_are_read() {
        let line = "     Summary [   1.234s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed \
                    out, 3 skipped";
        assert_eq!(counts(&[line]), (9, 3));
        assert_eq!(counts(&["     Summary [   0.004s] 1 test run: 1 passed, 0 skipped"]), (1, 0));
        assert_eq!(counts(&["Summary [ 0.1s] 2/5 tests run: 1 passed, 1 exec failed"]), (1, 1));
    }

    #[test]
    fn summaries_of_cargo_test_add_up() {
        let ok = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(counts(&[ok, "running 3 tests", bad]), (6, 2));
        assert_eq!(counts(&["    test result: FAILED. 0 passed; 1 failed; 0 ignored"]), (0, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(counts(&["test a::b ... ok", "3 passed", "Summary of the day"]), (0, 0));
    }
}
