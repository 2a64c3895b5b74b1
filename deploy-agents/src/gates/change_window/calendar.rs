//! Windows and freezes together: when work may begin, and when it must be over.

use std::collections::BTreeSet;

use deploy_core::release::ReleaseKind;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::window::ChangeWindow;

/// How many edges of windows and freezes are followed before a calendar counts as shut for good: years of daily windows.
const EDGES_AT_MOST: usize = 4_000;

/// When changes may be made: in any of the windows, and in none of the freezes.
///
/// A calendar without windows is open always, except in its freezes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangeCalendar {
    /// When changes may be made.
    pub windows: Vec<ChangeWindow>,
    /// When they may not, whatever the windows say.
    pub freezes: Vec<Freeze>,
}

/// A time in which nothing is changed, and for whom that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Freeze {
    /// When.
    pub during: ChangeWindow,
    /// Why, for people.
    pub reason: String,
    /// The kinds of release that it does not hold up. Default: emergency patches alone.
    #[serde(default = "emergencies")]
    pub exempt: BTreeSet<ReleaseKind>,
}

/// How the calendar stands at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Changes may be made.
    Open {
        /// Until when; absent if nothing shuts it.
        until: Option<Timestamp>,
    },
    /// They may not.
    Shut {
        /// What shuts it, for people.
        because: String,
        /// When it opens next; absent if it never does.
        opens: Option<Timestamp>,
    },
}

fn emergencies() -> BTreeSet<ReleaseKind> {
    BTreeSet::from([ReleaseKind::EmergencyPatch])
}

impl Freeze {
    /// A freeze that only emergency patches pass.
    pub fn new(during: ChangeWindow, reason: impl Into<String>) -> Self {
        Self { during, reason: reason.into(), exempt: emergencies() }
    }

    /// The same freeze, which holds up everything but these kinds.
    #[must_use]
    pub fn exempt(mut self, kinds: impl IntoIterator<Item = ReleaseKind>) -> Self {
        self.exempt = kinds.into_iter().collect();
        self
    }
}

impl ChangeCalendar {
    /// A calendar that is always open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same calendar with one more window.
    #[must_use]
    pub fn window(mut self, window: ChangeWindow) -> Self {
        self.windows.push(window);
        self
    }

    /// The same calendar with one more freeze.
    #[must_use]
    pub fn freeze(mut self, freeze: Freeze) -> Self {
        self.freezes.push(freeze);
        self
    }

    /// Whether a release of this kind may be changed at an instant.
    #[must_use]
    pub fn is_open(&self, at: Timestamp, kind: ReleaseKind) -> bool {
        self.shut_by(at, kind).is_none()
    }

    /// How it stands at an instant, and when that changes.
    #[must_use]
    pub fn at(&self, at: Timestamp, kind: ReleaseKind) -> Standing {
        match self.shut_by(at, kind) {
            None => Standing::Open { until: self.closes(at, kind) },
            Some(because) => Standing::Shut { because, opens: self.next_opening(at, kind) },
        }
    }

    /// The first instant at or after `at` at which it is open. Nothing if it never is again.
    #[must_use]
    pub fn next_opening(&self, at: Timestamp, kind: ReleaseKind) -> Option<Timestamp> {
        let mut at = at;
        for _ in 0..EDGES_AT_MOST {
            if let Some(end) = self.freezing(at, kind).filter_map(|f| f.during.opening_at(at)).map(|o| o.closes).max() {
                at = end;
            } else if self.in_window(at) {
                return Some(at);
            } else {
                at = self.windows.iter().filter_map(|w| w.next_opening(at)).min()?;
            }
        }
        None
    }

    /// When it shuts, where it is open at `at`: windows that touch or overlap count as one. Nothing if it never does.
    #[must_use]
    pub fn closes(&self, at: Timestamp, kind: ReleaseKind) -> Option<Timestamp> {
        let mut end = if self.windows.is_empty() { None } else { Some(at) };
        for _ in 0..EDGES_AT_MOST {
            let Some(so_far) = end else { break };
            match self.windows.iter().filter_map(|w| w.opening_at(so_far)).map(|o| o.closes).max() {
                Some(later) => end = Some(later),
                None => break,
            }
        }
        let holding = self.freezes.iter().filter(|f| !f.exempt.contains(&kind));
        let frozen = holding.filter_map(|f| f.during.next_opening(at)).min();
        match (end, frozen) {
            (Some(end), Some(frozen)) => Some(end.min(frozen)),
            (end, frozen) => end.or(frozen),
        }
    }

    /// The first instant at or after `at` from which it stays open for `span_ms` milliseconds on end. Nothing if it never does.
    #[must_use]
    pub fn next_opening_of(&self, at: Timestamp, kind: ReleaseKind, span_ms: u64) -> Option<Timestamp> {
        let mut at = at;
        for _ in 0..EDGES_AT_MOST {
            let opens = self.next_opening(at, kind)?;
            match self.closes(opens, kind) {
                Some(closes) if closes.0.saturating_sub(opens.0).unsigned_abs() < span_ms => at = closes,
                _ => return Some(opens),
            }
        }
        None
    }

    /// An instant as people of the calendar's first zone read it.
    #[must_use]
    pub fn spell(&self, at: Timestamp) -> String {
        let first = self.windows.first().or_else(|| self.freezes.first().map(|f| &f.during));
        first.map_or_else(|| at.to_string(), |window| window.spell(at))
    }

    fn freezing(&self, at: Timestamp, kind: ReleaseKind) -> impl Iterator<Item = &Freeze> {
        self.freezes.iter().filter(move |f| !f.exempt.contains(&kind) && f.during.is_open(at))
    }

    fn in_window(&self, at: Timestamp) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|w| w.is_open(at))
    }

    /// What shuts it, if anything does.
    fn shut_by(&self, at: Timestamp, kind: ReleaseKind) -> Option<String> {
        let frozen: Vec<String> =
            self.freezing(at, kind).map(|f| format!("freeze {}: {}", f.during.name(), f.reason)).collect();
        if !frozen.is_empty() {
            return Some(frozen.join("; "));
        }
        if self.in_window(at) {
            return None;
        }
        let windows: Vec<&str> = self.windows.iter().map(ChangeWindow::name).collect();
        Some(format!("no window is open: {}", windows.join(", ")))
    }
}
