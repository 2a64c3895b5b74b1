//! Telling people, and showing who was reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::checks::Document as _;
use deploy_agents::checks::people::NoticeRecord;
use deploy_agents::dossier::Dossier;
use deploy_agents::http::{HttpClient, HttpLimits};
use deploy_agents::notifiers::{
    Announce, Announcement, AnnouncementError, Directory, Notice, NoticeKey, Notifier, NotifyError, Party, ReceiptAt,
    WebhookNotifier, WorkStarts,
};
use deploy_agents::secret::Secret;
use deploy_agents::testing::{NotifierStandIn, NotifierSuite, WebhookStandIn};
use deploy_core::agent::{
    Agent as _, AgentCard, AgentError, Cancellation, Certainty, Performed, Report, StepContext, Task, agent_fn,
};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::evidence::{CheckInput, Verdict};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::{Event, Outcome};
use deploy_core::name::{BlockName, RunId};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo, StepPath};
use deploy_core::report::chain;
use deploy_core::testing::ManualClock;
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::time::{Now, RunTime, Timestamp};
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;

use crate::world::{now, release};

const URL: &str = "http://hooks.example/services/T0/s3cret-path";

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn notice(key: &str, party: &str) -> Notice {
    Notice::new(NoticeKey::new(key).expect("a key"), Party::new(party), "shop goes out", "at ten").expect("a notice")
}

fn webhook(receiver: &Arc<WebhookStandIn>) -> WebhookNotifier {
    let receiver = Arc::<WebhookStandIn>::clone(receiver);
    WebhookNotifier::new(Secret::new(URL)).over(receiver).clock(Arc::new(ManualClock::at(now())))
}

/// Rows: M28.
#[tokio::test]
async fn notifiers_conform() {
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.refuse("nobody");
    let seen = Arc::clone(&carrier);
    let suite =
        NotifierSuite::new(Party::new("ops"), move |key| seen.arrived_under(key)).unreachable(Party::new("nobody"));
    assert_eq!(suite.run(&*carrier).await.len(), 7);

    let carrier = Arc::new(NotifierStandIn::new());
    let seen = Arc::clone(&carrier);
    let directory = Directory::new().reach("ops", Arc::<NotifierStandIn>::clone(&carrier) as Arc<dyn Notifier>);
    let suite =
        NotifierSuite::new(Party::new("ops"), move |key| seen.arrived_under(key)).unreachable(Party::new("board"));
    assert_eq!(suite.run(&directory).await.len(), 7);

    let token = Secret::new("t0ken-of-ours");
    let receiver = Arc::new(WebhookStandIn::new().wanting(token.clone()));
    let seen = Arc::clone(&receiver);
    let suite = NotifierSuite::new(Party::new("ops"), move |key| seen.taken_under(key.as_str()))
        .secret(token.clone())
        .secret(Secret::new("s3cret-path"));
    assert_eq!(suite.run(&webhook(&receiver).token(token.clone())).await.len(), 6);

    // The same receiver, shown another token, which its refusal quotes together with the URL.
    let wrong = Secret::new("wr0ng-token");
    let error = webhook(&receiver).token(wrong.clone()).notify(&notice("k", "ops")).await.expect_err("refused");
    assert!(matches!(&error, NotifyError::Refused { said, .. } if said.contains("[secret]")), "{error}");
    let shown = format!("{error:?} {}", chain(&error));
    assert!(!shown.contains("wr0ng") && !shown.contains("s3cret") && shown.contains("ops"), "{shown}");
}

/// The receiver behind a socket of its own, as a webhook is.
async fn listening(receiver: Arc<WebhookStandIn>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let receiver = Arc::clone(&receiver);
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let receiver = Arc::clone(&receiver);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let answer = receiver.send(http::Request::from_parts(parts, body), HttpLimits::default()).await;
                    // A connection that breaks is one that is closed without an answer.
                    let answer = answer.map_err(|error| std::io::Error::other(error.to_string()))?;
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.map(Full::<Bytes>::new))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

