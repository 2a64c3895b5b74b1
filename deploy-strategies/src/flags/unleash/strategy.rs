//! The ways to turn a flag on.

use super::constraint::in_any_range;
use super::context::Context;
use super::feature::ToggleStrategy;
use crate::flags::hash::murmur3_32;

/// A user's place in a group, 1 to `whole`.
#[must_use]
pub fn normalised(id: &str, group: &str, whole: u32, seed: u32) -> u32 {
    murmur3_32(format!("{group}:{id}").as_bytes(), seed) % whole.max(1) + 1
}

/// What stays the same for the same user: the named field, or by `default` the user, then the session, then chance. Nothing
/// if a named field is missing.
pub(super) fn sticky(context: &Context, stickiness: &str) -> Option<String> {
    let chance = || context.draw.to_string();
    match stickiness {
        "default" => {
            let known = context.field("userId").or_else(|| context.field("sessionId"));
            Some(known.map_or_else(chance, ToOwned::to_owned))
        }
        "random" => Some(chance()),
        field => context.field(field).map(ToOwned::to_owned),
    }
}

impl ToggleStrategy {
    /// Whether this way turns the flag on for the context, its constraints left aside.
    pub(super) fn admits(&self, feature: &str, context: &Context) -> bool {
        let parameter = |name: &str| self.parameters.get(name).map_or("", String::as_str);
        let percentage = |name: &str| parameter(name).trim().parse::<u32>().unwrap_or(0);
        let group = Some(parameter("groupId")).filter(|group| !group.is_empty()).unwrap_or(feature);
        let graded = |id: Option<&str>| {
            id.is_some_and(|id| normalised(id, parameter("groupId"), 100, 0) <= percentage("percentage"))
        };
        match self.name.as_str() {
            "default" => true,
            "userWithId" => {
                let user = context.field("userId");
                user.is_some_and(|user| parameter("userIds").split(',').any(|id| id.trim() == user))
            }
            "gradualRolloutUserId" => graded(context.field("userId")),
            "gradualRolloutSessionId" => graded(context.field("sessionId")),
            "gradualRolloutRandom" => context.draw % 100 < percentage("percentage"),
            "remoteAddress" => {
                let address = context.field("remoteAddress");
                address.is_some_and(|address| in_any_range(address, parameter("IPs").split(',')))
            }
            "flexibleRollout" => {
                let stickiness = Some(parameter("stickiness")).filter(|s| !s.is_empty()).unwrap_or("default");
                let id = sticky(context, stickiness);
                id.is_some_and(|id| normalised(&id, group, 100, 0) <= percentage("rollout"))
            }
            _ => false,
        }
    }
}
