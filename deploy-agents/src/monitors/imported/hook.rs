//! Webhooks that have to say yes before a rollout, as gates.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::name::BlockName;
use deploy_strategies::import::{Hook, HookWhen, Imported};
use http::Method;
use serde_json::json;

use super::binder::{Wrong, address};
use super::moment::milliseconds;
use crate::http::{Draft, HttpClient, HttpLimits};

/// How long a webhook is waited for where the manifest does not say; as Flagger has it.
const WITHIN: Duration = Duration::from_secs(10);

/// After how long a webhook that did not confirm is asked again: as often as Flagger checks at the most.
const AGAIN: Duration = Duration::from_secs(10);

/// A webhook of Flagger as a gate: it is sent what Flagger sends it, and every status from 200 to 299 is a yes.
///
/// | webhook | another status | no answer |
/// |---|---|---|
/// | `confirm-rollout` | held: it is asked again after 10 s, for as long as the gate's step may take | the same |
/// | `pre-rollout` | a veto | a [`GateError`]: the engine asks again, a bounded number of times |
///
/// A `pre-rollout` may fail as often as the threshold of the canary says there. Here once is enough: a gate has no counter, and a release
/// is never let through by asking often. The webhook must be one that may be asked any number of times.
#[derive(Debug)]
pub struct HookGate {
    name: BlockName,
    hook: Hook,
    canary: String,
    namespace: String,
    within: Duration,
    http: Arc<dyn HttpClient>,
}

impl HookGate {
    /// When it has to be asked.
    #[must_use]
    pub fn when(&self) -> HookWhen {
        self.hook.when
    }

    fn draft(&self, cx: &GateContext) -> Draft {
        let phase = if self.hook.when == HookWhen::ConfirmRollout { "Waiting" } else { "Progressing" };
        let metadata: serde_json::Map<String, serde_json::Value> =
            self.hook.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let body = json!({
            "name": self.canary,
            "namespace": self.namespace,
            "phase": phase,
            "checksum": cx.release.revision.as_str(),
            "metadata": metadata,
        });
        Draft::new(Method::POST, &self.hook.url).kind("application/json").body(body.to_string())
    }
}

/// The gate of a webhook, if it is one that is asked before a rollout.
pub(super) fn gate(
    hook: &Hook,
    imported: &Imported,
    http: &Arc<dyn HttpClient>,
    other_client: bool,
) -> Result<HookGate, Wrong> {
    let (wrong, remedy) = match hook.when {
        HookWhen::ConfirmRollout | HookWhen::PreRollout => ("", ""),
        HookWhen::Rollout => ("it is asked with every check", "add a monitor and an analysis that ask it"),
        HookWhen::ConfirmTrafficIncrease => ("it is asked before each raise", "let a person approve the steps"),
        HookWhen::ConfirmPromotion => ("it is asked before everything changes", "let a person approve the last step"),
        HookWhen::Rollback => ("its yes rolls back", "let whoever answers it abort the run"),
        HookWhen::PostRollout => ("it is told of the end", "tell it by a step after the rollout"),
        _ => ("it is told of every event", "tell it by a listener to the run's events"),
    };
    if !wrong.is_empty() {
        return Err(Wrong::new(format!("{wrong}, which no gate can do"), format!("{remedy}, and say so by `by_host`")));
    }
    let name = BlockName::new(&hook.name).map_err(|error| Wrong::new(error.to_string(), "rename it"))?;
    address(&hook.url, other_client)?;
    if hook.url.contains("{{") {
        return Err(Wrong::new("its address has something to be filled in", "write the whole address"));
    }
    let span = milliseconds(&hook.timeout).and_then(|span| u64::try_from(span).ok()).map(Duration::from_millis);
    if span.is_none() && !hook.timeout.is_empty() {
        return Err(Wrong::new(format!("its timeout {:?} is no duration", hook.timeout), "write one, as in 30s"));
    }
    Ok(HookGate {
        name,
        hook: hook.clone(),
        canary: imported.name.clone(),
        namespace: imported.namespace.clone(),
        within: span.filter(|span| !span.is_zero()).unwrap_or(WITHIN),
        http: Arc::clone(http),
    })
}

#[async_trait]
impl Gate for HookGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        format!("the webhook {} says yes", self.hook.name)
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let limits = HttpLimits { timeout: self.within, ..HttpLimits::default() };
        let answer = self.draft(cx).send(self.http.as_ref(), limits).await;
        let waits = self.hook.when == HookWhen::ConfirmRollout;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(GateDecision::Go),
            Ok(answer) if waits => {
                Ok(GateDecision::hold(format!("{} answers {}", self.hook.name, answer.status().as_u16()), AGAIN))
            }
            Ok(answer) => {
                let said = format!("it answers {}", answer.status().as_u16());
                Ok(GateDecision::no_go(self.hook.name.as_str(), said))
            }
            Err(error) if waits => {
                Ok(GateDecision::hold(format!("{} gives no answer: {error}", self.hook.name), AGAIN))
            }
            Err(error) => Err(GateError::new(format!("{} gives no answer", self.hook.name)).because(error)),
        }
    }
}
