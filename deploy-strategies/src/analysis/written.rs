//! Equality of configurations and states whose numbers are plain `f64`.

use serde::Serialize;

/// The text that a value is recorded as.
pub(crate) fn written(value: &impl Serialize) -> Vec<u8> {
    // A structure of numbers and names is always written.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The same if they are written the same: numbers compare by their bits, so that it is an equivalence.
macro_rules! compared_as_written {
    ($($name:ident),*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $crate::analysis::written::written(self) == $crate::analysis::written::written(other)
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $crate::analysis::written::written(self).hash(state);
            }
        }
    )*};
}

pub(crate) use compared_as_written;
