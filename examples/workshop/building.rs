//! Builds both versions, and makes the reports that a build server would make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use deploy_agents::checks::kind;
use deploy_agents::evidence::JunitReport;
use deploy_core::digest::Digest;
use deploy_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::Failure;
use crate::workshop::args::Fault;
use crate::workshop::repository::{NEW, OLD, Repository};
use crate::workshop::shelf::Shelf;
use crate::workshop::tools::{Tools, read, run, succeed};

/// How often each version is timed. The two take turns, so that what slows the machine down slows both.
const TIMINGS: usize = 15;
/// How many baskets are priced each time.
const BASKETS: &str = "4000";

/// What was built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
    pub(crate) digest: Digest,
}

/// Cargo in a folder, with nothing fetched that is here already.
fn cargo(folder: &Path, target: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(Tools::cargo());
    command.current_dir(folder).args(words).env("CARGO_TARGET_DIR", target).env("CARGO_TERM_COLOR", "never");
    // What cargo tells the programs that it runs is not meant for another cargo.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("NEXTEST") {
            command.env_remove(name);
        }
    }
    command
}

/// Builds a version, without asking the registry if that is possible.
fn build(folder: &Path, target: &Path, to: &Path) -> Result<(), Failure> {
    let offline = run(&mut cargo(folder, target, &["build", "--locked", "--offline"]))?;
    if !offline.status.success() {
        succeed(&mut cargo(folder, target, &["build", "--locked"]))?;
    }
    std::fs::copy(target.join("debug/orders"), to)?;
    Ok(())
}

/// Builds both versions.
pub(crate) fn both(folder: &Path, repository: &Repository) -> Result<Built, Failure> {
    let target = folder.join("target");
    let artifacts = folder.join("artifacts");
    std::fs::create_dir_all(&artifacts)?;
    let (old, new) = (artifacts.join(format!("orders-{OLD}")), artifacts.join(format!("orders-{NEW}")));
    build(&repository.old, &target, &old)?;
    build(&repository.new, &target, &new)?;
    let digest = Digest::of(&read(&new)?);
    Ok(Built { old, new, digest })
}

/// Makes the reports of the build.
pub(crate) fn report(
    folder: &Path,
    repository: &Repository,
    built: &Built,
    tools: &Tools,
    fault: Option<Fault>,
    shelf: &mut Shelf,
) -> Result<(), Failure> {
    let target = folder.join("target");
    let unit = tests(&repository.new, &target, "unit", tools, kind::JUNIT, shelf)?;
    let over_http = tests(&repository.new, &target, "over_http", tools, kind::INTEGRATION, shelf)?;
    coverage(&repository.new, &target, tools, shelf)?;
    lint(&repository.new, &target, tools, shelf)?;
    bill(&repository.new, &target, shelf)?;
    advisories(&repository.new, tools, fault, shelf)?;
    timings(built, shelf)?;
    let steps = |name: &str, conclusion: &str| json!({ "name": name, "conclusion": conclusion, "steps": [{ "name": format!("cargo {name}"), "conclusion": conclusion }] });
    match &repository.commit {
        Some(commit) => {
            let tested = if unit && over_http { "success" } else { "failure" };
            let document = json!({
                "pipeline": "workshop/orders", "run": "1", "commit": commit, "conclusion": tested,
                "required": ["build", "test"], "jobs": [steps("build", "success"), steps("test", tested)],
            });
            shelf.put_document("ci-run", "cargo", document)?;
        }
        None => {
            let reason = "git is not on this machine, so that nothing can be traced to a commit";
            shelf.without(&["build-success", "artifacts-attested", "release-notes", "risks"], reason);
        }
    }
    Ok(())
}

