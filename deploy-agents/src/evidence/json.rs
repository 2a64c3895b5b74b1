//! A JSON document under limits, walked with the place at hand.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use deploy_core::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Limits, Place, Pointer, Problem, ReadError, Source, Sourced};

/// A value. Smaller than `serde_json::Value`, whose maps take 600 bytes for one entry: an input of empty objects would take
/// a hundred times its length in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Flag(bool),
    Whole(u64),
    Negative(i64),
    Real(f64),
    Text(Box<str>),
    List(Box<[Self]>),
    /// Sorted by name.
    Object(Box<[(Box<str>, Self)]>),
}

impl serde::Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Whole(number) => serializer.serialize_u64(*number),
            Self::Negative(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items.iter()),
            Self::Object(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl Tree {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "a boolean",
            Self::Whole(_) | Self::Negative(_) | Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        let at = entries.binary_search_by(|(mine, _)| (**mine).cmp(name)).ok()?;
        entries.get(at).map(|(_, value)| value)
    }
}

/// A whole document.
#[derive(Debug)]
pub(super) struct Document {
    file: Arc<str>,
    root: Tree,
    /// How many more bytes of pointers may be made: a long name over many entries must not multiply.
    pointers: Cell<usize>,
}

impl Document {
    /// Reads a document. Values under a name in `skipped` are passed over without being kept, wherever they stand; under
    /// one with a slash before it, only at the top.
    pub(super) fn parse(source: &Source<'_>, skipped: &[&str]) -> Result<Self, ReadError> {
        let text = source.text()?;
        let root = parse_text(source, text, skipped)?;
        Ok(Self { file: Arc::from(source.file), root, pointers: Cell::new(source.limits.bytes.saturating_mul(2)) })
    }

    /// The value itself.
    pub(super) fn into_tree(self) -> Tree {
        self.root
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node { document: self, tree: &self.root, pointer: String::new() }
    }
}

/// Reads one value, which is the whole of `text`. Places of errors are of `text`.
fn parse_text(source: &Source<'_>, text: &str, skipped: &[&str]) -> Result<Tree, ReadError> {
    let state =
        State { left: Cell::new(source.limits.things), problem: Cell::new(None), limits: source.limits, skipped };
    deserialize(source, text, &state, Build { state: &state, depth: 0 })
}

/// The single value at an RFC 6901 pointer, if one stands there. Nothing else is kept, whatever the size of the document.
pub(super) fn find(source: &Source<'_>, pointer: &str) -> Result<Option<Tree>, ReadError> {
    let text = source.text()?;
    let state = State { left: Cell::new(usize::MAX), problem: Cell::new(None), limits: source.limits, skipped: &[] };
    let names: Vec<String> = pointer.split('/').skip(1).map(|n| n.replace("~1", "/").replace("~0", "~")).collect();
    deserialize(source, text, &state, Seek { names: &names, state: &state, depth: 0 })
}

fn deserialize<'de, S: DeserializeSeed<'de>>(
    source: &Source<'_>,
    text: &'de str,
    state: &State<'_>,
    seed: S,
) -> Result<S::Value, ReadError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let problem = match state.problem.get() {
            Some(problem) => problem,
            None if error.is_eof() => Problem::Truncated,
            None => Problem::Syntax,
        };
        let place = Place::Text { line: error.line() as u64, column: error.column() as u64 };
        let said = error.to_string();
        // The place stands in the pointer already.
        let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason).to_owned();
        ReadError::new(problem, source.at(place), reason)
    })
}

struct State<'a> {
    left: Cell<usize>,
    problem: Cell<Option<Problem>>,
    limits: Limits,
    skipped: &'a [&'a str],
}

impl State<'_> {
    fn refuse<E: serde::de::Error>(&self, problem: Problem, reason: impl fmt::Display) -> E {
        self.problem.set(Some(problem));
        E::custom(reason)
    }

    fn deeper<E: serde::de::Error>(&self, depth: usize) -> Result<usize, E> {
        if depth >= self.limits.depth.min(120) {
            let reason = format!("deeper than {} is not read", self.limits.depth);
            return Err(self.refuse(Problem::TooLarge, reason));
        }
        Ok(depth + 1)
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                Err(self.refuse(Problem::TooLarge, format!("more than {} things are not read", self.limits.things)))
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Build<'a> {
    state: &'a State<'a>,
    depth: usize,
}

