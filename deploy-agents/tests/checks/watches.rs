//! What is measured and looked at again after a release.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_agents::evidence::facts::{PolicyFacts, PolicyOutcome, TestFacts};
use deploy_agents::evidence::{Source, grype, junit, policy};
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::{
    Action, BootstrapError, Feedback, FlagConcern, FlagUse, JourneyMonitor, JourneyStep, NetworkProbe, NewErrors,
    TestTrend, WatchError, changed_since, complaints_rose, difference_of_means, flag_concerns, new_vulnerabilities,
    regressed_policies, suspect, test_trends,
};
use deploy_core::monitor::{Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, Reading};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::testing::conformance::monitor::MonitorSuite;
use deploy_core::time::{Now, Timestamp};
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{artifact, release};

pub(crate) fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn revision(text: &str) -> RevisionName {
    RevisionName::new(text).expect("a name")
}

pub(crate) fn question() -> MeasureRequest {
    MeasureRequest {
        monitor: block("any"),
        metrics: Vec::new(),
        candidate: revision("v2"),
        baseline: Some(revision("v1")),
        lookback: Duration::from_secs(60),
    }
}

pub(crate) async fn measure(monitor: &dyn Monitor) -> Vec<Measurement> {
    let cx = MeasureContext::new(Arc::new(release()), Now::default());
    monitor.measure(&question(), &cx).await.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)))
}

pub(crate) fn reading(all: &[Measurement], wanted: &str, arm: Arm) -> Reading {
    let metric = MetricName::new(wanted).expect("a name");
    all.iter().find(|m| m.metric == metric && m.arm == arm).unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
}

/// A shop in which the cart of v2 says on every third visit that something went wrong, with a status of 200.
#[derive(Debug, Default)]
pub(crate) struct Shop(std::sync::atomic::AtomicU32);

#[async_trait]
impl HttpClient for Shop {
    async fn send(&self, request: Request<Bytes>, _: HttpLimits) -> Result<Response<Bytes>, HttpError> {
        let new = request.uri().host() == Some("v2");
        let visit =
            self.0.fetch_add(u32::from(new && request.uri().path() == "/cart"), std::sync::atomic::Ordering::SeqCst);
        let body = match (request.uri().path(), new && visit.is_multiple_of(3)) {
            ("/", _) => "Welcome",
            ("/cart", false) => "Your cart",
            ("/cart", true) => "Something went wrong",
            _ => return Err(HttpError::NotSent { to: "shop".to_owned(), source: "gone".into() }),
        };
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        *answer.status_mut() = StatusCode::OK;
        Ok(answer)
    }
}

fn journey() -> JourneyMonitor {
    JourneyMonitor::new(block("checkout"))
        .step(JourneyStep::new("home", "http://{revision}/").holds("Welcome"))
        .step(JourneyStep::new("cart", "http://{revision}/cart").holds("Your cart"))
        .walks(9)
        .over(Arc::new(Shop::default()))
}

/// A page that says that something went wrong is a failed journey though its status is 200, and the step is named.
///
/// Rows: M38, M46.
#[tokio::test]
async fn a_journey_that_does_not_come_to_its_end_is_counted_with_its_step() {
    let all = measure(&journey()).await;
    let counts = |bad| Reading::Counts(Counts::new(9, bad).expect("fewer"));
    assert_eq!(reading(&all, "journey.failures", Arm::Candidate), counts(3));
    assert_eq!(reading(&all, "journey.failures", Arm::Baseline), counts(0));
    assert_eq!(reading(&all, "journey.failed_at", Arm::Candidate).number(), Some(2.0));
    assert_eq!(reading(&all, "journey.failed_at", Arm::Baseline).number(), Some(0.0));
    assert!(matches!(reading(&all, "journey.ms", Arm::Candidate), Reading::Samples(all) if all.len() == 6));
    // A service that is not there fails every walk; it is not silence.
    let gone = journey().step(JourneyStep::new("pay", "http://{revision}/pay"));
    let all = measure(&gone).await;
    assert_eq!(reading(&all, "journey.failures", Arm::Baseline), counts(9));
    assert_eq!(reading(&all, "journey.ms", Arm::Baseline), Reading::NoData);
    let empty = JourneyMonitor::new(block("none"));
    assert!(empty.measure(&question(), &MeasureContext::new(Arc::new(release()), Now::default())).await.is_err());
    MonitorSuite::new(question()).run(&journey()).await;
}

