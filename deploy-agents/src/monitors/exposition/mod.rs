//! The text formats of Prometheus (0.0.4) and OpenMetrics (1.0), read strictly.

mod families;

use std::collections::BTreeMap;

use self::families::Families;

/// One line of an exposition: a series and its value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The name, for example `http_requests_total`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The value; NaN and the infinities are values here.
    pub value: f64,
    /// When it was taken, in milliseconds since the Unix epoch, if the line says so.
    pub at_ms: Option<i64>,
}

/// A text that is not an exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
#[non_exhaustive]
pub struct ExpositionError {
    /// Which line, from 1.
    pub line: usize,
    /// Which character of it, from 1.
    pub column: usize,
    /// What was wrong, and what may stand there.
    pub reason: String,
}

/// Which of the two formats a text is in; they differ in timestamps and in how they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus 0.0.4: timestamps are whole milliseconds, the end is the end of the text.
    Prometheus,
    /// OpenMetrics 1.0: timestamps are seconds, the end is `# EOF`, so that a text cut short is noticed.
    OpenMetrics,
}

impl Format {
    /// The format that a `Content-Type` names; Prometheus where it names neither.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        if content_type.trim_start().starts_with("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// Reads a whole exposition.
///
/// ```
/// use deploy_agents::monitors::exposition::{Format, parse};
///
/// let samples = parse("requests_total{code=\"200\"} 3\n", Format::Prometheus)?;
/// assert_eq!((samples[0].name.as_str(), samples[0].value), ("requests_total", 3.0));
/// let error = parse("requests_total{code=200} 3\n", Format::Prometheus).unwrap_err();
/// assert_eq!((error.line, error.column), (1, 21));
/// # Ok::<(), deploy_agents::monitors::exposition::ExpositionError>(())
/// ```
///
/// # Errors
///
/// [`ExpositionError`] at the first thing that is not right, including a series that stands twice.
pub fn parse(text: &str, format: Format) -> Result<Vec<Sample>, ExpositionError> {
    let (mut samples, mut seen) = (Vec::new(), BTreeMap::new());
    let mut families = Families::default();
    let mut ended = false;
    let mut lines = 0;
    for (index, line) in text.split_terminator('\n').enumerate() {
        lines = index + 1;
        let mut cursor = Cursor { text: line, at: 0, line: lines, format };
        if ended {
            return Err(cursor.error("nothing may follow # EOF"));
        }
        if format == Format::OpenMetrics && line == "# EOF" {
            ended = true;
            continue;
        }
        if format == Format::OpenMetrics && line.starts_with('#') {
            families.metadata(line).map_err(|reason| cursor.error(reason))?;
            continue;
        }
        if format == Format::Prometheus {
            cursor.spaces();
            if cursor.rest().is_empty() || cursor.rest().starts_with('#') {
                continue;
            }
        }
        let (sample, exemplar) = cursor.sample()?;
        let at_start = |reason: String| ExpositionError { line: lines, column: 1, reason };
        if format == Format::OpenMetrics {
            families.sample(&sample, exemplar).map_err(at_start)?;
        }
        match seen.entry((sample.name.clone(), sample.labels.clone())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(samples.len());
                samples.push(sample);
            }
            // OpenMetrics allows several points of a series that say when they were taken; the newest counts.
            std::collections::btree_map::Entry::Occupied(entry)
                if format == Format::OpenMetrics && sample.at_ms.is_some() =>
            {
                samples[*entry.get()] = sample;
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                return Err(at_start(format!("the series {} stands twice", sample.name)));
            }
        }
    }
    if format == Format::OpenMetrics {
        let at_end = |reason: String| ExpositionError { line: lines + 1, column: 1, reason };
        families.end().map_err(at_end)?;
        if !ended {
            return Err(at_end("the text ends without # EOF: it was cut short".to_owned()));
        }
    }
    Ok(samples)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    format: Format,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, reason: impl Into<String>) -> ExpositionError {
        ExpositionError { line: self.line, column: self.text[..self.at].chars().count() + 1, reason: reason.into() }
    }

    /// Space between two parts: any in Prometheus' format, exactly one in OpenMetrics, and not at the end.
    fn gap(&mut self) -> Result<bool, ExpositionError> {
        if self.format == Format::Prometheus {
            self.spaces();
            return Ok(!self.rest().is_empty());
        }
        if self.rest().is_empty() {
            return Ok(false);
        }
        let one = self.take(' ');
        if !one || self.rest().is_empty() || self.rest().starts_with([' ', '\t']) {
            return Err(self.error("exactly one space must stand between two parts, and none at the end"));
        }
        Ok(true)
    }

    /// Space that only Prometheus' format allows.
    fn lenient(&mut self) {
        if self.format == Format::Prometheus {
            self.spaces();
        }
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.rest().starts_with(wanted);
        self.at += if there { wanted.len_utf8() } else { 0 };
        there
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find([' ', '\t']).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn name(&mut self, colons: bool) -> Result<String, ExpositionError> {
        let rest = self.rest();
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
        let allowed = |c: char| first(c) || c.is_ascii_digit();
        if !rest.starts_with(first) {
            return Err(self.error("a name must begin with a letter or _"));
        }
        let name = &rest[..rest.find(|c| !allowed(c)).unwrap_or(rest.len())];
        self.at += name.len();
        Ok(name.to_owned())
    }

    fn quoted(&mut self) -> Result<String, ExpositionError> {
        if !self.take('"') {
            return Err(self.error("a value in double quotes must stand here"));
        }
        let mut value = String::new();
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(value),
                '\\' => match self.rest().chars().next() {
                    Some(escaped @ ('\\' | '"')) => {
                        self.at += 1;
                        value.push(escaped);
                    }
                    Some('n') => {
                        self.at += 1;
                        value.push('\n');
                    }
                    // OpenMetrics keeps a backslash that escapes nothing.
                    Some(_) if self.format == Format::OpenMetrics => value.push('\\'),
                    _ => return Err(self.error("after a backslash only \\, \" and n may stand")),
                },
                plain => value.push(plain),
            }
        }
        Err(self.error("the quotes are not closed"))
    }

    /// A sample, and whether an exemplar stands beside it.
    fn sample(&mut self) -> Result<(Sample, bool), ExpositionError> {
        let mut name = if self.rest().starts_with('{') { None } else { Some(self.name(true)?) };
        self.lenient();
        let mut labels = BTreeMap::new();
        if self.take('{') {
            self.labels(&mut name, &mut labels)?;
        }
        let Some(name) = name else { return Err(self.error("the series has no name")) };
        self.gap()?;
        let value = self.number()?;
        let mut at_ms = None;
        let mut exemplar = false;
        if self.gap()? {
            if !self.rest().starts_with('#') {
                at_ms = Some(self.timestamp()?);
                self.gap()?;
            }
            // An exemplar is about one request, not about the series.
            exemplar = self.format == Format::OpenMetrics && self.rest().starts_with('#');
            if exemplar {
                self.exemplar()?;
            }
        }
        if !self.rest().is_empty() {
            return Err(self.error("nothing more may stand on this line"));
        }
        Ok((Sample { name, labels, value, at_ms }, exemplar))
    }

    fn number(&mut self) -> Result<f64, ExpositionError> {
        let before = self.at;
        let word = self.word();
        // The spellings of the language beyond those of the formats are no numbers there.
        let spelled = word.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let known =
            !spelled.starts_with(|c: char| c.is_ascii_alphabetic()) || ["nan", "inf"].contains(&spelled.as_str());
        let infinity = self.format == Format::Prometheus && spelled == "infinity";
        word.parse().ok().filter(|_| known || infinity).ok_or_else(|| {
            self.at = before;
            self.error(format!("{word:?} is not a number"))
        })
    }

    /// `# {labels} value [time]`.
    fn exemplar(&mut self) -> Result<(), ExpositionError> {
        let before = self.at;
        let (mut name, mut labels) = (Some(String::new()), BTreeMap::new());
        if !(self.take('#') && self.take(' ') && self.take('{')) {
            return Err(self.error("an exemplar is # {labels} value, one space apart"));
        }
        self.labels(&mut name, &mut labels)?;
        let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if length > 128 {
            self.at = before;
            return Err(self.error("the labels of an exemplar have at most 128 characters"));
        }
        if !self.gap()? {
            return Err(self.error("the exemplar has no value"));
        }
        self.number()?;
        if self.gap()? {
            self.timestamp()?;
        }
        Ok(())
    }

    /// Labels up to the closing brace. A quoted text alone is the name of the series (Prometheus 3).
    fn labels(
        &mut self,
        name: &mut Option<String>,
        labels: &mut BTreeMap<String, String>,
    ) -> Result<(), ExpositionError> {
        self.lenient();
        if self.take('}') {
            return Ok(());
        }
        loop {
            self.lenient();
            let quoted = self.rest().starts_with('"');
            let label = if quoted { self.quoted()? } else { self.name(false)? };
            self.lenient();
            if self.take('=') {
                self.lenient();
                let value = self.quoted()?;
                if labels.insert(label.clone(), value).is_some() {
                    return Err(self.error(format!("the label {label} stands twice")));
                }
            } else if quoted && name.is_none() {
                *name = Some(label);
            } else {
                return Err(self.error("= and a value must follow the label"));
            }
            self.lenient();
            let comma = self.take(',');
            self.lenient();
            // A comma at the end is one that only Prometheus' format allows.
            if self.rest().starts_with('}') && (!comma || self.format == Format::Prometheus) {
                self.take('}');
                return Ok(());
            }
            if !comma {
                return Err(self.error("a comma or } must stand here"));
            }
        }
    }

    fn timestamp(&mut self) -> Result<i64, ExpositionError> {
        let before = self.at;
        let word = self.word();
        let at = match self.format {
            Format::Prometheus => word.parse().ok(),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be finite; a cast of a float saturates")]
            Format::OpenMetrics => word.parse::<f64>().ok().filter(|s| s.is_finite()).map(|s| (s * 1000.0) as i64),
        };
        at.ok_or_else(|| {
            self.at = before;
            self.error(format!("{word:?} is not a timestamp"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, parse};

    fn refused(text: &str) -> (usize, usize) {
        let error = parse(text, Format::Prometheus).expect_err("not an exposition");
        (error.line, error.column)
    }

    #[test]
    fn the_example_of_the_format_reads() {
        // From the format's documentation, "Text format example".
        let text = "# HELP http_requests_total The total number of HTTP requests.\n# TYPE http_requests_total counter\n\
            http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
            msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n\
            metric_without_timestamp_and_labels 12.47\n\
            something_weird{problem=\"division by zero\"} +Inf -3982045\n\
            http_request_duration_seconds_bucket{le=\"+Inf\"} 144320\n";
        let samples = parse(text, Format::Prometheus).expect("an exposition");
        assert_eq!(samples.len(), 5);
        assert_eq!(samples[0].at_ms, Some(1_395_066_363_000));
        assert_eq!(samples[1].labels["error"], "Cannot find file:\n\"FILE.TXT\"");
        assert!(samples[3].value.is_infinite());
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        assert_eq!(refused("ok 1\n1bad 2\n"), (2, 1));
        assert_eq!(refused("a{b=\"c\" d=\"e\"} 1\n"), (1, 9));
        assert_eq!(refused("a{b=\"c} 1\n"), (1, 10));
        assert_eq!(refused("a one\n"), (1, 3));
        assert_eq!(refused("a 1 2 3\n"), (1, 7));
        assert_eq!(refused("a 1 soon\n"), (1, 5));
        assert_eq!(refused("a{b=\"\\x\"} 1\n"), (1, 7));
        assert_eq!(refused("a 1\na 2\n"), (2, 1));
    }

    /// What the format forbids, from its own words.
    #[test]
    fn open_metrics_families_are_as_they_must_be() {
        let read = |text: &str| parse(&format!("{text}\n# EOF\n"), Format::OpenMetrics).map_err(|error| error.reason);
        for good in [
            "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2 # {id=\"x\"} 3 4\na_count 2\na_sum 4",
            "# TYPE a summary\na{quantile=\"0.5\"} NaN\na_count 0\na_sum 0",
            "# TYPE a stateset\na{a=\"x\"} 1\na{a=\"y\"} 0\n# TYPE b info\nb_info{v=\"1\"} 1",
            "# HELP a_seconds h\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1",
            "a{b=\"c\\d\"} 1 1\na{b=\"c\\d\"} 2 2",
        ] {
            assert!(read(good).is_ok(), "{:?}", read(good));
        }
        for (bad, why) in [
            ("# TYPE a counter\na_total -1", "below zero"),
            ("# TYPE a counter\na 1", "was over"),
            ("# TYPE a counter\na_total 1\n# HELP a x", "after its samples"),
            ("# TYPE a gauge\n# TYPE a gauge", "stands twice"),
            ("# TYPE a gauge\na 1\nb 1\na{x=\"1\"} 1", "was over"),
            ("# TYPE a_created gauge\n# TYPE a counter", "claimed"),
            ("# TYPE a histogram\na_bucket{le=\"1\"} 1", "without bound"),
            ("# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1", "order"),
            ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1", "fall"),
            ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1", "last bucket"),
            ("# TYPE a summary\na{quantile=\"1.1\"} 1", "between 0 and 1"),
            ("# TYPE a info\na_info 2", "always 1"),
            ("# TYPE a stateset\na{a=\"x\"} 2", "0 or 1"),
            ("# TYPE a gauge\na 1 # {id=\"x\"} 1", "exemplar"),
            ("# UNIT a seconds", "unit"),
            ("# TYPE a untyped", "not a type"),
            ("# FOO a x", "only TYPE"),
            ("a 1 2\na 2 1", "backwards"),
            ("a{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\",b2=\"\"} 1\na{b=\"1\"} 2 3", "together"),
            ("a  1", "exactly one space"),
            ("a 1 ", "exactly one space"),
            ("a{b=\"c\",} 1", "a name must begin"),
            ("a infinity", "not a number"),
            ("", "a name must begin"),
        ] {
            let said = read(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn open_metrics_ends_with_eof_and_may_carry_exemplars() {
        let text = "# TYPE foo counter\nfoo_total{a=\"b\"} 17.0 1520879607.789 # {id=\"x\"} 0.67\n# EOF\n";
        let samples = parse(text, Format::OpenMetrics).expect("an exposition");
        assert_eq!(samples[0].at_ms, Some(1_520_879_607_789));
        assert!(parse("foo 1\n", Format::OpenMetrics).is_err(), "cut short");
        assert!(parse("# EOF\nfoo 1\n", Format::OpenMetrics).is_err());
        assert!(parse("{\"a.b\",c=\"d\"} 1\n# EOF\n", Format::OpenMetrics).is_ok_and(|s| s[0].name == "a.b"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a{}\"=,\\\\ #\n1.é]{0,40}") {
            let _ = parse(&text, Format::Prometheus);
            let _ = parse(&text, Format::OpenMetrics);
        }
    }
}
