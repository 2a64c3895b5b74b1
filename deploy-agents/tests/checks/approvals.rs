//! Who may say yes, to what, and for how long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_agents::gates::{Answer, ApprovalGate, ApprovalPolicy, ApprovalRule, ApprovalSheet};
use deploy_agents::testing::NotifierStandIn;
use deploy_core::digest::Digest;
use deploy_core::gate::{Gate, GateContext, GateDecision};
use deploy_core::name::BlockName;
use deploy_core::operator::Principal;
use deploy_core::plan::StepPath;
use deploy_core::time::{Now, RunTime, Timestamp};

use crate::world::{now, person, release};

const HOUR: Duration = Duration::from_secs(3600);

fn plan() -> Digest {
    Digest::of(b"the plan")
}

fn policy() -> ApprovalPolicy {
    ApprovalPolicy::new([
        ApprovalRule::roles("release managers", ["release-manager"]).quorum(2),
        ApprovalRule::people("the owner", ["olga"]),
    ])
    .expires_after(8 * HOUR)
    .valid_for(4 * HOUR)
    .remind_every(2 * HOUR)
}

fn manager(name: &str) -> Principal {
    person(name).role("release-manager")
}

fn yes(who: Principal) -> Answer {
    Answer { who, plan: plan(), yes: true, at: now(), expires: None, why: "it is fine".to_owned() }
}

fn sheet(answers: Vec<Answer>) -> ApprovalSheet {
    ApprovalSheet { asked_by: person("bot"), asked_at: Timestamp(now().0 - 3_600_000), answers }
}

fn good() -> Vec<Answer> {
    vec![yes(manager("bob")), yes(manager("carol")), yes(person("olga"))]
}

fn decide(answers: Vec<Answer>) -> GateDecision {
    policy().count(&sheet(answers), &release(), &plan(), now()).decision("approval", now())
}

/// Each row changes one thing about a sheet that opens the gate, and it does not open any more.
///
/// Rows: M15, M43, M146, M160.
#[test]
fn change_one_thing_about_an_approval_and_it_does_not_count() {
    assert_eq!(decide(good()), GateDecision::Go);
    type Change = (&'static str, fn(&mut Answer), &'static str);
    let changes: [Change; 8] = [
        ("another plan", |a| a.plan = Digest::of(b"an older plan"), "it is about plan"),
        ("the author", |a| a.who = manager("ada"), "they wrote the change"),
        ("who asks", |a| a.who = manager("bot"), "ask for it"),
        ("no role", |a| a.who = person("bob"), "nobody asks them"),
        ("expired by its own words", |a| a.expires = Some(Timestamp(now().0 - 1)), "it held until"),
        ("older than allowed", |a| a.at = Timestamp(now().0 - 4 * 3_600_000 - 1), "it held until"),
        ("in the future", |a| a.at = Timestamp(now().0 + 1), "it was given at"),
        ("the same person as another", |a| a.who = manager("carol"), ""),
    ];
    for (what, change, why) in changes {
        let mut answers = good();
        change(&mut answers[0]);
        let tally = policy().count(&sheet(answers.clone()), &release(), &plan(), now());
        assert!(matches!(decide(answers), GateDecision::Hold { .. }), "{what}");
        assert!(why.is_empty() || tally.refused.iter().any(|(_, said)| said.contains(why)), "{what}: {tally:?}");
        assert_eq!(tally.missing(), ["2 of release managers (1 said yes)"], "{what}");
    }
    // What may change without harm.
    let mut answers = good();
    answers[0].why = String::new();
    answers[0].at = Timestamp(now().0 - 4 * 3_600_000);
    answers[0].expires = Some(now());
    assert_eq!(decide(answers), GateDecision::Go);
}

#[test]
fn one_no_is_enough_and_a_later_yes_of_the_same_person_takes_it_back() {
    let mut answers = good();
    answers.push(Answer { yes: false, why: "not today".to_owned(), ..yes(manager("dan")) });
    let GateDecision::NoGo { vetoes } = decide(answers.clone()) else { panic!("a no is a veto") };
    assert_eq!(vetoes[0].reason, "rejected by dan@example.org: not today");
    answers[3].at = Timestamp(now().0 - 1000);
    answers.push(yes(manager("dan")));
    assert_eq!(decide(answers.clone()), GateDecision::Go);
    answers.reverse();
    assert_eq!(decide(answers), GateDecision::Go, "their order does not matter");
    // A no counts from an author too, but not from somebody whom nobody asks.
    let mut answers = good();
    answers.push(Answer { yes: false, ..yes(manager("ada")) });
    assert!(matches!(decide(answers), GateDecision::NoGo { .. }));
    let mut answers = good();
    answers.push(Answer { yes: false, ..yes(person("mallory")) });
    assert_eq!(decide(answers), GateDecision::Go);
}

