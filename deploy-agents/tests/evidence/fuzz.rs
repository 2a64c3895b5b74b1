//! Arbitrary bytes and damaged reports: no reader panics, hangs, or says that a number stands where it does not.

use std::time::{Duration, Instant};

use deploy_agents::evidence::dsse::TrustedKey;
use deploy_agents::evidence::facts::OciReference;
use deploy_agents::evidence::{Format, Limits, Original, Source, osv, provenance, terraform, trivy, version};

use crate::pointers::sourced;
use crate::samples::ALL;

/// Numbers from a seed, by SplitMix64: the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What hurts readers.
const WORDS: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "[",
    "{",
    "\"",
    "}",
    "]",
    ",",
    ":",
    "<",
    ">",
    "/>",
    "</",
    "&",
    "&#0;",
    "&#x110000;",
    "&lt;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<!DOCTYPE x [",
    "<?xml",
    "0",
    "-1",
    "1e999",
    "-0.0",
    "18446744073709551616",
    "9223372036854775808",
    "1e308",
    "\\u0000",
    "\\ud800",
    "\0",
    "\n",
    "\r",
    "\t",
    "\u{FEFF}",
    "é",
    "NaN",
    "+Inf",
    "NOASSERTION",
    "2026-11-22T03:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "end_of_record",
    "SF:",
    "DA:1,1",
    "sha256:",
    "@",
    "~1",
    "/0/",
    "..",
    "%",
];

fn damaged(numbers: &mut Numbers) -> (Format, &'static str, Vec<u8>) {
    let (format, file, text) = *numbers.one(ALL);
    let mut bytes = text.as_bytes().to_vec();
    if numbers.below(10) == 0 {
        let length = numbers.below(400);
        return (format, file, (0..length).map(|_| numbers.next() as u8).collect());
    }
    // Half of the inputs mostly keep their shape, so that they get past the parser.
    let shape = numbers.below(2) == 0;
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(40)).min(bytes.len());
        let kept_in_shape = shape && numbers.below(8) > 0;
        match if kept_in_shape { 5 } else { numbers.below(9) } {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << numbers.below(8);
            }
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            3 => bytes.truncate(at),
            4 => {
                let other = numbers.one(ALL).2.as_bytes();
                let start = numbers.below(other.len());
                let stop = (start + numbers.below(200)).min(other.len());
                bytes.splice(at..end, other[start..stop].iter().copied());
            }
            5 => {
                // A number or a word becomes another.
                let letters: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i].is_ascii_alphanumeric()).collect();
                if let Some(at) = letters.get(numbers.below(letters.len())) {
                    let (zero, many) = if bytes[*at].is_ascii_digit() { (b'0', 10) } else { (b'a', 26) };
                    bytes[*at] = zero + numbers.below(many) as u8;
                }
            }
            _ => {
                let word = numbers.one(WORDS).as_bytes();
                bytes.splice(at..if numbers.below(2) == 0 { at } else { end }, word.iter().copied());
            }
        }
    }
    (format, file, bytes)
}

#[derive(Default, Debug)]
struct Tally {
    inputs: u64,
    reads: u64,
    read: u64,
    cited: u64,
    slowest: Duration,
}

fn fuzz(inputs: u64, seed: u64) -> Tally {
    let key = TrustedKey::from_pem("release", &crate::provenance::ed25519_pem()).expect("a key");
    let limits = Limits::default().bytes(64 * 1024).things(5_000);
    let mut numbers = Numbers(seed);
    let mut tally = Tally::default();
    for input in 0..inputs {
        let (format, file, bytes) = damaged(&mut numbers);
        let source = Source::new(file, &bytes).limits(limits);
        let others = [*numbers.one(Format::ALL), *numbers.one(Format::ALL)];
        #[expect(
            clippy::disallowed_methods,
            reason = "that every read ends soon is what is tested, with a wide margin"
        )]
        let began = Instant::now();
        for format in std::iter::once(format).chain(others) {
            tally.reads += 1;
            let Ok(facts) = format.read(&source) else { continue };
            tally.read += 1;
            if input % 4 != 0 {
                continue;
            }
            let facts = serde_json::to_value(&facts).expect("facts are data");
            let mut found = Vec::new();
            sourced(&facts, &mut found);
            let original = Original::open(&source);
            for (value, at) in found {
                let there = original.text_at(&at.place);
                assert!(there.is_ok(), "seed {seed}, input {input}: {format} cites {value} from {at}: {there:?}");
                tally.cited += 1;
            }
        }
        // What is not a format of its own.
        match input % 8 {
            0 => drop(terraform::redact(&source)),
            1 => drop(trivy::read_database(&source)),
            2 => drop(osv::affects(&source, "tiny", "0.3.1")),
            3 => drop(provenance::read(&source, std::slice::from_ref(&key))),
            4 => drop(version::from_tag(&source)),
            5 => drop(version::from_cargo_manifest(&source)),
            6 => drop(version::from_changelog(&source)),
            _ => drop(String::from_utf8_lossy(&bytes).parse::<OciReference>()),
        }
        tally.inputs += 1;
        let took = began.elapsed();
        tally.slowest = tally.slowest.max(took);
        assert!(took < Duration::from_secs(20), "seed {seed}, input {input} took {took:?}");
    }
    tally
}

