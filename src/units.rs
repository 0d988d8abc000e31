//! Quantities that are written with their unit: `90s`, `5m`, `25%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A length of time of zero or more, written with a unit: `200ms`, `90s`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(into = "String")]
pub struct Span(SignedDuration);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(SignedDuration::ZERO);

    /// `s` seconds.
    pub const fn from_secs(s: u32) -> Self {
        Self(SignedDuration::from_secs(s as i64))
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u32) -> Self {
        Self(SignedDuration::from_millis(ms as i64))
    }

    /// Whole seconds, rounded up, so that a wait is never cut short.
    pub fn as_secs_ceil(self) -> u64 {
        let whole = self.0.as_secs().unsigned_abs();
        if self.0.subsec_nanos() > 0 { whole + 1 } else { whole }
    }

    /// As the standard library says it.
    pub fn std(self) -> Duration {
        self.0.unsigned_abs()
    }

    /// As `jiff` says it, to add to a timestamp.
    pub fn signed(self) -> SignedDuration {
        self.0
    }
}

/// Why a text is no [`Span`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is not a length of time: write it with a unit, as in 200ms, 90s, 5m, 1h30m")]
pub struct BadSpan(String);

impl FromStr for Span {
    type Err = BadSpan;
    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.to_owned());
        let (mut rest, mut ms) = (text, 0_u64);
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().ok().filter(|_| digits <= 9).ok_or_else(bad)?;
            rest = &rest[digits..];
            let unit = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let ms_each = match &rest[..unit] {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(bad()),
            };
            ms = number.checked_mul(ms_each).and_then(|more| ms.checked_add(more)).ok_or_else(bad)?;
            rest = &rest[unit..];
        }
        i64::try_from(ms).map(|ms| Self(SignedDuration::from_millis(ms))).map_err(|_| bad())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time with its unit, as in 200ms, 90s, 5m, 1h30m")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^([0-9]{1,9}(h|m|s|ms))+$"})
    }
}

impl TryFrom<String> for Span {
    type Error = BadSpan;
    fn try_from(text: String) -> Result<Self, BadSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl From<Duration> for Span {
    fn from(length: Duration) -> Self {
        Self(SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX))
    }
}

/// `1h5m`, `90s` as `1m30s`, `200ms`; reads back as the same span.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis().unsigned_abs();
        let (h, m, s, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        let mut text = String::new();
        for (n, unit) in [(h, "h"), (m, "m"), (s, "s"), (rest, "ms")] {
            if n > 0 {
                text = format!("{text}{n}{unit}");
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

/// `14:02:11` in the zone of this machine.
pub fn clock_time(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// `2026-11-22 14:02:11` in the zone of this machine.
pub fn date_time(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A length in whole seconds, for people: `2m3s`; less than a second is `0s`.
pub fn rounded(length: SignedDuration) -> Span {
    Span(SignedDuration::from_secs(length.as_secs().max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_as_they_were_shown() {
        for text in ["0s", "200ms", "1m30s", "1h5m", "24h"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Span>().unwrap(), Span::from_secs(90));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["90", "", "-5s", "soon", "5 m", "1.5h", "5M", "5m6", "1us", "9999999999s", "m", "5min"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was accepted");
        }
    }
}
