//! Parsers of what the options have in common.

use std::ops::RangeInclusive;

use clap::builder::TypedValueParser;

/// A whole number in this range.
pub(super) fn count(range: RangeInclusive<u32>) -> impl TypedValueParser<Value = usize> {
    let (first, last) = range.into_inner();
    clap::value_parser!(u32).range(i64::from(first)..=i64::from(last)).map(|count| count as usize)
}

/// A number that is more than 0 and at most a million: seconds, or times a second.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("expected a number above 0, at most 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_waited_for_is_positive() {
        assert_eq!(positive("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}
