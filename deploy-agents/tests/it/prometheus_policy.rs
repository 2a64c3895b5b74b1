//! What a Prometheus may answer, and what each answer is under a declared policy. The answers are scripted here; real ones are in
//! `prometheus.rs`.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::prometheus::{
    Absent, Births, Fold, Guard, Partial, PromQuery, PrometheusMonitor, PrometheusPolicy, Resets, Server, Stale,
    Template, Unfit,
};
use deploy_agents::monitors::{Query, Selector};
use deploy_agents::secret::Secret;
use deploy_core::monitor::{Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::{Clock, Now, Timestamp};
use serde_json::{Value, json};

use crate::fleet::name;
use crate::load::BOUND;
use crate::program::task;

/// Each window ends here.
const NOW: i64 = 1_700_000_100;

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Standing(pub(crate) Timestamp);

impl Clock for Standing {
    fn wall(&self) -> Timestamp {
        self.0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(crate) fn policy() -> PrometheusPolicy {
    PrometheusPolicy {
        absent: Absent::NoData,
        not_a_number: Unfit::NoData,
        stale: Stale { after: Duration::from_secs(30), then: Unfit::NoData },
        partial: Partial::Error,
        resets: Resets::FromZero,
        births: Births::FromZero,
        warm_up: Duration::from_secs(30),
        scraped_every: Duration::from_secs(10),
        settle: Duration::ZERO,
        server: Server { within: BOUND, attempts: NonZeroU32::MIN, apart: Duration::from_millis(1), most: 1 << 20 },
    }
}

/// A server of which each request is answered by a closure: path with query in, status and body out. No status: nobody answers.
#[derive(Clone)]
struct Scripted(Arc<Script>);
type Script = dyn Fn(&str) -> (u16, Value) + Send + Sync;

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait::async_trait]
impl HttpClient for Scripted {
    async fn send(&self, request: http::Request<Bytes>, _: HttpLimits) -> Result<http::Response<Bytes>, HttpError> {
        let (status, body) = (self.0)(&decoded(&request.uri().to_string()));
        if status == 0 {
            return Err(HttpError::NotSent { to: "there".to_owned(), source: "refused".into() });
        }
        Ok(http::Response::builder().status(status).body(Bytes::from(body.to_string())).expect("an answer"))
    }
}

fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let hex = [*a, *b];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).expect("hex"), 16).expect("hex"));
                rest = tail;
            }
            (b'+', tail) => {
                out.push(b' ');
                rest = tail;
            }
            (byte, tail) => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).expect("text")
}

fn answer(kind: &str, result: Value) -> Value {
    json!({"status": "success", "data": {"resultType": kind, "result": result}})
}

fn vector(value: &str) -> Value {
    answer("vector", json!([{"metric": {}, "value": [NOW, value]}]))
}

/// A matrix of series: labels, and samples as seconds before now and value.
fn matrix(series: &[(Value, &[(i64, f64)])]) -> Value {
    let one = |(labels, samples): &(Value, &[(i64, f64)])| {
        let values: Vec<Value> = samples.iter().map(|(ago, value)| json!([NOW - ago, value.to_string()])).collect();
        json!({"metric": labels, "values": values})
    };
    answer("matrix", series.iter().map(one).collect())
}

fn metric() -> MetricName {
    MetricName::new("asked").expect("a name")
}

fn template(text: &str) -> Template {
    Template::new(text).expect("a template")
}

fn instant(text: &str) -> PromQuery {
    PromQuery::Instant { expression: template(text), guard: Guard::Nothing { reason: "scripted".to_owned() } }
}

fn ratio() -> PromQuery {
    let all = Selector::new("requests_total").is("version", "{revision}");
    PromQuery::Series(Query::Ratio { bad: all.clone().starts_with("code", "5"), all, absent_is_zero: false })
}

fn monitor(
    query: PromQuery,
    policy: PrometheusPolicy,
    script: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
) -> PrometheusMonitor {
    PrometheusMonitor::new(BlockName::new("prometheus").expect("a name"), "http://there/", policy)
        .metric(metric(), query)
        .over(Arc::new(Scripted(Arc::new(script))))
        .clock(Arc::new(Standing(Timestamp(NOW * 1_000))))
}

