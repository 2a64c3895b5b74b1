//! Re-reads the bytes behind a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Claim, Evidence, Receipt, Refusal, Verdict, Waiver};
use crate::digest::Digest;
use crate::name::{BlockName, CheckName};
use crate::release::Release;
use crate::time::{Spell, Timestamp};

/// A mandatory verification of a step: the step is done only when this check is met.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verification {
    /// The check.
    pub check: CheckName,
    /// What the evidence behind it must satisfy.
    pub policy: EvidencePolicy,
}

/// What evidence must satisfy before a check may read it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EvidencePolicy {
    /// The kind of report that is asked for; absent: any.
    pub kind: Option<String>,
    /// The oldest it may be. Default 24 hours: older than that, and another change has probably landed since.
    #[serde(with = "crate::time::duration_ms")]
    pub max_age: Duration,
    /// Whether the agent that claims may also be the producer. Default no.
    pub self_attested: bool,
}

impl Default for EvidencePolicy {
    fn default() -> Self {
        Self { kind: None, max_age: Duration::from_secs(24 * 60 * 60), self_attested: false }
    }
}

/// What a check is shown: bytes that were read back, with their particulars.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckInput<'a> {
    /// The release that is being checked.
    pub release: &'a Release,
    /// The accepted evidence and its bytes.
    pub evidence: &'a [(&'a Evidence, &'a [u8])],
    /// What was claimed of this check. Its texts may lower a verdict, never raise one.
    pub claims: &'a [&'a Claim],
    /// Wall time: for what the evidence says expires.
    pub now: Timestamp,
}

impl<'a> CheckInput<'a> {
    /// An input without claims. The verifier makes its own; tests and hosts may judge evidence that nobody claims.
    #[must_use]
    pub fn new(release: &'a Release, evidence: &'a [(&'a Evidence, &'a [u8])], now: Timestamp) -> Self {
        Self { release, evidence, claims: &[], now }
    }

    /// The same input with what was claimed.
    #[must_use]
    pub fn claims(mut self, claims: &'a [&'a Claim]) -> Self {
        self.claims = claims;
        self
    }
}

