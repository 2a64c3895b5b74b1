//! What OpenMetrics asks of metric families beyond the shape of a line (OpenMetrics 1.0.0, sections "Overall Structure", "Metric
//! Types" and "Exemplars").

use std::collections::{BTreeMap, BTreeSet};

use super::Sample;

type Labels = BTreeMap<String, String>;

/// Reads metadata and samples in their order, and says what is wrong.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// Names of families that have ended; nothing of them may come again.
    over: BTreeSet<String>,
    /// Names of samples that families claim, by who claims them.
    claimed: BTreeMap<String, String>,
    family: Option<Family>,
    /// How many claimed names were looked at to be freed.
    #[cfg(test)]
    looked_at: usize,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: Kind,
    /// The names of samples that it claims.
    claims: Vec<String>,
    described: BTreeSet<&'static str>,
    sampled: bool,
    /// The metrics of it, by their labels without those that tell the points of one metric apart.
    ended: BTreeSet<Labels>,
    metric: Option<Metric>,
}

/// The points of one metric, as far as they were read.
#[derive(Debug, Default)]
struct Metric {
    labels: Labels,
    /// Whether a point of it was read.
    begun: bool,
    /// When its newest point was taken; all of them say so or none.
    at: Option<i64>,
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Gauge,
    Counter,
    Stateset,
    Info,
    Histogram,
    GaugeHistogram,
    Summary,
}

impl Kind {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "unknown" => Self::Unknown,
            "gauge" => Self::Gauge,
            "counter" => Self::Counter,
            "stateset" => Self::Stateset,
            "info" => Self::Info,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            _ => return None,
        })
    }

    /// What stands after the family's name in the names of its samples.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Unknown | Self::Gauge | Self::Stateset => &[""],
            Self::Counter => &["_total", "_created"],
            Self::Info => &["_info"],
            Self::Histogram => &["_bucket", "_count", "_sum", "_created"],
            Self::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
            Self::Summary => &["", "_count", "_sum", "_created"],
        }
    }
}

impl Families {
    /// A line that begins with `#` and is not the end.
    pub(super) fn metadata(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.splitn(4, ' ');
        let (mark, keyword, name, rest) = (words.next(), words.next(), words.next(), words.next());
        let (Some("#"), Some(keyword), Some(name), Some(rest)) = (mark, keyword, name, rest) else {
            return Err(
                "after # must stand TYPE, HELP or UNIT, a name and what it is, one space apart, or EOF".to_owned()
            );
        };
        let keyword = match keyword {
            "TYPE" => "TYPE",
            "HELP" => "HELP",
            "UNIT" => "UNIT",
            _ => return Err("after # only TYPE, HELP, UNIT and EOF may stand".to_owned()),
        };
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.begin(name, Kind::Unknown)?;
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.sampled {
            return Err(format!("{keyword} of {name} stands after its samples"));
        }
        if !family.described.insert(keyword) {
            return Err(format!("{keyword} of {name} stands twice"));
        }
        if keyword == "TYPE" {
            family.kind = Kind::read(rest).ok_or_else(|| format!("{rest:?} is not a type"))?;
            self.claim()?;
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if keyword == "UNIT" && !rest.is_empty() && !name.ends_with(&format!("_{rest}")) {
            return Err(format!("the name {name} does not end in its unit {rest}"));
        }
        let unit_less = matches!(family.kind, Kind::Info | Kind::Stateset);
        if unit_less && family.described.contains("UNIT") && (keyword == "TYPE" || !rest.is_empty()) {
            return Err(format!("{name} is of a type that has no unit"));
        }
        Ok(())
    }

    /// A sample, and whether an exemplar stands beside it.
    pub(super) fn sample(&mut self, sample: &Sample, exemplar: bool) -> Result<(), String> {
        let suffix = self.family.as_ref().and_then(|family| family.suffix_of(&sample.name));
        let suffix = match suffix {
            Some(suffix) => suffix,
            None => {
                self.begin(&sample.name, Kind::Unknown)?;
                ""
            }
        };
        let Some(family) = &mut self.family else { return Ok(()) };
        family.sampled = true;
        family.point(suffix, sample)?;
        let may = matches!(
            (family.kind, suffix),
            (Kind::Counter, "_total") | (Kind::Histogram | Kind::GaugeHistogram, "_bucket")
        );
        if exemplar && !may {
            return Err(format!("an exemplar may not stand beside {}", sample.name));
        }
        Ok(())
    }

    /// The text is over.
    pub(super) fn end(&mut self) -> Result<(), String> {
        match self.family.take() {
            Some(family) => family.end(),
            None => Ok(()),
        }
    }

    fn begin(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        self.end_of_family()?;
        if !self.over.insert(name.to_owned()) {
            return Err(format!("{name} was over, and comes again"));
        }
        let described = BTreeSet::new();
        let (ended, metric) = (BTreeSet::new(), None);
        let (name, claims) = (name.to_owned(), Vec::new());
        self.family = Some(Family { name, kind, claims, described, sampled: false, ended, metric });
        self.claim()
    }

    fn end_of_family(&mut self) -> Result<(), String> {
        self.end()
    }

    /// No two families may have samples of one name. What the family claimed before it said its type is free again; only its own names are
    /// looked at, since a page may hold hundreds of thousands of families.
    fn claim(&mut self) -> Result<(), String> {
        let Some(family) = &mut self.family else { return Ok(()) };
        for name in family.claims.drain(..) {
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
            self.claimed.remove(&name);
        }
        for suffix in family.kind.suffixes().iter().chain(&[""]) {
            let name = format!("{}{suffix}", family.name);
            if let Some(other) = self.claimed.insert(name.clone(), family.name.clone()).filter(|o| *o != family.name) {
                return Err(format!("{name} is claimed by {other} and by {}", family.name));
            }
            family.claims.push(name);
        }
        Ok(())
    }
}

impl Family {
    fn suffix_of(&self, name: &str) -> Option<&'static str> {
        let rest = name.strip_prefix(self.name.as_str())?;
        self.kind.suffixes().iter().copied().find(|suffix| *suffix == rest)
    }