/// Rows: M189.
#[tokio::test]
async fn a_new_kind_of_error_is_counted_and_old_ones_are_not() {
    let errors = NewErrors::new(block("errors"));
    let (old, new) = (revision("v1"), revision("v2"));
    assert_eq!(reading(&measure(&errors).await, "errors.new_kinds", Arm::Candidate), Reading::NoData);
    errors.requests(&new, 10_000);
    errors.error(&new, "cannot decode cart 7");
    assert_eq!(reading(&measure(&errors).await, "errors.new_kinds", Arm::Candidate), Reading::NoData, "no baseline");
    errors.requests(&old, 90_000);
    for n in 0..300 {
        errors.error(&old, &format!("connection {n} reset by peer"));
    }
    for n in 0..33 {
        errors.error(&new, &format!("connection {n} reset by peer"));
    }
    assert_eq!(
        reading(&measure(&errors).await, "errors.new_kinds", Arm::Candidate).number(),
        Some(0.0),
        "one may be chance"
    );
    for n in 0..12 {
        errors.error(&new, &format!("cannot decode cart {n}"));
    }
    let all = measure(&errors).await;
    assert_eq!(reading(&all, "errors.new_kinds", Arm::Candidate).number(), Some(1.0));
    assert_eq!(reading(&all, "errors.new_kinds", Arm::Baseline).number(), Some(0.0));
    let kinds = errors.new_kinds(&new, &old);
    assert_eq!((kinds[0].fingerprint.as_str(), kinds[0].candidate), ("cannot decode cart #", 13));
    MonitorSuite::new(question()).unknown(revision("v9")).run(&errors).await;
}

