//! What was asked of a place, by effect key.

use std::collections::VecDeque;

use deploy_core::digest::Digest;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::target::DesiredState;
use serde::{Deserialize, Serialize};

/// How many effects are remembered; the oldest are forgotten first.
const MOST: usize = 4096;

/// One effect that reached the place: which, ordered by what, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EffectSeen {
    /// Its name.
    pub key: EffectKey,
    /// The newest fence that came with it.
    pub fence: Fence,
    /// The digest of what was wanted, as canonical JSON.
    pub digest: Digest,
    /// How often it came, with this key and this statement.
    pub count: u32,
}

/// The digest of a statement, over its JSON with the keys in order.
#[must_use]
pub fn digest_of(desired: &DesiredState) -> Digest {
    // Maps are ordered and numbers finite, so that this cannot fail; an empty text would only make two digests equal.
    Digest::of(serde_json::to_string(desired).unwrap_or_default().as_bytes())
}

/// Writes down that an effect came.
pub(super) fn note(effects: &mut VecDeque<EffectSeen>, key: &EffectKey, fence: Fence, desired: &DesiredState) {
    let digest = digest_of(desired);
    if let Some(seen) = effects.iter_mut().find(|seen| seen.key == *key && seen.digest == digest) {
        seen.count += 1;
        seen.fence = seen.fence.max(fence);
        return;
    }
    if effects.len() == MOST {
        effects.pop_front();
    }
    effects.push_back(EffectSeen { key: key.clone(), fence, digest, count: 1 });
}
