//! What each step came to, and the table at the end.

use std::{process::ExitCode, time::Duration};

use tokio::time::Instant;

use super::{counts::Counts, panics::Panics};

/// What a step that ran to its end has to say.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counts: Counts,
    pub(super) panics: Panics,
    /// Set if it came to a bad end.
    pub(super) failure: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    counts: Counts,
    panics: Panics,
    failure: Option<String>,
    took: Duration,
}

impl Report {
    /// Performs a step and keeps its result.
    pub(super) async fn step(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<Done>>,
    ) {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        // Boxed: one step's future is as large as all that it may do.
        let done = Box::pin(work).await.unwrap_or_else(|error| Done {
            failure: Some(format!("{error:#}")),
            ..Done::default()
        });
        if let Some(failure) = &done.failure {
            eprintln!("{name}: {failure}");
        }
        let took = begun.elapsed();
        let Done { counts, panics, failure } = done;
        self.rows.push(Row { name, counts, panics, failure, took });
    }

    /// Prints why tests failed, the table and the sum; failure if anything failed.
    #[expect(clippy::print_stdout, reason = "the result that CI and people read")]
    pub(super) fn print(&self) -> ExitCode {
        let total = self.total();
        for row in self.rows.iter().filter(|row| row.failure.is_some()) {
            println!("\n{} failed:", row.name);
            row.panics.lines().for_each(|line| println!("{line}"));
        }
        println!("\n{}", self.table());
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The tests of all steps. A step that failed without a failed test (it
    /// did not compile, or is not a test) counts as one, so that the sum never
    /// says that all is well when it is not.
    fn total(&self) -> Counts {
        let mut total = Counts::default();
        for row in &self.rows {
            total += row.counts;
            if row.failure.is_some() && row.counts.failed == 0 {
                total.failed += 1;
            }
        }
        total
    }

    fn table(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            let Row { name, counts, failure, took, .. } = row;
            let verdict = if failure.is_some() { "FAILED" } else { "ok" };
            let tests = match counts {
                Counts { passed: 0, failed: 0 } => String::new(),
                Counts { passed, failed } => format!("{passed} passed, {failed} failed"),
            };
            let seconds = took.as_secs_f64();
            // Only the first line: the whole was printed when it happened.
            let why = failure.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
            let line = format!("{name:<18} {verdict:<7} {seconds:>7.1} s  {tests:<24} {why}");
            format!("{}\n", line.trim_end())
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn done(passed: u64, failed: u64, failure: Option<&str>) -> Done {
        Done {
            counts: Counts { passed, failed },
            failure: failure.map(str::to_owned),
            ..Done::default()
        }
    }

    #[tokio::test]
    async fn a_step_that_fails_does_not_hide_the_others() {
        let mut report = Report::default();
        report.step("formatting", async { Ok(done(0, 0, None)) }).await;
        report.step("tests", async { Ok(done(7, 2, Some("ended with 100"))) }).await;
        report.step("clippy", async { Err(anyhow!("warnings")) }).await;
        assert_eq!(report.total(), Counts { passed: 7, failed: 3 });
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("formatting         ok"), "{table}");
        assert!(lines[1].contains("FAILED") && lines[1].contains("7 passed, 2 failed"), "{table}");
        assert!(lines[2].ends_with("warnings"), "{table}");
        assert_eq!(report.print(), ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn when_all_is_well_the_sum_says_so() {
        let mut report = Report::default();
        report.step("tests", async { Ok(done(7, 0, None)) }).await;
        assert_eq!(report.total(), Counts { passed: 7, failed: 0 });
        assert_eq!(report.print(), ExitCode::SUCCESS);
    }
}
