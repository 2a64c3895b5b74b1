//! Reminds those whose yes is missing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::digest::Digest;
use deploy_core::evidence::Severity;
use deploy_core::gate::GateContext;

use super::approval::Tally;
use crate::notifiers::{Notice, NoticeKey, Notifier, Party};

/// How many notices are remembered as delivered; whoever is told again after that is told under the same key.
const MOST_REMEMBERED: usize = 10_000;

/// Tells those who have not answered, as often as the policy says.
#[derive(Clone)]
pub(super) struct Reminder {
    notifier: Arc<dyn Notifier>,
    told: Arc<Mutex<BTreeSet<NoticeKey>>>,
}

impl fmt::Debug for Reminder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reminder").field("notifier", &self.notifier).finish_non_exhaustive()
    }
}

impl Reminder {
    pub(super) fn new(notifier: Arc<dyn Notifier>) -> Self {
        Self { notifier, told: Arc::default() }
    }

    /// Sends the newest reminder that is due, to everybody who is missing. One that does not arrive is tried again the next time
    /// the gate is asked, under the same key; it never decides what the gate answers.
    pub(super) async fn remind(&self, tally: &Tally, plan: &Digest, cx: &GateContext) {
        if tally.reminders_due == 0 || tally.rules.iter().all(super::RuleTally::is_met) || cx.now.wall >= tally.expires
        {
            return;
        }
        for party in missing(tally) {
            // The plan and the step name the question; the count names which of its reminders.
            let whom = Digest::of(party.name.as_bytes()).short();
            let text = format!("approval/{plan}/{}/{}/{whom}", cx.step, tally.reminders_due);
            let key = NoticeKey::new(&text).or_else(|_| NoticeKey::new(Digest::of(text.as_bytes()).to_string()));
            let subject = format!("{} waits for your answer", cx.release);
            let body = format!(
                "{} asks about plan {}. Missing: {}. It is asked until {}.",
                cx.step,
                plan.short(),
                tally.missing().join(", "),
                tally.expires
            );
            let notice = key.and_then(|key| Notice::new(key, party, subject, body));
            let Ok(notice) = notice else { continue };
            let notice = notice.severity(Severity::Warning);
            if self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(notice.key()) {
                continue;
            }
            match self.notifier.notify(&notice).await {
                Ok(_) => {
                    let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                    if told.len() >= MOST_REMEMBERED {
                        told.clear();
                    }
                    told.insert(notice.key().clone());
                }
                Err(error) => {
                    tracing::warn!(error = deploy_core::report::chain(&error), "a reminder did not arrive");
                }
            }
        }
    }
}

/// Who is to be reminded: named people who have not said yes, and the roles of rules that are not met, each once.
fn missing(tally: &Tally) -> Vec<Party> {
    let mut names = BTreeSet::new();
    for unmet in tally.rules.iter().filter(|rule| !rule.is_met()) {
        let said = |person: &&String| !unmet.yes.iter().any(|yes| yes.subject == **person);
        names.extend(unmet.rule.people.iter().filter(said).cloned());
        names.extend(unmet.rule.roles.iter().map(|role| format!("role {role}")));
    }
    names.into_iter().map(Party::new).collect()
}