#[test]
fn people_are_reminded_until_nobody_is_asked_any_more() {
    let one = sheet(vec![yes(person("olga"))]);
    let count = |hours: u64| {
        let now = one.asked_at.after(HOUR * u32::try_from(hours).expect("few"));
        let tally = policy().valid_for(100 * HOUR).count(&one, &release(), &plan(), now);
        let next = tally.next_reminder.map(|t| t.since(one.asked_at).as_secs() / 3600);
        (tally.reminders_due, next, tally.decision("approval", now))
    };
    assert!(matches!(count(1), (0, Some(2), GateDecision::Hold { .. })));
    assert!(matches!(count(2), (1, Some(4), GateDecision::Hold { .. })));
    assert!(matches!(count(7), (3, None, GateDecision::Hold { .. })));
    let (due, next, decision) = count(8);
    assert_eq!((due, next), (4, None));
    assert!(matches!(decision, GateDecision::NoGo { .. }), "{decision:?}");
    assert!(policy().count(&sheet(good()), &release(), &plan(), now()).next_reminder.is_none());
}

/// Rows: M146.
#[tokio::test]
async fn the_gate_reads_the_sheet_of_its_own_plan_anew_each_time() {
    let kept: Arc<Mutex<Option<ApprovalSheet>>> = Arc::default();
    let source = Arc::clone(&kept);
    let gate = ApprovalGate::new(BlockName::new("approval").expect("a name"), policy(), move |asked| {
        let found = source.lock().expect("whole").clone().filter(|_| asked == plan());
        async move { Ok(found) }
    });
    assert_eq!(gate.flaw(), None);
    assert_eq!(gate.criterion(), "approved by 2 of release managers (role release-manager), and 1 of the owner (olga)");
    let cx = |plan: Option<Digest>| {
        let path = StepPath::new("ship/approval").expect("a path");
        let now = Now { wall: now(), run: RunTime(0) };
        let cx = GateContext::new(path, Arc::new(release()), now, Default::default(), Default::default());
        plan.map_or_else(|| cx.clone(), |plan| cx.clone().plan(plan))
    };
    let asked = cx(Some(plan()));
    assert!(matches!(gate.evaluate(&asked).await, Ok(GateDecision::Hold { .. })), "nobody was asked yet");
    *kept.lock().expect("whole") = Some(sheet(good()));
    assert_eq!(gate.evaluate(&asked).await.expect("an answer"), GateDecision::Go);
    assert!(!gate.evaluate(&cx(Some(Digest::of(b"another")))).await.expect("an answer").passes());
    assert!(!gate.evaluate(&cx(None)).await.expect("an answer").passes());
    let few = ApprovalPolicy::new([ApprovalRule::people("owners", ["olga"]).quorum(2)]);
    let few = ApprovalGate::new(BlockName::new("few").expect("a name"), few, |_| async { Ok(None) });
    assert_eq!(few.flaw().as_deref(), Some("owners needs 2 of 1 people, so that it could never open"));
}

/// Those who are missing are told as often as the policy says, once each time, and nobody else is; what does not arrive is tried again.
///
/// Rows: M15, M28, M146.
#[tokio::test]
async fn who_is_missing_is_reminded_and_nobody_twice() {
    let carrier = Arc::new(NotifierStandIn::new());
    let notifier = Arc::<NotifierStandIn>::clone(&carrier);
    let answers = Arc::new(Mutex::new(vec![yes(manager("bob"))]));
    let kept = Arc::clone(&answers);
    let gate = ApprovalGate::new(BlockName::new("approval").expect("a name"), policy(), move |_| {
        let sheet = sheet(kept.lock().expect("not poisoned").clone());
        async move { Ok(Some(sheet)) }
    })
    .remind(notifier);
    // It was asked an hour before `now`; the first reminder is due an hour after it.
    let ask = async |hours: u32| {
        let at = Now { wall: now().after(HOUR * hours), run: RunTime(1) };
        let step = StepPath::new("plan/approval").expect("a path");
        let cx = GateContext::new(step, Arc::new(release()), at, [].into(), [].into()).plan(plan());
        gate.evaluate(&cx).await.expect("it answers")
    };
    let told = || carrier.arrived().iter().map(|notice| notice.party().name.clone()).collect::<Vec<_>>();
    assert!(!ask(0).await.passes());
    assert!(told().is_empty(), "it is not due yet: {:?}", told());
    carrier.lose_connection("olga");
    assert!(!ask(1).await.passes());
    assert_eq!(told(), ["role release-manager"]);
    carrier.mend("olga");
    for _ in 0..3 {
        assert!(!ask(1).await.passes());
    }
    assert_eq!(told(), ["role release-manager", "olga"], "once, and what did not arrive again");
    assert!(carrier.arrived()[1].body().contains("1 of the owner (0 said yes)"), "{:?}", carrier.arrived()[1]);
    // Two hours later the second reminder is due; one rule is met by then.
    answers.lock().expect("not poisoned").push(yes(manager("carol")));
    assert!(!ask(3).await.passes());
    assert_eq!(told()[2..], ["olga"]);
    answers.lock().expect("not poisoned").push(yes(person("olga")));
    assert_eq!(ask(3).await, GateDecision::Go);
    ask(7).await;
    assert_eq!(told().len(), 3, "nobody is missing, or nobody is asked any more");
}
