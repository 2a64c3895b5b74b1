//! What people write: looked through where it lies in the repository, and made up where it would come from the desks of people.

use std::path::Path;

use deploy_agents::gates::ApprovalPolicy;
use deploy_core::digest::Digest;
use deploy_core::time::{Clock as _, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::Failure;
use crate::workshop::repository::{AUTHOR, NEW, Repository};
use crate::workshop::shelf::Shelf;

/// Who made up what no program of this machine can say.
const DESK: &str = "release desk (made up for this example)";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Looks through the documents of the repository.
pub(crate) fn documents(repository: &Repository, shelf: &mut Shelf) -> Result<(), Failure> {
    let mut documents = Vec::new();
    let mut version = String::new();
    for name in ["README.md", "RUNBOOK.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(repository.new.join(name))?;
        let headings: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase()))
            .collect();
        if name == "CHANGELOG.md" {
            version = headings
                .iter()
                .find(|heading| heading.starts_with(|c: char| c.is_ascii_digit()))
                .cloned()
                .unwrap_or_default();
        }
        let placeholders: Vec<&str> =
            text.lines().filter(|line| ["TODO", "TBD", "FIXME"].iter().any(|word| line.contains(word))).collect();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let dead: Vec<&str> =
            links.filter(|link| !link.starts_with("http") && !repository.new.join(link).is_file()).collect();
        documents.push(json!({ "path": name, "sections": headings, "placeholders": placeholders, "dead_links": dead }));
    }
    let (public, documented) = items(&repository.new.join("src/lib.rs"))?;
    let inventory = json!({
        "documents": documents, "public_items": public, "documented_items": documented, "changelog_version": version,
    });
    shelf.put_document("docs-inventory", "workshop, looking through the repository", inventory)?;
    let Some(history) = &repository.history else { return Ok(()) };
    shelf.put_document("change-log", "git", json!({ "history": history }))?;
    let visible: Vec<&str> = history
        .commits
        .iter()
        .filter(|commit| {
            commit.conventional.as_ref().is_some_and(|c| matches!(c.kind.as_str(), "feat" | "fix" | "perf"))
        })
        .map(|commit| commit.id.as_str())
        .collect();
    let changelog = std::fs::read_to_string(repository.new.join("CHANGELOG.md"))?;
    let entry = changelog.split("\n## ").find(|part| part.starts_with(NEW)).unwrap_or_default();
    let text: String = entry.lines().skip(1).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let notes = json!({
        "version": NEW, "audiences": ["customers", "support"], "history": history,
        "sections": [
            { "audience": "customers", "text": text, "commits": visible },
            { "audience": "support", "text": "An order of no pieces is refused with 422; the runbook says how to get back.", "commits": [] },
        ],
    });
    shelf.put_document("release-notes", "workshop, from the changelog and git", notes)
}

/// How many public items a file has, and how many of them are documented.
fn items(file: &Path) -> Result<(u64, u64), Failure> {
    let text = std::fs::read_to_string(file)?;
    let (mut public, mut documented, mut doc) = (0, 0, false);
    for line in text.lines().map(str::trim) {
        if ["pub fn ", "pub enum ", "pub struct ", "pub const "].iter().any(|item| line.starts_with(item)) {
            public += 1;
            documented += u64::from(doc);
        }
        doc = line.starts_with("///") || (doc && line.starts_with("#["));
    }
    Ok((public, documented))
}