/// Over a socket: the answer to the first request is lost after it was taken, the second is answered with 503, the third well.
///
/// Rows: M28.
#[tokio::test]
async fn a_webhook_is_tried_again_under_one_key_and_arrives_once() {
    let receiver = Arc::new(WebhookStandIn::new());
    let address = listening(Arc::clone(&receiver)).await;
    receiver.lose_next_answer();
    receiver.answer_next(StatusCode::SERVICE_UNAVAILABLE, "later");
    let notifier =
        WebhookNotifier::new(Secret::new(format!("http://{address}/hook"))).tries(3, Duration::from_millis(1));
    let delivery = notifier.notify(&notice("run-1/tell/ops", "ops")).await.expect("it arrives");
    assert_eq!((delivery.id.as_str(), delivery.party.as_str()), ("m-1", "ops"));
    assert_eq!(delivery.channel, "webhook 127.0.0.1");
    assert_eq!((receiver.requests(), receiver.taken_under("run-1/tell/ops")), (3, 1));
    let body = &receiver.taken()[0];
    assert_eq!(body["subject"], "shop goes out");
    assert_eq!(body["party"]["name"], "ops");
    assert_eq!(body["acknowledge_by"], serde_json::Value::Null);

    // Nobody listens there any more: it was not sent, by name.
    let gone = WebhookNotifier::new(Secret::new("http://127.0.0.1:1/hook")).tries(2, Duration::from_millis(1));
    let error = gone.notify(&notice("k", "board")).await.expect_err("nobody is there");
    assert!(matches!(error, NotifyError::NotSent { .. }) && error.party() == "board", "{error:?}");
    // TLS is what the host brings: the plain client says so, and nothing was sent in the clear.
    let tls = WebhookNotifier::new(Secret::new("https://127.0.0.1:1/hook"));
    let error = tls.notify(&notice("k", "board")).await.expect_err("it cannot");
    assert!(matches!(error, NotifyError::NoWay { .. }), "{error:?}");
}

/// Each kind of answer, how often it is asked, and what comes of it.
///
/// Rows: M28.
#[tokio::test(start_paused = true)]
async fn what_speaks_of_now_is_tried_again_and_what_speaks_of_the_request_is_not() {
    for (status, tried) in
        [(400, 1), (401, 1), (403, 1), (404, 1), (410, 1), (302, 1), (408, 3), (425, 3), (429, 3), (500, 3), (503, 3)]
    {
        let receiver = Arc::new(WebhookStandIn::new());
        let status = StatusCode::from_u16(status).expect("a status");
        for _ in 0..3 {
            receiver.answer_next(status, "\"no\"");
        }
        let began = tokio::time::Instant::now();
        let error = webhook(&receiver).notify(&notice("k", "ops")).await.expect_err("it does not arrive");
        assert_eq!(receiver.requests(), tried, "{status}");
        assert_eq!(error.is_retryable(), tried == 3, "{error:?}");
        assert!(!error.may_have_arrived() && error.party() == "ops" && chain(&error).contains("ops"), "{error:?}");
        // 1 s, then 2 s.
        assert_eq!(began.elapsed().as_secs(), if tried == 3 { 3 } else { 0 });
    }
}

/// A status alone is no receipt, unless the host says that the receiver gives none.
#[tokio::test]
async fn an_answer_without_a_name_is_no_receipt() {
    for body in ["\"ok\"", "{}", "{\"id\": \"\"}", "{\"id\": null}", "{\"id\": \"two\\nlines\"}", "not json"] {
        let receiver = Arc::new(WebhookStandIn::new());
        receiver.answer_next(StatusCode::OK, body);
        let error = webhook(&receiver).notify(&notice("k", "ops")).await.expect_err("no receipt");
        assert!(matches!(error, NotifyError::NoReceipt { .. }) && error.may_have_arrived(), "{body}: {error:?}");
        receiver.answer_next(StatusCode::OK, body);
        let taken = webhook(&receiver).receipt(ReceiptAt::Key).notify(&notice("k", "ops")).await.expect("its own key");
        assert_eq!(taken.id, "k");
    }
    let receiver = Arc::new(WebhookStandIn::new());
    receiver.answer_next(StatusCode::ACCEPTED, "{\"message\": {\"ts\": 17}}");
    let at = ReceiptAt::Json("/message/ts".to_owned());
    let chat = webhook(&receiver).receipt(at).shape(|notice| serde_json::json!({ "text": notice.subject() }));
    assert_eq!(chat.notify(&notice("k", "ops")).await.expect("a number is a name").id, "17");
}

