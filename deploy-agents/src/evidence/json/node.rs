//! A value of a JSON document, and where it stands.

use std::cell::Cell;
use std::sync::Arc;

use deploy_core::time::Timestamp;

use super::super::{Place, Pointer, Problem, ReadError, Source, Sourced};
use super::clip;
use super::tree::{Tree, parse_text};

/// A whole document.
#[derive(Debug)]
pub(in crate::evidence) struct Document {
    file: Arc<str>,
    root: Tree,
    /// How many more bytes of pointers may be made: a long name over many entries must not multiply.
    pointers: Cell<usize>,
}

impl Document {
    /// Reads a document. Values under a name in `skipped` are passed over without being kept, wherever they stand; under
    /// one with a slash before it, only at the top.
    pub(in crate::evidence) fn parse(source: &Source<'_>, skipped: &[&str]) -> Result<Self, ReadError> {
        let text = source.text()?;
        let root = parse_text(source, text, skipped)?;
        Ok(Self { file: Arc::from(source.file), root, pointers: Cell::new(source.limits.bytes.saturating_mul(2)) })
    }

    /// The value itself.
    pub(in crate::evidence) fn into_tree(self) -> Tree {
        self.root
    }

    pub(in crate::evidence) fn root(&self) -> Node<'_> {
        Node { document: self, tree: &self.root, pointer: String::new() }
    }
}

/// The most characters of a name that may come to stand in many facts: a long one must not multiply.
pub(in crate::evidence) const LONGEST_NAME: usize = 300;

/// How much more of something may be made: what the input names once and refers to often must not multiply.
#[derive(Debug)]
pub(in crate::evidence) struct Budget(usize);

impl Budget {
    pub(in crate::evidence) fn new(amount: usize) -> Self {
        Self(amount)
    }

    pub(in crate::evidence) fn take(&mut self, amount: usize, node: &Node<'_>) -> Result<(), ReadError> {
        let left = self.0.checked_sub(amount);
        self.0 = left.ok_or_else(|| node.error(Problem::TooLarge, "what is named here is referred to too often"))?;
        Ok(())
    }
}

/// A value of a document, and where it stands.
#[derive(Debug, Clone)]
pub(in crate::evidence) struct Node<'a> {
    document: &'a Document,
    pub(in crate::evidence) tree: &'a Tree,
    pointer: String,
}

impl<'a> Node<'a> {
    /// Where it stands.
    pub(in crate::evidence) fn at(&self) -> Pointer {
        Pointer::new(Arc::clone(&self.document.file), Place::Json(self.pointer.clone()))
    }