    fn point(&mut self, suffix: &'static str, sample: &Sample) -> Result<(), String> {
        let mut labels = sample.labels.clone();
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| !n.is_nan());
        let (value, name) = (sample.value, &sample.name);
        let mut bucket = None;
        match (self.kind, suffix) {
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket") => {
                let le = labels.remove("le").ok_or_else(|| format!("{name} has no label le"))?;
                let spelled = le != "+Inf" && le.chars().any(|c| c.is_ascii_alphabetic() && c != 'e' && c != 'E');
                bucket =
                    Some(number(&le).filter(|_| !spelled).ok_or_else(|| format!("the bound {le:?} is not a number"))?);
            }
            (Kind::Summary, "") => {
                let share = labels.remove("quantile").ok_or_else(|| format!("{name} has no label quantile"))?;
                number(&share)
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| format!("the quantile {share:?} is not between 0 and 1"))?;
            }
            (Kind::Stateset, _) => {
                labels.remove(&self.name).ok_or_else(|| format!("{name} has no label of its own name"))?;
            }
            _ => {}
        }
        let sizes = matches!(
            (self.kind, suffix),
            (Kind::Counter, "_total")
                | (Kind::Histogram, "_bucket" | "_count" | "_sum")
                | (Kind::GaugeHistogram, "_bucket" | "_gcount")
                | (Kind::Summary, "_count" | "_sum")
        );
        if sizes && (value.is_nan() || value < 0.0) {
            return Err(format!("{name} is {value}, and may not be below zero or no number"));
        }
        if (self.kind == Kind::GaugeHistogram && suffix == "_gsum" && value.is_nan())
            || (self.kind == Kind::Summary && suffix.is_empty() && value < 0.0)
        {
            return Err(format!("{name} is {value}, which it may not be"));
        }
        if self.kind == Kind::Info && value != 1.0 {
            return Err(format!("{name} is {value}, and an info is always 1"));
        }
        if self.kind == Kind::Stateset && value != 0.0 && value != 1.0 {
            return Err(format!("{name} is {value}, and a state is 0 or 1"));
        }
        self.metric_of(labels, name)?;
        let Some(metric) = &mut self.metric else { return Ok(()) };
        metric.take(sample.at_ms, name)?;
        match suffix {
            "_bucket" => {
                let bound = bucket.unwrap_or(f64::INFINITY);
                if metric.count.is_some() || metric.buckets.last().is_some_and(|(last, _)| bound <= *last) {
                    return Err(format!("the buckets of {name} are not in the order of their bounds"));
                }
                if metric.buckets.last().is_some_and(|(_, last)| value < *last) {
                    return Err(format!("the buckets of {name} fall"));
                }
                metric.buckets.push((bound, value));
            }
            "_count" | "_gcount" => metric.count = Some(value),
            "_sum" | "_gsum" => metric.sum = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// The points of one metric stand together.
    fn metric_of(&mut self, labels: Labels, name: &str) -> Result<(), String> {
        if self.metric.as_ref().is_some_and(|metric| metric.labels == labels) {
            return Ok(());
        }
        if let Some(before) = self.metric.take() {
            before.end(self.kind, &self.name)?;
            self.ended.insert(before.labels);
        }
        if self.ended.contains(&labels) {
            return Err(format!("the points of {name} do not stand together"));
        }
        self.metric = Some(Metric { labels, ..Metric::default() });
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        self.metric.map_or(Ok(()), |metric| metric.end(self.kind, &self.name))
    }
}

