//! Checks of runs of the engine, by their exported records: rollback drills, and releases that were carried out.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::journal::{Export, Head, import};
use deploy_core::machine::{Event, Outcome, Record};
use deploy_core::plan::Plan;
use deploy_core::release::Release;
use deploy_core::target::TargetState;
use deploy_core::time::{Now, Spell, Timestamp};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::file_of;
use super::kind;
use super::thresholds::Thresholds;
use crate::evidence::{Place, Pointer};

/// What an exported run says about itself, once its chain was found whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunFacts {
    /// The file that it was read from.
    pub file: String,
    /// Where its chain ends: compare it with a head that was kept elsewhere.
    pub head: Head,
    /// The plan.
    pub plan: std::sync::Arc<Plan>,
    /// What served before anything was done, if it was seen.
    pub before: Option<TargetState>,
    /// What was seen last.
    pub after: Option<TargetState>,
    /// When it turned back, and in which line of the export that stands.
    pub turned_back: Option<(Now, u64)>,
    /// How it ended, when, and in which line that stands.
    pub ended: Option<(Outcome, Now, u64)>,
    /// The digests of the policies under which it was judged, as its reports state them; empty: none does. Of one that was not changed
    /// on the way there is one.
    pub policies: BTreeSet<Digest>,
}

impl RunFacts {
    /// A line of the export.
    #[must_use]
    pub fn line(&self, line: u64) -> Pointer {
        Pointer::new(self.file.as_str(), Place::Text { line, column: 1 })
    }
}

/// Reads an exported run and checks its chain. What nobody exported is refused: a record that was written by hand has no
/// chain, and one that was changed has a broken one.
///
/// # Errors
///
/// The refusal, with the line.
pub fn read_export(evidence: &Evidence, bytes: &[u8]) -> Result<RunFacts, Refusal> {
    let file = file_of(evidence);
    let refused = |why: String| Refusal::Unparseable(format!("{file}: {why}"));
    let export: Export = import(bytes).map_err(|e| refused(deploy_core::report::chain(&e)))?;
    let report = export.verify(None).map_err(|e| refused(deploy_core::report::chain(&e)))?;
    let (mut plan, mut before, mut after, mut turned_back, mut ended) = (None, None, None, None, None);
    let mut policies = BTreeSet::new();
    for (line, stored) in (2..).zip(&export.records) {
        let envelope = deploy_core::journal::Envelope::parse(&stored.bytes);
        let envelope = envelope.map_err(|e| refused(format!("line {line}: {}", deploy_core::report::chain(&e))))?;
        let record = Record::open(&envelope);
        let record = record.map_err(|e| refused(format!("line {line}: {}", deploy_core::report::chain(&e))))?;
        match record.event {
            Event::Started(started) if started.run != export.header.run => {
                return Err(refused(format!(
                    "line 1 names run {}, line {line} run {}",
                    export.header.run, started.run
                )));
            }
            Event::Started(started) => plan = Some(started.plan),
            Event::Looked(looked) => {
                if let Some(observed) = looked.observed {
                    before.get_or_insert_with(|| observed.clone());
                    after = Some(observed);
                }
            }
            Event::Drifted(drifted) => after = Some(drifted.observed),
            Event::TurnedBack(_) => turned_back = Some((record.at, line)),
            Event::Completed(completed) => {
                let stated = completed.report.evidence.iter().filter(|piece| piece.kind == kind::POLICY);
                policies.extend(stated.map(|piece| piece.digest));
            }
            Event::Ended(end) => ended = Some((end.outcome, record.at, line)),
            _ => {}
        }
    }
    let plan = plan.ok_or_else(|| refused("it does not begin with a plan".to_owned()))?;
    Ok(RunFacts { file, head: report.head, plan, before, after, turned_back, ended, policies })
}

/// This service was rolled back from this revision lately, by the engine itself: it ended rolled back, in time, and what had
/// served before served again.
///
/// Rows: M11, M142, M212.
#[must_use]
pub fn rollback_drill(drill: &RunFacts, release: &Release, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let drilled = &drill.plan.release;
    found.figure(Figure::text("drilled", drilled).at(drill.line(2)));
    if drilled.service != release.service || drilled.revision != release.revision {
        found.refuse(Refusal::Foreign(format!("the drill was of {drilled}, the release is {release}")));
    }
    let head = drill.head.hash.to_string();
    if t.drill_heads.is_empty() {
        found.note(format!("nobody keeps where chains of drills end, so that {head} is taken at its word"));
    } else if !t.drill_heads.contains(&head) {
        found.refuse(Refusal::SelfAttested(format!("its chain ends at {head}, which the engine's journal never said")));
    }
    let Some((outcome, ended, line)) = drill.ended else {
        found.refuse(Refusal::Unfinished("the drill has not ended".to_owned()));
        return found.finish();
    };
    found.figure(Figure::text("ended", outcome.as_str()).limit("rolled back").at(drill.line(line)));
    found.require(outcome == Outcome::RolledBack, || format!("the drill ended {}", outcome.as_str()));
    if ended.wall > now.after(Duration::from_secs(60)) {
        found.refuse(Refusal::FutureDated(format!("the drill ended at {}, and it is {now}", ended.wall)));
    }
    let age = now.since(ended.wall);
    let limit = format!("at most {} ago", Spell(t.drill_max_age));
    found.figure(Figure::text("held", ended.wall).limit(limit).at(drill.line(line)));
    if age > t.drill_max_age {
        found.refuse(Refusal::Stale(format!("the last drill was {} ago", Spell(age))));
    }
    match drill.turned_back {
        None => found.fail("the drill never turned back"),
        Some((turned, line)) => {
            let took = ended.run.since(turned.run);
            let limit = format!("at most {} s", t.drill_at_most.as_secs());
            found.figure(Figure::number("way back took", took.as_secs_f64(), "s").limit(limit).at(drill.line(line)));
            found.require(took <= t.drill_at_most, || format!("the way back took {}", Spell(took)));
        }
    }
    let before = drill.before.as_ref().and_then(TargetState::serving);
    let after = drill.after.as_ref();
    match (before, after.and_then(TargetState::serving)) {
        (Some(before), Some(after)) if before == after && *before != release.revision => {
            found.figure(Figure::text("serves after", after).limit(before));
        }
        (None, _) | (_, None) => found.fail("nobody saw what served before and after"),
        (Some(before), Some(after)) => {
            found.fail(format!(
                "{before} served before the drill, {after} after it, and {} was tried",
                release.revision
            ));
        }
    }
    let ready =
        after.zip(before).and_then(|(after, before)| after.revisions.get(before)).map_or(0, |state| state.ready);
    found.figure(Figure::count("instances ready after", u64::from(ready)).limit("at least 1"));
    found.require(ready > 0, || "nothing was ready after the drill".to_owned());
    found.finish()
}

/// The run of this release ended well.
///
/// Rows: M151, M204.
#[must_use]
pub fn executed(run: &RunFacts, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let ran = &run.plan.release;
    if ran != release {
        found.refuse(Refusal::Foreign(format!("the run was of {ran}, the release is {release}")));
    }
    match run.ended {
        None => found.refuse(Refusal::Unfinished("the run has not ended".to_owned())),
        Some((outcome, at, line)) => {
            let figure = Figure::text(format!("ended {}", at.wall), outcome.as_str());
            found.figure(figure.limit("succeeded").at(run.line(line)));
            found.require(outcome == Outcome::Succeeded, || format!("the run ended {}", outcome.as_str()));
        }
    }
    found.finish()
}