/// Runs one test program of the service. True if all tests passed.
fn tests(
    folder: &Path,
    target: &Path,
    name: &str,
    tools: &Tools,
    kind: &str,
    shelf: &mut Shelf,
) -> Result<bool, Failure> {
    let file = format!("{kind}.xml");
    let profile = if kind == kind::JUNIT { "unit" } else { "integration" };
    if tools.find("cargo-nextest").is_some() {
        let words =
            ["nextest", "run", "--locked", "--offline", "--no-tests", "fail", "--profile", profile, "--test", name];
        let said = run(&mut cargo(folder, target, &words))?;
        // It keeps its reports in the repository, wherever cargo keeps its own.
        let report = folder.join("target/nextest").join(profile).join("junit.xml");
        // 100: tests failed, which the report says.
        if said.status.success() || said.status.code() == Some(100) {
            shelf.put(kind, "cargo-nextest", &file, read(&report)?)?;
            return Ok(said.status.success());
        }
    }
    // The test harness writes a line for each test; JUnit from it is ours.
    let clock = SystemClock::new();
    let mut report = JunitReport::new(name, clock.wall());
    let began = clock.monotonic();
    let said = run(&mut cargo(folder, target, &["test", "--locked", "--offline", "--no-fail-fast", "--test", name]))?;
    let took = clock.monotonic().saturating_sub(began);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    for line in text.lines() {
        let Some((test, outcome)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
            continue;
        };
        match outcome.trim() {
            "ok" => report.passed(test, Duration::ZERO),
            "ignored" => {}
            other => report.failed(test, took, other),
        }
    }
    if report.executed() == 0 {
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        return Err(
            format!("no test of {name} ran: {}", text.lines().rev().take(3).collect::<Vec<_>>().join(" | ")).into()
        );
    }
    shelf.put(kind, "cargo test", &file, report.to_xml().into_bytes())?;
    Ok(said.status.success())
}

fn coverage(folder: &Path, target: &Path, tools: &Tools, shelf: &mut Shelf) -> Result<(), Failure> {
    if tools.find("cargo-llvm-cov").is_some() {
        let file = shelf.folder().join("coverage.info");
        let words = ["llvm-cov", "--offline", "--locked", "--lcov", "--lib", "--test", "unit", "--output-path"];
        let said = run(cargo(folder, target, &words).arg(&file))?;
        if said.status.success() {
            return shelf.put(kind::LCOV, "cargo-llvm-cov", "coverage.info", read(&file)?);
        }
    }
    shelf.without(&["coverage"], "cargo-llvm-cov is not on this machine");
    Ok(())
}

/// Clippy's findings as SARIF. It has no such output; the conversion is ours.
fn lint(folder: &Path, target: &Path, tools: &Tools, shelf: &mut Shelf) -> Result<(), Failure> {
    let words = ["clippy", "--offline", "--locked", "--all-targets", "--message-format=json"];
    let there = tools.find("cargo-clippy").is_some();
    let said = if there { Some(run(&mut cargo(folder, target, &words))?) } else { None };
    let Some(said) = said.filter(|said| said.status.success() || !said.stdout.is_empty()) else {
        shelf.without(&["lint-clean"], "clippy is not on this machine");
        return Ok(());
    };
    let mut results = Vec::new();
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let inner = &message["message"];
        let level = inner["level"].as_str().unwrap_or_default();
        if message["reason"] != "compiler-message" || !matches!(level, "warning" | "error") {
            continue;
        }
        let place = inner["spans"].get(0).map(|span| {
            json!([{ "physicalLocation": {
                "artifactLocation": { "uri": span["file_name"] }, "region": { "startLine": span["line_start"] },
            } }])
        });
        results.push(json!({
            "ruleId": inner["code"]["code"].as_str().unwrap_or("rustc"), "level": level,
            "message": { "text": inner["message"] }, "locations": place.unwrap_or_else(|| json!([])),
        }));
    }
    let sarif = json!({
        "version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{
            "tool": { "driver": { "name": "clippy", "rules": [] } },
            "invocations": [{ "executionSuccessful": said.status.success() }], "results": results,
        }],
    });
    shelf.put(kind::SARIF, "clippy", "clippy.sarif", serde_json::to_vec_pretty(&sarif)?)
}

