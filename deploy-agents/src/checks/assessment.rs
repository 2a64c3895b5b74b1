//! What a check found: a verdict, the numbers behind it, and where each of them stood.

use std::fmt;

use deploy_core::evidence::{Refusal, Verdict};
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, DoubtKind, Pointer, ReadError};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Assessment {
    /// The verdict.
    pub verdict: Verdict,
    /// The numbers and texts that it was read from, each with its place.
    pub figures: Vec<Figure>,
    /// Remarks that change nothing.
    pub notes: Vec<String>,
}

/// A number or text that a check read, and where it stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figure {
    /// What it is, for example `tests failed`.
    pub name: String,
    /// The value as people read it, with its unit.
    pub value: String,
    /// The value as a number, in the unit of `value`.
    pub number: Option<f64>,
    /// What it is held against, for example `at most 0`; empty if against nothing.
    pub limit: String,
    /// Where it stood; absent for what was computed.
    pub at: Option<Pointer>,
}

impl Figure {
    /// A number in a unit; the unit may be empty.
    pub fn number(name: impl Into<String>, number: f64, unit: &str) -> Self {
        let rounded = (number * 1000.0).round() / 1000.0;
        let value = if unit.is_empty() { rounded.to_string() } else { format!("{rounded} {unit}") };
        Self { name: name.into(), value, number: Some(number), limit: String::new(), at: None }
    }

    /// A count.
    #[expect(clippy::cast_precision_loss, reason = "counts of what reports hold stay far below 2^52")]
    pub fn count(name: impl Into<String>, count: u64) -> Self {
        Self { value: count.to_string(), ..Self::number(name, count as f64, "") }
    }

    /// A text.
    pub fn text(name: impl Into<String>, value: impl fmt::Display) -> Self {
        Self { name: name.into(), value: value.to_string(), number: None, limit: String::new(), at: None }
    }

    /// The same figure with what it is held against.
    #[must_use]
    pub fn limit(mut self, limit: impl fmt::Display) -> Self {
        self.limit = limit.to_string();
        self
    }

    /// The same figure with its place.
    #[must_use]
    pub fn at(mut self, at: impl Into<Option<Pointer>>) -> Self {
        self.at = at.into();
        self
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)?;
        if !self.limit.is_empty() {
            write!(f, ", {}", self.limit)?;
        }
        match &self.at {
            Some(at) => write!(f, " ({at})"),
            None => Ok(()),
        }
    }
}

/// Gathers what speaks for and against a verdict. The worst wins: what fails, then what was refused, then remarks.
#[derive(Debug, Clone, Default)]
pub struct Assessor {
    fails: Vec<String>,
    remarks: Vec<String>,
    refusal: Option<Refusal>,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Assessor {
    /// Nothing found yet: it would pass.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// It is not so, for this reason.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.fails.push(reason.into());
    }

    /// It fails unless `so`.
    pub fn require(&mut self, so: bool, otherwise: impl FnOnce() -> String) {
        if !so {
            self.fails.push(otherwise());
        }
    }

    /// It is so, with this remark.
    pub fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }

    /// What it would be read from was refused. The first refusal is kept.
    pub fn refuse(&mut self, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.refusal.get_or_insert(refusal);
    }

    /// The value, or a refusal.
    pub fn accept<T>(&mut self, read: Result<T, impl Into<Refusal>>) -> Option<T> {
        read.map_err(|refusal| self.refuse(refusal)).ok()
    }

    /// A number or text that was read.
    pub fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// A remark that changes nothing.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Weighs what a reader doubted: nothing measured fails, what else blocks refuses, settings that leave things out and
    /// words without a signature or a reason are remarks, and the rest are notes.
    pub fn doubts(&mut self, doubts: &[Doubt]) {
        for doubt in doubts {
            match doubt.kind {
                DoubtKind::NothingMeasured => self.fail(format!("nothing was measured: {doubt}")),
                DoubtKind::Unfinished => self.refuse(Refusal::Unfinished(doubt.to_string())),
                kind if kind.blocks() => self.refuse(Refusal::Unparseable(doubt.to_string())),
                DoubtKind::Unjustified | DoubtKind::LeftOut | DoubtKind::Unsigned | DoubtKind::Times => {
                    self.remark(doubt.to_string());
                }
                _ => self.note(doubt.to_string()),
            }
        }
    }

    /// What another check found becomes part of this one, each sentence after its name.
    pub fn include(&mut self, name: &str, other: Assessment) {
        match other.verdict {
            Verdict::Pass => {}
            Verdict::Concerns { remarks } => self.remarks.extend(remarks.into_iter().map(|r| format!("{name}: {r}"))),
            Verdict::Fail { reason } => self.fail(format!("{name}: {reason}")),
            Verdict::Inconclusive { refusal } => self.refuse(refusal),
            Verdict::Waived(waiver) => self.remark(format!("{name} is waived by {}: {}", waiver.person, waiver.reason)),
            Verdict::NotApplicable { reason } => self.note(format!("{name} does not apply: {reason}")),
        }
        self.figures.extend(other.figures);
        self.notes.extend(other.notes);
    }

    /// What it comes to.
    #[must_use]
    pub fn finish(self) -> Assessment {
        let verdict = match (self.fails.is_empty(), self.refusal) {
            (false, _) => Verdict::Fail { reason: self.fails.join("; ") },
            (true, Some(refusal)) => Verdict::Inconclusive { refusal },
            (true, None) if self.remarks.is_empty() => Verdict::Pass,
            (true, None) => Verdict::Concerns { remarks: self.remarks },
        };
        Assessment { verdict, figures: self.figures, notes: self.notes }
    }
}

