//! What others say, fit for a line of ours.

/// The first `at_most` characters on one line, control characters as spaces: harmless in a terminal, a log and a report.
pub(crate) fn excerpt(text: &str, at_most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(at_most).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn it_is_one_harmless_line() {
        assert_eq!(excerpt("\n a\u{1b}[31mb\r\nc \u{9b}d", 12), "a [31mb  c");
        assert_eq!(excerpt("ééé", 2), "éé", "characters, not bytes");
        assert_eq!(excerpt(" \t\n", 9), "");
    }
}
