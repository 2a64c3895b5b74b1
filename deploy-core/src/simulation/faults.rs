//! What goes wrong, and how often.

use super::random::Random;

/// How often what goes wrong, in times out of a thousand. The default is: nothing ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// The effect happens and its answer never comes.
    pub lost: u16,
    /// The answer comes twice.
    pub doubled: u16,
    /// The answer comes long after the time for it is over.
    pub late: u16,
    /// The effect does not happen, and the answer says so for good.
    pub definitive: u16,
    /// The effect does not happen, and the answer says that it may yet.
    pub transient: u16,
    /// The answer cannot tell; the effect happens half of the times.
    pub unknown: u16,
    /// The driver stops after a command was recorded and before its effect.
    pub stop_before: u16,
    /// The driver stops after an effect and before its answer.
    pub stop_after: u16,
    /// The driver stops while the effect is on its way, and the effect lands after the takeover.
    pub stop_in_flight: u16,
    /// An append writes nothing.
    pub append_fails: u16,
    /// An append writes everything, and the driver is told that nobody knows.
    pub append_unknown: u16,
    /// At most so many in one run, so that every run ends.
    pub at_most: u32,
}

impl Faults {
    /// Everything now and then, at most six in one run: more than a run of a few steps can meet without a person's help.
    #[must_use]
    pub fn of_every_kind() -> Self {
        Self {
            lost: 30,
            doubled: 40,
            late: 30,
            definitive: 30,
            transient: 40,
            unknown: 40,
            stop_before: 30,
            stop_after: 30,
            stop_in_flight: 30,
            append_fails: 20,
            append_unknown: 20,
            at_most: 6,
        }
    }

    /// Only what must not change how a run ends: answers that come twice, and drivers that stop.
    #[must_use]
    pub fn that_change_nothing() -> Self {
        Self {
            doubled: 60,
            stop_before: 60,
            stop_after: 60,
            stop_in_flight: 60,
            append_fails: 40,
            append_unknown: 40,
            at_most: 12,
            ..Self::default()
        }
    }
}

/// What goes wrong with one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EffectFault {
    None,
    Lost,
    Doubled,
    Late,
    Definitive,
    Transient,
    Unknown {
        happens: bool,
    },
    StopBefore,
    StopAfter,
    /// The driver stops while the effect is on its way: it lands when another driver has taken over.
    StopInFlight,
}

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppendFault {
    None,
    Fails,
    Unknown,
}

/// Draws faults until there have been enough of them.
#[derive(Debug)]
pub(super) struct Draw {
    faults: Faults,
    left: u32,
}

impl Draw {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, left: faults.at_most }
    }

    pub(super) fn effect(&mut self, random: &mut Random) -> EffectFault {
        if self.left == 0 {
            return EffectFault::None;
        }
        let f = self.faults;
        let happens = random.chance(500);
        let kinds = [
            (f.lost, EffectFault::Lost),
            (f.doubled, EffectFault::Doubled),
            (f.late, EffectFault::Late),
            (f.definitive, EffectFault::Definitive),
            (f.transient, EffectFault::Transient),
            (f.unknown, EffectFault::Unknown { happens }),
            (f.stop_before, EffectFault::StopBefore),
            (f.stop_in_flight, EffectFault::StopInFlight),
            (f.stop_after, EffectFault::StopAfter),
        ];
        let drawn = pick(random, &kinds).unwrap_or(EffectFault::None);
        self.left -= u32::from(drawn != EffectFault::None);
        drawn
    }

    pub(super) fn append(&mut self, random: &mut Random) -> AppendFault {
        if self.left == 0 {
            return AppendFault::None;
        }
        let kinds =
            [(self.faults.append_fails, AppendFault::Fails), (self.faults.append_unknown, AppendFault::Unknown)];
        let drawn = pick(random, &kinds).unwrap_or(AppendFault::None);
        self.left -= u32::from(drawn != AppendFault::None);
        drawn
    }
}

fn pick<T: Copy>(random: &mut Random, kinds: &[(u16, T)]) -> Option<T> {
    let mut at = random.below(1_000);
    for (share, kind) in kinds {
        match at.checked_sub(u64::from(*share)) {
            None => return Some(*kind),
            Some(rest) => at = rest,
        }
    }
    None
}
