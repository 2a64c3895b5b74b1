//! Every check of the catalogue on good evidence, and on every kind of bad.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_agents::checks::{Catalogue, CatalogueCheck, Reading, Thresholds, ValidationLevel, kind};
use deploy_core::digest::Digest;
use deploy_core::evidence::{Collected, EvidenceSubject, Refusal, Verdict};
use deploy_core::time::Timestamp;

use crate::sample::{catalogue, claimer, judge, pieces, set};
use crate::world::{now, release};

/// Rows: M8, M9, M10, M11, M12, M13, M14, M15, M16, M17, M18, M19, M39, M40, M41, M42, M43, M171, M172, M173, M174, M175.
#[test]
fn every_check_passes_on_good_evidence_and_says_where_its_numbers_stood() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let mut wrong = Vec::new();
    for check in catalogue.checks() {
        let judged = judge(&catalogue, check.name().as_str(), &pieces);
        if judged.receipt.verdict != Verdict::Pass {
            wrong.push(format!("{}: {:?}", check.name(), judged.receipt.verdict));
        }
        assert_eq!(judged.receipt.verdict, judged.assessment.verdict, "{}", check.name());
        let placed = judged.assessment.figures.iter().filter(|figure| figure.at.is_some()).count();
        if placed == 0 {
            wrong.push(format!("{}: no figure says where it stood: {:?}", check.name(), judged.assessment));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} checks", catalogue.checks().count());
}

/// What is wrong, what is handed over instead, and which refusal belongs to it.
type Spoilt = (&'static str, Vec<Collected>, fn(&Refusal) -> bool);

/// What may be wrong with a piece of evidence before anybody reads what it says, and the refusal that belongs to it.
fn spoilt(check: &CatalogueCheck, good: &Collected) -> Vec<Spoilt> {
    let change = |change: &dyn Fn(&mut Collected)| {
        let mut piece = good.clone();
        change(&mut piece);
        vec![piece]
    };
    let reread = |bytes: Vec<u8>| {
        let e = good.evidence.clone();
        vec![Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes).summary(&e.summary)]
    };
    let place_alone = EvidenceSubject { environment: Some(release().environment), ..EvidenceSubject::default() };
    let of_a_build = kind::is_of_a_build(&good.evidence.kind);
    let old = Timestamp(now().0 - i64::try_from(check.policy().max_age.as_millis()).expect("few") - 1);
    let half = good.bytes.len() / 2;
    let mut spoilt: Vec<Spoilt> = vec![
        // Without the word of when its database is, a scan counts as old.
        ("missing", Vec::new(), |r| matches!(r, Refusal::Missing(_) | Refusal::Stale(_))),
        ("stale", change(&|p| p.evidence.observed_at = old), |r| matches!(r, Refusal::Stale(_))),
        ("of another commit", change(&|p| p.evidence.subject.commit = Some("f".repeat(40))), |r| {
            matches!(r, Refusal::Foreign(_))
        }),
        ("of another artifact", change(&|p| p.evidence.subject.artifact = Some(Digest::of(b"another image"))), |r| {
            matches!(r, Refusal::Foreign(_))
        }),
        (
            "of another environment",
            change(&|p| p.evidence.subject.environment = Some("staging".try_into().expect("a name"))),
            |r| matches!(r, Refusal::Foreign(_)),
        ),
        ("of nothing in particular", change(&|p| p.evidence.subject = Default::default()), |r| {
            matches!(r, Refusal::Foreign(_))
        }),
        ("unfinished", change(&|p| p.evidence.producer.finished = false), |r| matches!(r, Refusal::Unfinished(_))),
        ("self-attested", change(&|p| p.evidence.producer.name = claimer().to_string()), |r| {
            matches!(r, Refusal::SelfAttested(_))
        }),
        ("future-dated", change(&|p| p.evidence.observed_at = now().after(Duration::from_secs(61))), |r| {
            matches!(r, Refusal::FutureDated(_))
        }),
        ("given twice", vec![good.clone(), good.clone()], |r| matches!(r, Refusal::Duplicate(_))),
        // The bytes in the journal are not those that were collected.
        ("tampered", change(&|p| p.bytes.push(b' ')), |r| matches!(r, Refusal::Unparseable(_))),
        ("truncated", reread(good.bytes[..half].to_vec()), |_| true),
        ("empty", reread(Vec::new()), |r| matches!(r, Refusal::Missing(_) | Refusal::Unparseable(_))),
        ("of another format", reread(b"once upon a time".to_vec()), |_| true),
        ("not text", reread(vec![0xFF; 64]), |_| true),
    ];
    if of_a_build {
        let unnamed = change(&|p| p.evidence.subject = place_alone.clone());
        spoilt.push(("of a place alone", unnamed, |r| matches!(r, Refusal::Foreign(_))));
    }
    spoilt
}

