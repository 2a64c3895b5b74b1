//! Tells everybody of an announcement, and shows who was reached.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Handle, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected, EvidenceSubject, Finding};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::Timestamp;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Announcement, AnnouncementError, Delivery, Notice, NoticeKey, Notifier, NotifyError};
use crate::agents::subject;
use crate::checks::Document;
use crate::checks::people::{NoticeParty, NoticeReceipt, NoticeRecord};

/// How many notices are under way at once: enough that a slow carrier does not hold up the others, few enough not to flood one.
const AT_ONCE: usize = 8;
/// How often it is asked whether somebody has acknowledged.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// Sends a notice to every party of an announcement, waits for those who must acknowledge, and reports who was reached.
///
/// The report holds one piece of evidence of kind `notices`: whom, through what, when, under which name, and when they said that
/// they have read it. The check `stakeholders-notified` reads it. Whoever has not acknowledged in time stands there without: the
/// check decides what that means. A notice that did not arrive fails the attempt, by the party's name.
///
/// Under one run, step and party the notice has one key: after a crash, or on another attempt, whoever was reached already is not told
/// again, as far as the receiver compares keys. As the undo of a step it tells of the rollback, under keys of its own.
///
/// Rows: M28, M99, M123, M146, M197.
#[derive(Debug, Clone)]
pub struct Announce {
    card: AgentCard,
    announcement: Announcement,
    notifier: Arc<dyn Notifier>,
    claims: Option<CheckName>,
    ask_every: Duration,
}

/// What is known while somebody still has to acknowledge. Field names are short: a handle has 4 KiB.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    /// When the step began.
    b: Timestamp,
    /// What is known of each party, in the order of the announcement.
    p: Vec<Reached>,
    /// What evidence of the step speaks of.
    s: EvidenceSubject,
}

/// Delivery and acknowledgement of one party.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reached {
    i: String,
    d: Timestamp,
    a: Option<Timestamp>,
}

impl Announce {
    /// An agent that makes this announcement through this notifier.
    ///
    /// # Errors
    ///
    /// [`AnnouncementError`] if nobody is told, somebody twice, or too many at once.
    pub fn new(
        name: BlockName,
        announcement: Announcement,
        notifier: Arc<dyn Notifier>,
    ) -> Result<Self, AnnouncementError> {
        announcement.check()?;
        let card = AgentCard::new(name, "tells everybody who must know, and shows who was reached").repeatable();
        Ok(Self { card, announcement, notifier, claims: None, ask_every: ASK_EVERY })
    }

    /// The same, claiming this check with the receipts as evidence.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same, asking in another rhythm whether somebody has acknowledged. Default 15 s.
    #[must_use]
    pub fn ask_every(mut self, every: Duration) -> Self {
        self.ask_every = every;
        self
    }

    async fn send(&self, notices: Vec<Notice>) -> Result<Vec<Delivery>, AgentError> {
        let all = notices.len();
        let sent = notices.into_iter().map(|notice| {
            let notifier = Arc::clone(&self.notifier);
            async move { notifier.notify(&notice).await }
        });
        let answers: Vec<_> = futures::stream::iter(sent).buffered(AT_ONCE).collect().await;
        let (mut reached, mut failed) = (Vec::new(), Vec::new());
        for answer in answers {
            match answer {
                Ok(delivery) => reached.push(delivery),
                Err(error) => failed.push(error),
            }
        }
        if failed.is_empty() { Ok(reached) } else { Err(unreached(&failed, all)) }
    }

    /// Asks about everybody who has not acknowledged.
    async fn ask(&self, waiting: &mut Waiting, key: &deploy_core::effect::EffectKey) -> Vec<Finding> {
        let mut unsure = Vec::new();
        for (told, reached) in self.announcement.parties.iter().zip(&mut waiting.p) {
            if told.within.is_none() || reached.a.is_some() {
                continue;
            }
            let channel = self.notifier.channel(&told.party);
            let answer = match Delivery::new(&*told.party.name, channel, reached.d, &*reached.i) {
                Ok(delivery) => self.notifier.acknowledged(&NoticeKey::of(key, &told.party), &delivery).await,
                Err(_) => Ok(None),
            };
            match answer {
                Ok(at) => reached.a = at,
                // It is asked again; at the end the record shows that nobody knows.
                Err(error) => unsure.push(Finding::warning(format!(
                    "whether {} has acknowledged could not be asked: {}",
                    told.party,
                    deploy_core::report::chain(&error)
                ))),
            }
        }
        unsure
    }

    /// Until when somebody still may acknowledge; nothing if nobody has to any more.
    fn open_until(&self, waiting: &Waiting) -> Option<Timestamp> {
        let pairs = self.announcement.parties.iter().zip(&waiting.p);
        pairs
            .filter(|(_, reached)| reached.a.is_none())
            .filter_map(|(told, _)| told.within)
            .max()
            .map(|within| waiting.b.after(within))
    }

