//! Coverage reports: one run, three formats, and what each of them counts.

use std::collections::{BTreeMap, BTreeSet};

use deploy_agents::evidence::facts::{CountingRule, CoverageFacts, Share};
use deploy_agents::evidence::{DoubtKind, Problem, Source, blocking, cobertura, lcov, llvm_cov};

use crate::doubted;
use crate::samples::{COBERTURA, LCOV, LLVM_COV};

fn tracefile(text: &str) -> CoverageFacts {
    lcov::read(&Source::new("lcov.info", text.as_bytes())).expect("readable")
}

fn cobertura(text: &str) -> CoverageFacts {
    cobertura::read(&Source::new("cobertura.xml", text.as_bytes())).expect("readable")
}

fn share(covered: u64, total: u64) -> Share {
    Share { covered, total }
}

/// Rows: M8, M172.
#[test]
fn the_same_run_is_the_same_share_by_all_three() {
    let llvm = llvm_cov::read(&Source::new("coverage.json", LLVM_COV.as_bytes())).expect("readable");
    let (tracefile, cobertura) = (tracefile(LCOV), cobertura(COBERTURA));
    for (facts, rule) in [
        (&tracefile, CountingRule::LcovLines),
        (&cobertura, CountingRule::CoberturaLines),
        (&llvm, CountingRule::LlvmSummaries),
    ] {
        assert_eq!((facts.lines, facts.rule), (share(3, 4), rule));
        assert_eq!(facts.branches, Some(share(1, 2)));
        assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
    }
    assert_eq!(cobertura.files[0].path, "/build/shop/src/cart.rs");
    assert_eq!(tracefile.files[0].hits, BTreeMap::from([(1, 4), (2, 4), (3, 0)]));
}

/// Rows: M172.
#[test]
fn ninety_is_not_more_than_ninety() {
    assert!(!share(9, 10).exceeds(90.0));
    assert!(share(901, 1000).exceeds(90.0));
    assert!(!share(0, 0).exceeds(-1.0), "where nothing was measured, nothing is exceeded");
    assert_eq!(share(0, 0).percent(), None);
}

#[test]
fn records_of_the_same_file_are_merged_line_by_line() {
    let facts = tracefile(
        "SF:a\nDA:1,0\nDA:2,1\nLF:2\nLH:1\nend_of_record\nSF:a\nDA:1,3\nDA:2,0\nDA:2,1\nLF:2\nLH:2\nend_of_record\n",
    );
    assert_eq!((facts.files.len(), facts.lines), (1, share(2, 2)));
    assert_eq!(facts.files[0].hits, BTreeMap::from([(1, 3), (2, 2)]));
    assert_eq!(facts.declared_lines, Some(share(2, 2)), "what two records declare cannot be added up");
}

#[test]
fn a_tracefile_without_totals_or_with_other_ones_is_counted_line_by_line() {
    let facts = tracefile("SF:a\nDA:1,1\nDA:2,0\nend_of_record\n");
    assert_eq!((facts.lines, facts.strictest_lines()), (share(1, 2), share(1, 2)));
    assert!(facts.doubts.is_empty());
    // LLVM's own tracefiles declare more lines than they list. The stricter of the two counts.
    let facts = tracefile("SF:a\nDA:1,1\nDA:2,1\nLF:4\nLH:3\nend_of_record\n");
    assert_eq!((facts.lines, facts.strictest_lines()), (share(2, 2), share(3, 4)));
    assert_eq!(doubted(&facts.doubts, DoubtKind::RulesDiffer), 1);
    // A flattering declaration changes nothing.
    let facts = tracefile("SF:a\nDA:1,1\nDA:2,0\nLF:2\nLH:2\nend_of_record\n");
    assert_eq!(facts.strictest_lines(), share(1, 2));
    let facts = tracefile("SF:a\nDA:1,1\nLF:2\nLH:3\nend_of_record\n");
    assert_eq!(doubted(&facts.doubts, DoubtKind::Contradiction), 1);
}

#[test]
fn names_of_functions_may_hold_commas_and_last_lines_may_stand_before_them() {
    let facts = tracefile(
        "SF:a\nFN:1,add<int, long>(int, long)\nFN:5,9,sub\nFNDA:3,add<int, long>(int, long)\nFNDA:0,sub\nDA:1,1\nend_of_record\n",
    );
    assert_eq!(facts.functions, Some(share(1, 2)));
}