impl Build<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        Ok(Self { state: self.state, depth: self.state.deeper(self.depth)? })
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Tree;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(u64::try_from(value).map_or(Tree::Negative(value), Tree::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value.into_boxed_str()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Tree::List(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let inside = self.inside()?;
        let mut entries: Vec<(Box<str>, Tree)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let top = self.depth == 0;
            let skipped = |s: &&str| s.strip_prefix('/').map_or(**s == name, |s| top && s == name);
            if self.state.skipped.iter().any(skipped) {
                self.state.count()?;
                map.next_value_seed(Pass { state: self.state, depth: inside.depth })?;
                continue;
            }
            entries.push((name.into_boxed_str(), map.next_value_seed(inside)?));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some([twice, _]) = entries.array_windows().find(|[a, b]| a.0 == b.0) {
            // Readers differ in which of the two they take, so a document can be one thing to us and another to them.
            let reason = format!("the name {:?} stands twice in one object", clip(&twice.0, 80));
            return Err(self.state.refuse(Problem::Hostile, reason));
        }
        Ok(Tree::Object(entries.into_boxed_slice()))
    }
}

/// Passes over a value without keeping it, and still reads all of it: what serde ignores may be no JSON at all.
#[derive(Clone, Copy)]
struct Pass<'a> {
    state: &'a State<'a>,
    depth: usize,
}

macro_rules! passes_over_scalars {
    ($value:ty, $nothing:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }

        fn visit_unit<E>(self) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok($nothing)
        }
    };
}

