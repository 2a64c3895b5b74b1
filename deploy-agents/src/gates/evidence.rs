//! A gate that waits until evidence shows what must be so.

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::evidence::Verdict;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::name::{BlockName, CheckName};

use crate::checks::{CatalogueCheck, EvidenceSet};
use crate::crew::{Crew, Wanted};

/// How long it waits before it looks again, unless said otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Holds until every check passes on evidence that it reads itself, anew each time it is asked. What is missing, refused or not met
/// stands in its reason.
///
/// [`GoNoGo`](super::GoNoGo) decides once, over what steps have shown; this gate waits for what only time brings: that a service has
/// recovered, that somebody has written a report. How long it may hold is for the phase or the step to say. A waiver in force answers
/// for its check.
///
/// ```
/// use deploy_agents::checks::Thresholds;
/// use deploy_agents::crew::{Crew, EvidenceFolder};
/// use deploy_agents::gates::EvidenceGate;
/// use deploy_core::gate::Gate as _;
/// use deploy_core::name::{BlockName, CheckName};
///
/// let crew = Crew::new(EvidenceFolder::new("reports"), Thresholds::default());
/// let gate = EvidenceGate::new(BlockName::new("recovered")?, &crew, [CheckName::new("health")?]);
/// assert_eq!(gate.criterion(), "on evidence that is read anew, these pass: health");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EvidenceGate {
    name: BlockName,
    crew: Crew,
    checks: Vec<CheckName>,
    look_again: Duration,
}

impl EvidenceGate {
    /// A gate over these checks of the crew's catalogue, on evidence of the crew's source. It looks again after a minute.
    #[must_use]
    pub fn new(name: BlockName, crew: &Crew, checks: impl IntoIterator<Item = CheckName>) -> Self {
        Self { name, crew: crew.clone(), checks: checks.into_iter().collect(), look_again: LOOK_AGAIN }
    }

    /// The same gate, which looks again after this long.
    #[must_use]
    pub fn look_again(mut self, after: Duration) -> Self {
        self.look_again = after;
        self
    }

    fn known(&self) -> impl Iterator<Item = &CatalogueCheck> {
        self.checks.iter().filter_map(|check| self.crew.catalogue().check(check.as_str()))
    }
}

#[async_trait]
impl Gate for EvidenceGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let checks: Vec<&str> = self.checks.iter().map(CheckName::as_str).collect();
        format!("on evidence that is read anew, these pass: {}", checks.join(", "))
    }

    fn flaw(&self) -> Option<String> {
        let unknown = |check: &&CheckName| self.crew.catalogue().check(check.as_str()).is_none();
        match self.checks.iter().find(unknown) {
            Some(check) => Some(format!("the catalogue has no check {check}, so that it would hold for ever")),
            None => self.checks.is_empty().then(|| "it asks for no check, so that it would always open".to_owned()),
        }
    }

    /// # Cancel safety
    ///
    /// It only reads.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let kinds: Vec<&'static str> = self.known().flat_map(CatalogueCheck::kinds).copied().collect();
        let wanted = Wanted::new(&cx.release, &cx.step, &kinds, cx.now.wall);
        let pieces = match self.crew.collect(&wanted).await {
            Ok(pieces) => pieces,
            // The source may be back the next time; until then nothing is shown.
            Err(error) if error.transient => {
                let reason = format!("its evidence could not be collected: {}", deploy_core::report::chain(&error));
                return Ok(GateDecision::hold(reason, self.look_again));
            }
            Err(error) => return Err(GateError::new("its evidence could not be collected").because(error)),
        };
        let set = pieces.into_iter().fold(EvidenceSet::new(), EvidenceSet::with);
        let (mut unmet, mut decision) = (Vec::new(), GateDecision::Go);
        for check in self.known() {
            let waiver = cx.waivers.get(check.name()).filter(|waiver| waiver.expires >= cx.now.wall);
            let verdict = set.judge(check, &cx.release, &self.name, waiver, cx.now.wall).receipt.verdict;
            let name = check.name();
            match verdict {
                Verdict::Fail { reason } => unmet.push(format!("{name}: {reason}")),
                Verdict::Inconclusive { refusal } => unmet.push(format!("{name}: its evidence is refused: {refusal}")),
                met => decision = decision.and(crate::crew::deliverables::weigh(name, &met)),
            }
        }
        match unmet.is_empty() {
            true => Ok(decision),
            false => Ok(GateDecision::hold(unmet.join("; "), self.look_again)),
        }
    }
}
