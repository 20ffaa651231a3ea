//! Durations as people write them: `100ms`, `30s`, `1m30s`, `1h`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads whole numbers with their units, summed up; anything else is `None`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut milliseconds = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let letters = rest[digits..].find(|c: char| !c.is_ascii_lowercase());
        let end = letters.map_or(rest.len(), |letters| digits + letters);
        let (_, unit) = UNITS
            .into_iter()
            .find(|(name, _)| *name == &rest[digits..end])?;
        let number: u64 = rest[..digits].parse().ok()?;
        milliseconds = milliseconds.checked_add(number.checked_mul(unit)?)?;
        rest = rest[end..].trim_start();
    }
    Some(Duration::from_millis(milliseconds))
}

/// The shortest text that [`parse`] reads back; parts of a millisecond are not written.
pub(super) fn show(duration: Duration) -> String {
    let mut rest = duration.as_millis() as u64;
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit) in UNITS {
        // Two or three seconds and a half are clearer as 2500ms.
        if rest >= unit && (unit > 1_000 || rest.is_multiple_of(unit)) {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(read("100ms"), Some(100));
        assert_eq!(read("30s"), Some(30_000));
        assert_eq!(read("1m30s"), Some(90_000));
        assert_eq!(read(" 1h 5m "), Some(3_900_000));
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "99999999999999999999s",
            "1é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_shortly() {
        let shown = |text| show(parse(text).unwrap());
        for text in ["0s", "100ms", "2500ms", "30s", "1m30s", "5m", "1h", "1d"] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("60s"), "1m");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0_u64..1_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&show(duration)), Some(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            if let Some(duration) = parse(&text) {
                prop_assert!(show(duration).len() < 60);
            }
        }
    }
}
