//! How long a token may live, for a person who chooses.

use serde::Serialize;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The one that is chosen until the person chooses, if it is offered.
const USUAL: i64 = 30 * DAY;

/// One that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Life {
    /// 0 for ever.
    seconds: i64,
    words: String,
    usual: bool,
}

/// Those that can be chosen where none may be longer than `longest` seconds.
pub(super) fn offered(longest: Option<i64>) -> Vec<Life> {
    let mut lives = vec![HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];
    match longest {
        None => lives.push(0),
        Some(longest) => {
            lives.retain(|seconds| *seconds < longest);
            lives.push(longest);
        }
    }
    let usual = if lives.contains(&USUAL) { Some(USUAL) } else { lives.last().copied() };
    lives
        .into_iter()
        .map(|seconds| Life { seconds, words: words(seconds), usual: Some(seconds) == usual })
        .collect()
}

fn words(seconds: i64) -> String {
    let several = |number: i64, unit: &str| match number {
        1 => format!("1 {unit}"),
        _ => format!("{number} {unit}s"),
    };
    match seconds {
        0 => "never".to_owned(),
        _ if seconds % (365 * DAY) == 0 => several(seconds / (365 * DAY), "year"),
        _ if seconds == 7 * DAY => several(1, "week"),
        _ if seconds % DAY == 0 => several(seconds / DAY, "day"),
        _ if seconds % HOUR == 0 => several(seconds / HOUR, "hour"),
        _ if seconds % 60 == 0 => several(seconds / 60, "minute"),
        _ => several(seconds, "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(longest: Option<i64>) -> (Vec<String>, Option<String>) {
        let lives = offered(longest);
        let usual = lives.iter().find(|life| life.usual).map(|life| life.words.clone());
        (lives.into_iter().map(|life| life.words).collect(), usual)
    }

    #[test]
    fn no_life_is_offered_that_would_be_refused() {
        for (longest, expected, usual) in [
            (None, "1 hour, 1 day, 1 week, 30 days, 90 days, 1 year, never", "30 days"),
            (
                Some(2 * 365 * DAY),
                "1 hour, 1 day, 1 week, 30 days, 90 days, 1 year, 2 years",
                "30 days",
            ),
            (Some(30 * DAY), "1 hour, 1 day, 1 week, 30 days", "30 days"),
            (Some(10 * DAY), "1 hour, 1 day, 1 week, 10 days", "10 days"),
            (Some(90), "90 seconds", "90 seconds"),
            (Some(5400), "1 hour, 90 minutes", "90 minutes"),
        ] {
            let (lives, chosen) = shown(longest);
            assert_eq!(lives.join(", "), expected);
            assert_eq!(chosen.as_deref(), Some(usual), "{longest:?}");
        }
    }
}