impl<'de> DeserializeSeed<'de> for Pass<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pass<'_> {
    type Value = ();

    passes_over_scalars!((), ());

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inside = Self { state: self.state, depth: self.state.deeper(self.depth)? };
        while list.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = Self { state: self.state, depth: self.state.deeper(self.depth)? };
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// Goes down a path of names and passes over everything beside it.
#[derive(Clone, Copy)]
struct Seek<'a> {
    names: &'a [String],
    state: &'a State<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Tree>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Tree>, D::Error> {
        if self.names.is_empty() {
            // A list or an object is no single value, but its items must not be kept to find that out.
            let build = Build { state: self.state, depth: self.state.limits.depth };
            return deserializer.deserialize_any(Single(build, Pass { state: self.state, depth: self.depth }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Tree>;

    passes_over_scalars!(Option<Tree>, None);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Tree>, A::Error> {
        let depth = self.state.deeper(self.depth)?;
        let wanted = self.names.first().and_then(|name| name.parse::<usize>().ok());
        let inside = Self { names: self.names.get(1..).unwrap_or_default(), state: self.state, depth };
        let (mut at, mut found) = (0_usize, None);
        loop {
            if Some(at) == wanted {
                let Some(value) = list.next_element_seed(inside)? else { return Ok(found) };
                found = value;
            } else if list.next_element_seed(Pass { state: self.state, depth })?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Tree>, A::Error> {
        let depth = self.state.deeper(self.depth)?;
        let inside = Self { names: self.names.get(1..).unwrap_or_default(), state: self.state, depth };
        let (mut seen, mut found) = (false, None);
        while let Some(name) = map.next_key::<String>()? {
            if self.names.first() != Some(&name) {
                map.next_value_seed(Pass { state: self.state, depth })?;
                continue;
            }
            if seen {
                let reason = format!("the name {:?} stands twice in one object", clip(&name, 80));
                return Err(self.state.refuse(Problem::Hostile, reason));
            }
            (seen, found) = (true, map.next_value_seed(inside)?);
        }
        Ok(found)
    }
}

/// A value that is no list and no object.
struct Single<'a>(Build<'a>, Pass<'a>);

impl<'de> Visitor<'de> for Single<'_> {
    type Value = Option<Tree>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_unit<E>(self) -> Result<Option<Tree>, E> {
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Option<Tree>, E> {
        self.0.visit_bool(value).map(Some)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Option<Tree>, E> {
        self.0.visit_u64(value).map(Some)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Option<Tree>, E> {
        self.0.visit_i64(value).map(Some)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Option<Tree>, E> {
        self.0.visit_f64(value).map(Some)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Option<Tree>, E> {
        self.0.visit_str(value).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<Tree>, A::Error> {
        self.1.visit_seq(list).map(|()| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Tree>, A::Error> {
        self.1.visit_map(map).map(|()| None)
    }
}

/// The beginning of a text for people, at most `most` characters of it.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The most characters of a name that may come to stand in many facts: a long one must not multiply.
pub(super) const LONGEST_NAME: usize = 300;

/// How much more of something may be made: what the input names once and refers to often must not multiply.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(amount: usize) -> Self {
        Self(amount)
    }

    pub(super) fn take(&mut self, amount: usize, node: &Node<'_>) -> Result<(), ReadError> {
        let left = self.0.checked_sub(amount);
        self.0 = left.ok_or_else(|| node.error(Problem::TooLarge, "what is named here is referred to too often"))?;
        Ok(())
    }
}

/// A value of a document, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    document: &'a Document,
    pub(super) tree: &'a Tree,
    pointer: String,
}

impl<'a> Node<'a> {
    /// Where it stands.
    pub(super) fn at(&self) -> Pointer {
        Pointer::new(Arc::clone(&self.document.file), Place::Json(self.pointer.clone()))
    }

    /// An error here.
    pub(super) fn error(&self, problem: Problem, reason: impl Into<String>) -> ReadError {
        ReadError::new(problem, self.at(), reason)
    }

    fn field(&self, wanted: &str) -> ReadError {
        self.error(Problem::Field, format!("{wanted} must stand here, not {}", self.tree.kind()))
    }

    fn child(&self, name: &str, tree: &'a Tree) -> Self {
        let mut pointer = String::with_capacity(self.pointer.len() + name.len() + 1);
        pointer.push_str(&self.pointer);
        pointer.push('/');
        for c in name.chars() {
            match c {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                c => pointer.push(c),
            }
        }
        Self { document: self.document, tree, pointer }
    }

    /// The value under a name, if there is one that is not null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let tree = self.tree.get(name)?;
        (*tree != Tree::Null).then(|| self.child(name, tree))
    }

    /// The value at the end of a path of names.
    pub(super) fn path(&self, names: &[&str]) -> Option<Self> {
        let mut node = self.clone();
        for name in names {
            node = node.get(name)?;
        }
        Some(node)
    }

    /// The value under a name, which must be there.
    pub(super) fn need(&self, name: &str) -> Result<Self, ReadError> {
        match self.tree {
            Tree::Object(_) => {
                self.get(name).ok_or_else(|| self.error(Problem::Field, format!("{name:?} is missing here")))
            }
            _ => Err(self.field("an object")),
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Result<Vec<Self>, ReadError> {
        let Tree::List(items) = self.tree else { return Err(self.field("a list")) };
        self.charge(items.len(), 0)?;
        Ok(items.iter().enumerate().map(|(at, tree)| self.child(&at.to_string(), tree)).collect())
    }

    /// The items of the list under a name; none if it is absent.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, ReadError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |list| list.items())
    }

    /// The entries of an object, by name.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, ReadError> {
        let Tree::Object(entries) = self.tree else { return Err(self.field("an object")) };
        self.charge(entries.len(), entries.iter().map(|(name, _)| name.len()).sum())?;
        Ok(entries.iter().map(|(name, tree)| (&**name, self.child(name, tree))).collect())
    }

    /// The entries of the object under a name; none if it is absent.
    pub(super) fn map(&self, name: &str) -> Result<Vec<(&'a str, Self)>, ReadError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |object| object.entries())
    }

    fn charge(&self, children: usize, names: usize) -> Result<(), ReadError> {
        let bytes = children.saturating_mul(self.pointer.len() + 4).saturating_add(names);
        let left = self.document.pointers.get().checked_sub(bytes);
        let left =
            left.ok_or_else(|| self.error(Problem::TooLarge, "the names down to here are too long for so many"))?;
        self.document.pointers.set(left);
        Ok(())
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&'a str, ReadError> {
        match self.tree {
            Tree::Text(text) => Ok(text),
            _ => Err(self.field("a text")),
        }
    }

    /// The text under a name, if there is one; another kind of value is an error.
    pub(super) fn text_of(&self, name: &str) -> Result<Option<&'a str>, ReadError> {
        self.get(name).map(|node| node.text()).transpose()
    }

    /// The beginning of the text under a name, empty if there is none: for what may come to stand in many facts.
    pub(super) fn short_of(&self, name: &str) -> Result<String, ReadError> {
        Ok(clip(self.text_of(name)?.unwrap_or_default(), LONGEST_NAME))
    }

    /// The text under a name, empty if there is none.
    pub(super) fn text_or_empty(&self, name: &str) -> Result<String, ReadError> {
        Ok(self.text_of(name)?.unwrap_or_default().to_owned())
    }

    /// A text, and where it stands.
    pub(super) fn sourced_text(&self) -> Result<Sourced<String>, ReadError> {
        Ok(Sourced::new(self.text()?.to_owned(), self.at()))
    }

    /// A boolean.
    pub(super) fn flag(&self) -> Result<Sourced<bool>, ReadError> {
        match self.tree {
            Tree::Flag(flag) => Ok(Sourced::new(*flag, self.at())),
            _ => Err(self.field("true or false")),
        }
    }

    /// The boolean under a name.
    pub(super) fn flag_of(&self, name: &str) -> Result<Option<Sourced<bool>>, ReadError> {
        self.get(name).map(|node| node.flag()).transpose()
    }

    /// A whole number from 0; `3.0` is one.
    pub(super) fn whole(&self) -> Result<Sourced<u64>, ReadError> {
        match self.tree {
            Tree::Whole(number) => Ok(Sourced::new(*number, self.at())),
            Tree::Real(number) => match whole(*number) {
                Some(whole) => Ok(Sourced::new(whole, self.at())),
                None => Err(self.error(Problem::Field, format!("{number} is not a count"))),
            },
            Tree::Negative(number) => Err(self.error(Problem::Field, format!("{number} is not a count"))),
            _ => Err(self.field("a whole number")),
        }
    }

    /// The whole number under a name.
    pub(super) fn whole_of(&self, name: &str) -> Result<Option<Sourced<u64>>, ReadError> {
        self.get(name).map(|node| node.whole()).transpose()
    }

    /// A whole number of either sign.
    pub(super) fn integer(&self) -> Result<Sourced<i64>, ReadError> {
        match self.tree {
            Tree::Negative(number) => Ok(Sourced::new(*number, self.at())),
            Tree::Whole(number) => i64::try_from(*number)
                .map(|number| Sourced::new(number, self.at()))
                .map_err(|_| self.error(Problem::Field, format!("{number} is too large"))),
            _ => Err(self.field("a whole number")),
        }
    }

    /// A finite number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "measured numbers; those beyond 2^53 lose digits that do not matter"
    )]
    pub(super) fn number(&self) -> Result<Sourced<f64>, ReadError> {
        let number = match self.tree {
            Tree::Whole(number) => *number as f64,
            Tree::Negative(number) => *number as f64,
            Tree::Real(number) => *number,
            _ => return Err(self.field("a number")),
        };
        Ok(Sourced::new(number, self.at()))
    }

    /// The number under a name.
    pub(super) fn number_of(&self, name: &str) -> Result<Option<Sourced<f64>>, ReadError> {
        self.get(name).map(|node| node.number()).transpose()
    }

    /// A time by RFC 3339.
    pub(super) fn time(&self) -> Result<Sourced<Timestamp>, ReadError> {
        let text = self.text()?;
        let parsed = Timestamp::parse(text).map_err(|e| self.error(Problem::Field, clip(&e.to_string(), 200)))?;
        Ok(Sourced::new(parsed, self.at()))
    }

    /// The time under a name.
    pub(super) fn time_of(&self, name: &str) -> Result<Option<Sourced<Timestamp>>, ReadError> {
        self.get(name).map(|node| node.time()).transpose()
    }
}

/// A number as a count, if it is one and every smaller count has an exact number of its own.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are looked at")]
pub(super) fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}
