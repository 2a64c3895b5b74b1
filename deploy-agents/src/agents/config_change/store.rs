//! Where a configuration lies, with its versions.

use std::fmt::Debug;

use async_trait::async_trait;
use deploy_core::digest::Digest;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a configuration lies, with every version that was ever there.
///
/// # Contract for implementors
///
/// - [`replace`](Self::replace) compares first: it changes nothing unless what is there is what the change says was there.
/// - The version before and the version after are durable before the configuration is replaced, so that there is always a way
///   back; readers see the one or the other, never half of one.
/// - The same change may be made again after a crash: what is there already stays.
#[async_trait]
pub trait ConfigStore: Debug + Send + Sync + 'static {
    /// What it is called where it lies, for example a path.
    fn name(&self) -> String;

    /// What is there now; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    async fn current(&self) -> Result<Option<Vec<u8>>, ConfigError>;

    /// Every change that was begun, the oldest first. The last of a name says what it was for.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    async fn changes(&self) -> Result<Vec<ConfigVersion>, ConfigError>;

    /// The bytes of a version.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoVersion`] if they were never kept.
    async fn version(&self, digest: Digest) -> Result<Vec<u8>, ConfigError>;

    /// Replaces what is there by `wanted`, or takes it away, if it is what `change.before` says.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Changed`] if it is not.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the change was made as a whole or not at all.
    async fn replace(&self, change: &ConfigVersion, wanted: Option<&[u8]>) -> Result<(), ConfigError>;
}

/// One change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// Which run and step made it, and whether it was an undo.
    pub change: String,
    /// What was there before.
    pub before: Option<Digest>,
    /// What is there since.
    pub after: Option<Digest>,
    /// When.
    pub at: Timestamp,
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Somebody else changed it: look at what is there, and decide anew.
    #[error("{name} was changed by somebody else: {} is there, and {} was expected", shown(found.as_ref()), shown(expected.as_ref()))]
    Changed {
        /// The configuration.
        name: String,
        /// What is there.
        found: Option<Digest>,
        /// What was to be replaced.
        expected: Option<Digest>,
    },
    /// A version that was never kept here, or was removed: restore it from elsewhere.
    #[error("{name} has no version {}", digest.short())]
    NoVersion {
        /// The configuration.
        name: String,
        /// Which version.
        digest: Digest,
    },
    /// The store could not be read or written; nothing was changed.
    #[error("{what} of {name} failed")]
    Store {
        /// The configuration.
        name: String,
        /// Which operation.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn shown(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "nothing".to_owned(), |digest| digest.short().to_string())
}
