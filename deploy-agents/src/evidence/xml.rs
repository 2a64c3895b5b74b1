//! An XML document under limits, one event after another, with the path at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::time::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use super::decimal::decimal;
use super::{Place, Pointer, Problem, ReadError, Source, Sourced};

/// The most attributes of one element. No format here has more than 20.
const MOST_ATTRIBUTES: usize = 256;
/// The longest name of an element or attribute, in bytes.
const LONGEST_NAME: usize = 256;

/// What comes next in a document.
#[derive(Debug)]
pub(super) enum Next {
    /// An element begins.
    Open(Element),
    /// Text of the innermost element, a part of it.
    Text(String),
    /// The innermost element ends; its name without the prefix.
    Close(String),
    /// The document ends.
    End,
}

/// An element that begins.
#[derive(Debug)]
pub(super) struct Element {
    /// Its name without the prefix.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    file: Arc<str>,
    path: String,
}

impl Element {
    /// Where it stands.
    pub(super) fn at(&self) -> Pointer {
        Pointer::new(Arc::clone(&self.file), Place::Xml(self.path.clone()))
    }

    fn at_attribute(&self, name: &str) -> Pointer {
        Pointer::new(Arc::clone(&self.file), Place::Xml(format!("{}/@{name}", self.path)))
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(mine, _)| *mine == name).map(|(_, value)| value.as_str())
    }

    /// The value of an attribute, empty if it is absent.
    pub(super) fn text_or_empty(&self, name: &str) -> String {
        self.attribute(name).unwrap_or_default().to_owned()
    }

    /// The value of an attribute, which must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, ReadError> {
        let missing = || ReadError::new(Problem::Field, self.at(), format!("the attribute {name:?} is missing here"));
        self.attribute(name).ok_or_else(missing)
    }

    /// A count in an attribute.
    pub(super) fn whole(&self, name: &str) -> Result<Option<Sourced<u64>>, ReadError> {
        self.parsed(name, "a count", |text| {
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        })
    }

    /// A finite number from 0 in an attribute. Where producers write by the customs of a country, `1,234.5` and `0,5` are
    /// taken for what they mean if they can mean one thing alone.
    pub(super) fn number(&self, name: &str) -> Result<Option<Sourced<f64>>, ReadError> {
        self.parsed(name, "a number", |text| decimal(text).filter(|number| *number >= 0.0))
    }

    /// A time by RFC 3339 in an attribute. One without a zone is no point in time, and is as good as none.
    pub(super) fn time(&self, name: &str) -> Option<Sourced<Timestamp>> {
        let time = Timestamp::parse(self.attribute(name)?.trim()).ok()?;
        Some(Sourced::new(time, self.at_attribute(name)))
    }

    /// A value of an attribute that `parse` takes. An empty one is as good as none.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<Sourced<T>>, ReadError> {
        let Some(text) = self.attribute(name).map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
        let at = self.at_attribute(name);
        match parse(text) {
            Some(value) => Ok(Some(Sourced::new(value, at))),
            None => {
                Err(ReadError::new(Problem::Field, at, format!("{:?} is not {wanted}", super::json::clip(text, 40))))
            }
        }
    }
}

/// How far a document was read.
pub(super) struct Xml<'a> {
    source: Source<'a>,
    text: &'a str,
    file: Arc<str>,
    reader: Reader<&'a [u8]>,
    /// How many more elements and pieces of text are taken.
    things: usize,
    /// How many more bytes of paths may be made: long names over many elements must not multiply.
    paths: usize,
    path: String,
    open: Vec<Level>,
    /// The names of roots: one is allowed.
    roots: usize,
    /// An element without content ends at once.
    closing: bool,
}

/// An open element, and how many children of each name it had.
struct Level {
    name: String,
    path_before: usize,
    children: BTreeMap<String, u64>,
}

impl std::fmt::Debug for Xml<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Xml").field("file", &self.source.file).finish_non_exhaustive()
    }
}

impl<'a> Xml<'a> {
    pub(super) fn new(source: &Source<'a>) -> Result<Self, ReadError> {
        let text = source.text()?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = false;
        Ok(Self {
            source: *source,
            text,
            file: Arc::from(source.file),
            reader,
            things: source.limits.things,
            paths: source.limits.bytes.saturating_mul(3),
            path: String::new(),
            open: Vec::new(),
            roots: 0,
            closing: false,
        })
    }

    /// An error at the place that was reached in the text.
    pub(super) fn error(&self, problem: Problem, reason: &str) -> ReadError {
        let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
        self.source.byte_error(problem, self.text.as_bytes(), at, reason)
    }