/// The most memory that this process ever held, in MiB, where the system says.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

#[test]
fn ten_thousand_damaged_inputs_are_read_or_refused() {
    let tally = fuzz(10_000, 5);
    println!("{tally:?}");
    assert!(tally.inputs == 10_000 && tally.read > 1_000 && tally.cited > 1_000, "{tally:?}");
}

/// A million: `cargo test -p deploy-agents --test evidence -- --ignored a_million --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_million_damaged_inputs_are_read_or_refused() {
    let tally = fuzz(1_000_000, 1_000_003);
    println!("{tally:?}, at most {:?} MiB", peak_memory());
    assert_eq!(tally.inputs, 1_000_000);
    assert!(peak_memory().is_none_or(|mib| mib < 512), "{:?} MiB", peak_memory());
}

/// The largest inputs that the default limits let in, made of what takes most memory for its length.
/// Run alone: `cargo test -p deploy-agents --test evidence -- --ignored the_largest --nocapture`.
#[test]
#[ignore = "holds hundreds of megabytes"]
fn the_largest_inputs_stay_within_bounded_memory() {
    let size = Limits::default().bytes;
    let fill = |head: &str, part: &str, tail: &str| {
        let times = ((size - head.len() - tail.len()) / part.len()).min(960_000);
        format!("{head}{}{tail}", part.repeat(times))
    };
    let inputs = [
        (
            Format::Sarif,
            fill(r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":["#, "{},", "{}]}]}"),
        ),
        (Format::Trivy, fill(r#"{"SchemaVersion":2,"ArtifactName":"x","Results":["#, "[],", "{}]}")),
        (Format::Hyperfine, fill(r#"{"results":[{"command":"x","times":["#, "1,", "1]}]}")),
        (
            Format::Restic,
            fill("[", r#"{"id":"","time":"2026-11-22T00:00:00Z"},"#, r#"{"id":"","time":"2026-11-22T00:00:00Z"}]"#),
        ),
        (Format::Junit, fill("<testsuite>", "<testcase/>", "</testsuite>")),
        (
            Format::Cobertura,
            fill("<coverage><class filename='a'>", "<line number='1' hits='1'/>", "</class></coverage>"),
        ),
        (Format::Lcov, fill("", "SF:a\nDA:1,1\nend_of_record\n", "")),
        (Format::Prometheus, fill(r#"{"status":"success","data":{"resultType":"vector","result":["#, "{},", "{}]}}")),
        (Format::Kubernetes, fill(r#"{"kind":"List","items":["#, "{},", "{}]}")),
        (Format::Sarif, fill(r#"{"version":"2.1.0","runs":["#, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],", "{}]}")),
    ];
    for (format, text) in inputs {
        #[expect(clippy::disallowed_methods, reason = "the time is shown, not judged")]
        let began = Instant::now();
        let result = format.read(&Source::new("input", text.as_bytes()));
        let said = match &result {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        };
        let mib = peak_memory();
        println!("{format}: {} MiB of input, {said}, {:?}, peak so far {mib:?} MiB", text.len() >> 20, began.elapsed());
        assert!(mib.is_none_or(|mib| mib < 1_500), "{format}: {mib:?} MiB");
    }
}
