//! Reminds those whose yes is missing.

use std::collections::BTreeSet;

use deploy_core::digest::Digest;
use deploy_core::evidence::Severity;
use deploy_core::gate::GateContext;

use super::approval::Tally;
use crate::notifiers::{Notice, NoticeKey, Once, Party};

/// Sends the newest reminder that is due, to everybody who is missing. One that does not arrive is tried again the next time
/// the gate is asked, under the same key; it never decides what the gate answers.
pub(super) async fn remind(through: &Once, tally: &Tally, plan: &Digest, cx: &GateContext) {
    if tally.reminders_due == 0 || tally.rules.iter().all(super::RuleTally::is_met) || cx.now.wall >= tally.expires {
        return;
    }
    for party in missing(tally) {
        // The plan and the step name the question; the count names which of its reminders.
        let whom = Digest::of(party.name.as_bytes()).short();
        let key = NoticeKey::short(format!("approval/{plan}/{}/{}/{whom}", cx.step, tally.reminders_due));
        let subject = format!("{} waits for your answer", cx.release);
        let body = format!(
            "{} asks about plan {}. Missing: {}. It is asked until {}.",
            cx.step,
            plan.short(),
            tally.missing().join(", "),
            tally.expires
        );
        let Ok(notice) = Notice::new(key, party, subject, body) else { continue };
        through.send(&notice.severity(Severity::Warning)).await;
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
