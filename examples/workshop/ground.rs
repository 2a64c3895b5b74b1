//! What the service stands on: infrastructure as code, room, backups.

use std::path::Path;
use std::process::Command;

use deploy_agents::checks::kind;
use deploy_core::digest::Digest;
use deploy_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::Failure;
use crate::workshop::args::Fault;
use crate::workshop::repository::Repository;
use crate::workshop::shelf::Shelf;
use crate::workshop::tools::{Tools, read, run, succeed};

/// How many instances serve.
pub(crate) const INSTANCES: u32 = 2;
/// How much memory an instance may take, in MiB.
const MEBIBYTES_EACH: f64 = 32.0;

/// Plans the infrastructure, applies the plan, and plans again.
pub(crate) fn infrastructure(
    repository: &Repository,
    tools: &Tools,
    fault: Option<Fault>,
    shelf: &mut Shelf,
) -> Result<(), Failure> {
    let Some((name, program)) = ["terraform", "tofu"].into_iter().find_map(|name| Some((name, tools.find(name)?)))
    else {
        shelf.without(&["no-drift", "plan-applied"], "neither terraform nor tofu is on this machine");
        return Ok(());
    };
    let folder = repository.new.join("infra");
    let terraform = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(&folder).args(words);
        command.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0");
        command
    };
    succeed(&mut terraform(&["init", "-no-color"]))?;
    let valid = run(&mut terraform(&["validate", "-no-color"]))?.status.success();
    succeed(terraform(&["plan", "-no-color", "-out", "plan.bin"]).env("TF_VAR_instances", INSTANCES.to_string()))?;
    let plan = succeed(&mut terraform(&["show", "-json", "plan.bin"]))?;
    shelf.put(kind::TERRAFORM_PLAN, name, "plan.json", plan.clone())?;
    let applied = run(&mut terraform(&["apply", "-no-color", "plan.bin"]))?;
    // What was applied is the very file whose JSON was approved.
    let shown_again = succeed(&mut terraform(&["show", "-json", "plan.bin"]))?;
    let record = json!({
        "approved_plan": Digest::of(&plan), "applied_plan": Digest::of(&shown_again),
        "exit_code": applied.status.code().unwrap_or(-1), "valid": valid, "may_destroy": [],
    });
    shelf.put_document("iac-apply", name, record)?;
    if fault == Some(Fault::DriftedPlan) {
        // Somebody makes room by hand.
        let by_hand = ["apply", "-no-color", "-auto-approve", "-var", "instances=5"];
        succeed(&mut terraform(&by_hand))?;
    }
    let again = ["plan", "-no-color", "-out", "after.bin"];
    succeed(terraform(&again).env("TF_VAR_instances", INSTANCES.to_string()))?;
    let after = succeed(&mut terraform(&["show", "-json", "after.bin"]))?;
    shelf.put(kind::TERRAFORM_PLAN_AFTER, name, "plan-after.json", after)
}

/// Whether there is room for both versions at once.
pub(crate) fn room(environment: &str, shelf: &mut Shelf) -> Result<(), Failure> {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else {
        shelf.without(&["capacity"], "this system does not say how much memory is free");
        return Ok(());
    };
    let mebibytes = |name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    };
    let (free, all) = (mebibytes("MemAvailable:").unwrap_or(0.0), mebibytes("MemTotal:").unwrap_or(0.0));
    let document = json!({
        "environment": environment, "instances": INSTANCES, "strategy_factor": 2.0,
        "resources": [{ "name": "memory in MiB", "per_instance": MEBIBYTES_EACH, "free": free, "quota": all }],
    });
    shelf.put_document("capacity", "/proc/meminfo", document)
}

/// Backs the book of orders up, and restores it elsewhere.
pub(crate) fn backup(folder: &Path, tools: &Tools, fault: Option<Fault>, shelf: &mut Shelf) -> Result<(), Failure> {
    let Some(program) = tools.find("restic") else {
        shelf.waive("backup", "restic is not on this machine; the book of orders is in memory and may be lost");
        return Ok(());
    };
    let (book, repository, restored) = (folder.join("book"), folder.join("backups"), folder.join("restored"));
    std::fs::create_dir_all(&book)?;
    let orders: String = (1..=2_000).map(|n| format!("tea;{n};{}\n", n * 250)).collect();
    std::fs::write(book.join("orders.book"), &orders)?;
    let restic = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--no-cache").args(words).current_dir(folder);
        command.env("RESTIC_REPOSITORY", &repository).env("RESTIC_PASSWORD", "of this run").env("HOME", folder);
        command
    };
    succeed(&mut restic(&["init"]))?;
    let frozen = SystemClock::new().wall();
    let mut backup = restic(&["backup", "--host", "orders"]);
    if fault == Some(Fault::StaleBackup) {
        let weeks_ago = deploy_core::time::Timestamp(frozen.0 - 21 * 24 * 60 * 60 * 1000).to_string();
        // The program's own form of a time.
        let time: String = weeks_ago.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect();
        backup.args(["--time", &time]);
    }
    succeed(backup.arg(&book))?;
    let listed = succeed(&mut restic(&["snapshots", "--json"]))?;
    let checked = run(&mut restic(&["check", "--read-data"]))?;
    if !deploy_agents::evidence::restic::check(checked.status.code().unwrap_or(-1)).sound {
        return Err("the repository of backups is not sound".into());
    }
    let snapshots: Value = serde_json::from_slice(&listed)?;
    let label = snapshots[0]["id"].as_str().ok_or("there is no snapshot")?.to_owned();
    succeed(restic(&["restore", &label, "--target"]).arg(&restored))?;
    let relative = book.strip_prefix("/").unwrap_or(&book);
    let back = read(&restored.join(relative).join("orders.book"))?;
    shelf.put(kind::RESTIC, "restic", "snapshots.json", listed)?;
    // Writes were frozen when the backup began; with the planted fault nobody noticed that it is an old one.
    let freeze = if fault == Some(Fault::StaleBackup) { Value::Null } else { json!(frozen.0 - 1_000) };
    let record = json!({
        "label": label, "at": SystemClock::new().wall(), "compared": "every byte of the book",
        "matches": back == orders.as_bytes(), "last_freeze": freeze,
    });
    shelf.put_document("restore-record", "restic", record)
}
