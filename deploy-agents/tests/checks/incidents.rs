//! A drill of a security incident: what it left is kept before anybody cleans up, and the check reads the record of it.

use deploy_agents::checks::incident::{IncidentAction, SecurityIncident};
use deploy_agents::checks::{Catalogue, Thresholds, write};
use deploy_agents::monitors::PreserveEvidence;
use deploy_core::evidence::{Collected, Refusal, Verdict};
use deploy_core::name::BlockName;

use crate::performed::once;
use crate::sample::{claimer, pieces, set};
use crate::world::{at, now, release};

/// The names under which the two files of the drill are kept.
struct Drill {
    log: String,
    image: String,
    kept: Vec<Collected>,
}

/// Somebody breaks in; two files are preserved at 06:10, and after that the intruder and the clean-up take them away.
async fn drill() -> Drill {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, image) = (folder.path().join("auth.log"), folder.path().join("memory"));
    std::fs::write(&log, b"login of root from nowhere\n").expect("written");
    std::fs::write(&image, b"what was in memory").expect("written");
    let agent = PreserveEvidence::new(BlockName::new("preserve").expect("a name")).file(&log).file(&image);
    let report = once(&agent, at("2026-11-23T06:10:00Z")).await.expect("it is done");
    drop(folder);
    Drill { log: log.display().to_string(), image: image.display().to_string(), kept: report.evidence }
}

fn record(drill: &Drill) -> SecurityIncident {
    let action =
        |what: &str, time: &str| IncidentAction { what: what.to_owned(), by: "grace".to_owned(), at: at(time) };
    SecurityIncident {
        id: "SEC-7".to_owned(),
        commander: "grace".to_owned(),
        found_at: at("2026-11-23T06:00:00Z"),
        contained_at: Some(at("2026-11-23T06:40:00Z")),
        must_keep: vec![drill.log.clone(), drill.image.clone()],
        actions: vec![
            action("preserve what it left", "2026-11-23T06:10:00Z"),
            action("revoke the key", "2026-11-23T06:35:00Z"),
        ],
    }
}

fn judge(record: &SecurityIncident, kept: &[Collected]) -> Verdict {
    let mut optional = Catalogue::optional(&Thresholds::default()).into_iter();
    let check = optional.find(|check| check.name().as_str() == "security-incident").expect("a check");
    let subject = kept[0].evidence.subject.clone();
    let file =
        Collected::new("security-incident", "pager", subject, at("2026-11-23T07:00:00Z"), write(record).expect("JSON"));
    let all: Vec<Collected> = kept.iter().cloned().chain([file.summary("incident.json")]).collect();
    set(&all).judge(&check, &release(), &claimer(), None, now()).receipt.verdict
}

/// Rows: M79.
#[tokio::test]
async fn an_incident_is_handled_only_if_its_evidence_was_kept_before_it_was_contained() {
    let drill = drill().await;
    assert_eq!(judge(&record(&drill), &drill.kept), Verdict::Pass);
    type Change = (&'static str, fn(&mut SecurityIncident));
    let changes: [Change; 10] = [
        ("nobody led", |r| r.commander = " ".to_owned()),
        ("not contained", |r| r.contained_at = None),
        ("contained too late", |r| r.contained_at = Some(at("2026-11-23T07:00:00.001Z"))),
        ("contained before it was found", |r| r.contained_at = Some(at("2026-11-23T05:59:59Z"))),
        ("cleaned up first", |r| r.contained_at = Some(at("2026-11-23T06:09:59Z"))),
        ("evidence of another time", |r| r.found_at = at("2026-11-23T06:10:01Z")),
        ("nothing to keep", |r| r.must_keep.clear()),
        ("something else to keep", |r| r.must_keep[0] = "/var/log/other".to_owned()),
        ("nothing done", |r| r.actions.clear()),
        ("an action of nobody", |r| r.actions[1].by.clear()),
    ];
    for (what, change) in changes {
        let mut record = record(&drill);
        change(&mut record);
        let verdict = judge(&record, &drill.kept);
        assert!(matches!(verdict, Verdict::Fail { .. }), "{what}: {verdict:?}");
    }
    // To the second in time, and under another name, it is as good.
    let mut other = record(&drill);
    (other.id, other.contained_at) = ("SEC-8".to_owned(), Some(at("2026-11-23T07:00:00Z")));
    assert_eq!(judge(&other, &drill.kept), Verdict::Pass);
    // One that was kept is gone, and one was changed since.
    let gone = judge(&record(&drill), &drill.kept[1..]);
    assert!(matches!(gone, Verdict::Inconclusive { refusal: Refusal::Missing(_) }), "{gone:?}");
    let mut changed = drill.kept.clone();
    changed[0].bytes.push(b'!');
    let changed = judge(&record(&drill), &changed);
    assert!(matches!(changed, Verdict::Inconclusive { refusal: Refusal::Unparseable(_) }), "{changed:?}");
}

/// What is said of the incident of the sample, changed.
fn said(changes: &[fn(&mut serde_json::Value)]) -> Verdict {
    let good = pieces().into_iter().find(|piece| piece.evidence.kind == "cdevents").expect("an event");
    let events = (0..).zip(changes).map(|(index, change)| {
        let mut json: serde_json::Value = serde_json::from_slice(&good.bytes).expect("JSON");
        json["context"]["id"] = format!("event-{index}").into();
        change(&mut json);
        let e = good.evidence.clone();
        let bytes = serde_json::to_vec(&json).expect("JSON");
        Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes).summary(format!("event-{index}.json"))
    });
    let catalogue = Catalogue::standard(&Thresholds::default());
    let check = catalogue.check("incident-known").expect("a check");
    set(&events.collect::<Vec<_>>()).judge(check, &release(), &claimer(), None, now()).receipt.verdict
}

/// Rows: M232.
#[test]
fn an_incident_is_known_by_what_everybody_says_of_it() {
    let same: fn(&mut serde_json::Value) = |_| {};
    assert_eq!(said(&[same, same]), Verdict::Pass);
    assert_eq!(said(&[|json| drop(json["subject"]["content"]["service"].take())]), Verdict::Pass);
    let two = said(&[same, |json| json["subject"]["id"] = "INC-8".into()]);
    assert!(
        matches!(&two, Verdict::Inconclusive { refusal: Refusal::Foreign(why) } if why.contains("INC-8")),
        "{two:?}"
    );
    let elsewhere = said(&[same, |json| json["subject"]["content"]["service"]["id"] = "cart".into()]);
    assert!(matches!(elsewhere, Verdict::Inconclusive { refusal: Refusal::Foreign(_) }), "{elsewhere:?}");
    // The run that answers to it is of a service of its own; that of another incident is not.
    let own = said(&[|json| json["subject"]["content"]["service"]["id"] = "sho".into()]);
    assert!(matches!(own, Verdict::Inconclusive { .. }), "{own:?}");
    let over: fn(&mut serde_json::Value) =
        |json| json["context"]["type"] = "dev.cdevents.incident.resolved.0.2.0".into();
    let said_over = said(&[same, over]);
    assert!(
        matches!(&said_over, Verdict::Concerns { remarks } if remarks[0].contains("said to be over")),
        "{said_over:?}"
    );
    assert!(matches!(said(&[over, over]), Verdict::Fail { .. }));
}
