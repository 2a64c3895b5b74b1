//! Walks through a document and keeps the path, so that whatever is wrong is said with its place.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use super::finding::{Finding, FindingKind};
use crate::document::{Entry, Node, Place, Value};
use crate::span;

/// How many unknown fields of one map are told one by one.
const MOST_UNKNOWN: u32 = 20;

/// The longest text that may come of filling in arguments.
const LONGEST_FILLED: usize = 1 << 16;

/// Whether a text that was filled in has become too long to be meant.
pub(super) fn is_too_long(filled: &str, at: &Cursor<'_>, found: &mut Findings) -> bool {
    let too_long = filled.len() > LONGEST_FILLED;
    if too_long {
        found.none(at, format!("filled in it is longer than {LONGEST_FILLED} bytes"), "a shorter text");
    }
    too_long
}

/// Nothing, for what is not there.
static ABSENT: Node = Node { place: None, value: Value::Null };

/// A value of a document, or the place where there is none.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) node: &'a Node,
    pub(super) file: Cow<'a, str>,
    /// Of the key where there is one, otherwise of the value, otherwise of what it would be in.
    pub(super) place: Option<Place>,
    pub(super) path: String,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(node: &'a Node, file: &'a str) -> Self {
        Self { node, file: Cow::Borrowed(file), place: node.place, path: String::new() }
    }

    /// The place alone, without what stands there.
    pub(super) fn placed(of: &Cursor<'_>) -> Cursor<'static> {
        Cursor { node: &ABSENT, file: Cow::Owned(of.file.to_string()), place: of.place, path: of.path.clone() }
    }

    /// The same place for another value: where texts were filled in.
    pub(super) fn with<'b>(&self, node: &'b Node) -> Cursor<'b>
    where
        'a: 'b,
    {
        Cursor { node, file: self.file.clone(), place: self.place, path: self.path.clone() }
    }

    pub(super) fn get(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let found = self.node.entries().iter().find(|entry| entry.key == key);
        let (node, place) = found.map_or((&ABSENT, None), |entry| (&entry.node, entry.place.or(entry.node.place)));
        Self { node, file: self.file.clone(), place: place.or(self.place), path }
    }

    /// The value of a key that is there.
    fn of(&self, entry: &'a Entry) -> Self {
        let path = if self.path.is_empty() { entry.key.clone() } else { format!("{}.{}", self.path, entry.key) };
        let place = entry.place.or(entry.node.place).or(self.place);
        Self { node: &entry.node, file: self.file.clone(), place, path }
    }

    /// What a path of keys leads to.
    pub(super) fn at(&self, keys: &str) -> Self {
        keys.split('.').fold(self.clone(), |cursor, key| cursor.get(key))
    }

    pub(super) fn is_there(&self) -> bool {
        self.node.value != Value::Null
    }

    pub(super) fn entries(&self) -> &'a [Entry] {
        self.node.entries()
    }

    /// The elements of a list; none where there is no list.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::List(list) = &self.node.value else { return Vec::new() };
        let item = |(i, node): (usize, &'a Node)| Self {
            node,
            file: self.file.clone(),
            place: node.place.or(self.place),
            path: format!("{}[{i}]", self.path),
        };
        list.iter().enumerate().map(item).collect()
    }

    /// A text as it stands.
    pub(super) fn str(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn shown(&self) -> String {
        match &self.node.value {
            Value::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Value::Whole(number) => number.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is) => is.to_string(),
            _ => self.node.kind().to_owned(),
        }
    }
}

