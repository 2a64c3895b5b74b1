//! Plain text in aligned columns, for everything of a plan that people read.

use std::fmt;

/// No line is longer: what fits two panes side by side, or a chat message, without wrapping again.
const WIDEST: usize = 98;

/// Writes `text` after `head`, breaking between words and going on under where the text began.
///
/// `head` is filled up to `indent` columns; if it is longer, the text begins on a line of its own.
pub(super) fn entry(f: &mut fmt::Formatter<'_>, head: &str, indent: usize, text: &str) -> fmt::Result {
    let mut column = head.chars().count();
    f.write_str(head)?;
    if column >= indent {
        f.write_str("\n")?;
        column = 0;
    }
    let mut begun = false;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if begun && column + 1 + length > WIDEST {
            f.write_str("\n")?;
            column = 0;
        }
        if column < indent {
            write!(f, "{:1$}", "", indent - column)?;
            column = indent;
        } else if begun {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += length;
        begun = true;
    }
    f.write_str("\n")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    struct Entry(&'static str, usize, &'static str);

    impl fmt::Display for Entry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            super::entry(f, self.0, self.1, self.2)
        }
    }

    #[test]
    fn text_goes_on_under_where_it_began() {
        assert_eq!(Entry("a", 4, "b c").to_string(), "a   b c\n");
        assert_eq!(Entry("abcd", 4, "b").to_string(), "abcd\n    b\n", "a long head has a line of its own");
        let long = Entry(
            "a",
            4,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccc dddd",
        );
        let text = long.to_string();
        assert!(text.lines().all(|line| line.len() <= super::WIDEST), "{text}");
        assert_eq!(text.lines().nth(1), Some("    cccc dddd"));
    }
}
