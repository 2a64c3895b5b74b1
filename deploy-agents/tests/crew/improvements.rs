//! What an incident taught: an action is closed by a change of what is asked, and by nothing else.

use deploy_agents::checks::{Assessor, CatalogueCheck};
use deploy_agents::crew::Crew;
use deploy_agents::workflows::{Improvement, ImprovementError, Policy, PolicyChange};
use deploy_core::name::CheckName;

use crate::parts::{crew, evidence};
use crate::sample::thresholds;
use crate::world::{now, person};

fn action(under: &Crew) -> Improvement {
    let incident = "https://incidents.example.org/17";
    Improvement::new(incident, "a full disk is noticed before a release", "grace", Policy::of(under))
}

fn with_new_check() -> Crew {
    let check = CatalogueCheck::new("disk-has-room", "a tenth of the disk is free", |_, _| Assessor::new().finish());
    crew().with_catalogue(crew().catalogue().clone().with(check.expect("a name")))
}

/// Rows: M119.
#[test]
fn an_action_is_closed_by_a_new_check_or_another_number_and_by_nothing_else() {
    let open = action(&crew());
    let close = |now_asked: &Crew| {
        let mut action = open.clone();
        action.close(&Policy::of(now_asked), now(), person("grace")).map(|()| action)
    };
    let Err(ImprovementError::NothingChanged(version)) = close(&crew()) else { panic!("it was closed with nothing") };
    assert_eq!(version, open.under.version());

    let closed = close(&with_new_check()).expect("a new check").closed.expect("closed");
    assert_eq!(closed.changes, [PolicyChange::Added(CheckName::new("disk-has-room").expect("a name"))]);
    assert!(closed.version != open.under.version() && closed.by == person("grace"));
    let mut stricter = thresholds();
    stricter.capacity_headroom = 25.0;
    let closed = close(&Crew::new(evidence(), stricter)).expect("another number").closed.expect("closed");
    let is_it =
        |change: &PolicyChange| matches!(change, PolicyChange::Threshold { name, .. } if name == "capacity_headroom");
    assert_eq!(closed.changes.iter().filter(|change| is_it(change)).count(), 1, "{:?}", closed.changes);

    // To ask less is no improvement, whatever it is called.
    let less = crew().without_check(&CheckName::new("backup").expect("a name"), "it is always red");
    let Err(ImprovementError::OnlyLess(what)) = close(&less) else { panic!("it was closed by asking less") };
    assert!(what.contains("backup is no longer asked"), "{what}");

    let mut twice = close(&with_new_check()).expect("a new check");
    let again = twice.close(&Policy::of(&with_new_check()), now(), person("grace"));
    assert_eq!(again, Err(ImprovementError::Closed(now())));
}

/// Rows: M119.
#[test]
fn an_action_is_kept_as_a_file_and_closed_by_whoever_reads_it() {
    let kept = serde_json::to_string(&action(&crew())).expect("JSON");
    let mut read: Improvement = serde_json::from_str(&kept).expect("its shape");
    assert_eq!(read, action(&crew()));
    read.close(&Policy::of(&with_new_check()), now(), person("grace")).expect("a new check");
    let closed: Improvement = serde_json::from_str(&serde_json::to_string(&read).expect("JSON")).expect("its shape");
    assert_eq!(closed, read);
}
