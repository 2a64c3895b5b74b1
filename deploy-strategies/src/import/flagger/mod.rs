//! Canaries of Flagger.
use super::cursor::{Cursor, Findings};
use super::{Files, Imported};
pub(super) fn canary(_files: &Files<'_>, _root: &Cursor<'_>, _found: &mut Findings) -> Option<Imported> {
    None
}
