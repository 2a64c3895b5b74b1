//! Classes to one score.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::classify::{Class, Classified};
use crate::analysis::special::length;

/// Weights of groups in percent, by name.
pub type Weights = BTreeMap<String, f64>;

/// The score of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// Its name.
    pub name: String,
    /// The share of its metrics that pass, from 0 to 100; 0 if none has data.
    pub score: f64,
    /// Whether none of its metrics has data; then it counts as 100.
    pub no_data: bool,
}

/// The score of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// From 0 to 100, to two decimals.
    pub score: f64,
    /// By group, in order of their names.
    pub groups: Vec<GroupScore>,
    /// Why the score is 0 whatever the groups say, where that is so.
    pub zero_because: Option<String>,
}

/// Adds classes up. Each comes with the groups that it counts in.
#[must_use]
pub fn score(classified: &[(Classified, &[String])], weights: &Weights) -> Scored {
    let mut groups: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (class, names) in classified {
        for name in *names {
            let [passed, counted] = groups.entry(name).or_default();
            match class.class {
                Class::Pass => {
                    *passed += 1;
                    *counted += 1;
                }
                Class::High | Class::Low | Class::NodataFailMetric => *counted += 1,
                Class::Nodata => {}
            }
        }
    }
    let groups: Vec<GroupScore> = groups
        .into_iter()
        .map(|(name, [passed, counted])| {
            let score = if counted == 0 { 0.0 } else { 100.0 * length(passed) / length(counted) };
            GroupScore { name: name.to_owned(), score, no_data: counted == 0 }
        })
        .collect();
    let without_data = classified.iter().filter(|(class, _)| class.class == Class::Nodata).count();
    let critical = classified.iter().filter(|(class, _)| class.critical && class.class != Class::Pass).count();
    let zero_because = if critical > 0 {
        Some(format!("{critical} critical metrics do not pass"))
    } else if classified.is_empty() || 2 * without_data >= classified.len() {
        Some(format!("{without_data} of {} metrics have no data", classified.len()))
    } else {
        None
    };
    let score = if zero_because.is_some() { 0.0 } else { rounded(sum(&groups, weights)) };
    Scored { score, groups, zero_because }
}

fn sum(groups: &[GroupScore], weights: &Weights) -> f64 {
    let given: f64 = groups.iter().filter_map(|group| weights.get(&group.name)).sum();
    let unweighted = groups.iter().filter(|group| !weights.contains_key(&group.name)).count();
    let share = if unweighted == 0 { 0.0 } else { (100.0 - given) / length(unweighted) };
    groups
        .iter()
        .map(|group| {
            let weight = weights.get(&group.name).copied().unwrap_or(share) / 100.0;
            weight * if group.no_data { 100.0 } else { group.score }
        })
        .sum()
}

fn rounded(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::{Weights, score};
    use crate::analysis::kayenta::{Class, Classified};
    use crate::analysis::tables::{self, number, numbers};

    #[test]
    fn the_rows_of_the_score() {
        tables::rows("kayenta_scorer.json", |row| {
            let metrics: Vec<(Classified, Vec<String>)> = row.input["metrics"]
                .as_array()
                .expect("metrics")
                .iter()
                .map(|metric| {
                    let class: Class = serde_json::from_value(metric["classification"].clone()).expect("a class");
                    let critical = metric["critical"].as_bool().expect("yes or no");
                    let groups = serde_json::from_value(metric["groups"].clone()).expect("groups");
                    (Classified { class, critical, mean_ratio: 1.0, interval: None }, groups)
                })
                .collect();
            let metrics: Vec<(Classified, &[String])> =
                metrics.iter().map(|(class, groups)| (class.clone(), groups.as_slice())).collect();
            let weights: Weights = serde_json::from_value(row.input["group_weights_percent"].clone()).expect("weights");
            let got = score(&metrics, &weights);
            assert_eq!(got.score.to_bits(), number(&row.expected["summary_score"]).to_bits(), "{}", row.name);
            if row.expects("group_scores") {
                let mut scores: Vec<f64> = got.groups.iter().map(|group| group.score).collect();
                scores.sort_unstable_by(f64::total_cmp);
                assert_eq!(scores, numbers(&row.expected["group_scores"]), "{}", row.name);
            }
            true
        });
    }

    #[test]
    fn a_group_without_data_counts_as_a_hundred() {
        let of = |class| Classified { class, critical: false, mean_ratio: 1.0, interval: None };
        let (one, other) = (["one".to_owned()], ["other".to_owned()]);
        let metrics = [
            (of(Class::Pass), one.as_slice()),
            (of(Class::High), one.as_slice()),
            (of(Class::Pass), one.as_slice()),
            (of(Class::Pass), one.as_slice()),
            (of(Class::Nodata), other.as_slice()),
        ];
        let got = score(&metrics, &Weights::default());
        assert_eq!(got.score.to_bits(), 87.5f64.to_bits());
        assert!(got.groups[1].no_data);
    }
}