/// Collects what was found while a manifest is read. Readers give what could be read, and nothing where it was wrong: that it is wrong
/// stands in the list then.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        at: &Cursor<'_>,
        kind: FindingKind,
        wrong: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        self.list.push(Finding {
            file: at.file.to_string(),
            place: at.place,
            at: at.path.clone(),
            kind,
            wrong: wrong.into(),
            allowed: allowed.into(),
        });
    }

    pub(super) fn invalid(&mut self, at: &Cursor<'_>, wrong: impl Into<String>, allowed: impl Into<String>) {
        self.add(at, FindingKind::InvalidValue, wrong, allowed);
    }

    pub(super) fn none(&mut self, at: &Cursor<'_>, wrong: impl Into<String>, allowed: impl Into<String>) {
        self.add(at, FindingKind::NoCounterpart, wrong, allowed);
    }

    pub(super) fn differs(&mut self, at: &Cursor<'_>, wrong: impl Into<String>) {
        self.add(at, FindingKind::Differs, wrong, "");
    }

    pub(super) fn for_target(&mut self, at: &Cursor<'_>) {
        self.add(at, FindingKind::ForTheTarget, "the target has it: it does not say how a release spreads", "");
    }

    /// Every key is one of these: of those that are read, and those that are the target's.
    pub(super) fn only(&mut self, map: &Cursor<'_>, read: &[&str], target: &[&str]) {
        if map.is_there() && !matches!(map.node.value, Value::Map(_)) {
            self.invalid(map, format!("it is {}", map.node.kind()), "a map");
        }
        let mut unknown = 0;
        for entry in map.entries() {
            if target.contains(&entry.key.as_str()) {
                if entry.node.value != Value::Null {
                    self.for_target(&map.of(entry));
                }
            } else if !read.contains(&entry.key.as_str()) {
                // A thousand slips in one map are one misunderstanding.
                unknown += 1;
                if unknown <= MOST_UNKNOWN {
                    let mut known: Vec<&str> = read.iter().chain(target).copied().collect();
                    known.sort_unstable();
                    let kind = FindingKind::UnknownField;
                    self.add(&map.of(entry), kind, "there is no such field", known.join(", "));
                }
            }
        }
    }

    /// A list; what is there and is none is refused.
    pub(super) fn list<'a>(&mut self, at: &Cursor<'a>) -> Vec<Cursor<'a>> {
        if at.is_there() && !matches!(at.node.value, Value::List(_)) {
            self.invalid(at, format!("it is {}", at.node.kind()), "a list");
        }
        at.items()
    }

    pub(super) fn text(&mut self, at: &Cursor<'_>) -> Option<String> {
        if !at.is_there() {
            return None;
        }
        let text = at.str().map(str::to_owned);
        if text.is_none() {
            self.invalid(at, format!("it is {}", at.node.kind()), "a text");
        }
        text
    }

    /// A text that has to be there.
    pub(super) fn needed(&mut self, at: &Cursor<'_>) -> Option<String> {
        let text = self.text(at);
        let empty = text.as_ref().is_none_or(String::is_empty);
        if empty && (!at.is_there() || text.is_some()) {
            self.add(at, FindingKind::RequiredFieldMissing, "it is not there", "a text");
        }
        text.filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&mut self, at: &Cursor<'_>) -> Option<bool> {
        match at.node.value {
            Value::Null => None,
            Value::Bool(is) => Some(is),
            _ => {
                self.invalid(at, format!("{} is neither true nor false", at.shown()), "true or false");
                None
            }
        }
    }

    /// A whole number from 0 on.
    pub(super) fn count(&mut self, at: &Cursor<'_>) -> Option<u32> {
        self.whole(at).and_then(|number| {
            let count = u32::try_from(number).ok();
            if count.is_none() {
                self.invalid(at, format!("{number} is not a count"), "a whole number from 0 on");
            }
            count
        })
    }

    /// A whole number.
    pub(super) fn whole(&mut self, at: &Cursor<'_>) -> Option<i64> {
        if !at.is_there() {
            return None;
        }
        let number = match &at.node.value {
            Value::Whole(number) => i64::try_from(*number).ok(),
            _ => None,
        };
        if number.is_none() {
            self.invalid(at, format!("{} is not a whole number", at.shown()), "a whole number");
        }
        number
    }

    /// A whole number, also as a text: where arguments may be filled in.
    pub(super) fn whole_or_text(&mut self, at: &Cursor<'_>) -> Option<i64> {
        let Some(text) = at.str() else { return self.whole(at) };
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.invalid(at, format!("{} is not a whole number", at.shown()), "a whole number");
        }
        number
    }

    pub(super) fn number(&mut self, at: &Cursor<'_>) -> Option<f64> {
        match at.node.value {
            Value::Null => None,
            #[expect(clippy::cast_precision_loss, reason = "limits are small")]
            Value::Whole(number) => Some(number as f64),
            Value::Number(number) => Some(number),
            _ => {
                self.invalid(at, format!("{} is not a number", at.shown()), "a number");
                None
            }
        }
    }

    pub(super) fn seconds(&mut self, at: &Cursor<'_>) -> Option<Duration> {
        self.count(at).map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// A duration as Go writes it, `1h30m` or `1.5s`; where `bare` is allowed also seconds, as a number or a text.
    pub(super) fn duration(&mut self, at: &Cursor<'_>, bare: bool) -> Option<Duration> {
        let seconds = |number: Option<u64>| number.filter(|_| bare).map(Duration::from_secs);
        let span = match &at.node.value {
            Value::Null => return None,
            Value::Whole(number) => seconds(u64::try_from(*number).ok()),
            Value::Text(text) => seconds(u64::from_str(text).ok()).or_else(|| of_go(text)),
            _ => None,
        };
        // Far above anything that is waited for, and far below what a sum of them could overflow.
        let span = span.filter(|span| *span <= Duration::from_secs(100 * 365 * 86_400));
        if span.is_none() {
            self.invalid(at, format!("{} is not a duration", at.shown()), "a text such as 90s, 10m or 1h30m");
        }
        span
    }

    pub(super) fn name<T>(
        &mut self,
        at: &Cursor<'_>,
        parse: impl Fn(&str) -> Result<T, deploy_core::name::NameError>,
    ) -> Option<T> {
        let text = self.needed(at)?;
        match parse(&text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.none(at, error.to_string(), "a name of these characters");
                None
            }
        }
    }
}

/// A duration as Go reads it, in whole milliseconds.
fn of_go(text: &str) -> Option<Duration> {
    if !text.is_ascii() || text.len() > 40 || text.is_empty() {
        return None;
    }
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut milliseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let units: [(&str, f64); 4] = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)];
        let (unit, length) = units.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        milliseconds += number * length;
        rest = &after[unit.len()..];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, and no sign can stand there")]
    (milliseconds < 1e15).then(|| Duration::from_millis(milliseconds.round() as u64))
}

/// A duration for people.
pub(super) fn spell(span: Duration) -> String {
    span::write(span)
}
