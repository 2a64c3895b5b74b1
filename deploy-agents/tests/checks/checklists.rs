//! Checklists: computed, never remembered.

use deploy_agents::checks::{Checklist, ItemState, ManualAttestation};
use deploy_core::digest::Digest;
use deploy_core::evidence::{Receipt, Refusal, Verdict};
use proptest::prelude::*;

use crate::world::{now, person};

proptest! {
    /// No item is true unless each of its checks is true now, by a receipt that read something; the last receipt counts.
    ///
    /// Rows: M196, M204, M213.
    #[test]
    fn no_item_is_true_unless_its_checks_are_true_now(picks in prop::collection::vec((0_usize..60, 0_u8..4), 0..120)) {
        for list in [Checklist::pre_deployment(), Checklist::deployment()] {
            let names: Vec<_> = list.items().iter().flat_map(|item| item.checks.clone()).collect();
            let receipts: Vec<Receipt> = picks.iter().map(|(which, kind)| {
                let verdict = match kind {
                    0 | 3 => Verdict::Pass,
                    1 => Verdict::Fail { reason: "no".to_owned() },
                    _ => Verdict::Inconclusive { refusal: Refusal::Stale("old".to_owned()) },
                };
                let read = if *kind == 3 { Vec::new() } else { vec![Digest::of(b"x")] };
                Receipt { check: names[which % names.len()].clone(), read, verdict }
            }).collect();
            for (item, state) in list.read(&receipts).items {
                let so = item.checks.iter().all(|check| receipts.iter().rfind(|r| r.check == *check)
                    .is_some_and(|r| r.verdict == Verdict::Pass && !r.read.is_empty()));
                prop_assert_eq!(state.is_so(), so, "{}", item.text);
            }
        }
    }
}

#[test]
fn only_a_named_person_ticks_what_has_no_check_and_it_shows() {
    let mut list = Checklist::pre_deployment().manual("Cake is ordered");
    let word = |note: &str| ManualAttestation { who: person("grace"), at: now(), note: note.to_owned() };
    assert!(list.attest("Benchmarks validated", word("trust me")).is_err());
    assert!(list.attest("Cake is ordered", word(" ")).is_err());
    list.attest("Cake is ordered", word("saw the receipt")).expect("it has no check");
    let reading = list.read(&[]);
    assert!(matches!(reading.items[12].1, ItemState::Attested(_)) && !reading.is_done());
    assert!(
        reading.to_string().contains("- [m] Cake is ordered                by hand: grace@example.org"),
        "{reading}"
    );
}
