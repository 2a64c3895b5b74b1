//! Both files, sorted by metric and window.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::monitor::{Counts, Histogram};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;

use super::outcome::Failure;
use super::place::Place;
use super::record::{Number, Record};

/// What one arm has of one metric in one window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arm {
    /// At least one.
    Values(Vec<(Real, Place)>),
    Counts(Counts, Place),
}

/// What a metric has in each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counts,
    Values,
}

/// A window, or a part of the traffic in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cut {
    pub(crate) window: u64,
    pub(crate) stratum: Option<StratumName>,
}

/// One metric of both files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    pub(crate) kind: Kind,
    /// Where it stands first.
    pub(crate) place: Place,
    /// The stratum that is said there, if one is.
    stratum: Option<StratumName>,
    /// By window and stratum: candidate and baseline.
    pub(crate) windows: BTreeMap<Cut, [Option<Arm>; 2]>,
}

/// The place of the candidate, and that of the baseline, in a pair of arms.
pub(crate) const CANDIDATE: usize = 0;
pub(crate) const BASELINE: usize = 1;

/// What stands in both files.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Both {
    pub(crate) metrics: BTreeMap<MetricName, Metric>,
    /// The stage of each window, and where it is said.
    stages: BTreeMap<u64, (u32, Place)>,
    /// Where a stratum is said for the first time.
    stratified: Option<Place>,
    /// Whether the windows of a file are numbered, and where that is seen first.
    numbered: [Option<(bool, Place)>; 2],
}

impl Both {
    pub(crate) fn of(baseline: &[Record], candidate: &[Record]) -> Result<Self, Failure> {
        let mut both = Self::default();
        for (arm, records) in [(BASELINE, baseline), (CANDIDATE, candidate)] {
            for record in records {
                both.add(arm, record)?;
            }
        }
        both.check_stages()?;
        Ok(both)
    }

    /// Whether windows are numbered.
    ///
    /// # Errors
    ///
    /// [`Failure`] if one file numbers its windows and the other does not: nobody knows then which belong together.
    pub(crate) fn numbered(&self) -> Result<bool, Failure> {
        match &self.numbered {
            [Some((true, with)), Some((false, without))] | [Some((false, without)), Some((true, with))] => {
                let what = format!("this row has the number of its window, and {without} has none: number all or none");
                Err(with.wrong(what))
            }
            numbered => Ok(numbered.iter().flatten().any(|(numbered, _)| *numbered)),
        }
    }

    /// The windows of these metrics, and the strata of each, each once and in order.
    pub(crate) fn cuts(&self, metrics: &[MetricName]) -> BTreeSet<Cut> {
        let of = |metric| self.metrics.get(metric).into_iter().flat_map(|metric: &Metric| metric.windows.keys());
        metrics.iter().flat_map(of).cloned().collect()
    }

    /// The stage of a window; 0 where none is said.
    pub(crate) fn stage(&self, window: u64) -> u32 {
        self.stages.get(&window).map_or(0, |(stage, _)| *stage)
    }

    /// The newest stage; 0 where none is said.
    pub(crate) fn last_stage(&self) -> u32 {
        self.stages.values().next_back().map_or(0, |(stage, _)| *stage)
    }

    /// Where a stage is said for the first time.
    pub(crate) fn staged(&self) -> Option<&Place> {
        self.stages.values().next().map(|(_, place)| place)
    }

    /// Where a stratum is said for the first time.
    pub(crate) fn stratified(&self) -> Option<&Place> {
        self.stratified.as_ref()
    }