proptest! {
    /// A notice is what its parts say, or none; a key can stand in a header.
    #[test]
    fn nothing_that_is_typed_becomes_a_header(name in ".{0,12}", subject in ".{0,300}", body in "(?s).{0,40}") {
        let party = Party::new(&*name);
        let step = EffectKey {
            run: RunId::new("run-1").expect("a name"),
            step: StepPath::new("tell/all").expect("a path"),
            undo: false,
            iteration: 0,
            attempt: 1,
        };
        let key = NoticeKey::of(&step, &party);
        prop_assert!(http::HeaderValue::from_str(key.as_str()).is_ok());
        let again = EffectKey { attempt: 2, ..step.clone() };
        prop_assert_eq!(NoticeKey::of(&again, &party), key.clone());
        prop_assert_ne!(NoticeKey::of(&EffectKey { undo: true, ..step.clone() }, &party), key.clone());
        prop_assert_ne!(NoticeKey::of(&EffectKey { iteration: 1, ..step }, &party), key.clone());
        let sound = !name.trim().is_empty() && !name.chars().any(char::is_control)
            && !subject.trim().is_empty() && !subject.chars().any(char::is_control) && subject.len() <= 250
            && !body.trim().is_empty();
        prop_assert_eq!(Notice::new(key, party, subject, body).is_ok(), sound);
    }
}

fn task() -> Task {
    Task::new(StepPath::new("tell/all").expect("a path"), false, Arc::new(release()), std::collections::BTreeMap::new())
}

fn context(wall: Timestamp, attempt: u32) -> StepContext {
    let key = EffectKey {
        run: RunId::new("run-1").expect("a name"),
        step: StepPath::new("tell/all").expect("a path"),
        undo: false,
        iteration: 0,
        attempt,
    };
    let now = Now { wall, run: RunTime(1) };
    StepContext::new(key, Fence { epoch: 1, seq: 1 }, now, Duration::from_secs(60), Cancellation::never())
}

fn plan() -> Announcement {
    Announcement::new("{service} {revision} goes to {environment}", "{party}: work begins at {starts}, see {run}.")
        .expect("a template")
        .work_starts(WorkStarts::In(Duration::from_secs(600)))
        .tell(Party::new("support").at("#support"))
        .tell(Party::new("board"))
}

fn announce(plan: Announcement, carrier: &Arc<NotifierStandIn>) -> Announce {
    let notifier = Arc::<NotifierStandIn>::clone(carrier);
    let agent = Announce::new(block("tell"), plan, notifier).expect("somebody is told");
    agent.claims("stakeholders-notified".try_into().expect("a name"))
}

/// The verdict of the catalogue's own check on what an agent reported.
fn verdict(report: &Report, at: Timestamp) -> Verdict {
    let catalogue = crate::sample::catalogue();
    let check = catalogue.check("stakeholders-notified").expect("a check");
    let pieces: Vec<_> = report.evidence.iter().map(|piece| (&piece.evidence, piece.bytes.as_slice())).collect();
    check.check().judge(&CheckInput::new(&release(), &pieces, at))
}

fn done(performed: Performed) -> Report {
    match performed {
        Performed::Done(report) => report,
        other => panic!("it is not done: {other:?}"),
    }
}