#[test]
fn broken_tracefiles_name_the_line() {
    for (text, line, problem) in [
        ("SF:a\nDA:1,1\n", 2, Problem::Truncated),
        ("DA:1,1\nend_of_record\n", 1, Problem::Syntax),
        ("end_of_record\n", 1, Problem::Syntax),
        ("SF:a\nSF:b\nend_of_record\n", 2, Problem::Syntax),
        ("SF:a\nDA:1\nend_of_record\n", 2, Problem::Syntax),
        ("SF:a\nDA:x,1\nend_of_record\n", 2, Problem::Field),
        ("SF: \nend_of_record\n", 1, Problem::Field),
        ("hello world\n", 1, Problem::Syntax),
    ] {
        let error = lcov::read(&Source::new("l", text.as_bytes())).expect_err(text);
        assert_eq!(error.problem, problem, "{text:?}: {error}");
        assert!(error.at.to_string().starts_with(&format!("l:{line}:")), "{error}");
    }
}

/// Rows: M172.
#[test]
fn a_rate_that_is_not_what_the_lines_add_up_to_blocks() {
    for (from, to) in [
        ("<coverage line-rate=\"0.75\"", "<coverage line-rate=\"0.95\""),
        ("lines-covered=\"3\"", "lines-covered=\"4\""),
        ("number=\"3\" hits=\"0\"", "number=\"3\" hits=\"1\""),
    ] {
        let text = COBERTURA.replacen(from, to, 1);
        assert_ne!(text, COBERTURA);
        let facts = cobertura(&text);
        assert!(doubted(&facts.doubts, DoubtKind::CountsDiffer) > 0, "{to}");
        assert!(blocking(&facts.doubts).is_some());
    }
    // Two digits are an honest rounding.
    assert!(cobertura(&COBERTURA.replacen("line-rate=\"0.75\"", "line-rate=\"0.745\"", 1)).doubts.is_empty());
    assert!(cobertura(&COBERTURA.replacen("line-rate=\"0.75\"", "line-rate=\"0,75\"", 1)).doubts.is_empty());
}

#[test]
fn a_file_in_several_classes_is_counted_once() {
    let twice = COBERTURA.replace("filename=\"pay.rs\"", "filename=\"cart.rs\"");
    let facts = cobertura(&twice);
    assert_eq!((facts.files.len(), facts.files[0].lines), (1, share(3, 4)));
    assert_eq!(facts.files[0].hits[&1], 4, "the lines of methods stand there twice and count once");
}

#[test]
fn several_roots_of_sources_are_doubted() {
    let facts = cobertura(&COBERTURA.replace("</sources>", "<source>/other</source></sources>"));
    assert_eq!(doubted(&facts.doubts, DoubtKind::NoSubject), 1);
    assert_eq!(facts.files[0].path, "cart.rs");
}

#[test]
fn nothing_to_cover_blocks() {
    let none = [
        lcov::read(&Source::new("l", b"TN:\n")),
        cobertura::read(&Source::new("c", b"<coverage line-rate='1'/>")),
        llvm_cov::read(&Source::new("j", br#"{"type": "llvm.coverage.json.export", "version": "2.0.1", "data": []}"#)),
        llvm_cov::read(&Source::new(
            "j",
            br#"{"type": "llvm.coverage.json.export", "version": "3.0.1", "data": [{"files": [], "totals": {"lines": {"count": 0, "covered": 0, "percent": 0}}}]}"#,
        )),
    ];
    for facts in none {
        let facts = facts.expect("readable");
        assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1);
        assert_eq!(facts.strictest_lines().percent(), None);
    }
}

#[test]
fn totals_that_are_not_what_the_files_add_up_to_block() {
    let (head, totals) = LLVM_COV.split_once("\"totals\"").expect("totals");
    let lie = format!("{head}\"totals\"{}", totals.replacen("\"covered\": 3", "\"covered\": 4", 1));
    let facts = llvm_cov::read(&Source::new("c", lie.as_bytes())).expect("readable");
    assert_eq!(doubted(&facts.doubts, DoubtKind::CountsDiffer), 2, "{:?}", facts.doubts);
    assert_eq!(facts.lines, share(3, 4));
}

/// Rows: M172.
#[test]
fn the_coverage_of_a_change_names_what_the_report_leaves_out() {
    let changed = |files: &[(&str, &[u64])]| -> BTreeMap<String, BTreeSet<u64>> {
        files.iter().map(|(path, lines)| ((*path).to_owned(), lines.iter().copied().collect())).collect()
    };
    let facts = tracefile(LCOV);
    let diff = facts.of_change(&changed(&[("src/cart.rs", &[2, 3, 40]), ("src/new.rs", &[1]), ("rt.rs", &[1])]));
    assert_eq!(diff.lines, share(1, 2), "line 40 cannot run");
    assert_eq!(diff.not_in_report, ["rt.rs", "src/new.rs"], "a part of a name is another file");
    let llvm = llvm_cov::read(&Source::new("coverage.json", LLVM_COV.as_bytes())).expect("readable");
    let diff = llvm.of_change(&changed(&[("src/cart.rs", &[2])]));
    assert_eq!((diff.lines, diff.without_lines), (share(0, 0), vec!["src/cart.rs".to_owned()]));
}