/// What a check reads beside what it must: leaving it out changes nothing.
const OPTIONAL: [(&str, &str); 1] = [("coverage", "change-log")];

/// Rows: M8, M9, M10, M11, M12, M13, M14, M15, M16, M17, M18, M19, M39, M40, M41, M42, M43, M171, M172, M173, M174, M175.
#[test]
fn bad_evidence_is_refused_by_every_check_for_every_kind_that_it_reads() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let (mut tried, mut wrong) = (0, Vec::new());
    for check in catalogue.checks() {
        for good in pieces.iter().filter(|p| check.kinds().contains(&p.evidence.kind.as_str())) {
            for (what, instead, fits) in spoilt(check, good) {
                let kind = good.evidence.kind.as_str();
                if what == "missing" && OPTIONAL.contains(&(check.name().as_str(), kind)) {
                    continue;
                }
                let mut all: Vec<Collected> =
                    pieces.iter().filter(|p| p.evidence.summary != good.evidence.summary).cloned().collect();
                all.extend(instead);
                let judged = judge(&catalogue, check.name().as_str(), &all);
                tried += 1;
                match &judged.receipt.verdict {
                    Verdict::Inconclusive { refusal } if fits(refusal) => {}
                    Verdict::Fail { .. }
                        if matches!(what, "truncated" | "empty" | "of another format" | "not text" | "missing") => {}
                    verdict => wrong.push(format!("{} on {kind} that is {what}: {verdict:?}", check.name())),
                }
            }
        }
    }
    println!("{tried} tries with bad evidence, {} of them not refused", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 700, "{tried}");
}

/// A report about a commit cannot be older than the commit, whatever else its age; what is about a place alone can.
#[test]
fn evidence_from_before_its_commit_is_stale_however_young() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let verdict = |check: &str, piece: &Collected, after: Duration| {
        let mut release = release();
        release.change.committed_at = Some(piece.evidence.observed_at.after(after));
        let check = catalogue.check(check).expect("a check");
        set(std::slice::from_ref(piece)).judge(check, &release, &claimer(), None, now()).receipt.verdict
    };
    let of = |file: &str| pieces.iter().find(|piece| piece.evidence.summary == file).expect("a piece").clone();
    // The clocks of whoever commits and whoever tests may differ by a minute.
    let minute = Duration::from_secs(60);
    let junit = of("junit.xml");
    assert_eq!(verdict("tests-pass", &junit, minute), Verdict::Pass);
    let found = verdict("tests-pass", &junit, minute + Duration::from_millis(1));
    assert!(matches!(found, Verdict::Inconclusive { refusal: Refusal::Stale(_) }), "{found:?}");
    let mut place = of("environment.json");
    place.evidence.subject.commit = None;
    place.evidence.subject.artifact = None;
    assert_eq!(verdict("environment", &place, minute * 60), Verdict::Pass);
}

