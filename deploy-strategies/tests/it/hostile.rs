//! Input that was damaged, or made to harm: an error with its place, never a panic.

use deploy_strategies::import::{FindingKind, Manifests};
use deploy_strategies::spec::StrategySpec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::import::{ROUTED, analysed_text, rollout};
use crate::{cases, import_flagger};

const SPEC: &str = "type: canary\nname: slow\nsteps:\n  - weight: 5\n    soak: 10m\n    routes: [[{header: {name: x, value: \"1\"}}]]\n  - {weight: 50, approval: {question: go on?, quorum: 1, expires_after: 60000}}\nbackground:\n  - from_step: 1\n    analysis:\n      monitor: prometheus\n      every: 1m\n      lookback: 1m\n      judge:\n        threshold:\n          metrics:\n            - metric: errors\n              condition: {success: {compare: \"<\", limit: 0.01}}\n              failure_limit: {compare: \">\", count: 1}\n              errors: {consecutive_limit: {compare: \">\", count: 4}, on_error: inconclusive}\n              no_data: {hold: {at_most: 5m}}\n";

/// What is damaged: real manifests of others where they are there, and some that use every part of ours.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = cases::rows("argo_lint/index.json")
        .iter()
        .map(|row| std::fs::read(cases::folder(row["input"]["file"].as_str().unwrap()).unwrap()).unwrap())
        .collect();
    let analysis = format!(
        "    interval: 15s\n    threshold: 5\n    maxWeight: 20\n    stepWeight: 10\n{}",
        import_flagger::METRICS
    );
    let switch = "    blueGreen:\n      activeService: a\n      autoPromotionEnabled: false\n";
    let headers = format!(
        "{ROUTED}      steps:\n      - setHeaderRoute: {{name: testers, match: [{{headerName: a, headerValue: {{exact: b}}}}]}}\n"
    );
    for text in [
        analysed_text(),
        import_flagger::manifest(&analysis),
        rollout(switch),
        rollout(&headers),
        SPEC.to_owned(),
        SPEC.to_owned(),
        SPEC.to_owned(),
    ] {
        samples.push(text.into_bytes());
    }
    samples
}

/// What harms where it does not belong.
const PIECES: [&str; 40] = [
    "",
    "\0",
    "\t",
    "\n",
    "---\n",
    "...\n",
    "- ",
    "? ",
    ": ",
    "#",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!x ",
    "| \n",
    "%YAML 1.2\n",
    "'",
    "\"",
    "999999999999999999999999999999",
    "-1",
    "1e999",
    ".nan",
    ".inf",
    "0x7fffffffffffffff",
    "~",
    "null",
    "true",
    "no",
    "\u{feff}",
    "\u{202e}",
    "{{args.x}}",
    "{{",
    "steps: [",
    "analysis: {}\n",
    "result[0] > ",
];

#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, usize),
    Byte(prop::sample::Index, u8),
    Lines(prop::sample::Index, prop::sample::Index),
}

fn damages() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..60_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => (at(), 1..200_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        4 => (at(), 0..PIECES.len()).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => (at(), at()).prop_map(|(a, b)| Damage::Lines(a, b)),
    ]
}

fn damaged(mut text: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let at = |at: &prop::sample::Index, text: &[u8]| at.index(text.len() + 1);
    match damage {
        Damage::Cut(place) => text.truncate(at(place, &text)),
        Damage::Remove(place, length) => {
            let from = at(place, &text);
            let to = (from + length).min(text.len());
            text.drain(from..to);
        }
        Damage::Repeat(place, length) => {
            let from = at(place, &text);
            let part = text[from..(from + length).min(text.len())].to_vec();
            text.splice(from..from, part);
        }
        Damage::Insert(place, piece) => {
            let from = at(place, &text);
            text.splice(from..from, PIECES[*piece].bytes());
        }
        Damage::Byte(place, byte) => {
            let from = at(place, &text);
            text.splice(from..from, [*byte]);
        }
        Damage::Lines(a, b) => {
            let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            text = lines.join(&b'\n');
        }
    }
    text
}

/// Ten thousand damaged texts: each is read, or refused with a place.
#[test]
fn damaged_texts_are_read_or_refused_with_a_place() {
    let samples = samples();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) };
    let mut runner = TestRunner::new(config);
    let (read, refused, spec) = (std::cell::Cell::new(0), std::cell::Cell::new(0), std::cell::Cell::new(0));
    let up = |counter: &std::cell::Cell<u32>| counter.set(counter.get() + 1);
    let given = (0..samples.len(), prop::collection::vec(damages(), 1..3));
    let ran = runner.run(&given, |(sample, damages)| {
        let text = damages.iter().fold(samples[sample].clone(), damaged);
        let mut manifests = Manifests::new();
        manifests.add("m", &text);
        match manifests.strategies() {
            Ok(all) => {
                up(&read);
                for one in all {
                    let written = one.strategy.to_json();
                    prop_assert_eq!(StrategySpec::from_json(&written).unwrap(), one.strategy);
                }
            }
            Err(wrong) => {
                up(&refused);
                for finding in wrong.findings() {
                    let placed =
                        finding.place.is_some() || (finding.kind == FindingKind::NotInFiles && finding.at.is_empty());
                    prop_assert!(placed, "{:?}", finding);
                    prop_assert!(!finding.wrong.is_empty());
                }
            }
        }
        // Only what was a strategy of ours: the others' manifests lack a type, and say no more.
        if samples[sample] != SPEC.as_bytes() {
            return Ok(());
        }
        match StrategySpec::from_yaml(&text) {
            Ok(one) => {
                up(&spec);
                prop_assert_eq!(StrategySpec::from_json(one.to_json()).unwrap(), one);
            }
            Err(wrong) => {
                let placed =
                    wrong.problems().iter().all(|problem| problem.place.is_some() || problem.wrong == "it is empty");
                prop_assert!(placed, "{}", wrong);
            }
        }
        let _ = StrategySpec::from_json(&text);
        Ok(())
    });
    cases::say(&format!(
        "damaged texts: {} carried over, {} refused; {} still a strategy of ours",
        read.get(),
        refused.get(),
        spec.get()
    ));
    ran.unwrap_or_else(|error| panic!("{error}"));
    assert!(read.get() > 100 && refused.get() > 100 && spec.get() > 20, "the damage is neither nothing nor everything");
}

#[test]
fn what_is_made_to_harm_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    let keys = (0..200_000).map(|i| format!("k{i}: 1\n")).collect::<String>();
    let deep = ["[", "{a: ", "- ", "? "].map(|part| part.repeat(20_000));
    let texts = [bomb, keys, "a: ".to_owned() + &"9".repeat(100_000), "\u{feff}".repeat(1_000), "&a ".repeat(10_000)];
    for text in texts.iter().chain(&deep) {
        let mut manifests = Manifests::new();
        manifests.add("m", text);
        assert!(manifests.strategies().is_err());
        assert!(StrategySpec::from_yaml(text).is_err());
        assert!(StrategySpec::from_json(text).is_err());
    }
    let wide: Vec<u8> = "kind: Rollout".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut manifests = Manifests::new();
    manifests.add("m", wide);
    assert!(manifests.strategies().is_err(), "UTF-16 is not read");
    let many = format!("{}\n{}", rollout("    canary: {steps: ["), "{setWeight: 1},".repeat(50_000));
    let mut manifests = Manifests::new();
    manifests.add("m", many);
    assert!(manifests.strategies().is_err());
}
