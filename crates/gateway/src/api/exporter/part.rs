//! One file of the feed: the utterances of one hour in one format.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::super::errors::{ApiError, Code};
use super::super::shapes::{
    DatesRequest, FileRequest, FilesRequest, FormatsRequest, IntervalsRequest, VersionsRequest,
};

/// The only feed.
pub(super) const FEED: &str = "utterances";

/// The only version.
pub(super) const VERSION: &str = "version=1";

/// The shape of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Comma-separated values.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// The utterances that were kept in one hour, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) date: Date,
    pub(crate) hour: i8,
    pub(crate) format: Format,
}

impl Format {
    pub(crate) const ALL: [Self; 2] = [Self::Csv, Self::Jsonl];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

impl Part {
    /// `utterances-2026-01-31-09.jsonl`
    pub(crate) fn file_name(&self) -> String {
        let Self { date, hour, format } = self;
        format!("{FEED}-{date}-{hour:02}.{}", format.as_str())
    }

    /// Reads that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(FEED)?.strip_prefix('-')?;
        let (rest, format) = rest.split_once('.')?;
        let (date, hour) = rest.rsplit_once('-')?;
        Some(Self {
            date: plain_date(date)?,
            hour: plain_hour(hour)?,
            format: Format::parse(format)?,
        })
    }

    /// First millisecond since 1970, and the one after the last.
    pub(crate) fn span(&self) -> (u64, u64) {
        let (midnight, _) = span_of(self.date);
        let hour = u64::try_from(self.hour).unwrap_or(0);
        let from = midnight + hour * HOUR_MS;
        (from, from + HOUR_MS)
    }
}

const HOUR_MS: u64 = 3_600_000;

pub(super) fn is_feed(of: &VersionsRequest) -> Result<(), ApiError> {
    wanted(of.feed == FEED, "$.feed: must be utterances")
}

pub(super) fn is_version(of: &FormatsRequest) -> Result<(), ApiError> {
    is_feed(&of.of)?;
    let version = without("version=", &of.version);
    wanted(version == "1", "$.version: must be version=1")
}

pub(super) fn format(of: &DatesRequest) -> Result<Format, ApiError> {
    is_version(&of.of)?;
    let format = Format::parse(without("format=", &of.format));
    format.ok_or_else(|| wrong("$.format: must be csv or jsonl"))
}

/// The day; `None` is one that the calendar does not have, and so nothing was said on it.
pub(super) fn day(of: &IntervalsRequest) -> Result<(Format, Option<Date>), ApiError> {
    let format = format(&of.of)?;
    let date = without("dt=", &of.date);
    let bytes = date.bytes().enumerate();
    let mut shape = bytes.map(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let is_one = date.len() == 10 && shape.all(|fits| fits);
    wanted(is_one, "$.date: must be a day, as 2026-01-31")?;
    Ok((format, plain_date(date)))
}

/// The hour, if one is asked for; any two digits will do, likewise.
pub(super) fn hour(of: &FilesRequest) -> Result<Option<i8>, ApiError> {
    let read = |interval: &String| {
        let hour = interval.strip_prefix("hr=")?;
        let hour = hour.strip_suffix("/mi=00").unwrap_or(hour);
        let is_plain = hour.len() == 2 && hour.bytes().all(|byte| byte.is_ascii_digit());
        hour.parse().ok().filter(|_| is_plain)
    };
    let wrong = || wrong("$.interval: must be an hour, as hr=09");
    let hour = of.interval.as_ref();
    hour.map(|hour| read(hour).ok_or_else(wrong)).transpose()
}

pub(super) fn file(of: &FileRequest) -> Result<Part, ApiError> {
    let (format, date) = day(&of.of.of)?;
    let hour = hour(&of.of)?;
    let no_such = || ApiError::new(Code::NotFound, "There is no such file");
    let part = Part::parse(&of.file_name).ok_or_else(no_such)?;
    let is_right = part.format == format && date == Some(part.date);
    let is_it = is_right && hour.is_none_or(|hour| hour == part.hour);
    is_it.then_some(part).ok_or_else(no_such)
}

/// The day of a time, in milliseconds since 1970.
pub(super) fn date_of(unix_ms: u64) -> Date {
    utc(unix_ms).date()
}

pub(super) fn hour_of(unix_ms: u64) -> i8 {
    utc(unix_ms).hour()
}

/// Of a day: its first millisecond since 1970, and the one after its last.
pub(super) fn span_of(date: Date) -> (u64, u64) {
    let midnight = |date: Date| {
        let midnight = date.to_zoned(TimeZone::UTC);
        let ms = midnight.map_or(i64::MAX, |time| time.timestamp().as_millisecond());
        u64::try_from(ms).unwrap_or(0)
    };
    let from = midnight(date);
    (from, from + 24 * HOUR_MS)
}

fn utc(unix_ms: u64) -> jiff::Zoned {
    let millis = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.to_zoned(TimeZone::UTC)
}

/// A day from 1970 on, as `2026-01-31` and no otherwise; not the last that can be written.
fn plain_date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    let is_plain = date.to_string() == text && date.year() >= 1970;
    (is_plain && date.checked_add(1.day()).is_ok()).then_some(date)
}

