//! What one step hands to another, by typed handle.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A value that one step hands to another. Its version moves when an old reader could no longer read it.
///
/// ```
/// use deploy_core::deliverable::{Deliverable, Slot};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Image { reference: String }
/// impl Deliverable for Image {
///     const NAME: &'static str = "image";
///     const VERSION: u32 = 1;
/// }
/// const IMAGE: Slot<Image> = Slot::new();
/// assert_eq!(IMAGE.key().name, "image");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a deliverable",
    note = "implement `deploy_core::deliverable::Deliverable` with a NAME and a VERSION, and derive Serialize and Deserialize"
)]
pub trait Deliverable: Serialize + DeserializeOwned {
    /// What it is called in plans and records.
    const NAME: &'static str;
    /// Which shape it has.
    const VERSION: u32;
}

/// The longest value that stands in a record, in bytes. A larger one is kept as a blob and named by its digest.
pub const LONGEST_INLINE: usize = 32 * 1024;

/// The name and version of a deliverable, without its type: what a plan holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliverableKey {
    /// What it is called.
    pub name: String,
    /// Which shape it has.
    pub version: u32,
}

/// The typed place on an agent's card where a deliverable goes in or comes out.
pub struct Slot<D> {
    kind: PhantomData<fn() -> D>,
}

impl<D> std::fmt::Debug for Slot<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl<D> Clone for Slot<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Slot<D> {}

impl<D> Default for Slot<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> Slot<D> {
    /// The slot of `D`.
    #[must_use]
    pub const fn new() -> Self {
        Self { kind: PhantomData }
    }
}

impl<D: Deliverable> Slot<D> {
    /// Name and version, without the type.
    #[must_use]
    pub fn key(&self) -> DeliverableKey {
        DeliverableKey { name: D::NAME.to_owned(), version: D::VERSION }
    }
}

/// A recorded value: the JSON itself while it is short, otherwise the digest of the blob that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The JSON text, at most [`LONGEST_INLINE`] bytes.
    Inline(String),
    /// Where the JSON text lies.
    Blob(crate::digest::Digest),
}

/// A value under its key, as an agent reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Name and version.
    pub key: DeliverableKey,
    /// The JSON text.
    pub json: String,
}

impl Delivered {
    /// Serialises a value.
    ///
    /// # Errors
    ///
    /// The value's own serialiser refused it.
    pub fn of<D: Deliverable>(value: &D) -> Result<Self, serde_json::Error> {
        Ok(Self { key: Slot::<D>::new().key(), json: serde_json::to_string(value)? })
    }
}

/// A deliverable that an agent asked for and could not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverableError {
    /// Nobody handed it over: name it in the agent's card under `needs`, so that the plan is checked.
    #[error("deliverable {name} version {version} was not handed over; the card must list it under needs")]
    Missing {
        /// Its name.
        name: &'static str,
        /// The version that was asked for.
        version: u32,
    },
    /// The recorded value does not have the shape of the type that was asked for.
    #[error("deliverable {name} version {version} could not be read")]
    Shape {
        /// Its name.
        name: &'static str,
        /// The version that was asked for.
        version: u32,
        /// The reader's own words.
        source: serde_json::Error,
    },
}