    /// An error here.
    pub(in crate::evidence) fn error(&self, problem: Problem, reason: impl Into<String>) -> ReadError {
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
    pub(in crate::evidence) fn get(&self, name: &str) -> Option<Self> {
        let tree = self.tree.get(name)?;
        (*tree != Tree::Null).then(|| self.child(name, tree))
    }

    /// The value at the end of a path of names.
    pub(in crate::evidence) fn path(&self, names: &[&str]) -> Option<Self> {
        let mut node = self.clone();
        for name in names {
            node = node.get(name)?;
        }
        Some(node)
    }

    /// The value under a name, which must be there.
    pub(in crate::evidence) fn need(&self, name: &str) -> Result<Self, ReadError> {
        match self.tree {
            Tree::Object(_) => {
                self.get(name).ok_or_else(|| self.error(Problem::Field, format!("{name:?} is missing here")))
            }
            _ => Err(self.field("an object")),
        }
    }

    /// The items of a list.
    pub(in crate::evidence) fn items(&self) -> Result<Vec<Self>, ReadError> {
        let Tree::List(items) = self.tree else { return Err(self.field("a list")) };
        self.charge(items.len(), 0)?;
        Ok(items.iter().enumerate().map(|(at, tree)| self.child(&at.to_string(), tree)).collect())
    }

    /// The items of the list under a name; none if it is absent.
    pub(in crate::evidence) fn list(&self, name: &str) -> Result<Vec<Self>, ReadError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |list| list.items())
    }

    /// The entries of an object, by name.
    pub(in crate::evidence) fn entries(&self) -> Result<Vec<(&'a str, Self)>, ReadError> {
        let Tree::Object(entries) = self.tree else { return Err(self.field("an object")) };
        self.charge(entries.len(), entries.iter().map(|(name, _)| name.len()).sum())?;
        Ok(entries.iter().map(|(name, tree)| (&**name, self.child(name, tree))).collect())
    }

    /// The entries of the object under a name; none if it is absent.
    pub(in crate::evidence) fn map(&self, name: &str) -> Result<Vec<(&'a str, Self)>, ReadError> {
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
    pub(in crate::evidence) fn text(&self) -> Result<&'a str, ReadError> {
        match self.tree {
            Tree::Text(text) => Ok(text),
            _ => Err(self.field("a text")),
        }
    }

    /// The text under a name, if there is one; another kind of value is an error.
    pub(in crate::evidence) fn text_of(&self, name: &str) -> Result<Option<&'a str>, ReadError> {
        self.get(name).map(|node| node.text()).transpose()
    }

    /// The beginning of the text under a name, empty if there is none: for what may come to stand in many facts.
    pub(in crate::evidence) fn short_of(&self, name: &str) -> Result<String, ReadError> {
        Ok(clip(self.text_of(name)?.unwrap_or_default(), LONGEST_NAME))
    }

    /// The text under a name, empty if there is none.
    pub(in crate::evidence) fn text_or_empty(&self, name: &str) -> Result<String, ReadError> {
        Ok(self.text_of(name)?.unwrap_or_default().to_owned())
    }

    /// A text, and where it stands.
    pub(in crate::evidence) fn sourced_text(&self) -> Result<Sourced<String>, ReadError> {
        Ok(Sourced::new(self.text()?.to_owned(), self.at()))
    }

    /// A boolean.
    pub(in crate::evidence) fn flag(&self) -> Result<Sourced<bool>, ReadError> {
        match self.tree {
            Tree::Flag(flag) => Ok(Sourced::new(*flag, self.at())),
            _ => Err(self.field("true or false")),
        }
    }

    /// The boolean under a name.
    pub(in crate::evidence) fn flag_of(&self, name: &str) -> Result<Option<Sourced<bool>>, ReadError> {
        self.get(name).map(|node| node.flag()).transpose()
    }

    /// A whole number from 0; `3.0` is one.
    pub(in crate::evidence) fn whole(&self) -> Result<Sourced<u64>, ReadError> {
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
    pub(in crate::evidence) fn whole_of(&self, name: &str) -> Result<Option<Sourced<u64>>, ReadError> {
        self.get(name).map(|node| node.whole()).transpose()
    }

    /// A whole number of either sign.
    pub(in crate::evidence) fn integer(&self) -> Result<Sourced<i64>, ReadError> {
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
    pub(in crate::evidence) fn number(&self) -> Result<Sourced<f64>, ReadError> {
        let number = match self.tree {
            Tree::Whole(number) => *number as f64,
            Tree::Negative(number) => *number as f64,
            Tree::Real(number) => *number,
            _ => return Err(self.field("a number")),
        };
        Ok(Sourced::new(number, self.at()))
    }

    /// The number under a name.
    pub(in crate::evidence) fn number_of(&self, name: &str) -> Result<Option<Sourced<f64>>, ReadError> {
        self.get(name).map(|node| node.number()).transpose()
    }

    /// A time by RFC 3339.
    pub(in crate::evidence) fn time(&self) -> Result<Sourced<Timestamp>, ReadError> {
        let text = self.text()?;
        let parsed = Timestamp::parse(text).map_err(|e| self.error(Problem::Field, clip(&e.to_string(), 200)))?;
        Ok(Sourced::new(parsed, self.at()))
    }

    /// The time under a name.
    pub(in crate::evidence) fn time_of(&self, name: &str) -> Result<Option<Sourced<Timestamp>>, ReadError> {
        self.get(name).map(|node| node.time()).transpose()
    }
}

/// A number as a count, if it is one and every smaller count has an exact number of its own.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are looked at")]
pub(in crate::evidence) fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}