fn plain_hour(text: &str) -> Option<i8> {
    let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let hour = text.parse().ok()?;
    (is_plain && (0..24).contains(&hour)).then_some(hour)
}

/// The guide of the contract writes values with the names of folders before them, its specification
/// does not.
fn without<'t>(prefix: &str, text: &'t str) -> &'t str {
    text.strip_prefix(prefix).unwrap_or(text)
}

fn wanted(is_good: bool, what: &'static str) -> Result<(), ApiError> {
    if is_good { Ok(()) } else { Err(wrong(what)) }
}

fn wrong(what: &'static str) -> ApiError {
    ApiError::new(Code::BadRequest, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_has_one_name_and_one_hour() {
        let part = Part::parse("utterances-1970-01-02-03.csv").unwrap();
        assert_eq!(part.span(), (27 * HOUR_MS, 28 * HOUR_MS));
        assert_eq!(part.file_name(), "utterances-1970-01-02-03.csv");
        for name in [
            "utterances-1970-01-02-24.csv",
            "utterances-1970-01-02-3.csv",
            "utterances-1970-02-30-03.csv",
            "utterances-1969-12-31-03.csv",
            "utterances-1970-01-02-03.parquet",
            "utterances-1970-01-02.csv",
            "../utterances-1970-01-02-03.csv",
            "utterances--00-01-02-03.csv",
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    #[test]
    fn values_are_read_with_and_without_their_prefixes() {
        let request = |version: &str, format: &str, date: &str| {
            let of = VersionsRequest {
                feed: FEED.to_owned(),
            };
            let version = version.to_owned();
            let of = FormatsRequest { of, version };
            let format = format.to_owned();
            let of = DatesRequest { of, format };
            let date = date.to_owned();
            day(&IntervalsRequest { of, date })
        };
        let plain = request("1", "jsonl", "2026-01-31").unwrap();
        let prefixed = request("version=1", "format=jsonl", "dt=2026-01-31").unwrap();
        assert_eq!(plain, prefixed);
        let (_, nowhere) = request("1", "csv", "2026-02-30").unwrap();
        assert_eq!(nowhere, None);
        for (version, format, date) in [
            ("2", "jsonl", "2026-01-31"),
            ("1", "parquet", "2026-01-31"),
            ("1", "csv", "2026-1-31"),
            ("1", "csv", "2026-01/31"),
        ] {
            let wrong = request(version, format, date).unwrap_err();
            assert_eq!(wrong.code, Code::BadRequest);
        }
    }

    proptest! {
        #[test]
        fn every_time_is_in_the_file_of_its_hour(unix_ms in 0..4_000_000_000_000_u64) {
            let (date, hour) = (date_of(unix_ms), hour_of(unix_ms));
            let part = Part { date, hour, format: Format::Jsonl };
            let (from, to) = part.span();
            prop_assert!((from..to).contains(&unix_ms));
            prop_assert_eq!(Part::parse(&part.file_name()), Some(part));
            let (from, to) = span_of(date);
            prop_assert!((from..to).contains(&unix_ms));
        }
    }
}
