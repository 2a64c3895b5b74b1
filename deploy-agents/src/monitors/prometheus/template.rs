//! PromQL with places for values.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use deploy_core::time::millis;

/// PromQL in which values are filled in, escaped for where they stand.
///
/// | placeholder | stands | becomes |
/// |---|---|---|
/// | `{revision}` | inside quotes | the revision that is asked about, as the contents of a string |
/// | `{revision\|regex}` | inside quotes | the same for `=~`: it matches itself alone, so that the dot of `v1.2` is a dot |
/// | `{window}` | outside quotes | how far back to look, as a duration of PromQL |
/// | `{name}`, `{name\|regex}` | inside quotes | a value that the monitor was given under this name |
///
/// A placeholder is braces with nothing but a name in them, so that the braces of a selector are none.
///
/// ```
/// use deploy_agents::monitors::prometheus::Template;
///
/// let errors = Template::new("sum(increase(http_requests_total{version=\"{revision}\",code=~\"5..\"}[{window}]))")?;
/// assert!(errors.names().eq(["revision"]));
/// // A value outside quotes could be anything, a query of its own included.
/// assert!(Template::new("http_requests_total{version={revision}}").is_err());
/// # Ok::<(), deploy_agents::monitors::prometheus::TemplateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Window,
    Value { name: String, quote: char, regex: bool },
}

/// PromQL whose placeholders cannot be filled in safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A value stands where it would be code: put it into quotes.
    #[error(
        "{{{name}}} at byte {at} stands outside quotes, where a value would be read as a query: put it into quotes"
    )]
    OutsideQuotes {
        /// The placeholder.
        name: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// A value stands in backticks, where nothing can be escaped: use double quotes.
    #[error("{{{name}}} at byte {at} stands in backticks, where nothing can be escaped: use double quotes")]
    InBackticks {
        /// The placeholder.
        name: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// `{window}` is a duration and stands in quotes: take them away.
    #[error("{{window}} at byte {at} stands inside quotes, where it is no duration")]
    WindowInQuotes {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// After `|` only `regex` may stand.
    #[error("{{{name}|{filter}}} at byte {at} is unknown: only |regex may follow a name")]
    Filter {
        /// The placeholder.
        name: String,
        /// What follows it.
        filter: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// Quotes are opened and not closed.
    #[error("the quotes that open at byte {at} are not closed")]
    Unclosed {
        /// Where, in bytes from the start.
        at: usize,
    },
}

/// A placeholder for which there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no value for {{{0}}}: give the monitor one")]
pub struct NoValue(pub String);

impl Template {
    /// Reads PromQL with placeholders.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] with the place of the first placeholder that cannot be filled in safely.
    pub fn new(text: impl AsRef<str>) -> Result<Self, TemplateError> {
        let text = text.as_ref();
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut quote: Option<(char, usize)> = None;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let placeholder = (c == '{').then(|| placeholder(&text[at..])).flatten();
            if let Some((name, filter, length)) = placeholder {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part(name, filter, quote.map(|(quote, _)| quote), at)?);
                at += length;
                continue;
            }
            plain.push(c);
            at += c.len_utf8();
            match (quote, c) {
                (None, '"' | '\'' | '`') => quote = Some((c, at - 1)),
                (Some((open, _)), _) if open == c => quote = None,
                // What is escaped does not close the quotes.
                (Some((open, _)), '\\') if open != '`' => {
                    if let Some(escaped) = text[at..].chars().next() {
                        plain.push(escaped);
                        at += escaped.len_utf8();
                    }
                }
                _ => {}
            }
        }
        if let Some((_, at)) = quote {
            return Err(TemplateError::Unclosed { at });
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The names of the values that it needs, `{window}` aside.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { name, .. } => Some(name.as_str()),
            Part::Text(_) | Part::Window => None,
        })
    }

    /// The query with these values, looking back so far.
    ///
    /// # Errors
    ///
    /// [`NoValue`] for a placeholder without a value.
    pub fn fill(&self, values: &BTreeMap<String, String>, window: Duration) -> Result<String, NoValue> {
        let mut query = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => query.push_str(text),
                Part::Window => query.push_str(&duration(window)),
                Part::Value { name, quote, regex } => {
                    let value = values.get(name).ok_or_else(|| NoValue(name.clone()))?;
                    let value = if *regex { matching_itself(value) } else { value.clone() };
                    query.push_str(&quoted(&value, *quote));
                }
            }
        }
        Ok(query)
    }
}

