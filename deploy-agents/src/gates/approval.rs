//! What people said outside of a run, counted by rules: who may, how many, of what, and until when.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::digest::Digest;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::name::BlockName;
use deploy_core::operator::Principal;
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::reminder::remind;
use crate::notifiers::{Notifier, Once};

/// The longest a gate sleeps before it reads the sheet again: somebody may have signed.
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// Who must say yes, and what their word is worth.
///
/// Several rules stand side by side: each must be met, and one person counts for each rule that they fit.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::gates::{ApprovalPolicy, ApprovalRule};
///
/// let policy = ApprovalPolicy::new([
///     ApprovalRule::roles("release managers", ["release-manager"]).quorum(2),
///     ApprovalRule::people("the owner", ["grace"]),
/// ])
/// .expires_after(Duration::from_secs(8 * 3600));
/// assert_eq!(policy.to_string(), "2 of release managers (role release-manager), and 1 of the owner (grace)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalPolicy {
    /// What must be met, all of it.
    pub rules: Vec<ApprovalRule>,
    /// Whether authors of the change and whoever asks may approve it. Default no.
    pub self_approval: bool,
    /// How long a yes holds after it was given. Default 24 hours: longer than that, and the world is another one.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub valid_for: Duration,
    /// How long people are asked. Default 24 hours: long enough for the next working day.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub expires_after: Duration,
    /// How often those who are missing are reminded. Default every 4 hours: twice a working day.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub remind_every: Duration,
}

/// One group of people, and how many of them must say yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalRule {
    /// What the group is called.
    pub name: String,
    /// People by subject.
    #[serde(default)]
    pub people: BTreeSet<String>,
    /// Roles, any one of which is enough.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// How many different people.
    pub quorum: u32,
}

/// One person's answer, as the host's authenticated transport took it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who.
    pub who: Principal,
    /// The fingerprint of the plan that they were shown.
    pub plan: Digest,
    /// Whether they said yes.
    pub yes: bool,
    /// When.
    pub at: Timestamp,
    /// Until when it holds, if they said so; never longer than the policy allows.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Why, in their words.
    #[serde(default)]
    pub why: String,
}

/// What was asked, and what was answered so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalSheet {
    /// Who asks.
    pub asked_by: Principal,
    /// Since when.
    pub asked_at: Timestamp,
    /// The answers, in any order.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// The sheet counted: what it comes to, and why each answer did or did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How each rule stands, in the order of the policy.
    pub rules: Vec<RuleTally>,
    /// Answers that do not count, each with the reason.
    pub refused: Vec<(Principal, String)>,
    /// People who said no, and why. One is enough.
    pub rejected: Vec<(Principal, String)>,
    /// When nobody is asked any more.
    pub expires: Timestamp,
    /// When those who are missing are to be reminded next; absent if nobody is missing.
    pub next_reminder: Option<Timestamp>,
    /// How many reminders were due so far.
    pub reminders_due: u32,
}

/// How one rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleTally {
    /// The rule.
    pub rule: ApprovalRule,
    /// Who said yes.
    pub yes: Vec<Principal>,
}

impl ApprovalRule {
    /// One of these people, by subject.
    pub fn people<T: Into<String>>(name: impl Into<String>, people: impl IntoIterator<Item = T>) -> Self {
        let people = people.into_iter().map(Into::into).collect();
        Self { name: name.into(), people, roles: BTreeSet::new(), quorum: 1 }
    }

    /// One person of any of these roles.
    pub fn roles<T: Into<String>>(name: impl Into<String>, roles: impl IntoIterator<Item = T>) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        Self { name: name.into(), people: BTreeSet::new(), roles, quorum: 1 }
    }

    /// The same rule with another quorum.
    #[must_use]
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorum = quorum;
        self
    }

    fn fits(&self, who: &Principal) -> bool {
        self.people.contains(&who.subject) || !self.roles.is_disjoint(&who.roles)
    }
}

impl RuleTally {
    /// Whether enough people said yes.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.yes.len() >= self.rule.quorum as usize
    }
}

