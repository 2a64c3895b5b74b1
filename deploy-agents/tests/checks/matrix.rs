//! The six criteria, in full.

use deploy_agents::gates::{Criterion, ReadinessMatrix};
use deploy_core::evidence::{Refusal, Verdict, Waiver};
use deploy_core::gate::GateDecision;
use deploy_core::time::Timestamp;

use crate::world::{now, person};

fn waived(expires: Timestamp) -> Verdict {
    Verdict::Waived(Waiver { person: person("grace"), reason: "known and harmless".to_owned(), expires })
}

/// One of each kind of verdict, and whether it is a veto, a condition, or neither.
fn verdicts() -> [(Verdict, char); 6] {
    [
        (Verdict::Pass, 'g'),
        (Verdict::Concerns { remarks: vec!["slow".to_owned()] }, 'c'),
        (Verdict::Fail { reason: "it is broken".to_owned() }, 'v'),
        (Verdict::Inconclusive { refusal: Refusal::Stale("3 days old".to_owned()) }, 'v'),
        (waived(now().after(std::time::Duration::from_secs(60))), 'c'),
        (Verdict::NotApplicable { reason: "no such thing here".to_owned() }, 'g'),
    ]
}

/// Rows: M4, M20, M21, M22, M23, M24, M25.
#[test]
fn six_criteria_by_six_verdicts_in_full_and_any_veto_means_not_go() {
    let verdicts = verdicts();
    let (mut go, mut conditional, mut no_go) = (0, 0, 0);
    for case in 0..6_usize.pow(6) {
        let picked: Vec<usize> = (0..6_u32).map(|place| case / 6_usize.pow(place) % 6).collect();
        let matrix =
            Criterion::ALL.into_iter().zip(&picked).fold(ReadinessMatrix::new(), |matrix, (criterion, which)| {
                matrix.verdict(criterion, verdicts[*which].0.clone())
            });
        let count = |what: char| picked.iter().filter(|which| verdicts[**which].1 == what).count();
        match matrix.decision(now()) {
            GateDecision::NoGo { vetoes } => {
                assert_eq!(vetoes.len(), count('v'), "{picked:?}");
                assert!(count('v') > 0, "{picked:?}");
                no_go += 1;
            }
            GateDecision::Conditional { conditions } => {
                assert_eq!((count('v'), conditions.len()), (0, count('c')), "{picked:?}");
                assert!(count('c') > 0, "{picked:?}");
                conditional += 1;
            }
            GateDecision::Go => {
                assert_eq!((count('v'), count('c')), (0, 0), "{picked:?}");
                go += 1;
            }
            hold @ GateDecision::Hold { .. } => panic!("nothing here could wait: {hold:?}"),
        }
    }
    // By counting: 2^6 ways to have neither, 4^6 to have no veto.
    assert_eq!((go, conditional, no_go), (64, 4096 - 64, 46_656 - 4096));
    println!("{} cases: {go} go, {conditional} conditional, {no_go} no-go", go + conditional + no_go);
}

/// Rows: M21, M24.
#[test]
fn a_waiver_that_is_over_or_says_nothing_vetoes_and_remarks_do_where_the_host_says_so() {
    let all = |verdict: &Verdict| {
        Criterion::ALL.into_iter().fold(ReadinessMatrix::new(), |matrix, c| matrix.verdict(c, verdict.clone()))
    };
    assert!(all(&waived(now())).decision(now()).passes(), "it holds to its last instant");
    assert!(!all(&waived(Timestamp(now().0 - 1))).decision(now()).passes());
    let silent =
        Verdict::Waived(Waiver { person: person("grace"), reason: " ".to_owned(), expires: Timestamp(i64::MAX) });
    assert!(!all(&silent).decision(now()).passes());
    let remarks = Verdict::Concerns { remarks: vec!["one page is old".to_owned()] };
    let pass = all(&Verdict::Pass);
    assert!(pass.clone().verdict(Criterion::Documentation, remarks.clone()).decision(now()).passes());
    assert!(!pass.strict(Criterion::Documentation).verdict(Criterion::Documentation, remarks).decision(now()).passes());
}

/// Rows: M4.
#[test]
fn the_table_shows_each_veto_and_what_nobody_judged() {
    let matrix = ReadinessMatrix::new()
        .verdict(Criterion::CodeQuality, Verdict::Pass)
        .verdict(Criterion::Security, Verdict::Fail { reason: "1 critical finding".to_owned() })
        .verdict(Criterion::Security, Verdict::Fail { reason: "the audit is of another image".to_owned() })
        .verdict(Criterion::Performance, Verdict::Concerns { remarks: vec!["p99 rose by 3 %".to_owned()] })
        .verdict(Criterion::Infrastructure, waived(now()))
        .verdict(Criterion::Documentation, Verdict::NotApplicable { reason: "nothing that users see".to_owned() });
    let table = matrix.table(now());
    println!("{table}");
    assert_eq!(
        table,
        "criterion       decision    why\n\
         code quality    go\n\
         security        veto        1 critical finding; the audit is of another image\n\
         performance     conditional performance: p99 rose by 3 %\n\
         infrastructure  conditional infrastructure is waived by grace@example.org until 2026-11-23T08:00:00.000Z: known and harmless\n\
         documentation   go\n\
         team readiness  veto        nobody has judged it\n\
         NO-GO\n"
    );
}
