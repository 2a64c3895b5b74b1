//! The fixed names of our strategies.

use deploy_core::name::BlockName;

/// A block name that is written in this crate.
pub(crate) fn named(text: &'static str) -> BlockName {
    BlockName::new(text).expect("a literal of letters and hyphens is a name")
}
