//! Shows that an alert arrives where somebody reads it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::{Clock, Spell, SystemClock, Timestamp};

use super::{Alert, AlertInbox, Alertmanager};
use crate::agents::subject;
use crate::checks::infrastructure::DrilledAlert;
use crate::monitors::alerts::AlertRule;

/// How often the inbox is looked into.
const EVERY: Duration = Duration::from_millis(50);

/// Posts an alert as a rule would, and waits until it has come to the receiver: through grouping, routing and silences, as a
/// real one would go. Then it is resolved.
///
/// The alert carries the rule's own labels and annotations, and the label `drill`, which names this attempt. The report holds evidence
/// of kind `alert-drill`, which the check `alerts-delivered` reads: what was posted, what came to whom, and how long it took.
///
/// Rows: M36, M45, M193.
#[derive(Debug, Clone)]
pub struct AlertDrill {
    card: AgentCard,
    alertmanager: Alertmanager,
    inbox: Arc<AlertInbox>,
    rule: AlertRule,
    claims: Option<CheckName>,
    clock: Arc<dyn Clock>,
}

impl AlertDrill {
    /// A drill of this rule. How long it may take is the step's own time.
    #[must_use]
    pub fn new(name: BlockName, alertmanager: Alertmanager, inbox: Arc<AlertInbox>, rule: AlertRule) -> Self {
        let card = AgentCard::new(name, "shows that an alert arrives where somebody reads it").repeatable();
        Self { card, alertmanager, inbox, rule, claims: None, clock: Arc::new(SystemClock::new()) }
    }

    /// The same, claiming this check with what came as evidence.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same with another clock, which dates onset and evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn alert(&self, drill: &str) -> Alert {
        let mut alert = Alert::new(self.rule.name.clone()).label("drill", drill);
        alert.labels.extend(self.rule.all_labels());
        alert.annotations.extend(self.rule.annotations());
        alert
    }
}

#[async_trait]
impl Agent for AlertDrill {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let onset = self.clock.wall();
        // What an earlier attempt posted may arrive late: it proves nothing about this one.
        let drill = format!("{} at {onset}", cx.key);
        let alert = self.alert(&drill).between(Some(onset), None);
        // Nothing lasts that was posted: the same alert may be posted again.
        let failed = |error| AgentError::transient("the drill's alert could not be posted").because(error);
        self.alertmanager.post(std::slice::from_ref(&alert)).await.map_err(failed)?;
        // A tenth of the time is left for resolving it.
        let patience = cx.timeout - cx.timeout / 10;
        let looking =
            crate::wait::until(patience, EVERY, || std::future::ready(self.inbox.first_delivery("drill", &drill)));
        let came = tokio::select! {
            came = looking => came.ok(),
            () = cx.cancellation.cancelled() => None,
        };
        let ended = alert.clone().between(Some(onset), Some(self.clock.wall()));
        if let Err(error) = self.alertmanager.post(&[ended]).await {
            // It ends by itself after the server's resolve timeout.
            tracing::warn!(error = deploy_core::report::chain(&error), "the drill's alert could not be resolved");
        }
        let Some((at, received, receiver)) = came else {
            let within = Spell(patience);
            let why = format!("the drill's alert {} did not arrive within {within}", self.rule.name);
            return Err(AgentError::definitive(why));
        };
        let took = at.since(onset);
        let bytes = serde_json::json!({
            "format": 1,
            "alerts": [drilled(&self.rule, onset, at, receiver)],
            "rule": self.rule,
            "posted": alert.json(),
            "received": { "labels": received.labels, "annotations": received.annotations, "fingerprint": received.fingerprint },
            "onset": onset.to_string(),
            "arrived": at.to_string(),
            "delivery_ms": deploy_core::time::millis(took),
        });
        let summary = format!("{} arrived after {}", self.rule.name, Spell(took));
        let evidence = Collected::new("alert-drill", "alertmanager", subject(task), at, bytes.to_string().into_bytes())
            .summary(summary.clone());
        let mut report = Report::new().note(summary);
        if let Some(check) = &self.claims {
            report = report.claim(Claim {
                check: check.clone(),
                evidence: vec![evidence.evidence.digest],
                value: format!("arrived after {}", Spell(took)),
            });
        }
        Ok(report.evidence(evidence).into())
    }
}

/// The alert as the check reads it. What the rule does not say is empty, and the check names it.
fn drilled(rule: &AlertRule, fired_at: Timestamp, received_at: Timestamp, receiver: String) -> DrilledAlert {
    DrilledAlert {
        name: rule.name.clone(),
        owner: rule.owner.clone().unwrap_or_default(),
        runbook: rule.runbook.clone().unwrap_or_default(),
        fired_at,
        received_at: Some(received_at),
        receiver,
    }
}
