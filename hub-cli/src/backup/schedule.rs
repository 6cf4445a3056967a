//! When a backup is due: `daily 03:00`, `weekly sun 03:00`. Pure.

use std::str::FromStr;

use jiff::{
    ToSpan as _, Zoned,
    civil::{Time, Weekday},
};

const SHAPE: &str = "write it like \"daily 03:00\" or \"weekly sun 03:00\"";
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Points in time that come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Every day if there is none.
    weekday: Option<Weekday>,
    time: Time,
}

impl Schedule {
    /// The first point after `now`, on the clock of its zone. A time that does
    /// not exist on a day, when clocks are put forward, is moved by as much; one
    /// that comes twice is taken the first time.
    pub(crate) fn after(&self, now: &Zoned) -> Result<Zoned, jiff::Error> {
        let mut day = now.date();
        loop {
            if self.weekday.is_none_or(|weekday| weekday == day.weekday()) {
                let at = day.to_datetime(self.time).to_zoned(now.time_zone().clone())?;
                if at > *now {
                    return Ok(at);
                }
            }
            day = day.checked_add(1.day())?;
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let (weekday, time) = match words.as_slice() {
            ["daily", time] => (None, time),
            ["weekly", day, time] => {
                let weekday = WEEKDAYS.iter().find(|(name, _)| name == day);
                let (_, weekday) =
                    weekday.ok_or_else(|| format!("{day:?} is no day of the week; {SHAPE}"))?;
                (Some(*weekday), time)
            }
            _ => return Err(SHAPE.to_owned()),
        };
        let time = Time::strptime("%H:%M", time)
            .map_err(|_| format!("{time:?} is no time of the day; {SHAPE}"))?;
        Ok(Self { weekday, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        let now: Zoned = now.parse().unwrap();
        schedule.parse::<Schedule>().unwrap().after(&now).unwrap().to_string()
    }

    #[test]
    fn bak_4_the_next_time_is_today_or_later() {
        for (schedule, now, expected) in [
            ("daily 03:00", "2026-11-23T02:00:00+00:00[UTC]", "2026-11-23T03:00:00+00:00[UTC]"),
            ("daily 03:00", "2026-11-23T03:00:00+00:00[UTC]", "2026-11-24T03:00:00+00:00[UTC]"),
            (
                "Weekly Sun 23:30",
                "2026-11-23T02:00:00+00:00[UTC]",
                "2026-11-29T23:30:00+00:00[UTC]",
            ),
            (
                "weekly mon 03:00",
                "2026-11-23T02:00:00+00:00[UTC]",
                "2026-11-23T03:00:00+00:00[UTC]",
            ),
        ] {
            assert_eq!(next(schedule, now), expected, "{schedule}");
        }
    }

    #[test]
    fn bak_4_the_clock_is_the_one_on_the_wall() {
        // Clocks are put forward at 02:00 on 2026-03-29, back on 2026-10-25.
        let zone = "[Europe/Berlin]";
        assert_eq!(
            next("daily 02:30", &format!("2026-03-28T12:00:00+01:00{zone}")),
            format!("2026-03-29T03:30:00+02:00{zone}")
        );
        assert_eq!(
            next("daily 02:30", &format!("2026-10-24T12:00:00+02:00{zone}")),
            format!("2026-10-25T02:30:00+02:00{zone}")
        );
        assert_eq!(
            next("daily 02:30", &format!("2026-10-25T02:30:00+02:00{zone}")),
            format!("2026-10-26T02:30:00+01:00{zone}")
        );
    }

    #[test]
    fn what_is_no_schedule_says_how_to_write_one() {
        for text in ["", "daily", "daily 25:00", "weekly 03:00", "weekly someday 03:00", "03:00"] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(error.contains("daily 03:00"), "{text:?}: {error}");
        }
    }
}