impl Metric {
    fn take(&mut self, at: Option<i64>, name: &str) -> Result<(), String> {
        let begun = std::mem::replace(&mut self.begun, true);
        match (std::mem::replace(&mut self.at, at), at) {
            _ if !begun => Ok(()),
            (Some(before), Some(now)) if now < before => Err(format!("the times of {name} go backwards")),
            (Some(before), Some(now)) if now > before => {
                // Another point of the same metric.
                self.buckets.clear();
                (self.count, self.sum) = (None, None);
                Ok(())
            }
            (None, Some(_)) | (Some(_), None) => Err(format!("some points of {name} have times, others not")),
            _ => Ok(()),
        }
    }

    fn end(&self, kind: Kind, name: &str) -> Result<(), String> {
        if !matches!(kind, Kind::Histogram | Kind::GaugeHistogram) {
            return Ok(());
        }
        let Some((bound, all)) = self.buckets.last() else { return Err(format!("{name} has no buckets")) };
        if *bound != f64::INFINITY {
            return Err(format!("{name} has no bucket without bound"));
        }
        if self.count.is_some_and(|count| count != *all) {
            return Err(format!("the count of {name} is not its last bucket"));
        }
        if self.count.is_some() != self.sum.is_some() {
            return Err(format!("{name} has one of count and sum, and not the other"));
        }
        let below_zero = self.buckets.iter().any(|(bound, _)| *bound < 0.0);
        if kind == Kind::Histogram && below_zero && self.sum.is_some() {
            return Err(format!("{name} has bounds below zero, and then no sum"));
        }
        if kind == Kind::GaugeHistogram && !below_zero && self.sum.is_some_and(|sum| sum < 0.0) {
            return Err(format!("{name} has a sum below zero and no such bounds"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Families;

    fn looked_at(families: usize) -> usize {
        let mut read = Families::default();
        for i in 0..families {
            read.metadata(&format!("# TYPE a{i} histogram")).expect("a family");
        }
        read.looked_at
    }

    #[test]
    fn twice_as_many_families_are_twice_the_work() {
        let (some, twice) = (looked_at(500), looked_at(1_000));
        assert!(some > 0 && twice <= 2 * some, "{some} names, then {twice}");
    }

    #[test]
    fn what_a_family_claims_by_its_type_it_claims_alone() {
        let mut read = Families::default();
        read.metadata("# TYPE a histogram").expect("a family");
        let error = read.metadata("# TYPE a_sum gauge").expect_err("it is claimed");
        assert_eq!(error, "a_sum is claimed by a and by a_sum");
        // Before it said its type, the family claimed its own name; an info keeps that too.
        let mut read = Families::default();
        read.metadata("# HELP b of everything").expect("a family");
        read.metadata("# TYPE b info").expect("its type");
        assert!(read.metadata("# TYPE b_info gauge").is_err());
    }
}
