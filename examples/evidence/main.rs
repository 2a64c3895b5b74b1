//! What do the reports in a folder prove, check by check?
//!
//! `cargo run --example evidence -- [--json] [FOLDER]`: the folder holds a `manifest.json` that says which release it is about
//! and of which kind each file is; without a folder, the sample beside this file is taken.
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deploy_agents::checks::{Catalogue, Checklist, EvidenceSet, Thresholds};
use deploy_core::evidence::{Collected, EvidenceSubject, Verdict};
use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    /// When the folder is looked at: reports are fresh or stale by this.
    now: String,
    release: Release,
    claimed_by: BlockName,
    #[serde(default)]
    keys: BTreeMap<String, BTreeMap<String, PathBuf>>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    kind: String,
    producer: String,
    observed_at: String,
}

fn keys(manifest: &Manifest, folder: &Path, of: &str) -> Result<BTreeMap<String, String>, std::io::Error> {
    let named = manifest.keys.get(of).into_iter().flatten();
    named.map(|(name, file)| Ok((name.clone(), std::fs::read_to_string(folder.join(file))?))).collect()
}

fn collected(manifest: &Manifest, folder: &Path) -> Result<EvidenceSet, Box<dyn std::error::Error>> {
    let subject = EvidenceSubject {
        commit: manifest.release.change.commit.clone(),
        artifact: manifest.release.artifacts.first().map(|artifact| artifact.digest),
        environment: Some(manifest.release.environment.clone()),
    };
    let mut set = EvidenceSet::new();
    for file in &manifest.files {
        // A file that is not there is evidence that is missing, not a reason to stop.
        let Ok(bytes) = std::fs::read(folder.join(&file.file)) else { continue };
        let observed_at = Timestamp::parse(&file.observed_at)?;
        let piece = Collected::new(&file.kind, &file.producer, subject.clone(), observed_at, bytes);
        set.add(piece.summary(&file.file));
    }
    Ok(set)
}

fn told(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Pass => ("pass", String::new()),
        Verdict::Concerns { remarks } => ("concerns", remarks.join("; ")),
        Verdict::Fail { reason } => ("FAIL", reason.clone()),
        Verdict::Inconclusive { refusal } => ("REFUSED", refusal.to_string()),
        Verdict::Waived(waiver) => ("waived", format!("by {}: {}", waiver.person, waiver.reason)),
        Verdict::NotApplicable { reason } => ("not applicable", reason.clone()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let folder = arguments.iter().find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("evidence/sample"));
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(folder.join("manifest.json"))?)?;
    let mut thresholds = Thresholds::default();
    thresholds.build_keys = keys(&manifest, &folder, "build")?;
    thresholds.audit_keys = keys(&manifest, &folder, "audit")?;
    let catalogue = Catalogue::standard(&thresholds);
    let (set, now) = (collected(&manifest, &folder)?, Timestamp::parse(&manifest.now)?);
    let mut receipts = Vec::new();
    let mut lines = Vec::new();
    for check in catalogue.checks() {
        let judged = set.judge(check, &manifest.release, &manifest.claimed_by, None, now);
        let (word, why) = told(&judged.receipt.verdict);
        if json {
            let rows: Vec<String> = check.served().iter().map(|row| format!("M{row}")).collect();
            lines.push(serde_json::json!({
                "check": check.name(), "verdict": judged.receipt.verdict, "figures": judged.assessment.figures,
                "notes": judged.assessment.notes, "passes": check.passes(), "rows": rows,
            }));
        } else {
            println!("{word:8} {}{}{why}", check.name(), if why.is_empty() { "" } else { ": " });
            for figure in &judged.assessment.figures {
                println!("           {figure}");
            }
        }
        receipts.push(judged.receipt);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        println!("\n{}\n{}", Checklist::pre_deployment().read(&receipts), Checklist::deployment().read(&receipts));
    }
    Ok(())
}