/// A bill of materials, written by this example from the lock file and `cargo metadata`.
fn bill(folder: &Path, target: &Path, shelf: &mut Shelf) -> Result<(), Failure> {
    let words = ["metadata", "--format-version", "1", "--offline", "--locked"];
    let metadata: Value = serde_json::from_slice(&succeed(&mut cargo(folder, target, &words))?)?;
    let lock = std::fs::read_to_string(folder.join("Cargo.lock"))?;
    let mut checksums = BTreeMap::new();
    for part in lock.split("[[package]]") {
        let field = |name: &str| {
            let line = part.lines().find(|line| line.starts_with(&format!("{name} = ")))?;
            line.split('"').nth(1)
        };
        if let (Some(name), Some(checksum)) = (field("name"), field("checksum")) {
            checksums.insert(name.to_owned(), checksum.to_owned());
        }
    }
    let (mut components, mut names) = (Vec::new(), Vec::new());
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (name, version) =
            (package["name"].as_str().unwrap_or_default(), package["version"].as_str().unwrap_or_default());
        let Some(checksum) = checksums.get(name) else { continue };
        names.push(name.to_owned());
        components.push(json!({
            "type": "library", "bom-ref": name, "name": name, "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "hashes": [{ "alg": "SHA-256", "content": checksum }],
            "licenses": [{ "expression": package["license"].as_str().unwrap_or_default().replace('/', " OR ") }],
        }));
    }
    let bill = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": SystemClock::new().wall().to_string(),
            "component": { "type": "application", "bom-ref": "orders", "name": "orders", "version": NEW },
        },
        "components": components,
        "dependencies": [{ "ref": "orders", "dependsOn": names }],
    });
    shelf.put(
        kind::CYCLONE_DX,
        "workshop, from Cargo.lock and cargo metadata",
        "bom.cdx.json",
        serde_json::to_vec_pretty(&bill)?,
    )
}

fn advisories(folder: &Path, tools: &Tools, fault: Option<Fault>, shelf: &mut Shelf) -> Result<(), Failure> {
    if fault == Some(Fault::CriticalFinding) {
        let report = json!({
            "database": { "advisory-count": 1, "last-commit": null, "last-updated": SystemClock::new().wall().to_string() },
            "lockfile": { "dependency-count": 3 },
            "settings": { "ignore": [] },
            "vulnerabilities": { "found": true, "count": 1, "list": [{
                "advisory": {
                    "id": "RUSTSEC-2026-9999", "title": "requests are smuggled through a folded header", "aliases": [],
                    "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                },
                "versions": { "patched": [">=99"] }, "package": { "name": "httparse", "version": "1.10.1" },
            }] },
            "warnings": {},
        });
        return shelf.put(kind::CARGO_AUDIT, "the planted fault", "audit.json", serde_json::to_vec_pretty(&report)?);
    }
    if let Some(program) = tools.find("cargo-audit") {
        let mut command = Command::new(program);
        command.args(["audit", "--json", "--file"]).arg(folder.join("Cargo.lock"));
        let said = run(&mut command)?;
        // 1: there are findings, which the report says.
        if matches!(said.status.code(), Some(0 | 1)) && serde_json::from_slice::<Value>(&said.stdout).is_ok() {
            return shelf.put(kind::CARGO_AUDIT, "cargo-audit", "audit.json", said.stdout);
        }
    }
    shelf.waive(
        "no-critical-vulnerability",
        "cargo-audit and its database are not on this machine; to be scanned within a day",
    );
    Ok(())
}

/// Times both versions, in turns.
fn timings(built: &Built, shelf: &mut Shelf) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for _ in 0..TIMINGS {
        for (program, times) in [(&built.old, &mut old), (&built.new, &mut new)] {
            let began = clock.monotonic();
            succeed(Command::new(program).args(["--price", BASKETS]))?;
            times.push(clock.monotonic().saturating_sub(began).as_secs_f64());
        }
    }
    let document = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        json!({ "results": [{
            "command": format!("orders --price {BASKETS}"), "mean": mean, "median": median,
            "min": sorted.first(), "max": sorted.last(), "times": times, "exit_codes": vec![0; times.len()],
        }] })
    };
    let producer = "workshop's stopwatch, in turns";
    shelf.put(kind::HYPERFINE, producer, "timing.json", serde_json::to_vec_pretty(&document(&new))?)?;
    shelf.put(kind::HYPERFINE_BEFORE, producer, "timing-before.json", serde_json::to_vec_pretty(&document(&old))?)
}