/// Noise between −1 and 1 that looks random and is the same each time.
fn noise(seed: u32, i: u32) -> f64 {
    let mixed = (seed.wrapping_mul(0x9E37_79B9) ^ i.wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35);
    f64::from(mixed ^ (mixed >> 15)) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// A known onset: the step before it is named, however the noise falls, and where nothing changes nobody is suspected.
///
/// Rows: M188.
#[test]
fn the_step_before_a_change_is_suspected() {
    let minute = |n: i64| Timestamp(n * 60_000);
    // The weight is raised every ten minutes; the third rise is the bad one, and shows a minute later.
    let actions: Vec<Action> =
        (0..6).map(|n| Action::new(minute(10 * n), format!("rollout/shop to stage {n}"))).collect();
    let (mut named, mut off) = (0, 0);
    for seed in 0..100 {
        let level = |n: u32| if n >= 31 { 1.5 } else { 0.0 };
        let mut series: Vec<_> = (0..60).map(|n| (minute(i64::from(n)), noise(seed, n) + level(n))).collect();
        series.reverse();
        let found = suspect(&series, &actions, 0.01).expect("numbers").expect("a change");
        off = off.max(found.onset.0.abs_diff(minute(31).0) / 60_000);
        named += u32::from(found.action.as_ref().is_some_and(|action| action.what.ends_with("stage 3")));
        assert!(found.lag.is_some_and(|lag| lag <= Duration::from_secs(600)));
    }
    println!("{named} of 100 named, at most {off} minutes off");
    assert!(named >= 75 && off <= 6, "{named} named, {off} minutes off");
    let flat = |seed| (0..60).map(|n| (minute(i64::from(n)), noise(seed, n))).collect::<Vec<_>>();
    let blamed = (0..400).filter(|seed| suspect(&flat(*seed), &actions, 0.05).expect("numbers").is_some()).count();
    assert!(blamed <= 33, "{blamed} of 400 blamed: at most 5 %, and three standard errors");
    // Before anybody did anything.
    let early: Vec<_> =
        (0..40).map(|n| (minute(i64::from(n) - 100), if n < 20 { 0.0 } else { 9.0 } + noise(1, n))).collect();
    assert_eq!(suspect(&early, &actions, 0.01).expect("numbers").expect("a change").action, None);
}

/// Rows: M126.
#[test]
fn the_release_since_which_a_figure_is_on_another_level_is_named() {
    let releases = |shift: f64| -> Vec<(RevisionName, f64)> {
        (0..24_u32)
            .map(|n| (revision(&format!("v{n}")), 10.0 + noise(3, n) + if n >= 15 { shift } else { 0.0 }))
            .collect()
    };
    let found = changed_since(&releases(4.0), 0.01).expect("numbers").expect("a change");
    assert_eq!(found.revision.as_str(), "v15");
    assert!((found.change.after - found.change.before - 4.0).abs() < 1.0);
    assert_eq!(changed_since(&releases(0.0), 0.01).expect("numbers"), None);
    assert_eq!(changed_since(&[], 0.01).expect("numbers"), None);
}

/// One order of a million moves a mean and not the verdict; a real difference is seen.
///
/// Rows: M75.
#[test]
fn revenue_is_compared_in_spite_of_its_tail() {
    // Most bring nothing; some bring more the further out they are (a Pareto tail of index 1.5).
    let user = |seed: u32, n: u32| {
        let share = (noise(seed, n) + 1.0) / 2.0;
        if share < 0.7 { 0.0 } else { 10.0 * ((share - 0.7) / 0.3).max(1e-4).powf(-1.0 / 1.5) }
    };
    let side = |seed: u32, factor: f64| (0..3_000).map(|n| user(seed, n) * factor).collect::<Vec<f64>>();
    let same = difference_of_means(&side(1, 1.0), &side(2, 1.0), 0.95, 11).expect("enough");
    assert!(same.low <= 0.0 && 0.0 <= same.high, "{same:?}");
    let mut lucky = side(1, 1.0);
    lucky[17] = 1e6;
    let outlier = difference_of_means(&lucky, &side(2, 1.0), 0.95, 11).expect("enough");
    assert!(outlier.low <= 0.0 && (outlier.estimate - same.estimate).abs() < 0.2, "{outlier:?} {same:?}");
    let plain = lucky.iter().sum::<f64>() / 3_000.0 - side(2, 1.0).iter().sum::<f64>() / 3_000.0;
    assert!(plain > 300.0, "the plain means differ by {plain}");
    let less = difference_of_means(&side(1, 0.6), &side(2, 1.0), 0.95, 11).expect("enough");
    assert!(less.high < 0.0, "{less:?}");
    assert_eq!(less, difference_of_means(&side(1, 0.6), &side(2, 1.0), 0.95, 11).expect("enough"), "the same seed");
    // An interval of 90 % misses a difference of none about one time in ten.
    let misses = (0..200_u32).filter(|n| {
        let few = |seed: u32| (0..300).map(|i| user(seed, i)).collect::<Vec<_>>();
        let found = difference_of_means(&few(2 * n + 100), &few(2 * n + 101), 0.9, u64::from(*n)).expect("enough");
        found.low > 0.0 || found.high < 0.0
    });
    let misses = misses.count();
    println!("{misses} of 200 intervals of 90 % miss");
    assert!((6..=42).contains(&misses), "{misses}");
    assert_eq!(difference_of_means(&[1.0; 29], &[1.0; 30], 0.95, 1), Err(BootstrapError::TooFew { values: 29 }));
    assert_eq!(difference_of_means(&[f64::NAN; 30], &[1.0; 30], 0.95, 1), Err(BootstrapError::NotFinite));
}

proptest! {
    /// Whatever is compared: the ends are in order, within what the values allow, and a side against itself differs by nothing.
    #[test]
    fn an_interval_is_an_interval(values in proptest::collection::vec(0.0..1e6_f64, 30..60), seed: u64) {
        let found = difference_of_means(&values, &values, 0.95, seed).expect("enough");
        prop_assert!(found.low <= found.high && found.estimate == 0.0);
        prop_assert!(found.high <= found.cut_at && found.low >= -found.cut_at);
    }
}

fn scan(
    found: &[(&str, &str, &[&str])],
    database: &str,
    digest: &str,
) -> deploy_agents::evidence::facts::VulnerabilityFacts {
    let matches: Vec<_> = found
        .iter()
        .map(|(id, package, aliases)| {
            let related: Vec<_> = aliases.iter().map(|id| json!({ "id": id })).collect();
            json!({"vulnerability": {"id": id, "severity": "High"}, "relatedVulnerabilities": related,
                "artifact": {"name": package, "version": "1"}})
        })
        .collect();
    let report = json!({"matches": matches, "source": {"type": "image", "target": {"userInput": "shop", "manifestDigest": digest, "repoDigests": []}},
        "descriptor": {"name": "grype", "version": "0.90.0", "timestamp": database, "db": {"status": {"built": database}}}});
    grype::read(&Source::new("grype.json", report.to_string().as_bytes())).expect("readable")
}

/// An advisory that appears after the release is a finding, under whatever name; what was known is none.
///
/// Rows: M49.
#[test]
fn an_advisory_that_appears_later_is_found_in_what_runs() {
    let digest = artifact().to_string();
    let known: (&str, &str, &[&str]) = ("GHSA-aaaa-bbbb-cccc", "tiny", &["CVE-2026-0003"]);
    let released = scan(&[known], "2026-11-20T00:00:00Z", &digest);
    let later = "2026-11-23T00:00:00Z";
    let renamed: (&str, &str, &[&str]) = ("CVE-2026-0003", "tiny", &[]);
    assert_eq!(
        new_vulnerabilities(&digest, &released, &scan(&[renamed], later, &digest)),
        Ok(Vec::new()),
        "the same by another name"
    );
    let now = scan(&[renamed, ("CVE-2026-0009", "openssl", &[])], later, &digest);
    let new = new_vulnerabilities(&digest, &released, &now).expect("comparable");
    assert_eq!(new.iter().map(|v| v.id.as_str()).collect::<Vec<_>>(), ["CVE-2026-0009"]);
    let elsewhere = scan(&[("CVE-2026-0003", "other", &[])], later, &digest);
    assert_eq!(new_vulnerabilities(&digest, &released, &elsewhere).expect("comparable").len(), 1, "another package");
    let other = scan(&[], later, &format!("sha256:{}", "0".repeat(64)));
    assert!(matches!(new_vulnerabilities(&digest, &released, &other), Err(WatchError::OtherSubject { .. })));
    let old = scan(&[], "2026-11-20T00:00:00Z", &digest);
    assert_eq!(
        new_vulnerabilities(&digest, &released, &old),
        Err(WatchError::OlderDatabase),
        "less found is not better"
    );
}

/// Rows: M50.
#[test]
fn a_control_that_regresses_or_vanishes_is_named() {
    let evaluated = |allow: bool, deny: &[&str], logs: bool| -> Vec<PolicyFacts> {
        let mut expressions = vec![
            json!({"value": allow, "text": "data.release.allow"}),
            json!({"value": deny, "text": "data.release.deny"}),
        ];
        if logs {
            expressions.push(json!({"value": true, "text": "data.audit.logs_kept"}));
        }
        let report = json!({"result": [{"expressions": expressions}]}).to_string();
        vec![policy::read_opa(&Source::new("opa.json", report.as_bytes())).expect("readable")]
    };
    let names = |before: &[PolicyFacts], now: &[PolicyFacts]| {
        regressed_policies(before, now).into_iter().map(|r| (r.rule, r.outcome)).collect::<Vec<_>>()
    };
    let good = evaluated(true, &[], true);
    assert_eq!(names(&good, &good), []);
    assert_eq!(
        names(&good, &evaluated(true, &["runs as root"], true)),
        [("data.release.deny".to_owned(), Some(PolicyOutcome::Broken))]
    );
    assert_eq!(names(&good, &evaluated(true, &[], false)), [("data.audit.logs_kept".to_owned(), None)]);
    assert_eq!(names(&evaluated(false, &[], true), &evaluated(false, &[], true)), [], "it was broken before");
    assert_eq!(names(&good, &[]).len(), 3, "nobody looked");
}

/// Rows: M52.
#[test]
fn flaky_and_broken_tests_are_told_apart() {
    // One letter for each test and execution: passed, failed, rerun until it passed, skipped, absent.
    let execution = |row: &[(&str, char)]| -> TestFacts {
        let cases: String = row
            .iter()
            .filter_map(|(name, how)| {
                let inside = match how {
                    'p' => "",
                    'f' => "<failure message=\"no\"/>",
                    'r' => "<flakyFailure message=\"first\"/>",
                    's' => "<skipped/>",
                    _ => return None,
                };
                Some(format!("<testcase classname=\"shop\" name=\"{name}\">{inside}</testcase>"))
            })
            .collect();
        let text = format!("<testsuites><testsuite name=\"uat\">{cases}</testsuite></testsuites>");
        junit::read(&Source::new("junit.xml", text.as_bytes())).expect("readable")
    };
    let rows = [
        ("sound", "pppppp", TestTrend::Sound),
        ("waves", "pfppfp", TestTrend::Flaky),
        ("waves-badly", "pfpppf", TestTrend::Flaky),
        ("reruns", "pprppp", TestTrend::Flaky),
        ("broken", "ppppff", TestTrend::Broken { since: 4 }),
        ("broken-long", "ppffff", TestTrend::Broken { since: 2 }),
        ("just", "pppppf", TestTrend::JustFailed),
        ("never", "ffffff", TestTrend::NeverPassed),
        ("gone", "pppp..", TestTrend::Gone),
        ("skipped", "ppssff", TestTrend::Broken { since: 4 }),
        ("new", ".....p", TestTrend::Sound),
    ];
    let executions: Vec<TestFacts> =
        (0..6).map(|at| execution(&rows.map(|(name, how, _)| (name, how.chars().nth(at).expect("six"))))).collect();
    let trends = test_trends(&executions);
    for (name, how, wanted) in rows {
        assert_eq!(trends[&format!("shop {name}")], wanted, "{name} {how}");
    }
    assert!(test_trends(&[]).is_empty());
}

/// Rows: M54.
#[test]
fn a_flag_that_nobody_is_shown_is_flagged() {
    let used = |exposures, uses| FlagUse { exposures, uses };
    let counted = BTreeMap::from([
        ("cart".to_owned(), used(1_000, 40)),
        ("unused".to_owned(), used(1_000, 0)),
        ("miscounted".to_owned(), used(3, 4)),
        ("crat".to_owned(), used(5, 1)),
    ]);
    let concerns = flag_concerns(["cart", "unused", "dark", "miscounted"], &counted);
    let wanted = [
        ("crat", FlagConcern::Undeclared),
        ("dark", FlagConcern::NeverExposed),
        ("miscounted", FlagConcern::UsedUnseen),
        ("unused", FlagConcern::NeverUsed),
    ];
    assert_eq!(concerns.into_iter().collect::<Vec<_>>(), wanted.map(|(name, concern)| (name.to_owned(), concern)));
}

/// Rows: M55.
#[test]
fn a_spike_of_complaints_is_told_from_chance() {
    let before = Feedback { users: 20_000, unhappy: 40 };
    let p = |users, unhappy| complaints_rose(before, Feedback { users, unhappy });
    assert!(p(2_000, 16).is_some_and(|p| p < 0.001));
    assert!(p(2_000, 5).is_some_and(|p| p > 0.1));
    assert!(p(2_000, 0).is_some_and(|p| p > 0.99));
    assert_eq!(p(0, 0), None);
    assert_eq!(p(3, 4), None);
    assert_eq!(complaints_rose(Feedback { users: 0, unhappy: 0 }, before), None);
}

/// A service behind a proxy that holds everything back for as long as it is told.
async fn delayed(by: Duration) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the delay is the fault that is injected; nothing waits for it to pass"
    )]
    async fn hold(span: Duration) {
        tokio::time::sleep(span).await;
    }
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let behind = service.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = service.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 64];
                if stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await;
                }
            });
        }
    });
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = proxy.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = proxy.accept().await {
            tokio::spawn(async move {
                let Ok(mut far) = tokio::net::TcpStream::connect(behind).await else { return };
                hold(by).await;
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

/// Eighty milliseconds on the way to one revision, by a proxy that holds back; connecting alone does not see them.
///
/// Rows: M81.
#[tokio::test]
async fn latency_on_the_way_is_measured_where_an_answer_has_to_come_back() {
    let (slow, fast) = (delayed(Duration::from_millis(80)).await, delayed(Duration::ZERO).await);
    let (to_slow, to_fast) = (slow.clone(), fast.clone());
    let probe = NetworkProbe::new(block("network"), move |revision| match revision.as_str() {
        "v2" => vec![to_slow.clone()],
        "v1" => vec![to_fast.clone()],
        _ => Vec::new(),
    })
    .within(Duration::from_secs(30))
    .attempts(5)
    .asking("HEAD / HTTP/1.0\r\n\r\n");
    let all = measure(&probe).await;
    let middle = |arm, metric| {
        let Reading::Samples(samples) = reading(&all, metric, arm) else { panic!("no samples of {metric}") };
        let mut samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
        samples.sort_unstable_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    let (with, without) =
        (middle(Arm::Candidate, "network.first_byte_ms"), middle(Arm::Baseline, "network.first_byte_ms"));
    // The delay is a lower bound whatever the machine does; what an undelayed answer takes is not.
    assert!(with >= 80.0, "{with} ms");
    println!("first byte after {with:.1} ms with 80 ms injected, {without:.1} ms without");
    let failures = reading(&all, "network.connect.failures", Arm::Candidate);
    assert_eq!(failures, Reading::Counts(Counts::new(5, 0).expect("fewer")));
    // Somebody who takes connections and never answers is a loss.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mute_at = mute.local_addr().expect("an address").to_string();
    let probe = NetworkProbe::new(block("network"), move |_| vec![mute_at.clone()])
        .attempts(2)
        .within(Duration::from_millis(50))
        .asking("x");
    let all = measure(&probe).await;
    assert_eq!(
        reading(&all, "network.connect.failures", Arm::Candidate),
        Reading::Counts(Counts::new(2, 2).expect("fewer"))
    );
    assert_eq!(reading(&all, "network.first_byte_ms", Arm::Candidate), Reading::NoData);
    drop(mute);
}