async fn ask(monitor: &PrometheusMonitor) -> Result<Vec<Measurement>, String> {
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: None,
        lookback: Duration::from_secs(60),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    monitor.measure(&request, &cx).await.map_err(|error| deploy_core::report::chain(&error))
}

async fn read(monitor: &PrometheusMonitor) -> Result<Reading, String> {
    ask(monitor).await.map(|all| all[0].reading.clone())
}

fn number(value: f64) -> Reading {
    Reading::Value(deploy_core::real::Real::new(value).expect("finite"))
}

fn counts(events: u64, bad: u64) -> Reading {
    Reading::Counts(Counts::new(events, bad).expect("fewer bad than all"))
}

/// Rows: M70.
#[tokio::test]
async fn silence_is_what_was_declared_and_never_zero_by_itself() {
    let empty = |_: &str| (200, answer("vector", json!([])));
    let under = |absent| PrometheusPolicy { absent, ..policy() };
    let zero = Absent::Zero { reason: "only exposed with the first".to_owned() };
    assert_eq!(read(&monitor(instant("x"), under(Absent::NoData), empty)).await, Ok(Reading::NoData));
    assert_eq!(read(&monitor(instant("x"), under(zero.clone()), empty)).await, Ok(number(0.0)));
    let error = read(&monitor(instant("x"), under(Absent::Error), empty)).await.expect_err("an error");
    assert!(error.contains("asked of v2") && error.contains("no series for x"), "{error}");
    // That nobody counted any request is not zero requests, whatever was declared about the bad ones.
    assert_eq!(read(&monitor(ratio(), under(zero.clone()), |_| (200, matrix(&[])))).await, Ok(Reading::NoData));
    let expressions = PromQuery::Ratio {
        bad: template("bad"),
        all: template("all"),
        guard: Guard::Nothing { reason: "scripted".to_owned() },
    };
    assert_eq!(read(&monitor(expressions.clone(), under(zero.clone()), empty)).await, Ok(Reading::NoData));
    let only_all =
        |asked: &str| (200, if asked.contains("query=all") { vector("12.4") } else { answer("vector", json!([])) });
    assert_eq!(read(&monitor(expressions.clone(), under(zero), only_all)).await, Ok(counts(12, 0)));
    assert_eq!(read(&monitor(expressions, under(Absent::NoData), only_all)).await, Ok(Reading::NoData));
}

/// Rows: M70.
#[tokio::test]
async fn nan_is_what_was_declared() {
    for said in ["NaN", "+Inf"] {
        let under = |not_a_number| PrometheusPolicy { not_a_number, ..policy() };
        let script = move |_: &str| (200, vector(said));
        assert_eq!(read(&monitor(instant("x"), under(Unfit::NoData), script)).await, Ok(Reading::NoData));
        assert!(read(&monitor(instant("x"), under(Unfit::Error), script)).await.is_err());
    }
    let scalar = |_: &str| (200, answer("scalar", json!([NOW, "0.25"])));
    assert_eq!(read(&monitor(instant("x"), policy(), scalar)).await, Ok(number(0.25)));
}

/// Rows: M190.
#[tokio::test]
async fn a_series_that_died_is_stale_and_not_the_last_it_said() {
    let died = |_: &str| (200, matrix(&[(json!({}), &[(70, 1.0), (60, 9.0), (50, 12.0), (40, 14.0)])]));
    let under = |after, then| PrometheusPolicy { stale: Stale { after: Duration::from_secs(after), then }, ..policy() };
    assert_eq!(read(&monitor(ratio(), under(30, Unfit::NoData), died)).await, Ok(Reading::NoData));
    let error = read(&monitor(ratio(), under(30, Unfit::Error), died)).await.expect_err("an error");
    assert!(error.contains("requests_total is stale"), "{error}");
    assert_eq!(read(&monitor(ratio(), under(45, Unfit::NoData), died)).await, Ok(counts(5, 5)));
    // A gauge of an instance that is gone is not added to those that are there.
    let one_died =
        |_: &str| (200, matrix(&[(json!({"i": "a"}), &[(50, 7.0)]), (json!({"i": "b"}), &[(50, 1.0), (5, 3.0)])]));
    let sum = PromQuery::Series(Query::Sum(Selector::new("g")));
    assert_eq!(read(&monitor(sum, policy(), one_died)).await, Ok(number(3.0)));
    // An expression shows the time of the question; its guard shows that of the samples.
    let guarded =
        || PromQuery::Instant { expression: template("x"), guard: Guard::Series(template("up{v=\"{revision}\"}")) };
    let newest = |ago: i64| {
        move |asked: &str| {
            (
                200,
                vector(&if asked.contains("timestamp(up{v=\"v2\"})") {
                    (NOW - ago).to_string()
                } else {
                    "4".to_owned()
                }),
            )
        }
    };
    assert_eq!(read(&monitor(guarded(), policy(), newest(50))).await, Ok(Reading::NoData));
    assert!(read(&monitor(guarded(), under(30, Unfit::Error), newest(50))).await.is_err());
    // Fresh, but it does not reach back to before the warm-up.
    assert_eq!(read(&monitor(guarded(), policy(), newest(15))).await, Ok(Reading::NoData));
    assert_eq!(read(&monitor(guarded(), policy(), newest(20))).await, Ok(number(4.0)));
}