/// The judgement behind a check.
type Judge = dyn Fn(&CheckInput<'_>) -> Verdict + Send + Sync;

/// A named pure function from evidence to a verdict.
#[derive(Clone)]
pub struct Check {
    name: CheckName,
    judge: Arc<Judge>,
    policy: EvidencePolicy,
}

impl Check {
    /// A check.
    pub fn new(name: CheckName, judge: impl Fn(&CheckInput<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        Self { name, judge: Arc::new(judge), policy: EvidencePolicy::default() }
    }

    /// The same check with what its evidence must satisfy where an agent claims it and no step asks for it.
    #[must_use]
    pub fn policy(mut self, policy: EvidencePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// This check as a mandatory verification of a step, under its own policy.
    #[must_use]
    pub fn verification(&self) -> Verification {
        Verification { check: self.name.clone(), policy: self.policy.clone() }
    }

    /// Its verdict on evidence that was accepted already.
    #[must_use]
    pub fn judge(&self, input: &CheckInput<'_>) -> Verdict {
        (self.judge)(input)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &CheckName {
        &self.name
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// How far the clocks of a producer and the engine may differ before evidence counts as future-dated.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Verifies one mandatory check of a report: finds the claim, refuses what must be refused, reads the bytes, asks the check.
///
/// `bytes` holds what the journal's blobs gave back, by digest. `check` is the host's function for the name; without one,
/// evidence that is bound, fresh, whole and from a finished producer is enough.
///
/// What the claim says its value is can lower the verdict, where the check compares it, and never raises it.
#[must_use]
#[expect(
    clippy::too_many_arguments,
    reason = "a pure function of exactly these facts; a struct would only rename them"
)]
pub fn verify(
    wanted: &Verification,
    agent: &BlockName,
    release: &Release,
    claims: &[Claim],
    evidence: &[Evidence],
    bytes: &BTreeMap<Digest, Vec<u8>>,
    check: Option<&Check>,
    waiver: Option<&Waiver>,
    now: Timestamp,
) -> Receipt {
    let receipt = |read: Vec<Digest>, verdict| Receipt { check: wanted.check.clone(), read, verdict };
    let mine: Vec<&Claim> = claims.iter().filter(|c| c.check == wanted.check).collect();
    let cited: Vec<&Digest> = mine.iter().flat_map(|c| c.evidence.iter()).collect();
    let waived = |verdict: Verdict| match waiver {
        Some(waiver) if !verdict.is_met() && waiver.expires >= now => Verdict::Waived(waiver.clone()),
        _ => verdict,
    };
    let accepted = accept(wanted, agent, release, &cited, evidence, bytes, now);
    match accepted {
        Err(refusal) => receipt(Vec::new(), waived(Verdict::Inconclusive { refusal })),
        Ok(accepted) => {
            let read = accepted.iter().map(|(e, _)| e.digest).collect();
            let input = CheckInput { release, evidence: &accepted, claims: &mine, now };
            let verdict = check.map_or(Verdict::Pass, |c| c.judge(&input));
            receipt(read, waived(verdict))
        }
    }
}

fn accept<'a>(
    wanted: &Verification,
    agent: &BlockName,
    release: &Release,
    cited: &[&Digest],
    evidence: &'a [Evidence],
    bytes: &'a BTreeMap<Digest, Vec<u8>>,
    now: Timestamp,
) -> Result<Vec<(&'a Evidence, &'a [u8])>, Refusal> {
    if cited.is_empty() {
        return Err(Refusal::Missing(format!("nobody claimed {} with evidence", wanted.check)));
    }
    let mut seen = BTreeSet::new();
    let mut accepted = Vec::new();
    for digest in cited {
        let short = digest.short();
        if !seen.insert(*digest) {
            return Err(Refusal::Duplicate(format!("{short} is cited twice for {}", wanted.check)));
        }
        let piece = evidence
            .iter()
            .find(|e| e.digest == **digest)
            .ok_or_else(|| Refusal::Missing(format!("{short} is cited but was not handed over")))?;
        let stored = bytes
            .get(digest)
            .ok_or_else(|| Refusal::Missing(format!("the bytes of {short} are not in the journal")))?;
        if Digest::of(stored) != **digest {
            return Err(Refusal::Unparseable(format!("the bytes of {short} are not those that were collected")));
        }
        refuse(wanted, agent, release, piece, now)?;
        accepted.push((piece, stored.as_slice()));
    }
    Ok(accepted)
}

fn refuse(
    wanted: &Verification,
    agent: &BlockName,
    release: &Release,
    piece: &Evidence,
    now: Timestamp,
) -> Result<(), Refusal> {
    let short = piece.digest.short();
    if let Some(kind) = &wanted.policy.kind
        && kind != &piece.kind
    {
        return Err(Refusal::Missing(format!("{short} is {}, and {kind} is asked for", piece.kind)));
    }
    if !piece.producer.finished {
        return Err(Refusal::Unfinished(format!("{} had not finished when {short} was taken", piece.producer.name)));
    }
    if !wanted.policy.self_attested && piece.producer.name == agent.as_str() {
        return Err(Refusal::SelfAttested(format!("{agent} made {short} itself")));
    }
    if piece.observed_at > now.after(CLOCK_SKEW) {
        return Err(Refusal::FutureDated(format!("{short} was observed at {}, and it is {now}", piece.observed_at)));
    }
    let age = now.since(piece.observed_at);
    if age > wanted.policy.max_age {
        let (age, limit) = (Spell(age), Spell(wanted.policy.max_age));
        return Err(Refusal::Stale(format!("{short} is {age} old; at most {limit} is allowed")));
    }
    let subject = &piece.subject;
    let of_the_build = subject.commit.is_some() || subject.artifact.is_some();
    if let Some(committed) = release.change.committed_at
        && of_the_build
        && piece.observed_at.after(CLOCK_SKEW) < committed
    {
        let observed = piece.observed_at;
        return Err(Refusal::Stale(format!("{short} is of {observed}, and the commit was made at {committed}")));
    }
    if let Some(commit) = &subject.commit
        && release.change.commit.as_ref() != Some(commit)
    {
        let ours = release.change.commit.as_deref().unwrap_or("no commit");
        return Err(Refusal::Foreign(format!("{short} is about commit {commit}, the release about {ours}")));
    }
    if let Some(artifact) = &subject.artifact
        && !release.artifacts.iter().any(|a| a.digest == *artifact)
    {
        return Err(Refusal::Foreign(format!("{short} is about artifact {}, which is not released", artifact.short())));
    }
    if let Some(environment) = &subject.environment
        && *environment != release.environment
    {
        return Err(Refusal::Foreign(format!(
            "{short} is about {environment}, the release goes to {}",
            release.environment
        )));
    }
    if subject.commit.is_none() && subject.artifact.is_none() && subject.environment.is_none() {
        return Err(Refusal::Foreign(format!(
            "{short} does not say which commit, artifact or environment it is about"
        )));
    }
    Ok(())
}
