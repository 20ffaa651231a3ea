//! Numbers of bytes as people write them: `4096`, `64KiB`, `1MiB`.

const UNITS: [(&str, usize); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a whole number with or without a unit; anything else is `None`.
pub(super) fn parse(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" => 1,
        name => UNITS.into_iter().find(|(known, _)| *known == name)?.1,
    };
    number.checked_mul(unit)
}

/// In the largest unit that leaves a whole number.
pub(super) fn show(bytes: usize) -> String {
    let fits = |(_, unit): &(&str, usize)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS.into_iter().find(fits).unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("4096"), Some(4096));
        assert_eq!(parse("64KiB"), Some(65_536));
        assert_eq!(parse("1 MiB"), Some(1_048_576));
        for text in ["", "KiB", "1KB", "1k", "-1", "1.5MiB", "99999999999GiB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in 0_usize..1 << 40) {
            prop_assert_eq!(parse(&show(bytes)), Some(bytes));
        }
    }
}
