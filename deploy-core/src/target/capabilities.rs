//! What a target can do, and what a strategy needs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a target can do; also what a strategy needs of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent abilities, listed once, compared as a whole")]
pub struct Capabilities {
    /// Splits traffic between revisions by weight.
    pub weights: bool,
    /// Hands all of the traffic from one revision to another. Whatever splits by weight can do that too, and need not say so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub switch: bool,
    /// Runs instances of more than one revision and changes how many.
    pub capacity: bool,
    /// Routes requests by header or cookie.
    pub routes: bool,
    /// Copies requests to another revision and throws its answers away.
    pub mirror: bool,
    /// Runs a fresh baseline beside the candidate.
    pub experiments: bool,
    /// Shows a revision under a second address before it serves.
    pub preview: bool,
    /// Holds percentages of feature flags.
    pub flags: bool,
    /// Refuses an older fence.
    pub fence: bool,
    /// Applies only if nothing changed since the observation that the change is based on.
    pub compare_and_apply: bool,
    /// Returns traffic to stable when the engine falls silent.
    pub dead_man_lease: bool,
}

impl Capabilities {
    /// Each ability with its name, in one list, so that no two places can disagree.
    fn named(self) -> [(&'static str, bool); 11] {
        [
            ("weights", self.weights),
            ("switch", self.switch),
            ("capacity", self.capacity),
            ("routes", self.routes),
            ("mirror", self.mirror),
            ("experiments", self.experiments),
            ("preview", self.preview),
            ("flags", self.flags),
            ("fence", self.fence),
            ("compare-and-apply", self.compare_and_apply),
            ("dead-man lease", self.dead_man_lease),
        ]
    }

    /// What of `self` (a need) `offered` lacks, by name.
    ///
    /// ```
    /// use deploy_core::target::Capabilities;
    ///
    /// let blue_green = Capabilities { switch: true, preview: true, ..Capabilities::default() };
    /// let gateway = Capabilities { weights: true, ..Capabilities::default() };
    /// assert_eq!(blue_green.missing_from(gateway), ["preview"]);
    /// ```
    #[must_use]
    pub fn missing_from(self, offered: Self) -> Vec<&'static str> {
        let offered = Self { switch: offered.switch || offered.weights, ..offered };
        self.named()
            .into_iter()
            .zip(offered.named())
            .filter(|((_, needed), (_, there))| *needed && !there)
            .map(|((name, _), _)| name)
            .collect()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there: Vec<_> = self.named().into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
        if there.is_empty() { f.write_str("nothing") } else { f.write_str(&there.join(", ")) }
    }
}