/// Rows: M28, M146, M197.
#[tokio::test]
async fn everybody_is_told_and_the_receipts_satisfy_the_check() {
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.set_time(now().after(Duration::from_secs(2)));
    let agent = announce(plan(), &carrier);
    let report = done(agent.perform(&task(), &context(now(), 1)).await.expect("all are told"));
    let subjects: Vec<_> = carrier.arrived().iter().map(|n| format!("{} {}", n.subject(), n.body())).collect();
    assert_eq!(
        subjects[1],
        "shop v2 goes to production board: work begins at 2026-11-23T08:10:00.000Z, see run-1."
            .replace("shop", release().service.as_str())
            .replace("v2", release().revision.as_str())
            .replace("production", release().environment.as_str())
    );
    let piece = &report.evidence[0];
    assert_eq!((piece.evidence.kind.as_str(), report.claims.len()), (NoticeRecord::KIND, 1));
    let record: NoticeRecord = deploy_agents::checks::read("notices", &piece.bytes).expect("it is read back");
    let receipts: Vec<_> = record.parties.iter().filter_map(|p| p.receipt.as_ref()).collect();
    assert_eq!(
        receipts.iter().map(|r| (r.id.as_str(), r.through.as_str())).collect::<Vec<_>>(),
        [("n-1", "stand-in"), ("n-2", "stand-in")]
    );
    assert_eq!(verdict(&report, now().after(Duration::from_secs(3))), Verdict::Pass);

    // One that came after the work had begun came too late.
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.set_time(now().after(Duration::from_secs(601)));
    let report = done(announce(plan(), &carrier).perform(&task(), &context(now(), 1)).await.expect("all are told"));
    let late = verdict(&report, now().after(Duration::from_secs(700)));
    assert!(matches!(&late, Verdict::Fail { reason } if reason.contains("too late")), "{late:?}");
}

/// Whoever was reached is not told again by the next attempt, and a failure names who was not.
///
/// Rows: M28, M146.
#[tokio::test]
async fn a_notice_that_does_not_arrive_fails_the_attempt_by_name() {
    type Break = fn(&NotifierStandIn);
    let ways: [(Break, Certainty); 3] = [
        (|carrier| carrier.refuse("board"), Certainty::Definitive),
        (|carrier| carrier.lose_connection("board"), Certainty::Transient),
        (|carrier| carrier.take_without_answer("board"), Certainty::Unknown),
    ];
    for (broken, certainty) in ways {
        let carrier = Arc::new(NotifierStandIn::new());
        carrier.set_time(now());
        broken(&carrier);
        let agent = announce(plan(), &carrier);
        let error: AgentError = agent.perform(&task(), &context(now(), 1)).await.expect_err("board is not told");
        assert_eq!(error.certainty, certainty, "{error}");
        let chain = error.chain();
        assert!(chain.contains("board") && !chain.contains("support"), "{chain}");
        carrier.mend("board");
        let report = done(agent.perform(&task(), &context(now(), 2)).await.expect("now all are told"));
        assert_eq!(verdict(&report, now().after(Duration::from_secs(1))), Verdict::Pass);
        let told: Vec<_> = carrier.arrived().iter().map(|notice| notice.party().name.clone()).collect();
        assert_eq!(told.len(), 2, "somebody was told twice: {told:?}");
    }
}