    fn next(&self, waiting: &Waiting, now: Timestamp, unsure: Vec<Finding>) -> Result<Performed, AgentError> {
        let until = self.open_until(waiting);
        if let Some(until) = until.filter(|until| *until > now) {
            let handle = serde_json::to_string(waiting)
                .map_err(|error| AgentError::definitive("the receipts cannot be written as JSON").because(error))?;
            let poll_after = self.ask_every.min(until.since(now)).max(Duration::from_millis(1));
            return Ok(Performed::Running { handle: Handle(handle), poll_after });
        }
        self.report(waiting, now, unsure).map(Performed::from)
    }

    fn report(&self, waiting: &Waiting, now: Timestamp, unsure: Vec<Finding>) -> Result<Report, AgentError> {
        let pairs = self.announcement.parties.iter().zip(&waiting.p);
        let parties: Vec<NoticeParty> = pairs
            .map(|(told, reached)| NoticeParty {
                name: told.party.name.clone(),
                must_acknowledge: told.within.is_some(),
                receipt: Some(NoticeReceipt {
                    id: reached.i.clone(),
                    delivered_at: reached.d,
                    through: self.notifier.channel(&told.party),
                }),
                acknowledged_at: reached.a,
            })
            .collect();
        let silent: Vec<String> = parties
            .iter()
            .filter(|party| party.must_acknowledge && party.acknowledged_at.is_none())
            .map(|party| party.name.clone())
            .collect();
        let mut channels: Vec<String> =
            self.announcement.parties.iter().map(|told| self.notifier.channel(&told.party)).collect();
        channels.sort_unstable();
        channels.dedup();
        let record = NoticeRecord { work_starts: self.announcement.starts(waiting.b).unwrap_or(now), parties };
        let bytes = crate::checks::write(&record)
            .map_err(|error| AgentError::definitive("the receipts cannot be written as JSON").because(error))?;
        let all = record.parties.len();
        let summary = format!("all {all} parties were reached, by receipts of {}", channels.join(", "));
        let evidence = Collected::new(NoticeRecord::KIND, channels.join(", "), waiting.s.clone(), now, bytes)
            .summary(summary.clone());
        let mut report = Report::new().note(summary);
        for finding in unsure {
            report = report.finding(finding);
        }
        for party in silent {
            report = report.finding(Finding::warning(format!("{party} has not said that they have read it")));
        }
        if let Some(check) = &self.claims {
            let value = format!("{all} parties reached");
            report = report.claim(Claim { check: check.clone(), evidence: vec![evidence.evidence.digest], value });
        }
        Ok(report.evidence(evidence))
    }
}

/// The error of an attempt that did not reach everybody: it names them all, and carries the first cause.
fn unreached(failed: &[NotifyError], all: usize) -> AgentError {
    let each: Vec<String> = failed.iter().map(|error| deploy_core::report::chain(error)).collect();
    let message = format!("{} of {all} parties were not told: {}", failed.len(), each.join("; "));
    // Whoever was reached already is not told again: the keys stay the same.
    if failed.iter().any(|error| !error.is_retryable()) {
        AgentError::definitive(message)
    } else if failed.iter().any(NotifyError::may_have_arrived) {
        AgentError::unknown(message)
    } else {
        AgentError::transient(message)
    }
}

#[async_trait]
impl Agent for Announce {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let now = cx.now.wall;
        let notices = self.announcement.notices(&task.release, &cx.key, now);
        let notices = notices.map_err(|error| AgentError::definitive("the notice cannot be written").because(error))?;
        let sent = tokio::select! {
            sent = self.send(notices) => sent?,
            () = cx.cancellation.cancelled() => {
                return Err(AgentError::unknown("telling everybody was cancelled; some may have been told"));
            }
        };
        let reached = |delivery: Delivery| Reached { i: delivery.id, d: delivery.delivered_at, a: None };
        let waiting = Waiting { b: now, p: sent.into_iter().map(reached).collect(), s: subject(task) };
        // What arrived after the step began lies in the future of `now`; evidence is of when the last of it arrived.
        let latest = waiting.p.iter().map(|reached| reached.d).max().unwrap_or(now).max(now);
        self.next(&waiting, latest, Vec::new())
    }

    async fn poll(&self, handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
        let waiting: Result<Waiting, _> = serde_json::from_str(&handle.0);
        let mut waiting = match waiting {
            Ok(waiting) if waiting.p.len() == self.announcement.parties.len() => waiting,
            // The announcement was changed while it waited: who is who cannot be told.
            _ => return Err(AgentError::definitive("the handle is not one of this announcement; announce it again")),
        };
        let unsure = self.ask(&mut waiting, &cx.key).await;
        self.next(&waiting, cx.now.wall, unsure)
    }
}