#[tokio::test]
async fn a_rate_needs_its_warm_up() {
    let young = |_: &str| (200, matrix(&[(json!({}), &[(20, 100.0), (10, 110.0), (0, 120.0)])]));
    assert_eq!(read(&monitor(ratio(), policy(), young)).await, Ok(Reading::NoData));
    let older = |_: &str| (200, matrix(&[(json!({}), &[(31, 100.0), (10, 110.0), (0, 120.0)])]));
    let from_first = PrometheusPolicy { births: Births::FromFirstSample, ..policy() };
    assert_eq!(read(&monitor(ratio(), from_first, older)).await, Ok(counts(20, 20)));
    let too_long = PrometheusPolicy { warm_up: Duration::from_secs(61), ..policy() };
    assert!(read(&monitor(ratio(), too_long, older)).await.is_err(), "such a window could never be warm");
}

/// Rows: M69.
#[tokio::test]
async fn counters_that_fall_and_series_that_are_born_are_what_was_declared() {
    let script = |asked: &str| {
        let all = matrix(&[(json!({"code": "200"}), &[(61, 50.0), (40, 60.0), (20, 4.0), (0, 10.0)])]);
        let bad = matrix(&[(json!({"code": "500"}), &[(20, 3.0), (0, 5.0)])]);
        (200, if asked.contains("code=~") { bad } else { all })
    };
    assert_eq!(read(&monitor(ratio(), policy(), script)).await, Ok(counts(20, 5)), "ten, a reset, ten; five from zero");
    let later = PrometheusPolicy { births: Births::FromFirstSample, ..policy() };
    assert_eq!(read(&monitor(ratio(), later, script)).await, Ok(counts(20, 2)));
    let none = PrometheusPolicy { resets: Resets::NoData, ..policy() };
    assert_eq!(read(&monitor(ratio(), none, script)).await, Ok(Reading::NoData));
    let error = PrometheusPolicy { resets: Resets::Error, ..policy() };
    assert!(read(&monitor(ratio(), error, script)).await.expect_err("an error").contains("a counter fell"));
    let rate = PromQuery::Series(Query::Rate(Selector::new("requests_total")));
    let all = ask(&monitor(rate, policy(), script)).await.expect("an answer");
    assert_eq!(all[0].reading, number(20.0 / 61.0));
    let covered = (all[0].window.from, all[0].window.to);
    assert_eq!(
        covered,
        (Timestamp((NOW - 60) * 1_000), Timestamp(NOW * 1_000)),
        "the sample before stands for the beginning"
    );
    let young = |_: &str| (200, matrix(&[(json!({}), &[(40, 1.0), (20, 4.0), (5, 10.0)])]));
    let rate = PromQuery::Series(Query::Rate(Selector::new("requests_total")));
    let all = ask(&monitor(rate, policy(), young)).await.expect("an answer");
    let covered = (all[0].window.from, all[0].window.to);
    assert_eq!(
        covered,
        (Timestamp((NOW - 40) * 1_000), Timestamp((NOW - 5) * 1_000)),
        "and no more is covered than was seen"
    );
}