/// Rows: M28, M146.
#[tokio::test]
async fn who_must_acknowledge_is_waited_for_until_they_do_or_their_time_is_up() {
    let second = Duration::from_secs(1);
    let plan = || plan().tell_and_wait(Party::new("on-call"), second * 60);
    for acknowledges in [true, false] {
        let carrier = Arc::new(NotifierStandIn::new());
        carrier.set_time(now());
        let agent = announce(plan(), &carrier);
        let mut performed = agent.perform(&task(), &context(now(), 1)).await.expect("all are told");
        assert_eq!(carrier.arrived()[2].acknowledge_by(), Some(now().after(second * 60)));
        let (mut at, mut polls) = (now(), 0);
        let report = loop {
            match performed {
                Performed::Done(report) => break report,
                Performed::Running { handle, poll_after } => {
                    at = at.after(poll_after);
                    polls += 1;
                    if polls == 2 && acknowledges {
                        carrier.acknowledge("on-call", at);
                    }
                    // Another process may ask: nothing but the handle is known to it.
                    let agent = announce(plan(), &carrier);
                    performed = agent.poll(&handle, &context(at, 1)).await.expect("it can be asked");
                }
            }
        };
        assert_eq!(polls, if acknowledges { 2 } else { 4 });
        assert_eq!(carrier.calls(), 3, "nobody is told again by asking");
        match verdict(&report, at.after(second)) {
            Verdict::Pass => assert!(acknowledges),
            Verdict::Fail { reason } => {
                assert!(!acknowledges && reason.contains("on-call has not said"), "{reason}");
                assert!(report.findings.iter().any(|finding| finding.text.contains("on-call")), "{report:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The webhook's own way of asking.
#[tokio::test]
async fn a_webhook_can_be_asked_for_an_acknowledgement() {
    let receiver = Arc::new(WebhookStandIn::new());
    let notifier = webhook(&receiver).acknowledgements(Secret::new("http://hooks.example/acks?v=1"));
    let first = notice("k", "on-call");
    let delivery = notifier.notify(&first).await.expect("it arrives");
    assert_eq!(notifier.acknowledged(first.key(), &delivery).await.expect("asked"), None);
    receiver.acknowledge("m-1", "2026-11-23T08:05:00Z");
    let at = notifier.acknowledged(first.key(), &delivery).await.expect("asked");
    assert_eq!(at, Some(now().after(Duration::from_secs(300))));
    receiver.acknowledge("m-1", "yesterday");
    assert!(notifier.acknowledged(first.key(), &delivery).await.is_err(), "no time is no acknowledgement");
}

/// Twenty parties with the longest names of deliveries still fit into a handle.
#[tokio::test]
async fn what_is_known_while_waiting_fits_into_a_handle() {
    #[derive(Debug)]
    struct Long;
    #[async_trait::async_trait]
    impl Notifier for Long {
        fn channel(&self, _: &Party) -> String {
            "long".to_owned()
        }
        async fn notify(&self, notice: &Notice) -> Result<deploy_agents::notifiers::Delivery, NotifyError> {
            let id = format!("{:0>128}", notice.party().name);
            Ok(deploy_agents::notifiers::Delivery::new(&*notice.party().name, "long", now(), id).expect("it fits"))
        }
    }
    let many = |n: usize| {
        let plan = Announcement::new("s", "b").expect("a template");
        (0..n).fold(plan, |plan, n| plan.tell_and_wait(Party::new(format!("party {n}")), Duration::from_secs(60)))
    };
    let agent = Announce::new(block("tell"), many(20), Arc::new(Long)).expect("not too many");
    let Ok(Performed::Running { handle, .. }) = agent.perform(&task(), &context(now(), 1)).await else {
        panic!("it waits")
    };
    assert!(handle.0.len() <= 4096, "{} bytes", handle.0.len());
    let refused = |plan| Announce::new(block("tell"), plan, Arc::new(Long)).expect_err("refused");
    assert!(matches!(refused(many(21)), AnnouncementError::TooMany { .. }));
    assert!(matches!(refused(many(0)), AnnouncementError::Nobody));
    assert!(matches!(refused(many(1).tell(Party::new("party 0"))), AnnouncementError::Twice { .. }));
}

#[tokio::test]
async fn an_announcement_conforms_as_an_agent() {
    let carrier = Arc::new(NotifierStandIn::new());
    let agent = announce(plan(), &carrier);
    let arrived = || carrier.arrived().len() as u64;
    AgentSuite::new().effects(&arrived).run(&agent).await;
}

/// Lets time pass, which costs none: the runtime's time is paused.
#[expect(clippy::disallowed_methods, reason = "the runtime's time is paused, so nothing sleeps on the wall clock")]
async fn later(span: Duration) {
    tokio::time::sleep(span).await;
}

/// In a run: the step is done only when the receipts were read and checked. The first attempt is refused, the second finds
/// everybody there, and nobody hears of it twice.
///
/// Rows: M28, M123, M146, M197.
#[tokio::test(start_paused = true)]
async fn a_run_goes_on_only_when_receipts_were_read() {
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.set_time(now());
    carrier.lose_connection("board");
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let catalogue = crate::sample::catalogue();
    let check = catalogue.check("stakeholders-notified").expect("a check");
    let p = Pipeline::builder("tell");
    p.rollback(RollbackTo::Previous);
    p.check(check.check());
    let phase = p.phase("plan");
    let retry = RetryPolicy::attempts(5).backoff(Duration::from_secs(30), Duration::from_secs(30));
    phase.task("all", announce(plan(), &carrier)).retry(retry).verify(check.verification()).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine
        .start_as("tell-1".try_into().expect("a name"), pipeline.name(), release(), Principal::new("bot", "test"))
        .await
        .expect("it starts");
    // The carrier comes back a while later.
    later(Duration::from_secs(45)).await;
    assert_eq!(carrier.arrived().len(), 1);
    carrier.mend("board");
    let end = run.wait().await.expect("it ends");
    assert!(format!("{end:?}").contains("Succeeded"), "{end:?}");
    assert_eq!(carrier.arrived().len(), 2);
    assert!(carrier.calls() > 3, "it was tried more than once: {}", carrier.calls());
}

/// A release that is rolled back: whoever heard that it goes out hears that it went back, once, with receipts in the run's journal
/// that satisfy the check.
///
/// Rows: M99.
#[tokio::test(start_paused = true)]
async fn everybody_who_was_told_of_a_release_is_told_of_its_rollback() {
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.set_time(now());
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let back =
        Announcement::new("{service} {revision} was taken back", "{party}: the version before serves, see {run}.")
            .expect("a template")
            .tell(Party::new("support").at("#support"))
            .tell(Party::new("board"));
    let notifier = Arc::<NotifierStandIn>::clone(&carrier);
    let back = Announce::new(block("tell-back"), back, notifier).expect("somebody is told");
    let card = AgentCard::new(block("deploy"), "deploys");
    let fails = agent_fn(card, |_, _| async { Err::<Report, _>(AgentError::definitive("it does not start")) });
    let p = Pipeline::builder("told");
    p.rollback(RollbackTo::Previous);
    p.phase("plan").task("all", announce(plan(), &carrier)).undo(back).add();
    p.phase("work").task("deploy", fails).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = RunId::new("told-1").expect("a name");
    let start = engine.start_as(run.clone(), pipeline.name(), release(), Principal::new("bot", "test"));
    let end = start.await.expect("it starts").wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::RolledBack, "{}", end.because);

    let told: Vec<String> = carrier.arrived().iter().map(|n| format!("{}: {}", n.party().name, n.subject())).collect();
    let release = release();
    let (service, revision, environment) = (&release.service, &release.revision, &release.environment);
    let goes = format!("{service} {revision} goes to {environment}");
    let went = format!("{service} {revision} was taken back");
    let wanted = [("support", &goes), ("board", &goes), ("support", &went), ("board", &went)];
    assert_eq!(told, wanted.map(|(party, subject)| format!("{party}: {subject}")));

    // The receipts of both are evidence of the run; those of the rollback are others than those of the release.
    let dossier = Dossier::collect(&*journal, &run).await.expect("a dossier");
    let mut records = Vec::new();
    let reports = dossier.records.iter().filter_map(|record| match &record.event {
        Event::Completed(completed) => Some(&completed.report),
        _ => None,
    });
    for piece in reports.flat_map(|report| &report.evidence) {
        let bytes = &dossier.evidence[&piece.digest];
        let record: NoticeRecord = deploy_agents::checks::read("notices", bytes).expect("a record");
        let catalogue = crate::sample::catalogue();
        let check = catalogue.check("stakeholders-notified").expect("a check");
        let at = now().after(Duration::from_secs(60));
        let verdict = check.check().judge(&CheckInput::new(&release, &[(piece, bytes.as_slice())], at));
        assert_eq!(verdict, Verdict::Pass);
        records.push(record.parties.into_iter().filter_map(|party| Some(party.receipt?.id)).collect::<Vec<_>>());
    }
    assert_eq!(records, [["n-1", "n-2"], ["n-3", "n-4"]]);
}
