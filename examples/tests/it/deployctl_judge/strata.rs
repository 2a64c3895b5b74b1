//! Parts of the traffic.

use super::{Files, stderr};
use crate::program::stdout;

const HEADER: &str = "window,stratum,events,bad\n";

/// Twenty windows of two endpoints; the candidate's clients call the one that fails often more than the baseline's do.
fn rows(checkout: (u64, u64), search: (u64, u64)) -> String {
    let row =
        |(window, stratum, (events, bad)): (u32, &str, (u64, u64))| format!("{window},{stratum},{events},{bad}\n");
    let rows = (0..20).flat_map(|window| [(window, "checkout", checkout), (window, "search", search)]);
    rows.map(row).collect()
}

fn files(bad_at_checkout: u64) -> Files {
    let (baseline, candidate) = (rows((1_000, 50), (9_000, 9)), rows((2_000, bad_at_checkout), (1_000, 1)));
    Files::of("csv", &format!("{HEADER}{baseline}"), &format!("{HEADER}{candidate}"))
}

#[test]
fn each_stratum_is_compared_with_itself() {
    let other_mix = files(100).judge(&["--json"]);
    assert_eq!(other_mix.status.code(), Some(0), "{}{}", stdout(&other_mix), stderr(&other_mix));
    let worse = files(300).judge(&[]);
    assert_eq!(worse.status.code(), Some(1), "{}", stdout(&worse));
    assert!(stdout(&worse).contains("most of the difference is in checkout"), "{}", stdout(&worse));
    // One line of each window, with what was known after both.
    let said: serde_json::Value = serde_json::from_slice(&other_mix.stdout).expect("JSON");
    let windows = said["lines"][0]["windows"].as_array().expect("windows");
    let numbers: Vec<u64> = windows.iter().filter_map(|window| window["window"].as_u64()).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<u64>>());

    // The same rows without their endpoints look bad: that is what the column is for.
    let all = |events: u64, bad: u64| (0..20).map(|window| format!("{window},{events},{bad}\n")).collect::<String>();
    let header = "window,events,bad\n";
    let mixed = Files::of("csv", &format!("{header}{}", all(10_000, 59)), &format!("{header}{}", all(3_000, 101)));
    assert_eq!(mixed.code(&[]), 1);
}

#[test]
fn what_is_said_of_strata_makes_sense() {
    let baseline = format!("{HEADER}0,checkout,10,1\n");
    let said = |candidate: &str, args: &[&str]| {
        let output = Files::of("csv", &baseline, candidate).judge(args);
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        stderr(&output)
    };
    let here = |said: &str, place: &str, what: &str| assert!(said.contains(place) && said.contains(what), "{said}");
    here(&said(&format!("{HEADER}0,check out,10,1\n"), &[]), "candidate.csv:2:3", "stratum name");
    here(
        &said(&format!("{HEADER}0,checkout,10,1\n0,checkout,10,1\n"), &[]),
        "3:",
        "window 0 and checkout was counted before",
    );
    here(&said("window,events,bad\n0,10,1\n", &[]), "candidate.csv:2", "of all traffic here, and of checkout at");
    let one = format!("{HEADER}0,checkout,10,1\n");
    for method in ["kayenta", "proportions"] {
        here(&said(&one, &["--method", method]), "baseline.csv:2:3", "knows no strata");
    }
    here(&said(&one, &["--method", "threshold", "--at-most", "0.1"]), "baseline.csv:2:3", "knows no strata");
}