    fn count(&mut self) -> Result<(), ReadError> {
        match self.things.checked_sub(1) {
            Some(left) => {
                self.things = left;
                Ok(())
            }
            None => {
                let most = self.source.limits.things;
                Err(self.error(Problem::TooLarge, &format!("more than {most} things are not read")))
            }
        }
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Next, ReadError> {
        if self.closing {
            self.closing = false;
            return Ok(self.close());
        }
        loop {
            let event = self.reader.read_event().map_err(|error| {
                let problem = match &error {
                    quick_xml::Error::Syntax(_) => Problem::Truncated,
                    _ => Problem::Syntax,
                };
                self.error(problem, &error.to_string())
            })?;
            match event {
                Event::Start(start) => return Ok(Next::Open(self.opened(&start)?)),
                Event::Empty(start) => {
                    self.closing = true;
                    return Ok(Next::Open(self.opened(&start)?));
                }
                Event::End(_) => return Ok(self.close()),
                Event::Text(text) => {
                    if self.open.is_empty() {
                        if !text.trim().is_empty() {
                            return Err(self.error(Problem::Syntax, "text stands outside of the root element"));
                        }
                        continue;
                    }
                    self.count()?;
                    return Ok(Next::Text(text.xml10_content().into_owned()));
                }
                Event::CData(text) => {
                    self.count()?;
                    return Ok(Next::Text(text.xml10_content().into_owned()));
                }
                Event::GeneralRef(reference) => {
                    self.count()?;
                    let whole = format!("&{};", &*reference);
                    return match unescape(&whole) {
                        Ok(text) => Ok(Next::Text(text.into_owned())),
                        Err(error) => Err(self.error(Problem::Hostile, &format!("no such entity: {error}"))),
                    };
                }
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok).map(|e| e.to_ascii_lowercase());
                    if let Some(other) =
                        encoding.filter(|e| !matches!(e.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii"))
                    {
                        return Err(self.error(Problem::Encoding, &format!("{other}; write UTF-8")));
                    }
                }
                Event::DocType(doctype) => {
                    // Declarations of entities stand in brackets. A name of a document type elsewhere is never opened.
                    if doctype.contains('[') {
                        return Err(
                            self.error(Problem::Hostile, "a document type with declarations of its own is not read")
                        );
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => {
                    if let Some(level) = self.open.last() {
                        let reason = format!("the input ends inside of <{}>", level.name);
                        return Err(self.error(Problem::Truncated, &reason));
                    }
                    if self.roots == 0 {
                        return Err(self.error(Problem::Syntax, "there is no element"));
                    }
                    return Ok(Next::End);
                }
            }
        }
    }

    fn opened(&mut self, start: &BytesStart<'_>) -> Result<Element, ReadError> {
        self.count()?;
        if self.open.len() >= self.source.limits.depth {
            let reason = format!("deeper than {} is not read", self.source.limits.depth);
            return Err(self.error(Problem::TooLarge, &reason));
        }
        let name = start.local_name();
        let name: &str = name.as_ref();
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(['&', '<', '/', '@', '[', '"', '\'']) {
            return Err(self.error(Problem::Syntax, "an element has no proper name"));
        }
        if self.open.is_empty() {
            self.roots += 1;
            if self.roots > 1 {
                return Err(self.error(Problem::Syntax, "a second root element"));
            }
        }
        let number = match self.open.last_mut() {
            Some(level) => match level.children.get_mut(name) {
                Some(number) => {
                    *number += 1;
                    *number
                }
                None => {
                    level.children.insert(name.to_owned(), 1);
                    1
                }
            },
            None => 1,
        };
        let path_before = self.path.len();
        self.path.push('/');
        self.path.push_str(name);
        if number > 1 {
            self.path.push_str(&format!("[{number}]"));
        }
        let left = self.paths.checked_sub(self.path.len());
        self.paths =
            left.ok_or_else(|| self.error(Problem::TooLarge, "the names down to here are too long for so many"))?;
        self.open.push(Level { name: name.to_owned(), path_before, children: BTreeMap::new() });
        let attributes = self.attributes(start)?;
        Ok(Element { name: name.to_owned(), attributes, file: Arc::clone(&self.file), path: self.path.clone() })
    }

    fn attributes(&self, start: &BytesStart<'_>) -> Result<Vec<(String, String)>, ReadError> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        // Duplicates are looked for below: the library compares each with all before it, however many there are.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|e| self.error(Problem::Syntax, &e.to_string()))?;
            let name: &str = attribute.key.as_ref();
            if attributes.len() >= MOST_ATTRIBUTES || name.len() > LONGEST_NAME {
                return Err(self.error(Problem::TooLarge, "too many attributes, or one with too long a name"));
            }
            if attributes.iter().any(|(mine, _)| mine == name) {
                let reason = format!("the attribute {name:?} stands twice");
                return Err(self.error(Problem::Hostile, &reason));
            }
            let value = unescape(&attribute.value).map_err(|e| self.error(Problem::Hostile, &e.to_string()))?;
            attributes.push((name.to_owned(), value.into_owned()));
        }
        Ok(attributes)
    }

    fn close(&mut self) -> Next {
        match self.open.pop() {
            Some(level) => {
                self.path.truncate(level.path_before);
                Next::Close(level.name)
            }
            // The library refuses an end without a beginning.
            None => Next::End,
        }
    }
}