impl ApprovalPolicy {
    /// A policy of these rules, without self-approval, with the defaults of the fields.
    pub fn new(rules: impl IntoIterator<Item = ApprovalRule>) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            rules: rules.into_iter().collect(),
            self_approval: false,
            valid_for: day,
            expires_after: day,
            remind_every: Duration::from_secs(4 * 60 * 60),
        }
    }

    /// The same policy, asking for another time.
    #[must_use]
    pub fn expires_after(mut self, span: Duration) -> Self {
        self.expires_after = span;
        self
    }

    /// The same policy, in which a yes holds for another time.
    #[must_use]
    pub fn valid_for(mut self, span: Duration) -> Self {
        self.valid_for = span;
        self
    }

    /// The same policy with another time between reminders. Zero: none.
    #[must_use]
    pub fn remind_every(mut self, span: Duration) -> Self {
        self.remind_every = span;
        self
    }

    /// The same policy, under which authors and whoever asks may approve.
    #[must_use]
    pub fn allow_self_approval(mut self) -> Self {
        self.self_approval = true;
        self
    }

    /// Counts a sheet for a release under the plan of this fingerprint. Of one person the newest answer counts.
    #[must_use]
    pub fn count(&self, sheet: &ApprovalSheet, release: &Release, plan: &Digest, now: Timestamp) -> Tally {
        let mut rules: Vec<RuleTally> =
            self.rules.iter().map(|rule| RuleTally { rule: rule.clone(), yes: Vec::new() }).collect();
        let (mut refused, mut rejected) = (Vec::new(), Vec::new());
        let expires = sheet.asked_at.after(self.expires_after);
        for answer in newest(&sheet.answers) {
            match self.refusal(answer, sheet, release, plan, now) {
                Some(why) => refused.push((answer.who.clone(), why)),
                None if !answer.yes => rejected.push((answer.who.clone(), answer.why.clone())),
                None => {
                    for tally in rules.iter_mut().filter(|t| t.rule.fits(&answer.who)) {
                        tally.yes.push(answer.who.clone());
                    }
                }
            }
        }
        let missing = rules.iter().any(|t| !t.is_met());
        let every = i64::try_from(deploy_core::time::millis(self.remind_every)).unwrap_or(i64::MAX);
        let passed = now.0.min(expires.0).saturating_sub(sheet.asked_at.0).max(0);
        let due = passed.checked_div(every).unwrap_or(0);
        let next = Timestamp(sheet.asked_at.0.saturating_add(every.saturating_mul(due + 1)));
        Tally {
            rules,
            refused,
            rejected,
            expires,
            next_reminder: (missing && every > 0 && next < expires).then_some(next),
            reminders_due: u32::try_from(due).unwrap_or(u32::MAX),
        }
    }

    /// Why an answer does not count, if it does not.
    fn refusal(
        &self,
        answer: &Answer,
        sheet: &ApprovalSheet,
        release: &Release,
        plan: &Digest,
        now: Timestamp,
    ) -> Option<String> {
        let who = &answer.who;
        let asks = sheet.asked_by.subject == who.subject && sheet.asked_by.issuer == who.issuer;
        let until = answer.at.after(self.valid_for);
        let until = answer.expires.map_or(until, |said| said.min(until));
        if answer.plan != *plan {
            return Some(format!("it is about plan {}, and this is plan {}", answer.plan.short(), plan.short()));
        }
        if !self.rules.iter().any(|rule| rule.fits(who)) {
            return Some("nobody asks them".to_owned());
        }
        if answer.at > now {
            return Some(format!("it was given at {}, and it is {now}", answer.at));
        }
        if answer.yes && until < now {
            return Some(format!("it held until {until}"));
        }
        let wrote = release.change.authors.contains(&who.subject);
        (answer.yes && !self.self_approval && (wrote || asks))
            .then(|| "they wrote the change or ask for it; somebody else must approve".to_owned())
    }
}

/// Of each person the newest answer; where two are of the same time, the one that says no.
fn newest(answers: &[Answer]) -> Vec<&Answer> {
    let mut newest: Vec<&Answer> = Vec::new();
    for answer in answers {
        let same = |a: &&mut &Answer| a.who.subject == answer.who.subject && a.who.issuer == answer.who.issuer;
        match newest.iter_mut().find(same) {
            None => newest.push(answer),
            Some(there) if (answer.at, !answer.yes) >= (there.at, !there.yes) => *there = answer,
            Some(_) => {}
        }
    }
    newest
}

