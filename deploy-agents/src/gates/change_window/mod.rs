//! Change windows and freezes: recurring by RFC 5545, in named zones.

mod calendar;
mod window;
mod zone;

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::name::BlockName;
use deploy_core::time::{Spell, Timestamp, millis};
use serde::{Deserialize, Serialize};

pub use self::calendar::{ChangeCalendar, Freeze, Standing};
pub use self::window::{ChangeWindow, Opening, WindowError};
pub(crate) use self::zone::{Edge, Zone};

/// The longest a gate sleeps before it looks at the clock again: wall time may be set, and calendars change.
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(60 * 60);

/// Opens while the calendar does.
///
/// A gate before work begins holds until the next opening. A gate between two stretches of work that is under way
/// ([`under_way`](Self::under_way)) follows [`WhenShut`] instead.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::gates::{ChangeCalendar, ChangeWindow, ChangeWindowGate, WhenShut};
/// use deploy_core::name::BlockName;
///
/// let nights = ChangeWindow::weekly("nights", "America/New_York", &[], "22:00", "05:00")?;
/// let calendar = ChangeCalendar::new().window(nights);
/// let begin = ChangeWindowGate::new(BlockName::new("night")?, calendar.clone()).needs(Duration::from_secs(2 * 3600));
/// let next_stage = ChangeWindowGate::new(BlockName::new("still-night")?, calendar).under_way(WhenShut::Finish);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChangeWindowGate {
    name: BlockName,
    calendar: ChangeCalendar,
    needs: Duration,
    under_way: Option<WhenShut>,
}

/// What becomes of work that is under way when the calendar shuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenShut {
    /// It goes on to its end; the report says so.
    Finish,
    /// It stops at the next gate until the calendar opens again.
    HoldAtNextSafePoint,
    /// It is undone.
    RollBack,
}

impl ChangeWindowGate {
    /// A gate before work begins.
    #[must_use]
    pub fn new(name: BlockName, calendar: ChangeCalendar) -> Self {
        Self { name, calendar, needs: Duration::ZERO, under_way: None }
    }

    /// The same gate, which opens only where the calendar stays open for this long. Default: for no time at all.
    #[must_use]
    pub fn needs(mut self, span: Duration) -> Self {
        self.needs = span;
        self
    }

    /// The same gate, between two stretches of work that is under way.
    #[must_use]
    pub fn under_way(mut self, when_shut: WhenShut) -> Self {
        self.under_way = Some(when_shut);
        self
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &ChangeCalendar {
        &self.calendar
    }

    fn hold(&self, why: &str, now: Timestamp, opens: Option<Timestamp>) -> GateDecision {
        match opens {
            Some(opens) => {
                let reason = format!("{why}; it opens {}", self.calendar.spell(opens));
                GateDecision::hold(reason, opens.since(now).min(ASK_AGAIN_AT_MOST))
            }
            None => GateDecision::no_go(self.name.as_str(), format!("{why}, and it never opens again")),
        }
    }

    /// What it answers at an instant for a release of this kind.
    #[must_use]
    pub fn answer(&self, now: Timestamp, kind: deploy_core::release::ReleaseKind) -> GateDecision {
        let needs = millis(self.needs);
        match (self.calendar.at(now, kind), self.under_way) {
            (Standing::Open { until: Some(until) }, None) if until.since(now) < self.needs => {
                let why = format!("it shuts in {}, and {} are needed", Spell(until.since(now)), Spell(self.needs));
                self.hold(&why, now, self.calendar.next_opening_of(now, kind, needs))
            }
            (Standing::Open { .. }, _) => GateDecision::Go,
            (Standing::Shut { because, .. }, None) => {
                self.hold(&because, now, self.calendar.next_opening_of(now, kind, needs))
            }
            (Standing::Shut { because, opens }, Some(WhenShut::HoldAtNextSafePoint)) => self.hold(&because, now, opens),
            (Standing::Shut { because, .. }, Some(WhenShut::Finish)) => GateDecision::Conditional {
                conditions: vec![format!("{}: {because}; work that was under way finishes", self.name)],
            },
            (Standing::Shut { because, .. }, Some(WhenShut::RollBack)) => {
                GateDecision::no_go(self.name.as_str(), format!("{because}; work that was under way is undone"))
            }
        }
    }
}

#[async_trait]
impl Gate for ChangeWindowGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let windows: Vec<&str> = self.calendar.windows.iter().map(ChangeWindow::name).collect();
        let freezes: Vec<&str> = self.calendar.freezes.iter().map(|f| f.during.name()).collect();
        match (windows.is_empty(), freezes.is_empty()) {
            (true, true) => "it is any time".to_owned(),
            (true, false) => format!("it is outside of {}", freezes.join(", ")),
            (false, true) => format!("it is within {}", windows.join(" or ")),
            (false, false) => format!("it is within {} and outside of {}", windows.join(" or "), freezes.join(", ")),
        }
    }

    /// # Cancel safety
    ///
    /// It only reads the clock that it is shown.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        Ok(self.answer(cx.now.wall, cx.release.kind))
    }
}
