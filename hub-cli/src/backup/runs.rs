//! The folders that `hub backup all` makes, one for each run, and which of them
//! are kept. Pure.

use std::collections::{BTreeSet, HashSet};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// How a run's folder is called, in UTC: sorted by name is sorted by time.
const FORMAT: &str = "%Y-%m-%dT%H%M%SZ";
/// The end of the name of a run that is under way, or has failed.
pub(crate) const PARTIAL: &str = ".partial";

/// How many runs to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    /// The last run of each of so many days.
    pub(crate) daily: u16,
    /// The last run of each of so many weeks.
    pub(crate) weekly: u16,
}

/// The name of the folder of a run that begins at `at`.
pub(crate) fn name(at: Timestamp) -> String {
    at.strftime(FORMAT).to_string()
}

/// Which of the folders `names` may go. Days and weeks (from Monday) are those of
/// `zone`; the newest complete run is always kept. Names that are no run's are
/// left alone.
pub(crate) fn expendable(names: &[String], keep: Keep, zone: &TimeZone) -> Vec<String> {
    let mut complete: Vec<(DateTime, &String)> =
        names.iter().filter_map(|name| Some((started(name, zone)?, name))).collect();
    complete.sort();
    complete.reverse();
    let Some((_, newest)) = complete.first() else { return Vec::new() };

    let mut kept: HashSet<&String> = HashSet::from([*newest]);
    let mut days = BTreeSet::new();
    let mut weeks = BTreeSet::new();
    for (at, name) in &complete {
        let week = at.date().iso_week_date();
        if days.len() < keep.daily.into() && days.insert(at.date()) {
            kept.insert(name);
        }
        if weeks.len() < keep.weekly.into() && weeks.insert((week.year(), week.week())) {
            kept.insert(name);
        }
    }
    let partial = names.iter().filter(|name| {
        name.strip_suffix(PARTIAL)
            .is_some_and(|run| started(run, zone).is_some() && run < newest.as_str())
    });
    let old = complete.iter().map(|(_, name)| *name).filter(|name| !kept.contains(name));
    old.chain(partial).cloned().collect()
}

/// When the run of a folder began.
fn started(name: &str, zone: &TimeZone) -> Option<DateTime> {
    let at = DateTime::strptime(FORMAT, name).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.with_time_zone(zone.clone()).datetime())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &[&str]) -> Vec<String> {
        raw.iter().map(|name| (*name).to_owned()).collect()
    }

    fn gone(raw: &[&str], daily: u16, weekly: u16) -> Vec<String> {
        let mut gone = expendable(&names(raw), Keep { daily, weekly }, &TimeZone::UTC);
        gone.sort();
        gone
    }

    #[test]
    fn a_folder_is_named_after_its_time() {
        let at: Timestamp = "2026-11-23T03:04:05.678Z".parse().unwrap();
        assert_eq!(name(at), "2026-11-23T030405Z");
        assert!(started(&name(at), &TimeZone::UTC).is_some());
    }

    #[test]
    fn bak_4_the_last_run_of_each_day_is_kept() {
        let all = [
            "2026-11-20T030000Z",
            "2026-11-21T030000Z",
            "2026-11-21T200000Z",
            "2026-11-22T030000Z",
        ];
        assert_eq!(gone(&all, 2, 0), ["2026-11-20T030000Z", "2026-11-21T030000Z"]);
        assert_eq!(gone(&all, 9, 0), ["2026-11-21T030000Z"]);
    }

    #[test]
    fn bak_4_weeks_add_to_days() {
        // Mondays are the 9th, 16th and 23rd.
        let all = [
            "2026-11-05T030000Z",
            "2026-11-12T030000Z",
            "2026-11-15T030000Z",
            "2026-11-16T030000Z",
            "2026-11-22T030000Z",
            "2026-11-23T030000Z",
        ];
        assert_eq!(
            gone(&all, 1, 3),
            ["2026-11-05T030000Z", "2026-11-12T030000Z", "2026-11-16T030000Z"]
        );
    }

    #[test]
    fn bak_4_the_newest_complete_run_is_never_removed() {
        assert!(gone(&["2026-11-22T030000Z", "2026-11-23T030000Z.partial"], 0, 0).is_empty());
        assert_eq!(
            gone(&["2026-11-22T030000Z", "2026-11-23T030000Z"], 0, 0),
            ["2026-11-22T030000Z"]
        );
    }

    #[test]
    fn bak_4_what_failed_goes_once_a_later_run_has_succeeded() {
        let all = ["2026-11-22T030000Z.partial", "2026-11-23T030000Z", "notes", "x.partial"];
        assert_eq!(gone(&all, 1, 0), ["2026-11-22T030000Z.partial"]);
    }

    #[test]
    fn days_are_those_of_the_place() {
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let all = names(&["2026-11-22T180000Z", "2026-11-22T200000Z"]);
        // 23:00 and 01:00 of the next day.
        let keep = Keep { daily: 2, weekly: 0 };
        assert!(expendable(&all, keep, &zone).is_empty());
        assert_eq!(expendable(&all, keep, &TimeZone::UTC), ["2026-11-22T180000Z"]);
    }
}