impl Tally {
    /// What it comes to: a no is a veto, enough of yes opens, and before the time is up it holds.
    #[must_use]
    pub fn decision(&self, by: &str, now: Timestamp) -> GateDecision {
        if let Some((who, why)) = self.rejected.first() {
            return GateDecision::no_go(by, format!("rejected by {who}: {why}"));
        }
        if self.rules.is_empty() {
            return GateDecision::no_go(by, "nobody is asked, so that nobody could say yes");
        }
        if self.rules.iter().all(RuleTally::is_met) {
            return GateDecision::Go;
        }
        let missing = self.missing().join(", ");
        if now >= self.expires {
            return GateDecision::no_go(by, format!("nobody is asked since {}; missing: {missing}", self.expires));
        }
        let soonest = self.next_reminder.unwrap_or(self.expires).min(self.expires);
        let reason = format!("missing: {missing}; asked for {} more", Spell(self.expires.since(now)));
        GateDecision::hold(reason, soonest.since(now).min(ASK_AGAIN_AT_MOST))
    }

    /// Who is missing, a line for each rule that is not met.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let unmet = self.rules.iter().filter(|t| !t.is_met());
        unmet.map(|t| format!("{} of {} ({} said yes)", t.rule.quorum, t.rule.name, t.yes.len())).collect()
    }
}

impl fmt::Display for ApprovalPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            let between = if index == 0 { "" } else { ", and " };
            let mut who: Vec<String> = rule.roles.iter().map(|role| format!("role {role}")).collect();
            who.extend(rule.people.iter().cloned());
            write!(f, "{between}{} of {} ({})", rule.quorum, rule.name, who.join(", "))?;
        }
        Ok(())
    }
}

type ReadSheet = dyn Fn(Digest) -> BoxFuture<'static, Result<Option<ApprovalSheet>, GateError>> + Send + Sync;

/// Opens when enough of the right people have approved exactly this plan, wherever the host keeps their answers.
///
/// Where people answer the run itself, use an approval step instead: the engine then keeps the answers, and
/// [`ApprovalReminders`](crate::notifiers::ApprovalReminders) reminds whoever is missing. This gate is for
/// answers that are kept elsewhere, such as a change ticket, and reads them anew each time it is asked.
#[derive(Clone)]
pub struct ApprovalGate {
    name: BlockName,
    policy: ApprovalPolicy,
    read: Arc<ReadSheet>,
    reminders: Option<Once>,
}

impl ApprovalGate {
    /// A gate over what `read` finds for the plan of a fingerprint; nothing if nobody was asked yet.
    pub fn new<F, R>(name: BlockName, policy: ApprovalPolicy, read: F) -> Self
    where
        F: Fn(Digest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<ApprovalSheet>, GateError>> + Send + 'static,
    {
        Self { name, policy, read: Arc::new(move |plan| Box::pin(read(plan))), reminders: None }
    }

    /// The same, which reminds those who are missing through `notifier`, as often as the policy says: named people by their
    /// subject, others as the party `role NAME`. A reminder that does not arrive changes nothing but the log; it is sent again, under
    /// the same key, when the gate is asked next.
    #[must_use]
    pub fn remind(mut self, notifier: Arc<dyn Notifier>) -> Self {
        self.reminders = Some(Once::new(notifier));
        self
    }
}

impl fmt::Debug for ApprovalGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalGate").field("name", &self.name).field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[async_trait]
impl Gate for ApprovalGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        if self.policy.rules.is_empty() { String::new() } else { format!("approved by {}", self.policy) }
    }

    fn flaw(&self) -> Option<String> {
        let never_shut = self.policy.rules.iter().find(|rule| rule.quorum == 0);
        if let Some(rule) = never_shut {
            return Some(format!("{} needs nobody's yes, so that it could never shut", rule.name));
        }
        let too_few = |rule: &&ApprovalRule| rule.roles.is_empty() && rule.people.len() < rule.quorum as usize;
        let never_open = self.policy.rules.iter().find(too_few)?;
        let there = never_open.people.len();
        Some(format!("{} needs {} of {there} people, so that it could never open", never_open.name, never_open.quorum))
    }

    /// # Cancel safety
    ///
    /// It only reads; a reminder may have been sent, and is not sent again under its key.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let Some(plan) = cx.plan else {
            return Ok(GateDecision::no_go(self.name.as_str(), "there is no plan that could have been approved"));
        };
        let Some(sheet) = (self.read)(plan).await? else {
            return Ok(GateDecision::hold(format!("nobody was asked yet: {}", self.policy), ASK_AGAIN_AT_MOST));
        };
        let tally = self.policy.count(&sheet, &cx.release, &plan, cx.now.wall);
        if let Some(through) = &self.reminders {
            remind(through, &tally, &plan, cx).await;
        }
        Ok(tally.decision(self.name.as_str(), cx.now.wall))
    }
}
