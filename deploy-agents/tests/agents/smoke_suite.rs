//! Smoke suites, on a small service and on programs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use deploy_agents::agents::{Expectation, SmokeProbe, SmokeSuite};
use deploy_agents::process::CommandLine;
use deploy_core::agent::{Agent as _, Cancellation};
use deploy_core::evidence::Verdict;
use deploy_core::name::CheckName;
use deploy_core::testing::conformance::agent::AgentSuite;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::task::{block, context, perform, task, verdict};

/// A service: `/flaky` fails once, `/broken` always.
async fn service() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, asked) = (listener.local_addr().expect("an address"), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let nth = count.fetch_add(1, Ordering::SeqCst);
            let status = match request.split_whitespace().nth(1) {
                Some("/broken") => "500 Internal Server Error",
                Some("/flaky") if nth == 0 => "503 Service Unavailable",
                _ => "200 OK",
            };
            let body = request.split_whitespace().next().unwrap_or_default().to_owned();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

fn smoke() -> CheckName {
    CheckName::new("smoke").expect("a name")
}

fn suite(service: SocketAddr) -> SmokeSuite {
    let url = |path: &str| format!("http://{service}{path}");
    SmokeSuite::new(block("smoke-suite"))
        .function("orders are listed", ["list"])
        .function("orders are placed", ["place", "place by program"])
        .probe(SmokeProbe::get("list", url("/orders")).expect(Expectation::BodyContains("GET".to_owned())))
        .probe(SmokeProbe::post("place", url("/orders"), "{}").expect(Expectation::BodyContains("POST".to_owned())))
        .probe(SmokeProbe::command("place by program", CommandLine::new("true")))
        .claims(smoke())
}

/// Rows: M31, M40, M153, M206.
#[tokio::test]
async fn a_suite_passes_only_when_as_many_tests_ran_as_are_declared() {
    let (service, _) = service().await;
    let whole = suite(service);
    let report = perform(&whole, "run", false).await.expect("done");
    assert_eq!(verdict(&report, &whole, "smoke"), Verdict::Pass);
    // Somebody takes a probe out and leaves the plan as it is.
    let declared = SmokeSuite::new(block("smoke-suite"))
        .function("orders are listed", ["list"])
        .function("orders are placed", ["place"])
        .probe(SmokeProbe::get("list", format!("http://{service}/orders")))
        .claims(smoke());
    let report = perform(&declared, "run", false).await.expect("done");
    let Verdict::Fail { reason } = verdict(&report, &declared, "smoke") else { panic!("a removed probe must show") };
    assert!(reason.contains("place"), "{reason}");
    // A plan of nothing proves nothing, whatever runs.
    let nothing =
        SmokeSuite::new(block("smoke-suite")).probe(SmokeProbe::command("x", CommandLine::new("true"))).claims(smoke());
    let report = perform(&nothing, "run", false).await.expect("done");
    assert!(!verdict(&report, &nothing, "smoke").is_met());
}

/// Rows: M31, M153.
#[tokio::test]
async fn a_failing_probe_fails_the_suite_and_is_named() {
    let (service, _) = service().await;
    for broken in [
        SmokeProbe::get("refund", format!("http://{service}/broken")),
        SmokeProbe::get("refund", "http://127.0.0.1:1/"),
        SmokeProbe::command("refund", CommandLine::new("false")),
        SmokeProbe::command("refund", CommandLine::new("/no/such/program")),
    ] {
        let whole = suite(service).function("orders are refunded", ["refund"]).probe(broken.clone());
        let report = perform(&whole, "run", false).await.expect("done: the check says no");
        let Verdict::Fail { reason } = verdict(&report, &whole, "smoke") else { panic!("{broken:?} fails") };
        assert!(reason.contains("refund"), "{reason}");
        let alone = SmokeSuite::new(block("smoke-suite")).function("orders are refunded", ["refund"]).probe(broken);
        let error = perform(&alone, "run", false).await.expect_err("nobody claims a check");
        assert!(error.chain().contains("refund"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_test_that_passes_only_the_second_time_is_a_remark() {
    let (service, asked) = service().await;
    let url = format!("http://{service}/flaky");
    let flaky = SmokeSuite::new(block("smoke-suite"))
        .function("orders are listed", ["list"])
        .probe(SmokeProbe::get("list", url).attempts(2))
        .claims(smoke());
    let report = perform(&flaky, "run", false).await.expect("done");
    assert!(matches!(verdict(&report, &flaky, "smoke"), Verdict::Concerns { .. }));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_suite_conforms_and_stops_when_it_is_cancelled() {
    let (service, _) = service().await;
    AgentSuite::new().run(&suite(service)).await;
    let slow = SmokeSuite::new(block("smoke-suite"))
        .function("waits", ["wait"])
        .probe(SmokeProbe::command("wait", CommandLine::new("sleep").arg("600")))
        .claims(smoke());
    let (raise, cancellation) = Cancellation::new();
    let task = task("phase/step", false);
    let cx = context("run", &task, 1, cancellation);
    let performing = slow.perform(&task, &cx);
    let raising = async { raise.raise() };
    let (ended, ()) = tokio::join!(performing, raising);
    assert!(ended.is_err());
}
