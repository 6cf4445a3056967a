//! What was found, for people and for programs.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Step;

/// Width of the column with the steps' names.
const NAME_WIDTH: usize = 17;

/// Width of the column with the outcomes.
const OUTCOME_WIDTH: usize = 9;

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Not looked at, or nothing to look at.
    Skipped,
    /// As it should be.
    Ok,
    /// The hub works, but somebody will be sorry.
    Warning,
    /// The hub does not start, or servers do not.
    Problem,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is.
    pub outcome: Outcome,
    /// What was seen, one line.
    pub seen: String,
    /// What to do about it, one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// A step and what was seen in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The step.
    #[serde(serialize_with = "by_name", rename = "check")]
    pub step: Step,
    /// What was seen; at least one thing.
    pub findings: Vec<Finding>,
}

/// All steps, in order.
///
/// `Display` prints a line for each finding and one for each advice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was looked at.
    pub checks: Vec<Checked>,
}

impl Finding {
    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Ok, seen: seen.into(), advice: None }
    }

    pub(super) fn skipped(because: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, seen: because.into(), advice: None }
    }

    pub(super) fn warning(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, ..Self::problem(seen, advice) }
    }

    /// An empty advice is none: some errors say what to do by themselves.
    pub(super) fn problem(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into()).filter(|text| !text.is_empty());
        Self { outcome: Outcome::Problem, seen: seen.into(), advice }
    }
}

impl Checked {
    /// The worst of what was seen.
    pub fn outcome(&self) -> Outcome {
        self.findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Skipped)
    }
}

impl Report {
    /// How many things are of this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let findings = self.checks.iter().flat_map(|checked| &checked.findings);
        findings.filter(|finding| finding.outcome == outcome).count()
    }

    /// Whether anything keeps the hub or its servers from working.
    pub fn has_problems(&self) -> bool {
        self.count(Outcome::Problem) > 0
    }

    /// What was seen in a step, if it was looked at.
    pub fn check(&self, step: Step) -> Option<&Checked> {
        self.checks.iter().find(|checked| checked.step == step)
    }

    /// The step that keeps `step` from saying anything: the first one that went
    /// wrong, not those that could not be taken because of it.
    /// `sound` are the sections of the configuration that can be used.
    pub(super) fn obstacle_of(&self, step: Step, sound: &[&str]) -> Option<Step> {
        if !step.sections().iter().all(|section| sound.contains(section)) {
            return Some(Step::Configuration);
        }
        let obstacle = |need: &Step| match self.check(*need).map(Checked::outcome) {
            Some(Outcome::Ok | Outcome::Warning) => None,
            Some(Outcome::Problem) => Some(*need),
            None | Some(Outcome::Skipped) => Some(self.obstacle_of(*need, sound).unwrap_or(*need)),
        };
        step.needs().iter().find_map(obstacle)
    }

    pub(super) fn push(&mut self, step: Step, findings: Vec<Finding>) {
        self.checks.push(Checked { step, findings });
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, outcomes) = (NAME_WIDTH, OUTCOME_WIDTH);
        for checked in &self.checks {
            let mut name = checked.step.name();
            for finding in &checked.findings {
                writeln!(f, "{name:names$}{:outcomes$}{}", finding.outcome, finding.seen)?;
                if let Some(advice) = &finding.advice {
                    writeln!(f, "{:names$}{:outcomes$}-> {advice}", "", "")?;
                }
                name = "";
            }
        }
        let count = |outcome, word| match self.count(outcome) {
            0 => format!("no {word}s"),
            1 => format!("1 {word}"),
            many => format!("{many} {word}s"),
        };
        let problems = count(Outcome::Problem, "problem");
        writeln!(f, "\n{problems}, {}", count(Outcome::Warning, "warning"))
    }
}

fn by_name<S: Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(step.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.push(Step::Configuration, vec![Finding::ok("hub.toml")]);
        report.push(
            Step::Docker,
            vec![
                Finding::problem("nothing listens at unix:///run/x", "start Docker"),
                Finding::warning("little room", "make some"),
            ],
        );
        report
    }

    #[test]
    fn people_see_what_to_do_below_what_is_wrong() {
        insta::assert_snapshot!(report().to_string().trim_end(), @r"
        configuration    ok       hub.toml
        docker           PROBLEM  nothing listens at unix:///run/x
                                  -> start Docker
                         warning  little room
                                  -> make some

        1 problem, 1 warning
        ");
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(
            json["checks"][1],
            serde_json::json!({ "check": "docker", "findings": [
                { "outcome": "problem", "seen": "nothing listens at unix:///run/x",
                  "advice": "start Docker" },
                { "outcome": "warning", "seen": "little room", "advice": "make some" },
            ]})
        );
    }

    #[test]
    fn a_step_is_in_the_way_of_those_that_build_on_it() {
        let report = report();
        let all = ["http", "auth", "hub_api", "store", "spawner"];
        assert_eq!(report.obstacle_of(Step::Store, &all), None);
        assert_eq!(report.obstacle_of(Step::Image, &all), Some(Step::Docker));
        // Not the network, which could not be looked at because of Docker.
        assert_eq!(report.obstacle_of(Step::FromContainer, &all), Some(Step::Docker));
        assert_eq!(report.obstacle_of(Step::Store, &["http"]), Some(Step::Configuration));
        assert_eq!(report.obstacle_of(Step::DataVolume, &[]), Some(Step::Docker));
        assert!(report.has_problems());
    }
}
