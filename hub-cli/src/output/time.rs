//! Points in time, as people say them.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `at` as seen from `now`: "3 min ago", "in 2 days"; what is more than 60 days
/// away is a date.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let distance = match seconds.abs() {
        0..MINUTE => return if seconds < 0 { "in a moment" } else { "just now" }.to_owned(),
        near @ MINUTE..HOUR => format!("{} min", near / MINUTE),
        near @ HOUR..DAY => format!("{} h", near / HOUR),
        near if near < 2 * DAY => "1 day".to_owned(),
        near if near < 60 * DAY => format!("{} days", near / DAY),
        _ => return at.strftime("%Y-%m-%d").to_string(),
    };
    if seconds < 0 { format!("in {distance}") } else { format!("{distance} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_distances_and_far_ones_as_dates() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (at, expected) in [
            ("2026-11-22T11:59:30Z", "just now"),
            ("2026-11-22T12:00:00Z", "just now"),
            ("2026-11-22T11:57:00Z", "3 min ago"),
            ("2026-11-22T10:01:00Z", "1 h ago"),
            ("2026-11-21T11:00:00Z", "1 day ago"),
            ("2026-11-02T12:00:00Z", "20 days ago"),
            ("2026-01-02T12:00:00Z", "2026-01-02"),
            ("2026-11-22T12:00:10Z", "in a moment"),
            ("2026-12-22T12:00:00Z", "in 30 days"),
            ("2027-11-22T12:00:00Z", "2027-11-22"),
        ] {
            assert_eq!(relative(at.parse().unwrap(), now), expected, "{at}");
        }
    }
}
