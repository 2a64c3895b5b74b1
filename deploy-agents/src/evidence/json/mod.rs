//! A JSON document under limits, walked with the place at hand.

mod node;
mod seek;
mod tree;

pub(super) use self::node::{Budget, Document, LONGEST_NAME, Node, whole};
pub(super) use self::seek::find;
pub(super) use self::tree::Tree;

/// The beginning of a text for people, at most `most` characters of it.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