/// What would come from the desks of people: who is on call, who was told, who said yes, which risks there are.
pub(crate) fn people(repository: &Repository, shelf: &mut Shelf) -> Result<(), Failure> {
    let now = SystemClock::new().wall();
    let at = |offset: i64| Timestamp(now.0 + offset);
    let mut put = |kind: &str, document: Value| shelf.put_document(kind, DESK, document);
    put(
        "on-call-roster",
        json!({
            "from": at(-HOUR), "until": at(8 * HOUR),
            "shifts": [
                { "person": "grace", "from": at(-2 * HOUR), "until": at(3 * HOUR), "page_acknowledged_at": at(-50 * MINUTE) },
                { "person": "heidi", "from": at(3 * HOUR), "until": at(9 * HOUR), "page_acknowledged_at": at(-45 * MINUTE) },
            ],
        }),
    )?;
    let told = |name: &str, id: &str| {
        json!({
            "name": name, "must_acknowledge": true,
            "receipt": { "id": id, "delivered_at": at(-2 * HOUR) }, "acknowledged_at": at(-HOUR),
        })
    };
    put(
        "notices",
        json!({ "work_starts": at(10 * MINUTE), "parties": [told("support", "mail-1"), told("sales", "mail-2")] }),
    )?;
    let plan = Digest::of(format!("orders {NEW} to production").as_bytes());
    let yes = |who: &str| {
        json!({
            "who": { "subject": who, "issuer": "example.org", "roles": ["release-manager"] },
            "plan": plan, "yes": true, "at": at(-30 * MINUTE), "why": "tried it in staging",
        })
    };
    let rule = json!({ "name": "release managers", "people": [], "roles": ["release-manager"], "quorum": 2 });
    let mut policy = serde_json::to_value(ApprovalPolicy::new([]))?;
    policy["rules"] = json!([rule]);
    put(
        "approvals",
        json!({
            "plan": plan, "policy": policy,
            "sheet": {
                "asked_by": { "subject": "release-bot", "issuer": "example.org", "roles": [] }, "asked_at": at(-HOUR),
                "answers": [yes("bob"), yes("carol")],
            },
        }),
    )?;
    put(
        "access-export",
        json!({
            "deployer": "release-bot", "may_deploy": ["release-bot"], "approvers": ["bob", "carol"],
            "bindings": [{ "subject": "release-bot", "permissions": ["instances/start", "instances/stop", "weights/set"] }],
            "secrets": [{ "name": "backup-password", "rotated_at": at(-DAY) }],
        }),
    )?;
    put(
        "schedule",
        json!({
            "starts": at(10 * MINUTE),
            "tasks": [
                { "name": "deploy", "seconds": 600, "history": [120, 140, 150, 130], "after": [] },
                { "name": "verify", "seconds": 300, "history": [60, 70, 65, 62], "after": ["deploy"] },
            ],
            "calendar": {
                "windows": [{ "name": "any day", "zone": "UTC", "opens": "2026-01-01T00:00:00", "length": "36h", "rule": "RRULE:FREQ=DAILY" }],
                "freezes": [],
            },
        }),
    )?;
    put(
        "training-pack",
        json!({
            "features": [{ "name": "discount", "material": "CHANGELOG.md", "owner": "dan", "readability": 62.0 }],
            "briefings": [{ "role": "support", "receipt": "mail-3", "at": at(-DAY) }], "roles": ["support"],
        }),
    )?;
    put("defects", json!({ "defects": [{ "id": "B-1", "severity": "low", "open": true }], "open": 1 }))?;
    put(
        "trace-matrix",
        json!({
            "evaluated": true,
            "requirements": [
                { "id": "REQ-1", "priority": 0, "tests": ["totals_add_up"] },
                { "id": "REQ-2", "priority": 0, "tests": ["ten_pieces_get_a_discount"] },
                { "id": "REQ-3", "priority": 1, "tests": ["an_order_of_no_pieces_is_refused", "an_order_of_nothing_is_refused"] },
                { "id": "REQ-4", "priority": 2, "tests": ["an_order_is_a_line_of_the_book"] },
            ],
        }),
    )?;
    if let Some(commit) = &repository.commit {
        put(
            "risk-register",
            json!({
                "commit": commit,
                "risks": [
                    { "id": "R1", "category": "BUS", "title": "the discount is too generous", "probability": 2, "impact": 2 },
                    { "id": "R2", "category": "OPS", "title": "old instances count orders of their own", "probability": 2, "impact": 3,
                      "mitigation": { "action": "roll back", "owner": AUTHOR, "trigger": "orders are missing" } },
                ],
            }),
        )?;
    }
    Ok(())
}
