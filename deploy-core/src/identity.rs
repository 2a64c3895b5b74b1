//! Tells whether two references are to one and the same building block.

use std::any::TypeId;

/// Which building block this is: two blocks under one name are a mistake, one block used twice is not.
///
/// The building-block traits answer it by themselves; the forwarding for `Arc` and `Box` asks what is inside, so a clone of
/// an `Arc` is the block that it was cloned from.
///
/// ```
/// use deploy_core::identity::Identity;
/// use std::sync::Arc;
///
/// let one = Arc::new(7_u32);
/// let same = Arc::clone(&one);
/// let other = Arc::new(7_u32);
/// assert_eq!(Identity::of(&*one), Identity::of(&*same));
/// assert_ne!(Identity::of(&*one), Identity::of(&*other));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    // Values without size may share an address; their type still tells them apart.
    kind: TypeId,
    address: usize,
}

impl Identity {
    /// The identity of what stands behind this reference. It holds for as long as that is not moved.
    #[must_use]
    pub fn of<T: ?Sized + 'static>(block: &T) -> Self {
        Self { kind: TypeId::of::<T>(), address: std::ptr::from_ref(block).cast::<()>().addr() }
    }
}
