//! Reports made from a model: what is read is what the model holds, and a declaration that lies is noticed.

use std::collections::BTreeMap;

use deploy_agents::evidence::facts::Share;
use deploy_agents::evidence::{DoubtKind, Original, Place, Source, junit, k6, lcov};
use proptest::prelude::*;

use crate::doubted;

/// A test as JUnit, by how it ended: passed, failed, errored, skipped.
fn case(number: usize, outcome: u8) -> String {
    let inner = ["", "<failure message=\"x\"/>", "<error/>", "<skipped/>"][usize::from(outcome)];
    format!("<testcase name=\"t{number}\">{inner}</testcase>")
}

proptest! {
    /// Rows: M8, M153.
    #[test]
    fn the_recount_is_the_model_and_every_other_declaration_is_doubted(
        suites in prop::collection::vec(prop::collection::vec(0_u8..4, 0..8), 1..5),
        lie in 0_u64..40,
    ) {
        let of = |outcomes: &[u8], wanted: u8| outcomes.iter().filter(|o| **o == wanted).count() as u64;
        let all: Vec<u8> = suites.concat();
        let inner: String = suites.iter().enumerate().map(|(n, outcomes)| {
            let cases: String = outcomes.iter().enumerate().map(|(n, outcome)| case(n, *outcome)).collect();
            format!("<testsuite name=\"s{n}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">{cases}</testsuite>",
                outcomes.len(), of(outcomes, 1), of(outcomes, 2), of(outcomes, 3))
        }).collect();
        let text = format!("<testsuites tests=\"{lie}\">{inner}</testsuites>");
        let facts = junit::read(&Source::new("j", text.as_bytes())).expect("readable");
        let counted = facts.counted;
        prop_assert_eq!(counted.total, all.len() as u64);
        prop_assert_eq!((counted.passed, counted.failed, counted.errored, counted.skipped), (of(&all, 0), of(&all, 1), of(&all, 2), of(&all, 3)));
        prop_assert_eq!(counted.executed, counted.total - counted.skipped);
        // No test stands directly in the root, so 0 is an honest declaration too.
        let honest = lie == counted.total || lie == 0;
        prop_assert_eq!(doubted(&facts.doubts, DoubtKind::CountsDiffer), usize::from(!honest));
        prop_assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), usize::from(counted.executed == 0));
    }

    /// Rows: M172.
    #[test]
    fn merged_tracefiles_are_the_sum_of_their_records(
        records in prop::collection::vec((0_usize..3, prop::collection::btree_map(1_u64..9, 0_u64..3, 0..6)), 1..8),
    ) {
        let mut model: BTreeMap<usize, BTreeMap<u64, u64>> = BTreeMap::new();
        let mut text = String::new();
        for (file, lines) in &records {
            text.push_str(&format!("SF:f{file}\n"));
            let merged = model.entry(*file).or_default();
            for (line, hits) in lines {
                text.push_str(&format!("DA:{line},{hits}\n"));
                *merged.entry(*line).or_default() += hits;
            }
            text.push_str("end_of_record\n");
        }
        let facts = lcov::read(&Source::new("l", text.as_bytes())).expect("readable");
        let read: Vec<_> = facts.files.iter().map(|file| file.hits.clone()).collect();
        prop_assert_eq!(&read, &model.values().cloned().collect::<Vec<_>>());
        let total = model.values().map(BTreeMap::len).sum::<usize>() as u64;
        let covered = model.values().flat_map(BTreeMap::values).filter(|hits| **hits > 0).count() as u64;
        prop_assert_eq!(facts.lines, Share { covered, total });
    }

    #[test]
    fn a_share_exceeds_a_limit_exactly_when_it_is_more(covered in 0_u64..2_000, more in 0_u64..2_000, percent in 0_u32..=100) {
        let total = covered + more;
        let share = Share { covered, total };
        // The same in whole numbers.
        prop_assert_eq!(share.exceeds(f64::from(percent)), total > 0 && covered * 100 > u64::from(percent) * total);
    }

    /// Names with slashes, tildes and quotes are cited in a way that finds them again.
    #[test]
    fn every_name_is_cited_so_that_it_is_found(name in "[a-z/~\"\\\\{}\\[\\]0-9 é.]{1,12}") {
        let quoted = serde_json::to_string(&name).expect("a text");
        let text = format!("{{\"metrics\": {{\"http_reqs\": {{\"count\": 5}}, {quoted}: {{\"thresholds\": {{{quoted}: false}}}}}}}}");
        let source = Source::new("k6", text.as_bytes());
        prop_assume!(name != "http_reqs");
        let facts = k6::read(&source).expect("readable");
        let at = &facts.thresholds[0].at;
        prop_assert_eq!(Original::open(&source).text_at(&at.place).expect("there"), "false");
        let beside = Place::Json("/metrics/nothing/thresholds".to_owned());
        prop_assert!(Original::open(&source).text_at(&beside).is_err());
    }
}