impl Assessment {
    /// It does not apply, for this reason.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotApplicable { reason: reason.into() }, figures: Vec::new(), notes: Vec::new() }
    }

    /// What it would be read from was refused.
    pub fn refused(refusal: impl Into<Refusal>) -> Self {
        Self { verdict: Verdict::Inconclusive { refusal: refusal.into() }, figures: Vec::new(), notes: Vec::new() }
    }

    /// The numbers of a claimed text that were not read: `None` if all of them were. Each number counts to the places
    /// written; those that stand in the name of a figure were read as well.
    #[must_use]
    pub fn contradicted(&self, claimed: &str) -> Option<String> {
        let known: Vec<f64> = self.figures.iter().filter_map(|f| f.number).collect();
        let named: Vec<&str> = self.figures.iter().flat_map(|f| numbers(&f.name)).collect();
        let read = |text: &&str| known.iter().any(|n| is_written_as(*n, text)) || named.contains(text);
        let wrong: Vec<&str> = numbers(claimed).filter(|text| !read(text)).collect();
        (!wrong.is_empty()).then(|| {
            let there: Vec<String> =
                self.figures.iter().filter(|f| f.number.is_some()).map(Figure::to_string).collect();
            format!("{claimed:?} says {}, and what was read is: {}", wrong.join(" and "), there.join("; "))
        })
    }
}

/// The numbers that stand by themselves in a text: `v2`, `p99` and `sha256` are words.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':')));
    words.map(signed).filter(|word| {
        let digits = word.strip_prefix('-').unwrap_or(word);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

/// A word without the punctuation around it; one dash before it is a sign.
fn signed(word: &str) -> &str {
    let word = word.trim_start_matches(['.', ':']).trim_end_matches(['.', ':', '-']);
    let bare = word.trim_start_matches('-');
    if word.len() == bare.len() + 1 { word } else { bare }
}

/// Whether a number is what `text` says, to the places that it writes. What lies in the middle between two is either.
fn is_written_as(number: f64, text: &str) -> bool {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len()).min(15);
    let half = 0.5 * 0.1_f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    text.parse::<f64>().is_ok_and(|said| (number - said).abs() <= half + 2.0 * f64::EPSILON * number.abs())
}

impl From<ReadError> for Assessment {
    fn from(error: ReadError) -> Self {
        Self::refused(error)
    }
}

#[cfg(test)]
mod tests {
    use super::{Assessor, Figure};

    #[test]
    fn a_claimed_number_must_be_one_that_was_read() {
        let mut assessor = Assessor::new();
        assessor.figure(Figure::count("tests passed", 120));
        assessor.figure(Figure::number("lines covered", 91.249, "%"));
        let found = assessor.finish();
        for fine in ["", "all pass", "120 of 120 tests", "91.2 % of lines, 91.25 %", "v2 of 91 %", "p99 stays", "120."]
        {
            assert_eq!(found.contradicted(fine), None, "{fine}");
        }
        for lie in ["121 tests", "91.3 %", "92 % covered", "120 tests, 95.0 %", "91.250 %", "1.2.0"] {
            assert!(found.contradicted(lie).is_some(), "{lie}");
        }
        let mut assessor = Assessor::new();
        assessor.figure(Figure::number("slower by", -3.344, "%"));
        let faster = assessor.finish();
        assert_eq!(faster.contradicted("slower by -3.344 %, that is -3.3 %."), None);
        assert!(faster.contradicted("slower by 3.344 %").is_some() && found.contradicted("-120 tests").is_some());
    }

    proptest::proptest! {
        /// Whoever repeats a figure as it is shown is believed, wherever it lies between two that could be shown.
        #[test]
        fn what_is_shown_of_a_figure_is_never_contradicted(sixteenths in -1_000_000_i64..1_000_000, more in -1e9..1e9_f64) {
            for number in [f64::from(i32::try_from(sixteenths).expect("small")) / 16.0, more] {
                let mut assessor = Assessor::new();
                let figure = Figure::number("memory free", number, "MiB");
                let shown = figure.value.clone();
                assessor.figure(figure);
                proptest::prop_assert_eq!(assessor.finish().contradicted(&format!("free: {shown}")), None);
            }
        }
    }
}
