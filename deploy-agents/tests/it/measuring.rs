//! Probes, monitors and the gate, against real HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::agents::{Expectation, HttpProbe};
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::{ProbeMonitor, ProgramMonitor, Query, ScrapeMonitor, Selector, Stratified};
use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::proxy::{Proxy, ProxyAdmin, ProxyConfig, Routing};
use deploy_core::agent::{Agent, Cancellation, Certainty, Performed};
use deploy_core::monitor::{Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, Reading};
use deploy_core::name::{BlockName, CheckName, MetricName, StratumName};
use deploy_core::time::Now;

use crate::fleet::name;
use crate::fronted::free;
use crate::load::BOUND;
use crate::program::{context, task};
use crate::service;

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

fn question() -> MeasureRequest {
    MeasureRequest {
        monitor: block("monitor"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(600),
    }
}

async fn measure(monitor: &dyn Monitor, request: &MeasureRequest) -> Vec<Measurement> {
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    monitor.measure(request, &cx).await.expect("an answer")
}

fn reading(all: &[Measurement], wanted: &str, arm: Arm) -> Reading {
    let found = all.iter().find(|m| m.metric == metric(wanted) && m.arm == arm);
    found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
}

#[tokio::test]
async fn parts_of_the_traffic_are_asked_each_for_itself() {
    let counted = |print: &str| {
        let line = CommandLine::new("/bin/sh").args(["-c", print]);
        ProgramMonitor::new(block("counts"), line, [metric("errors")])
    };
    let stratum = |text: &str| StratumName::new(text).expect("a name");
    let east = || counted(r#"echo '{"errors": {"events": 10, "bad": 1}}'"#);
    let west = || counted(r#"echo '{"errors": {"events": 30, "bad": 2}}'"#);
    let nobody = Stratified::new(block("by-zone"));
    let both = nobody.clone().stratum(stratum("west"), west()).stratum(stratum("east"), east());
    let all = measure(&both, &question()).await;
    let parts: Vec<_> =
        all.iter().map(|m| (m.stratum.as_ref().map(StratumName::as_str), m.arm, m.reading.number())).collect();
    let (of_east, of_west) = (Some(0.1), Some(2.0 / 30.0));
    let wanted = [
        (Some("east"), Arm::Candidate, of_east),
        (Some("east"), Arm::Baseline, of_east),
        (Some("west"), Arm::Candidate, of_west),
        (Some("west"), Arm::Baseline, of_west),
    ];
    assert_eq!(parts, wanted);
    let suite = deploy_core::testing::conformance::monitor::MonitorSuite::new(question());
    assert_eq!(suite.run(&both).await.len(), 5);

    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let said = async |monitor: Stratified| {
        deploy_core::report::chain(&monitor.measure(&question(), &cx).await.expect_err("no measurement"))
    };
    assert!(said(nobody.clone()).await.contains("measures no part"));
    let dead = nobody.clone().stratum(stratum("east"), east()).stratum(stratum("west"), counted("exit 3"));
    let dead = said(dead).await;
    assert!(dead.contains("no answer about west") && dead.contains("exit status: 3"), "{dead}");
    let within = said(nobody.stratum(stratum("all"), both)).await;
    assert!(within.contains("parts are measured within all"), "{within}");
}

#[tokio::test]
async fn a_probe_is_satisfied_by_good_answers_in_a_row() {
    let service = service::spawn("v2").await;
    let probe = |url: String| {
        HttpProbe::new(block("smoke"), url)
            .every(Duration::from_millis(1))
            .claims(CheckName::new("smoke").expect("a name"))
    };
    let good = probe(format!("http://{service}/?token=secret")).expect(Expectation::BodyContains("v2".to_owned()));
    let Ok(Performed::Done(report)) = good.perform(&task(), &context(BOUND, Cancellation::never())).await else {
        panic!("the probe is not done")
    };
    let evidence = &report.evidence[0];
    assert_eq!(evidence.evidence.kind, "http-probe");
    assert_eq!(report.claims[0].evidence[0], evidence.evidence.digest);
    let shown = format!("{good:?} {report:?} {}", String::from_utf8_lossy(&evidence.bytes));
    assert!(!shown.contains("token=secret"), "{shown}");
}

/// A client that has one answer to everything.
#[derive(Debug)]
struct Always(u16, &'static str);

#[async_trait::async_trait]
impl HttpClient for Always {
    async fn send(&self, _: http::Request<Bytes>, _: HttpLimits) -> Result<http::Response<Bytes>, HttpError> {
        Ok(http::Response::builder().status(self.0).body(Bytes::from(self.1)).expect("an answer"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_time_is_up_says_what_was_wrong_last() {
    let probe = |status, body| {
        HttpProbe::new(block("smoke"), "http://user:secret@host/?token=secret").over(Arc::new(Always(status, body)))
    };
    let bad = [
        (probe(500, "v2"), "the status is 500"),
        (
            probe(200, "v2").expect(Expectation::BodyContains("v3".to_owned())),
            "the body does not hold \"v3\"; it begins \"v2\"",
        ),
        (probe(200, "v2").expect(Expectation::Header("x-a".to_owned(), "b".to_owned())), "the header x-a is []"),
    ];
    for (probe, why) in bad {
        // Time is virtual here: ten seconds are ten questions.
        let outcome = probe.perform(&task(), &context(Duration::from_millis(9_500), Cancellation::never())).await;
        let error = outcome.expect_err("not satisfied");
        assert_eq!(error.certainty, Certainty::Definitive);
        assert!(error.message.contains(why) && error.message.contains("asked 10 times"), "{error}");
        assert!(!format!("{error} {probe:?}").contains("secret"));
    }
}

#[tokio::test]
async fn the_probe_monitor_counts_what_users_would_see() {
    let service = service::spawn("v2").await;
    let nobody = free();
    let monitor = ProbeMonitor::new(block("probe"), "unused")
        .urls(move |revision| {
            let fails = format!("http://{service}/fail");
            if revision.as_str() == "v2" {
                vec![format!("http://{service}/"), fails]
            } else {
                vec![format!("http://{nobody}/")]
            }
        })
        .requests(10)
        .within(BOUND, BOUND);
    let all = measure(&monitor, &question()).await;
    let counts = |bad| Reading::Counts(Counts::new(10, bad).expect("counts"));
    assert_eq!(reading(&all, "http.probe.errors", Arm::Candidate), counts(5));
    assert_eq!(reading(&all, "http.probe.errors", Arm::Baseline), counts(10));
    assert!(matches!(reading(&all, "http.probe.latency_ms", Arm::Candidate), Reading::Samples(s) if s.len() == 10));
    assert_eq!(reading(&all, "http.probe.latency_p99_ms", Arm::Baseline), Reading::NoData);
    let only = MeasureRequest { metrics: vec![metric("http.probe.errors")], ..question() };
    assert_eq!(measure(&monitor, &only).await.len(), 2);
    let tls = ProbeMonitor::new(block("probe"), "https://{revision}.test/");
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    assert!(tls.measure(&question(), &cx).await.is_err());
}

#[tokio::test]
async fn the_scrape_monitor_reads_the_proxys_own_counters() {
    let (a, b) = (service::spawn("v1").await, service::spawn("v2").await);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Arc::new(Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy"));
    proxy
        .route(Routing {
            upstreams: [(name("v1"), [a].into()), (name("v2"), [b].into())].into(),
            weights: [(name("v1"), 50), (name("v2"), 50)].into(),
            max_weight: 100,
            ..Routing::default()
        })
        .expect("sound");
    let access = AdminAccess::token(Secret::new("t"));
    let admin = ProxyAdmin::bind(any, access, Arc::clone(&proxy)).await.expect("an interface");
    let requests = || Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let all = requests();
    let seconds = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
    let monitor = ScrapeMonitor::new(block("scrape"))
        .endpoint(format!("http://{}/metrics", admin.address()))
        .token(Secret::new("t"))
        .metric(
            metric("errors"),
            Query::Ratio { bad: requests().is("code", "5xx"), all: all.clone(), absent_is_zero: false },
        )
        .metric(
            metric("mistyped"),
            Query::Ratio { bad: requests().is("cod", "5xx"), all: all.clone(), absent_is_zero: false },
        )
        .metric(
            metric("optional"),
            Query::Ratio { bad: requests().is("cod", "5xx"), all: all.clone(), absent_is_zero: true },
        )
        .metric(metric("rate"), Query::Rate(all))
        .metric(metric("p99"), Query::Quantile { q: 0.99, histogram: seconds })
        .metric(metric("weight"), Query::Sum(Selector::new("deploy_proxy_weight").is("revision", "{revision}")))
        .metric(metric("absent"), Query::Max(Selector::new("nothing")));
    let first = measure(&monitor, &question()).await;
    assert_eq!(reading(&first, "errors", Arm::Candidate), Reading::NoData, "growth needs two scrapes");
    assert_eq!(reading(&first, "weight", Arm::Candidate).number(), Some(50.0));
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<Bytes>>();
    for round in 0..40 {
        let path = if round % 20 == 1 { "fail" } else { "" };
        http.get(format!("http://{}/{path}", proxy.address()).parse().expect("a URL")).await.expect("an answer");
    }
    let second = measure(&monitor, &question()).await;
    // Requests take turns, v1 first: the two that fail were for v2.
    let counts = |bad| Reading::Counts(Counts::new(20, bad).expect("counts"));
    assert_eq!(reading(&second, "errors", Arm::Candidate), counts(2));
    assert_eq!(reading(&second, "errors", Arm::Baseline), counts(0));
    assert_eq!(reading(&second, "mistyped", Arm::Candidate), Reading::NoData);
    assert_eq!(reading(&second, "optional", Arm::Candidate), counts(0));
    assert_eq!(reading(&second, "absent", Arm::Candidate), Reading::NoData);
    assert!(reading(&second, "rate", Arm::Candidate).number().is_some_and(|rate| rate > 0.0));
    assert!(reading(&second, "p99", Arm::Candidate).number().is_some_and(|p99| p99 > 0.0));
    let window = second[0].window;
    assert!(window.from <= window.to);
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let unknown = MeasureRequest { metrics: vec![metric("unheard-of")], ..question() };
    assert!(monitor.measure(&unknown, &cx).await.is_err());
    drop(admin);
    let stranger = ScrapeMonitor::new(block("scrape")).endpoint("http://127.0.0.1:1/metrics");
    assert!(stranger.measure(&question(), &cx).await.is_err(), "unreachable is an error, not a number");
}

/// Sizes that somebody else has counted, as their libraries write them, up to a judgement.
#[tokio::test]
async fn a_program_may_print_histograms_of_other_formats() {
    use deploy_core::monitor::{Batch, BatchKey};
    use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
    use deploy_strategies::analysis::verdict::Cause;

    // Of the authors' Python library: 0.5, 1.0, … 50, once each, and seven zeros.
    const DDSKETCH: &str = "CgkJ8xrKayiv8T8S/QIS+AIAAAAAAADwPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADwPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAQAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAQAAAAAAAAABAAAAAAAAA8D8AAAAAAAAIQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAIQAAAAAAAAAhAAAAAAAAAEEAAAAAAAAAQQAAAAAAAABBAAAAAAAAAFEAAAAAAAAAUQAAAAAAAABhAAAAAAAAAGEAAAAAAAAAcQAAAAAAAACBAAAAAAAAAIEAAAAAAAAAkQAAAAAAAAPA/GAsaACEAAAAAAAAcQA==";
    // Of the Python port: 500, 1,000, … 500,000, once each.
    const HDR: &str = "HISTFAAAAIJ4nJNpmSzMwMB+mgECmKE0I4i4NnkJg/0HiMBzdqanMLSQhekjMxQtZ2L6zogFrWRkqmaqxIOzmayB0BZMkkfrMkkzyQIhgqQ/n5+Jl4kbiCEQwcIuOlzl2ZlYwZAZSqNC4kVH9Q99/cxMjGgQQwAXJFohLcwctXzU8pFhOQAxiT/+";
    let names = ["sizes", "dd", "hdr"].map(metric);
    let print = |text: String| {
        let script = format!("cat <<'END'\n{text}\nEND\n");
        ProgramMonitor::new(block("program"), CommandLine::new("/bin/sh").args(["-c", &script]), names.clone())
    };
    let all = |bins: &str, unit: f64| {
        format!(
            r#"{{"sizes": {{"bins": {bins}}}, "dd": {{"ddsketch": "{DDSKETCH}", "unit": {unit}}}, "hdr": {{"hdr": "{HDR}"}}}}"#
        )
    };
    let measured = measure(&print(all("[[5.0, 90], [10.0, 9], [250.0, 1]]", 2.0)), &question()).await;
    let counted = |name: &str| match reading(&measured, name, Arm::Candidate) {
        Reading::Histogram(sizes) => (sizes.count(), sizes.quantile(0.5).expect("values")),
        other => panic!("{name}: {other:?}"),
    };
    let near = |(count, middle): (u64, f64), due: (u64, f64)| count == due.0 && (middle / due.1 - 1.0).abs() < 0.12;
    assert!(
        near(counted("sizes"), (100, 5.0))
            && near(counted("dd"), (107, 47.0))
            && near(counted("hdr"), (1_000, 250_000.0))
    );

    // A judge takes them like any other sizes: twice as long is found, and the same is not.
    let judge = Sequential::new(1, vec![Watched::required(metric("dd"), Watch::latency())]);
    for (factor, harm) in [(1.0, false), (4.0, true)] {
        let mut state = judge.begin().expect("figures that make sense");
        let once = measure(&print(all("[]", 1.0)), &question()).await;
        let slower = measure(&print(all("[]", factor)), &question()).await;
        let of = |all: &[Measurement], arm| {
            all.iter().filter(move |m| m.metric == metric("dd") && m.arm == arm).cloned().collect::<Vec<_>>()
        };
        let both = [of(&slower, Arm::Candidate), of(&once, Arm::Baseline)].concat();
        for number in 0..12 {
            let batch = Batch::new(BatchKey::new(0, number), both[0].window).measured(&both).expect("sizes");
            judge.take(&mut state, &batch).expect("a batch that fits");
        }
        let look = Look { stage: 0, observed_for: Duration::from_secs(720) };
        let verdict = judge.verdict(&state, &look).expect("its own state");
        assert_eq!(verdict.cause == Cause::Harm, harm, "{verdict}");
    }

    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    for (wrong, said) in [
        (all("[[-1, 2]]", 1.0), "-1 is not a finite number"),
        (all("[]", 0.0), "a unit is 0"),
        (all("[]", 1.0).replace("Cgk", "*gk"), "not in base 64"),
        (all("[]", 1.0).replace("Cgk", "Agk"), "not a DDSketch"),
        (all("[]", 1.0).replace("HISTF", "HISTT"), "HdrHistogram"),
    ] {
        let error = print(wrong).measure(&question(), &cx).await.expect_err("no measurement");
        let error = deploy_core::report::chain(&error);
        assert!(error.contains("makes no sense") && error.contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_program_is_asked_and_what_it_does_not_print_is_no_number() {
    let shell = |script: &str| {
        let line = CommandLine::new("/bin/sh").args(["-c", script, "sh", "{revision}"]);
        ProgramMonitor::new(
            block("program"),
            line,
            [metric("depth"), metric("errors"), metric("sizes"), metric("none")],
        )
    };
    let good = shell(
        r#"test "$DEPLOY_REVISION" = "$1" && test "$DEPLOY_LOOKBACK_MS" = 600000 || exit 9
           bad=0; test "$DEPLOY_ARM" = candidate && bad=3
           echo "{\"depth\": 4.5, \"errors\": {\"events\": 10, \"bad\": $bad}, \"sizes\": {\"samples\": [1, 2]}, \"none\": null}""#,
    );
    let all = measure(&good, &question()).await;
    assert_eq!(reading(&all, "errors", Arm::Candidate), Reading::Counts(Counts::new(10, 3).expect("counts")));
    assert_eq!(reading(&all, "errors", Arm::Baseline), Reading::Counts(Counts::new(10, 0).expect("counts")));
    assert_eq!(reading(&all, "depth", Arm::Baseline).number(), Some(4.5));
    assert!(matches!(reading(&all, "sizes", Arm::Baseline), Reading::Samples(all) if all.len() == 2));
    assert_eq!(reading(&all, "none", Arm::Candidate), Reading::NoData);
    let suite = deploy_core::testing::conformance::monitor::MonitorSuite::new(question());
    assert_eq!(suite.run(&good).await.len(), 5);

    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let said = async |monitor: ProgramMonitor| {
        deploy_core::report::chain(&monitor.measure(&question(), &cx).await.expect_err("no measurement"))
    };
    assert!(said(shell("echo no luck >&2; exit 3")).await.contains("exit status: 3: no luck"));
    assert!(said(shell("echo {}")).await.contains("printed no depth of v2"));
    assert!(said(shell("echo 4")).await.contains("does not print measurements"));
    let more_bad = r#"echo '{"depth": 1, "errors": {"events": 1, "bad": 2}, "sizes": null, "none": null}'"#;
    assert!(said(shell(more_bad)).await.contains("2 bad events among 1"));
    assert!(said(shell("head -c 400000 /dev/zero")).await.contains("more than"));
    let slow = shell("exec tail -f /dev/null").within(Duration::from_millis(50));
    assert!(said(slow).await.contains("longer than 50ms"));
    let absent =
        ProgramMonitor::new(block("program"), CommandLine::new("/there/is/no/such/program"), [metric("depth")]);
    assert!(said(absent).await.contains("could not be started"));
}