    fn add(&mut self, arm: usize, record: &Record) -> Result<(), Failure> {
        let Record { metric: name, place, .. } = record;
        let numbered = record.window.is_some();
        match &self.numbered[arm] {
            Some((others, there)) if *others != numbered => {
                let what = if numbered { "has the number of its window" } else { "has no number of its window" };
                return Err(place.wrong(format!("this row {what}, unlike {there}: number all or none")));
            }
            Some(_) => {}
            None => self.numbered[arm] = Some((numbered, place.clone())),
        }
        let window = record.window.unwrap_or(0);
        if let Some((stage, place)) = &record.stage {
            let (said, there) = self.stages.entry(window).or_insert_with(|| (*stage, place.clone()));
            if said != stage {
                return Err(place.wrong(format!("window {window} is of stage {stage} here, and of {said} at {there}")));
            }
        }
        if let (None, Some((_, place))) = (&self.stratified, &record.stratum) {
            self.stratified = Some(place.clone());
        }
        let stratum = record.stratum.as_ref().map(|(stratum, _)| stratum.clone());
        let kind = match record.number {
            Number::Value(_) => Kind::Values,
            Number::Counts(_) => Kind::Counts,
        };
        let new = || Metric { kind, place: place.clone(), stratum: stratum.clone(), windows: BTreeMap::new() };
        let metric = self.metrics.entry(name.clone()).or_insert_with(new);
        if metric.stratum.is_some() != stratum.is_some() {
            let said = |stratum: &Option<StratumName>| {
                stratum.as_ref().map_or_else(|| "of all traffic".to_owned(), |s| format!("of {s}"))
            };
            let (here, there, at) = (said(&stratum), said(&metric.stratum), &metric.place);
            return Err(
                place.wrong(format!("{name} is {here} here, and {there} at {at}: name the stratum of all or of none"))
            );
        }
        let cut = Cut { window, stratum };
        let slot = &mut metric.windows.entry(cut.clone()).or_default()[arm];
        match (slot.as_mut(), record.number) {
            _ if metric.kind != kind => {
                let said = |kind| if kind == Kind::Counts { "counts" } else { "a value" };
                let (here, there, at) = (said(kind), said(metric.kind), &metric.place);
                return Err(place.wrong(format!("{name} has {here} here, and {there} at {at}: it is one of the two")));
            }
            (Some(Arm::Values(values)), Number::Value(value)) => values.push((value, place.clone())),
            (Some(Arm::Counts(_, there)), _) if numbered => {
                let of = cut.stratum.map_or_else(String::new, |stratum| format!(" and {stratum}"));
                return Err(place.wrong(format!("{name} of window {window}{of} was counted before, at {there}")));
            }
            (Some(Arm::Counts(sum, _)), Number::Counts(counts)) => *sum = together(*sum, counts, place)?,
            (_, Number::Value(value)) => *slot = Some(Arm::Values(vec![(value, place.clone())])),
            (_, Number::Counts(counts)) => *slot = Some(Arm::Counts(counts, place.clone())),
        }
        Ok(())
    }

    /// If a stage is said, it is for every window, and none goes back.
    fn check_stages(&self) -> Result<(), Failure> {
        let Some(said) = self.staged() else { return Ok(()) };
        let arms = self.metrics.values().flat_map(|metric| &metric.windows);
        for (Cut { window, .. }, arms) in arms {
            if let (None, Some(arm)) = (self.stages.get(window), arms.iter().flatten().next()) {
                let place = arm.place();
                return Err(place.wrong(format!("the stage of window {window} is not said, as it is at {said}")));
            }
        }
        let all = self.stages.iter();
        for ((before, (earlier, there)), (window, (stage, place))) in all.clone().zip(all.skip(1)) {
            if stage < earlier {
                return Err(place.wrong(format!(
                    "window {window} is of stage {stage}, and window {before} before it of stage {earlier} ({there}): \
                     a stage comes after the one before it"
                )));
            }
        }
        Ok(())
    }
}

impl Metric {
    /// Whether there is more than one window.
    pub(crate) fn has_windows(&self) -> bool {
        let (first, last) = (self.windows.first_key_value(), self.windows.last_key_value());
        first.map(|(cut, _)| cut.window) != last.map(|(cut, _)| cut.window)
    }

    /// Where a window has a second value, if any has.
    pub(crate) fn second(&self) -> Option<&Place> {
        self.windows.values().flatten().flatten().find_map(|arm| match arm {
            Arm::Values(values) => values.get(1).map(|(_, place)| place),
            Arm::Counts(..) => None,
        })
    }

    /// All values of an arm, in order; nothing of what is counted.
    pub(crate) fn values(&self, arm: usize) -> Vec<f64> {
        let values = self.arm(arm).filter_map(|arm| match arm {
            Arm::Values(values) => Some(values),
            Arm::Counts(..) => None,
        });
        values.flatten().map(|(value, _)| value.get()).collect()
    }

    /// All counts of an arm together.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the first that is too many.
    pub(crate) fn counts(&self, arm: usize) -> Result<Counts, Failure> {
        self.arm(arm).try_fold(Counts::default(), |sum, arm| match arm {
            Arm::Counts(counts, place) => together(sum, *counts, place),
            Arm::Values(_) => Ok(sum),
        })
    }

    fn arm(&self, arm: usize) -> impl Iterator<Item = &Arm> {
        self.windows.values().filter_map(move |arms| arms[arm].as_ref())
    }
}

impl Arm {
    /// Where it stands first.
    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Values(values) => &values[0].1,
            Self::Counts(_, place) => place,
        }
    }
}

/// A sum that is exact: [`Counts::plus`] ends at the most that is counted.
fn together(sum: Counts, counts: Counts, place: &Place) -> Result<Counts, Failure> {
    let plus = |a: u64, b: u64| a.saturating_add(b);
    let both = Counts::new(plus(sum.events(), counts.events()), plus(sum.bad(), counts.bad()));
    both.map_err(|error| place.wrong(format!("with this row there are {error}")))
}

/// Values as sizes.
///
/// # Errors
///
/// [`Failure`] names the first that is none by its place.
pub(crate) fn sizes(metric: &MetricName, values: &[(Real, Place)]) -> Result<Histogram, Failure> {
    let mut histogram = Histogram::new();
    for (value, place) in values {
        histogram.insert(value.get()).map_err(|error| place.wrong(format!("{metric}: {error}")))?;
    }
    Ok(histogram)
}
