//! Users do not notice a release, whatever the strategy.

use std::io::Write as _;
use std::process::Command;

use crate::program::{program, stdout};

const STRATEGIES: [&str; 7] =
    ["canary", "canary-by-instances", "rolling", "blue-green", "all-at-once", "waves", "flags"];

/// Runs all strategies, and reads the table.
#[track_caller]
fn nobody_notices(args: &[&str], requests: u64) {
    let output = Command::new(program("zero_downtime")).args(args).output().expect("the example starts");
    let text = stdout(&output);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for strategy in STRATEGIES {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(strategy));
        let line = line.unwrap_or_else(|| panic!("no line for {strategy}: {text}"));
        let number = |column: usize| -> u64 {
            line.split_whitespace().nth(column).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        };
        let (out, back, asked, failed) = (number(1), number(2), number(3), number(4));
        assert!(out >= 1 && back >= 1 && asked >= requests && failed == 0, "{text}");
    }
    assert!(text.lines().any(|line| line.ends_with(" requests, 0 failed")), "{text}");
}

/// Rows: M58, M59, M64, M65, M66, M167, M169.
#[test]
fn behind_a_real_haproxy() {
    let required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    if !required {
        writeln!(std::io::stderr(), "LEFT OUT: with REQUIRE_SERVICES=1 this runs every strategy behind a real HAProxy")
            .expect("standard error");
        return;
    }
    nobody_notices(&[], 20_000);
}

/// Rows: M59, M64, M65, M167, M169, M170.
#[test]
fn behind_the_proxy_in_this_process() {
    nobody_notices(&["--front", "proxy", "--requests", "1000"], 1_000);
}

#[test]
fn where_there_is_no_haproxy_it_says_how_to_get_one() {
    if ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].iter().any(|path| std::path::Path::new(path).exists()) {
        writeln!(std::io::stderr(), "LEFT OUT: HAProxy is where it is always looked for").expect("standard error");
        return;
    }
    let output = Command::new(program("zero_downtime")).env("PATH", "").output().expect("the example starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("apt install haproxy"), "{said}");
}