/// Each target is scraped at a time of its own. What one question after the other counts is everything, once, and no window of theirs reaches
/// into the one before: a judge refuses those that do.
#[tokio::test]
async fn targets_that_are_scraped_at_different_times_make_windows_that_follow_one_another() {
    const EVERY: i64 = 15;
    // Three requests a second at each of four targets, from long before.
    let phases = [2, 6, 11, 13];
    let samples = move |asked: &str| {
        let end: i64 =
            asked.split("time=").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok()).expect("a time");
        let series = phases.map(|phase| {
            let last = (end - phase).div_euclid(EVERY) * EVERY + phase;
            let values: Vec<Value> =
                (0..6).rev().map(|n| last - n * EVERY).map(|at| json!([at, (3 * at).to_string()])).collect();
            json!({"metric": {"instance": phase.to_string()}, "values": values})
        });
        (200, if asked.contains("code=~") { matrix(&[]) } else { answer("matrix", series.into_iter().collect()) })
    };
    let all = Selector::new("requests_total");
    let query = || {
        PromQuery::Series(Query::Ratio {
            bad: all.clone().starts_with("code", "5"),
            all: all.clone(),
            absent_is_zero: true,
        })
    };
    let (mut until, mut counted) = (i64::MIN, 0);
    for minute in 0..20 {
        // An answer takes a while, and the next question is asked so long after it.
        let at = Timestamp((NOW + 60 * minute) * 1_000 + 40 * minute);
        let asked = ask(&monitor(query(), policy(), samples).clock(Arc::new(Standing(at)))).await.expect("an answer");
        let Reading::Counts(counts) = &asked[0].reading else { panic!("{asked:?}") };
        let window = asked[0].window;
        assert!(window.from.0 >= until, "minute {minute}: {window:?} begins before {until}");
        (until, counted) = (window.to.0, counted + counts.events());
    }
    let (least, most) = (4 * 3 * (20 * 60 - EVERY), 4 * 3 * (20 * 60 + EVERY));
    assert!((least..=most).contains(&i64::try_from(counted).expect("few")), "{counted} of {}", 4 * 3 * 20 * 60);
}

#[tokio::test]
async fn a_partial_answer_is_what_was_declared() {
    let doubtful = |_: &str| {
        let mut answer = vector("1");
        answer["warnings"] = json!(["one store did not answer"]);
        (200, answer)
    };
    let under = |partial| PrometheusPolicy { partial, ..policy() };
    let error = read(&monitor(instant("x"), under(Partial::Error), doubtful)).await.expect_err("an error");
    assert!(error.contains("one store did not answer"), "{error}");
    assert_eq!(read(&monitor(instant("x"), under(Partial::NoData), doubtful)).await, Ok(Reading::NoData));
    let accept = Partial::Accept { reason: "the other stores hold other services".to_owned() };
    assert_eq!(read(&monitor(instant("x"), under(accept), doubtful)).await, Ok(number(1.0)));
    let of_victoria = |_: &str| {
        let mut answer = vector("1");
        answer["isPartial"] = json!(true);
        (200, answer)
    };
    assert!(read(&monitor(instant("x"), under(Partial::Error), of_victoria)).await.is_err());
}

/// Rows: M187, M190.
#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again_and_is_an_error_then() {
    let asked = Arc::new(Mutex::new(0));
    let counting = |answers: fn(u32) -> (u16, Value)| {
        let asked = Arc::clone(&asked);
        move |_: &str| {
            let mut asked = asked.lock().expect("not poisoned");
            *asked += 1;
            answers(*asked)
        }
    };
    let mut patient = policy();
    patient.server.attempts = NonZeroU32::new(3).expect("three");
    let dead = monitor(instant("x"), patient.clone(), counting(|_| (0, Value::Null)));
    assert!(read(&dead).await.expect_err("an error").contains("nobody answers"));
    assert_eq!(std::mem::take(&mut *asked.lock().expect("not poisoned")), 3);
    let busy = counting(|n| {
        if n < 3 {
            (503, json!({"status": "error", "errorType": "timeout", "error": "slow"}))
        } else {
            (200, vector("2"))
        }
    });
    assert_eq!(read(&monitor(instant("x"), patient.clone(), busy)).await, Ok(number(2.0)));
    *asked.lock().expect("not poisoned") = 0;
    // What was asked wrongly is wrong at the first time.
    let wrong = counting(|_| (400, json!({"status": "error", "errorType": "bad_data", "error": "parse error"})));
    let error = read(&monitor(instant("x"), patient, wrong)).await.expect_err("an error");
    assert!(error.contains("bad_data: parse error"), "{error}");
    assert_eq!(*asked.lock().expect("not poisoned"), 1);
}

