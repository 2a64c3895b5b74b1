//! All checks by name: what each reads, what makes it pass, and which rows of the workflows it serves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::evidence::{Check, CheckInput, Evidence, EvidencePolicy, Receipt, Refusal, Verdict, Verification};
use deploy_core::name::{CheckName, NameError};
use deploy_core::time::Spell;

use super::assessment::Assessment;
use super::level::{LevelExecution, ValidationLevel};
use super::reading::Reading;
use super::thresholds::Thresholds;

/// The judgement behind a check of the catalogue.
type Judge = dyn Fn(&Reading<'_>, &Thresholds) -> Assessment + Send + Sync;

/// One check: a pure function from evidence and thresholds to a verdict, and what people need to know about it.
#[derive(Clone)]
pub struct CatalogueCheck {
    name: CheckName,
    reads: Vec<&'static str>,
    passes: String,
    rows: Vec<u16>,
    level: ValidationLevel,
    max_age: Duration,
    self_attested: bool,
    /// What it read before the host declared that it does not apply; absent: it applies.
    in_place_of: Option<Vec<&'static str>>,
    thresholds: Arc<Thresholds>,
    judge: Arc<Judge>,
}

impl CatalogueCheck {
    /// A check under the default thresholds, of the standard level, on evidence of at most 24 hours.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the name is not one.
    pub fn new(
        name: &str,
        passes: impl Into<String>,
        judge: impl Fn(&Reading<'_>, &Thresholds) -> Assessment + Send + Sync + 'static,
    ) -> Result<Self, NameError> {
        Ok(Self {
            name: CheckName::new(name)?,
            reads: Vec::new(),
            passes: passes.into(),
            rows: Vec::new(),
            level: ValidationLevel::Standard,
            max_age: EvidencePolicy::default().max_age,
            self_attested: false,
            in_place_of: None,
            thresholds: Arc::default(),
            judge: Arc::new(judge),
        })
    }

    /// The same check with the kinds of evidence that it reads.
    #[must_use]
    pub fn reads(mut self, kinds: &[&'static str]) -> Self {
        self.reads.extend(kinds);
        self
    }

    /// The same check with the rows of the workflows that it serves.
    #[must_use]
    pub fn rows(mut self, rows: &[u16]) -> Self {
        self.rows.extend(rows);
        self
    }

    /// The same check, asked for from this level on.
    #[must_use]
    pub fn level(mut self, level: ValidationLevel) -> Self {
        self.level = level;
        self
    }

    /// The same check on evidence of at most this age.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.max_age = span;
        self
    }

    /// The same check, in which the agent that claims may have made the evidence: what it says is checked otherwise.
    #[must_use]
    pub fn self_attested(mut self) -> Self {
        self.self_attested = true;
        self
    }

    /// The same check where it does not apply, for this reason: it then reads the host's declaration alone
    /// ([`Excused`](super::Excused)), and says that it does not apply as long as it stands there.
    #[must_use]
    pub fn excused(mut self, reason: impl Into<String>) -> Self {
        let name = self.name.clone();
        self.in_place_of.get_or_insert_with(|| std::mem::take(&mut self.reads));
        self.reads = vec![super::kind::PROFILE];
        self.passes = format!("it does not apply: {}", reason.into());
        self.judge = Arc::new(move |reading, _| match reading.document::<super::Excused>() {
            Ok(declared) => super::profile::excused(&declared, &name),
            Err(refusal) => Assessment::refused(refusal),
        });
        self
    }

    /// The kinds of evidence that it would read if it applied; absent: it applies.
    #[must_use]
    pub fn would_read(&self) -> Option<&[&'static str]> {
        self.in_place_of.as_deref()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &CheckName {
        &self.name
    }

    /// The kinds of evidence that it reads.
    #[must_use]
    pub fn kinds(&self) -> &[&'static str] {
        &self.reads
    }

    /// What makes it pass, in a sentence.
    #[must_use]
    pub fn passes(&self) -> &str {
        &self.passes
    }

    /// The rows of the workflows that it serves, by number.
    #[must_use]
    pub fn served(&self) -> &[u16] {
        &self.rows
    }

    /// The lowest level that asks for it.
    #[must_use]
    pub fn lowest_level(&self) -> ValidationLevel {
        self.level
    }

    /// What its evidence must satisfy before it is read.
    #[must_use]
    pub fn policy(&self) -> EvidencePolicy {
        let kind = match self.reads.as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        };
        EvidencePolicy { kind, max_age: self.max_age, self_attested: self.self_attested }
    }

    /// This check as a mandatory verification of a step.
    #[must_use]
    pub fn verification(&self) -> Verification {
        Verification { check: self.name.clone(), policy: self.policy() }
    }

    /// This check as the engine runs it.
    #[must_use]
    pub fn check(&self) -> Check {
        let this = self.clone();
        Check::new(self.name.clone(), move |input| this.assess(input).verdict).policy(self.policy())
    }

    /// What it finds in evidence that was accepted. What speaks of a build and does not name it is refused, where the release does. A claimed number that is not one of those it read fails it.
    #[must_use]
    pub fn assess(&self, input: &CheckInput<'_>) -> Assessment {
        let (release, pieces) = (input.release, input.evidence);
        // Of several artifacts and no commit, what was tried as a whole could name none.
        let is_named = release.change.commit.is_some() || release.artifacts.len() == 1;
        let unnamed = |(piece, _): &&(&Evidence, &[u8])| {
            super::kind::is_of_a_build(&piece.kind)
                && piece.subject.commit.is_none()
                && piece.subject.artifact.is_none()
        };
        if let Some((piece, _)) = pieces.iter().find(unnamed).filter(|_| is_named) {
            let file = super::document::file_of(piece);
            return Assessment::refused(Refusal::Foreign(format!(
                "{file} does not say of which commit or artifact it is"
            )));
        }
        let mut found = (self.judge)(&Reading::new(input), &self.thresholds);
        if found.verdict.is_met()
            && let Some(lie) = input.claims.iter().find_map(|claim| found.contradicted(&claim.value))
        {
            found.verdict = Verdict::Fail { reason: format!("the claim is not what was read: {lie}") };
        }
        found
    }
}

impl fmt::Debug for CatalogueCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogueCheck").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Checks by name. Its `Display` is the catalogue for people.
///
/// ```
/// use deploy_agents::checks::{Catalogue, Thresholds, ValidationLevel};
///
/// let catalogue = Catalogue::standard(&Thresholds::default());
/// let tests = catalogue.check("tests-pass").expect("a check of the catalogue");
/// assert!(tests.served().contains(&172));
/// println!("{}", tests.passes());
/// assert!(catalogue.level(ValidationLevel::Minimal).count() < catalogue.level(ValidationLevel::Strict).count());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    checks: BTreeMap<CheckName, CatalogueCheck>,
}

impl Catalogue {
    /// A catalogue without checks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every check of this crate, under these thresholds.
    #[must_use]
    pub fn standard(thresholds: &Thresholds) -> Self {
        let thresholds = Arc::new(thresholds.clone());
        let under = |check: CatalogueCheck| CatalogueCheck { thresholds: Arc::clone(&thresholds), ..check };
        let checks = super::entries::all(&thresholds).into_iter().map(under);
        Self { checks: checks.map(|check| (check.name.clone(), check)).collect() }
    }

    /// The checks of this crate that not every service has evidence for, under these thresholds: `delivery-targets`,
    /// `monitoring-coverage`, `no-slower-function` (criterion), `reviews-held`, `security-incident`. Hand them to [`with`](Self::with).
    #[must_use]
    pub fn optional(thresholds: &Thresholds) -> Vec<CatalogueCheck> {
        let thresholds = Arc::new(thresholds.clone());
        let under = |check: CatalogueCheck| CatalogueCheck { thresholds: Arc::clone(&thresholds), ..check };
        super::entries::optional(&thresholds).into_iter().map(under).collect()
    }

    /// The same catalogue with one more check, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, check: CatalogueCheck) -> Self {
        self.checks.insert(check.name.clone(), check);
        self
    }

    /// The check of this name.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&CatalogueCheck> {
        self.checks.get(&CheckName::new(name).ok()?)
    }

    /// All checks, by name.
    pub fn checks(&self) -> impl Iterator<Item = &CatalogueCheck> {
        self.checks.values()
    }

    /// The checks that a level asks for.
    pub fn level(&self, level: ValidationLevel) -> impl Iterator<Item = &CatalogueCheck> {
        self.checks.values().filter(move |check| check.level <= level)
    }

    /// The checks that serve a row of the workflows.
    pub fn serving(&self, row: u16) -> impl Iterator<Item = &CatalogueCheck> {
        self.checks.values().filter(move |check| check.rows.contains(&row))
    }

    /// How much of a level was carried out, by receipts. Of several receipts of a check the last counts.
    #[must_use]
    pub fn execution(&self, level: ValidationLevel, receipts: &[Receipt]) -> LevelExecution {
        let wanted: Vec<CheckName> = self.level(level).map(|check| check.name.clone()).collect();
        LevelExecution::of(level, &wanted, receipts)
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in self.checks.values() {
            let rows: Vec<String> = check.rows.iter().map(|row| format!("M{row}")).collect();
            let reads = if check.reads.is_empty() { "nothing".to_owned() } else { check.reads.join(", ") };
            writeln!(f, "{} ({})", check.name, check.level)?;
            writeln!(f, "  reads   {reads}; at most {} old", Spell(check.max_age))?;
            writeln!(f, "  passes  {}", check.passes)?;
            writeln!(f, "  rows    {}", rows.join(", "))?;
        }
        Ok(())
    }
}