impl std::str::FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::new(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Window => f.write_str("{window}")?,
                Part::Value { name, regex: false, .. } => write!(f, "{{{name}}}")?,
                Part::Value { name, regex: true, .. } => write!(f, "{{{name}|regex}}")?,
            }
        }
        Ok(())
    }
}

/// The placeholder that a text begins with: its name, its filter, its length in bytes.
fn placeholder(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let inner = &text[1..text.find('}')?];
    let (name, filter) = inner.split_once('|').map_or((inner, None), |(name, filter)| (name, Some(filter)));
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Numbers alone are how often something repeats in a regular expression.
    let counts = name.chars().all(|c| c.is_ascii_digit());
    (word(name) && !counts && filter.is_none_or(word)).then_some((name, filter, inner.len() + 2))
}

fn part(name: &str, filter: Option<&str>, quote: Option<char>, at: usize) -> Result<Part, TemplateError> {
    let name = name.to_owned();
    match (name.as_str(), filter, quote) {
        (_, Some(filter), _) if filter != "regex" => Err(TemplateError::Filter { name, filter: filter.to_owned(), at }),
        ("window", None, None) => Ok(Part::Window),
        ("window", ..) => Err(TemplateError::WindowInQuotes { at }),
        (_, _, None) => Err(TemplateError::OutsideQuotes { name, at }),
        (_, _, Some('`')) => Err(TemplateError::InBackticks { name, at }),
        (_, filter, Some(quote)) => Ok(Part::Value { name, quote, regex: filter.is_some() }),
    }
}

/// A duration as PromQL writes it. Fractions of a millisecond round up.
pub(super) fn duration(span: Duration) -> String {
    let ms = millis(span);
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// The contents of a string between these quotes (escapes of Go, which PromQL has).
pub(in crate::monitors) fn quoted(value: &str, quote: char) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A regular expression (RE2) that matches this text alone.
pub(in crate::monitors) fn matching_itself(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::{NoValue, Template, TemplateError};

    fn filled(text: &str, value: &str) -> String {
        let values = BTreeMap::from([("revision".to_owned(), value.to_owned())]);
        let template = Template::new(text).expect("a template");
        assert_eq!(template.to_string(), text);
        template.fill(&values, Duration::from_millis(1_500)).expect("filled")
    }

    #[test]
    fn values_are_escaped_for_where_they_stand() {
        assert_eq!(filled("m{v=\"{revision}\"}[{window}]", "a\"b\\c\nd"), "m{v=\"a\\\"b\\\\c\\nd\"}[1500ms]");
        assert_eq!(filled("m{v='{revision}'}", "a'b\"c"), "m{v='a\\'b\"c'}");
        assert_eq!(filled("m{v=~\"x{2}{revision|regex}\"}", "v1.2+b"), "m{v=~\"x{2}v1\\\\.2\\\\+b\"}");
        assert_eq!(filled("m{v=\"\\\"{revision}\"}", "a"), "m{v=\"\\\"a\"}");
        assert_eq!(filled("m{}", "a"), "m{}");
    }

    #[test]
    fn what_cannot_be_filled_in_safely_is_refused_with_its_place() {
        let refused = |text: &str| Template::new(text).expect_err("refused");
        assert_eq!(refused("m{v={revision}}"), TemplateError::OutsideQuotes { name: "revision".to_owned(), at: 4 });
        assert_eq!(refused("m{v=`{x}`}"), TemplateError::InBackticks { name: "x".to_owned(), at: 5 });
        assert_eq!(refused("m{v=\"{window}\"}"), TemplateError::WindowInQuotes { at: 5 });
        assert_eq!(refused("m{v=\"x"), TemplateError::Unclosed { at: 4 });
        assert!(matches!(refused("m{v=\"{x|upper}\"}"), TemplateError::Filter { at: 5, .. }));
        let other = Template::new("m{v=\"{other}\"}").expect("a template");
        assert_eq!(other.fill(&BTreeMap::new(), Duration::ZERO), Err(NoValue("other".to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn a_value_never_ends_its_quotes(value in "[\"'\\\\\n{}|a.]{0,20}") {
            let query = filled("m{v=\"{revision}\"}", &value);
            let inner = &query["m{v=\"".len()..query.len() - 2];
            // Read as JSON, whose escapes for these characters are the same, it is the value again.
            let read: String = serde_json::from_str(&format!("\"{inner}\"")).expect("a string");
            proptest::prop_assert_eq!(read, value);
        }
    }
}