#[tokio::test]
async fn an_answer_of_many_series_is_refused_and_a_range_is_folded() {
    let two = |_: &str| {
        (
            200,
            answer(
                "vector",
                json!([{"metric": {"a": "1"}, "value": [NOW, "1"]}, {"metric": {"a": "2"}, "value": [NOW, "2"]}]),
            ),
        )
    };
    assert!(read(&monitor(instant("x"), policy(), two)).await.expect_err("an error").contains("aggregate"));
    let ranged = |asked: &str| {
        assert!(asked.contains("/api/v1/query_range") && asked.contains("step=10"), "{asked}");
        (200, matrix(&[(json!({}), &[(20, 1.0), (10, 5.0), (0, 3.0)])]))
    };
    let range = |fold| PromQuery::Range {
        expression: template("x"),
        step: Duration::from_secs(10),
        fold,
        guard: Guard::Nothing { reason: "scripted".to_owned() },
    };
    for (fold, due) in [(Fold::Last, 3.0), (Fold::Mean, 3.0), (Fold::Min, 1.0), (Fold::Max, 5.0)] {
        assert_eq!(read(&monitor(range(fold), policy(), ranged)).await, Ok(number(due)), "{fold:?}");
    }
    let samples = read(&monitor(range(Fold::Samples), policy(), ranged)).await;
    assert!(matches!(samples, Ok(Reading::Samples(all)) if all.len() == 3));
    let fine = PromQuery::Range {
        expression: template("x"),
        step: Duration::from_millis(1),
        fold: Fold::Last,
        guard: Guard::Nothing { reason: String::new() },
    };
    assert!(read(&monitor(fine, policy(), ranged)).await.is_err(), "more steps than a server answers");
}

#[tokio::test]
async fn both_arms_are_asked_alike_and_the_token_is_never_shown() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let script = {
        let seen = Arc::clone(&seen);
        move |asked: &str| {
            seen.lock().expect("not poisoned").push(asked.to_owned());
            (if asked.contains("stable") { 500 } else { 200 }, vector("1"))
        }
    };
    let query =
        instant("sum(rate(requests_total{version=\"{revision}\",track=\"{track}\",service=\"{service}\"}[{window}]))");
    let monitor = monitor(query, policy(), script)
        .value("track", |arm, _| if arm == Arm::Candidate { "canary".to_owned() } else { "stable".to_owned() })
        .token(Secret::new("hunter2"));
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: vec![metric()],
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(90),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let error = monitor.measure(&request, &cx).await.expect_err("the second one fails");
    let seen = seen.lock().expect("not poisoned").join("\n");
    assert!(seen.contains("version=\"v2\",track=\"canary\",service=\"shop\"}[90s]"), "{seen}");
    assert!(seen.contains("version=\"v1\",track=\"stable\""), "{seen}");
    assert!(!format!("{monitor:?} {error:?} {}", deploy_core::report::chain(&error)).contains("hunter2"));
    let unknown = MeasureRequest { metrics: vec![MetricName::new("other").expect("a name")], ..request };
    assert!(monitor.measure(&unknown, &cx).await.is_err());
}

fn stale(then: Unfit) -> PrometheusPolicy {
    PrometheusPolicy { stale: Stale { then, ..policy().stale }, ..policy() }
}

/// Of a dead exporter `sum(rate(errors[1m])) or vector(0)` is zero.
///
/// Rows: M70, M190.
#[tokio::test]
async fn a_guard_that_finds_no_sample_is_stale_and_no_health() {
    let dead =
        |asked: &str| (200, if asked.contains("timestamp(") { answer("vector", json!([])) } else { vector("0") });
    let guarded = |guard| PromQuery::Instant { expression: template("sum(rate(errors[1m])) or vector(0)"), guard };
    let up = || template("up{v=\"{revision}\"}");
    let read_under = async |guard, policy| read(&monitor(guarded(guard), policy, dead)).await;
    assert_eq!(read_under(Guard::Series(up()), stale(Unfit::NoData)).await, Ok(Reading::NoData));
    let error = read_under(Guard::Series(up()), stale(Unfit::Error)).await.expect_err("an error");
    assert!(error.contains("up{v=\"v2\"} has no sample in 1m"), "{error}");
    let if_any = Guard::SeriesIfAny { selector: up(), reason: "begins with its first event".to_owned() };
    assert_eq!(read_under(if_any, stale(Unfit::Error)).await, Ok(number(0.0)));
    let doubtful = move |asked: &str| {
        let (status, mut answer) = dead(asked);
        answer["warnings"] = json!(["one store did not answer"]);
        (status, answer)
    };
    let partial = PrometheusPolicy { partial: Partial::NoData, ..stale(Unfit::Error) };
    assert_eq!(read(&monitor(guarded(Guard::Series(up())), partial, doubtful)).await, Ok(Reading::NoData));
}