/// A claimed number that nobody measured fails every check that has numbers.
#[test]
fn an_inflated_number_in_the_claim_fails_the_check() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let mut tried = 0;
    for check in catalogue.checks() {
        let judged = judge(&catalogue, check.name().as_str(), &pieces);
        let Some(number) = judged.assessment.figures.iter().find_map(|figure| figure.number) else { continue };
        let mine: Vec<_> = pieces.iter().filter(|p| check.kinds().contains(&p.evidence.kind.as_str())).collect();
        let mine: Vec<_> = mine.iter().map(|p| (&p.evidence, p.bytes.as_slice())).collect();
        let release = release();
        let verdict = |value: String| {
            let claim = deploy_core::evidence::Claim { check: check.name().clone(), evidence: Vec::new(), value };
            let claims = [&claim];
            let input = deploy_core::evidence::CheckInput::new(&release, &mine, now()).claims(&claims);
            check.assess(&input).verdict
        };
        assert_eq!(verdict(format!("it is {number:.2}")), Verdict::Pass, "{}", check.name());
        assert!(matches!(verdict("it is 987654.25".to_owned()), Verdict::Fail { .. }), "{}", check.name());
        tried += 1;
    }
    assert!(tried > 25, "{tried}");
}

/// Rows: M133, M138.
#[test]
fn levels_hold_what_the_level_below_holds_and_the_least_keeps_every_veto() {
    let catalogue = catalogue();
    let names = |level| catalogue.level(level).map(|check| check.name().to_string()).collect::<BTreeSet<_>>();
    for pair in ValidationLevel::ALL.windows(2) {
        assert!(names(pair[0]).is_subset(&names(pair[1])) && names(pair[0]) != names(pair[1]), "{pair:?}");
    }
    assert_eq!(names(ValidationLevel::Enterprise).len(), catalogue.checks().count());
    let least = names(ValidationLevel::Minimal);
    let vetoes = [
        "build-success",
        "health",
        "no-critical-vulnerability",
        "rollback-drill",
        "service-level",
        "smoke",
        "tests-pass",
    ];
    assert_eq!(least, vetoes.into_iter().map(str::to_owned).collect());
    // By receipts: what was refused was not carried out.
    let receipts: Vec<_> =
        catalogue.checks().map(|check| judge(&catalogue, check.name().as_str(), &pieces()).receipt).collect();
    assert!(catalogue.execution(ValidationLevel::Enterprise, &receipts).is_complete());
    let some = &receipts[1..];
    let execution = catalogue.execution(ValidationLevel::Enterprise, some);
    assert_eq!(execution.skipped.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&receipts[0].check]);
}

/// A report that says that a document was read is believed only where a reader opened it: so each kind that any check reads needs one.
#[test]
fn every_kind_that_a_check_reads_can_be_opened() {
    let optional = Catalogue::optional(&Thresholds::default());
    let kinds: BTreeSet<&str> =
        catalogue().checks().chain(&optional).flat_map(|check| check.kinds().to_vec()).collect();
    for kind in &kinds {
        let piece = Collected::new(*kind, "test", EvidenceSubject::default(), now(), b"{}".to_vec());
        if let Err(refusal) = Reading::opens(&piece.evidence, &piece.bytes) {
            assert!(!refusal.to_string().contains("there is no reader"), "{kind}: {refusal}");
        }
    }
    let unknown = Collected::new("unicorns", "test", EvidenceSubject::default(), now(), b"{}".to_vec());
    assert!(Reading::opens(&unknown.evidence, &unknown.bytes).is_err());
    println!("{} kinds", kinds.len());
}

#[test]
fn the_catalogue_prints_itself() {
    let text = Catalogue::standard(&Thresholds::default()).to_string();
    println!("{text}");
    let entry = "\
tests-pass (minimal)
  reads   junit; at most 1d old
  passes  at least 1 tests ran, and every one of them passed
  rows    M8, M172, M177
";
    assert!(text.contains(entry), "{text}");
    // Every row of the check side is served by at least one check.
    let catalogue = catalogue();
    let rows = (8..=19).chain([39, 40, 41, 42, 43]).chain(139..=141).chain(143..=158).chain(171..=175);
    for row in rows.chain([196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213]) {
        assert!(catalogue.serving(row).next().is_some(), "no check serves M{row}");
    }
    assert!(set(&pieces()).evidence().len() > 45);
}
