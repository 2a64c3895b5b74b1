//! A stage is in place: wait for the soak, for the analysis, for a person; then go on.

use std::time::Duration;

use deploy_core::operator::ApprovalRequest;
use deploy_core::strategy::{Next, Promotion, Reason, ReasonCode, Situation};
use deploy_core::time::{Spell, millis};
use serde::{Deserialize, Serialize};

use crate::analysis::Standing;
use crate::said::Said;

/// What happens when an analysis cannot tell: at once where it says so, and where it has not said anything yet, when the time is over that
/// is waited for it after a stage's soak.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInconclusive {
    /// A person is asked: yes goes on, no or no answer in time ends in a roll-back.
    Ask(ApprovalRequest),
    /// Go back.
    RollBack,
    /// Go on all the same, and say so. Only where everything that decides was measured and is comparable: where data are missing, a question
    /// failed, or an arm does not see the traffic that it should, a person is asked as by default.
    Promote {
        /// Why that is right for this service. It stands in the decision.
        reason: String,
    },
}

impl OnInconclusive {
    /// Who is asked where nobody can tell; nobody if it goes back.
    pub(crate) fn asks(&self) -> Option<ApprovalRequest> {
        match self {
            Self::Ask(request) => Some(request.clone()),
            Self::Promote { .. } => Some(unsure()),
            Self::RollBack => None,
        }
    }
}

fn unsure() -> ApprovalRequest {
    ApprovalRequest::new("the analysis cannot tell whether this release is good; go on?")
}

impl Default for OnInconclusive {
    fn default() -> Self {
        Self::Ask(unsure())
    }
}

/// What a stage holds for.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    pub(crate) title: &'a str,
    pub(crate) soak: Duration,
    pub(crate) approval: Option<&'a ApprovalRequest>,
    pub(crate) on_inconclusive: &'a OnInconclusive,
    /// How long measurements may keep it waiting after the soak.
    pub(crate) patience: Duration,
}

/// What is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Held {
    /// For how long the stage has been observed in place; milliseconds.
    soaked: u64,
    /// Whether it was in place at the last look.
    in_place: bool,
    /// How long nothing has been measured that could be judged; milliseconds.
    unmeasured: u64,
    /// Whether an operator went past the soak and the analysis.
    accepted: bool,
    /// Whether the last look asked the person whom the stage names.
    asked: bool,
}

/// What follows.
#[derive(Debug)]
pub(crate) enum Then {
    Stay(Next, Reason),
    Go(ReasonCode, String),
    Back(Reason),
}

impl Held {
    /// Counts the time since the last look, if the stage was in place at both; starts again if it was `lost`.
    pub(crate) fn look(&mut self, in_place: bool, lost: bool, tick: Duration) {
        if in_place && self.in_place {
            self.soaked = self.soaked.saturating_add(millis(tick));
        } else if lost {
            self.soaked = 0;
        }
        self.in_place = in_place;
    }

    /// Only for a stage that is in place.
    pub(crate) fn decide(&mut self, hold: &Hold<'_>, s: &Situation<'_>, said: &Said, tick: Duration) -> Then {
        let (title, soaked) = (hold.title, Duration::from_millis(self.soaked));
        if s.promotion == Promotion::Skip {
            if self.asked || hold.approval.is_none() {
                return Then::Go(
                    ReasonCode::PromotedByOperator,
                    format!("an operator went past {title} after {}", Spell(soaked)),
                );
            }
            // Going past a soak is not the yes of the person whom the stage asks.
            self.accepted = true;
        }
        let look = Next::WakeAt(s.now + s.observe_every);
        let waited = Duration::from_millis(self.unmeasured.saturating_add(millis(tick)));
        // What it waits for is waited for in full; what it cannot tell, it will not tell later.
        let despite = said.despite(hold.on_inconclusive, soaked >= hold.soak && waited >= hold.patience);
        if despite.is_some() && said.standing == Standing::NotYet {
            self.unmeasured = millis(waited);
        }
        let judged = if self.accepted || despite.is_some() { Standing::Good } else { said.standing };
        let also = || despite.map_or_else(|| said.also(), |reason| format!("; it goes on ({reason}){}", said.also()));
        if let Standing::Unclear(code) = judged {
            return self.doubt(hold, code, said);
        }
        if soaked < hold.soak && !self.accepted {
            let text = format!("{title} is in place for {} of {}{}", Spell(soaked), Spell(hold.soak), also());
            let change =
                if said.otherwise.is_empty() { "a lost instance would stop the soak" } else { &said.otherwise };
            let next = said.sooner(Next::WakeAt(s.now + (hold.soak - soaked)), s.now);
            return Then::Stay(next, Reason::new(ReasonCode::Soaking, text).otherwise(change));
        }
        if let Standing::Holding(code) = judged {
            let reason =
                Reason::new(code, format!("{title} holds: {}", said.because)).otherwise(said.otherwise.clone());
            return Then::Stay(said.sooner(look, s.now), reason);
        }
        if judged == Standing::NotYet {
            self.unmeasured = self.unmeasured.saturating_add(millis(tick));
            let waited = Duration::from_millis(self.unmeasured);
            if waited >= hold.patience {
                return self.doubt(hold, ReasonCode::WaitingForMeasurements, said);
            }
            let (waited, patience) = (Spell(waited), Spell(hold.patience));
            let text = format!("{title} waits for measurements for {waited} of {patience}: {}", said.because);
            let reason = Reason::new(ReasonCode::WaitingForMeasurements, text).otherwise(said.otherwise.clone());
            return Then::Stay(said.sooner(look, s.now), reason);
        }
        if let Some(request) = hold.approval {
            self.asked = true;
            let text = format!("{title} was in place for {} and asks: {}{}", Spell(soaked), request.question, also());
            let reason = Reason::new(ReasonCode::WaitingForApproval, text)
                .otherwise("a yes goes on; a no, or no answer in time, goes back");
            return Then::Stay(Next::Await(request.clone()), reason);
        }
        Then::Go(ReasonCode::Advanced, format!("{title} was in place for {}{}", Spell(soaked), also()))
    }

    /// It cannot be told: what the author said to doubt.
    fn doubt(&mut self, hold: &Hold<'_>, code: ReasonCode, said: &Said) -> Then {
        self.asked = false;
        let soaked = Spell(Duration::from_millis(self.soaked));
        let text = format!("{} was in place for {soaked} and cannot be judged: {}", hold.title, said.because);
        let reason = Reason::new(code, text).otherwise(said.otherwise.clone());
        match hold.on_inconclusive.asks() {
            Some(request) => Then::Stay(Next::Await(request), reason),
            None => Then::Back(reason),
        }
    }
}