#[tokio::test]
async fn an_expression_covers_what_the_samples_of_its_guard_cover() {
    let query = || PromQuery::Instant { expression: template("x"), guard: Guard::Series(template("up")) };
    for (oldest, covered) in [(35, 35), (45, 60), (60, 60)] {
        let script = move |asked: &str| {
            let at = if asked.contains("min(min_over_time") { NOW - oldest } else { NOW - 5 };
            (200, vector(&if asked.contains("timestamp(") { at.to_string() } else { "4".to_owned() }))
        };
        let window = ask(&monitor(query(), policy(), script)).await.expect("an answer")[0].window;
        assert_eq!((window.from, window.to), (Timestamp((NOW - covered) * 1_000), Timestamp(NOW * 1_000)));
    }
}

/// Rows: M69, M190.
#[tokio::test]
async fn a_selector_of_events_that_is_absent_or_stale_is_what_was_declared() {
    type Samples = &'static [(i64, f64)];
    const FRESH: Samples = &[(61, 10.0), (30, 15.0), (0, 20.0)];
    const SILENT: Samples = &[(61, 10.0), (50, 14.0)];
    const BORN: Samples = &[(9, 1.0), (0, 3.0)];
    const GONE: Samples = &[];
    let query = |absent_is_zero| {
        let of = |name: &str| Selector::new(name);
        PromQuery::Series(Query::Events { bad: vec![of("bad")], good: vec![of("ok"), of("moved")], absent_is_zero })
    };
    let events = async |absent_is_zero, policy, [bad, ok, moved]: [Samples; 3]| {
        let script = move |asked: &str| {
            let samples = if asked.contains("bad") {
                bad
            } else if asked.contains("moved") {
                moved
            } else {
                ok
            };
            (200, if samples.is_empty() { matrix(&[]) } else { matrix(&[(json!({}), samples)]) })
        };
        read(&monitor(query(absent_is_zero), policy, script)).await
    };
    let (none, error) = (stale(Unfit::NoData), stale(Unfit::Error));
    let absent = |absent| PrometheusPolicy { absent, ..policy() };
    let declared = absent(Absent::Zero { reason: "begin with their first event".to_owned() });
    assert_eq!(events(false, none.clone(), [FRESH, FRESH, FRESH]).await, Ok(counts(30, 10)));
    assert_eq!(events(false, none.clone(), [FRESH, FRESH, BORN]).await, Ok(counts(23, 10)), "what is born is counted");
    for of in [[FRESH, FRESH, GONE], [FRESH, GONE, FRESH]] {
        assert_eq!(events(false, none.clone(), of).await, Ok(Reading::NoData), "nothing was declared");
        assert!(events(false, absent(Absent::Error), of).await.expect_err("an error").contains("there is no series"));
        assert_eq!(events(true, none.clone(), of).await, Ok(counts(20, 10)));
        assert_eq!(events(false, declared.clone(), of).await, Ok(counts(20, 10)));
    }
    for of in [[FRESH, FRESH, SILENT], [FRESH, SILENT, FRESH], [SILENT, FRESH, FRESH]] {
        assert_eq!(events(false, none.clone(), of).await, Ok(Reading::NoData), "it must be there, and fell silent");
        assert!(events(false, error.clone(), of).await.expect_err("an error").contains("is stale"));
    }
    assert_eq!(
        events(true, none.clone(), [FRESH, FRESH, SILENT]).await,
        Ok(counts(24, 10)),
        "what may be absent may end"
    );
    assert_eq!(events(true, none.clone(), [FRESH, GONE, GONE]).await, Ok(Reading::NoData), "nobody counted");
    assert_eq!(events(true, none, [FRESH, SILENT, SILENT]).await, Ok(Reading::NoData), "nobody counts any more");
    assert!(events(true, error, [FRESH, SILENT, GONE]).await.is_err());
}
