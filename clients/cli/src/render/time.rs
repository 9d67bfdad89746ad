//! The hub's time stamps as people read them.

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// The time of day in UTC, as `09:05:07`.
pub(crate) fn time_of_day(time_ms: i64) -> String {
    let seconds = time_ms.rem_euclid(DAY_MS) / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Date and time in UTC, as `2026-03-01 09:05:07`.
pub(crate) fn date_and_time(time_ms: i64) -> String {
    let (year, month, day) = date(time_ms.div_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02} {}", time_of_day(time_ms))
}

/// The date of this many days after 1970-01-01. Source: Howard Hinnant, «chrono-Compatible Low-Level Date Algorithms»,
/// `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_and_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date_and_time(1_700_000_000_123), "2023-11-14 22:13:20");
        assert_eq!(date_and_time(-1), "1969-12-31 23:59:59");
    }
}
