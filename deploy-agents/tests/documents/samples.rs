//! The samples in `docs/samples`: what they become, and what is said when a line of them is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use deploy_agents::checks::steps::STEPS;
use deploy_agents::checks::{Catalogue, CatalogueCheck, Checklist, Thresholds};
use deploy_agents::documents::{DocumentErrors, Loaded, PipelineDocument, Registry, StepWork};
use deploy_core::agent::AgentCard;
use deploy_core::deliverable::{Deliverable, DeliverableKey, Slot};
use deploy_core::gate::{GateDecision, gate_fn};
use deploy_core::name::{CheckName, TargetName};
use deploy_core::testing::scripted::{ScriptedMonitor, ScriptedTarget};
use serde::{Deserialize, Serialize};

use crate::world::{Still, assert_same, block, card, card as named, check, idle};

#[derive(Serialize, Deserialize)]
struct Readiness;

impl Deliverable for Readiness {
    const NAME: &'static str = "readiness";
    const VERSION: u32 = 1;
}

#[derive(Serialize, Deserialize)]
struct Risks;

impl Deliverable for Risks {
    const NAME: &'static str = "risks";
    const VERSION: u32 = 1;
}

const READINESS: Slot<Readiness> = Slot::new();
const RISKS: Slot<Risks> = Slot::new();

/// A host that knows the people of the samples, and their words.
fn registry() -> Registry {
    let mut registry = Registry::new().standard_strategies();
    for one in [
        card("spec-validator").provides(READINESS),
        card("risk-manager").provides(RISKS),
        card("deployment-ops-manager"),
        card("deployer").needs(READINESS),
        card("security-specialist"),
        card("spec-reviewer"),
        card("cicd-builder"),
        card("architect"),
    ] {
        registry = idle(registry, one);
    }
    for name in [
        "quality",
        "benchmarks",
        "docs",
        "audit",
        "vulnerabilities",
        "environment",
        "backup",
        "smoke",
        "alerts",
        "read",
        "on-call",
        "rollback-drill",
        "compliance",
        "access",
        "capacity",
        "monitoring-up",
    ] {
        registry = registry.check(check(name));
    }
    for (words, name) in [
        ("all quality gates passed", "quality"),
        ("quality gates passed", "quality"),
        ("benchmarks validated", "benchmarks"),
        ("documentation complete", "docs"),
        ("security audit complete", "audit"),
        ("environment validated", "environment"),
        ("smoke tests passed", "smoke"),
        ("alerts delivered", "alerts"),
        ("read the readiness report", "read"),
        ("read the risk register", "read"),
        ("checked the environment", "environment"),
        ("checked the backup", "backup"),
        ("deployment operations manager", "deployment-ops-manager"),
        ("risk register", "risks"),
    ] {
        registry = registry.alias(words, name);
    }
    registry
        .gate(gate_fn(block("open"), "it is open", |_cx| async { Ok(GateDecision::Go) }))
        .gate_kind("go-no-go", |name, checks: Vec<CheckName>| Ok(deploy_agents::gates::GoNoGo::new(name, checks)))
        .strategy(Still { name: block("gradual"), asks: vec![block("http")] })
        .monitor(ScriptedMonitor::new(block("http"), []))
        .target(ScriptedTarget::new(TargetName::new("shop").expect("a name")))
}

fn sample(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/samples").join(file);
    std::fs::read_to_string(path).expect("the sample is there")
}

fn tasks(document: &PipelineDocument) -> Vec<(String, Vec<String>)> {
    let steps = document.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
    let tasks = steps.filter_map(|(phase, step)| match &step.work {
        StepWork::Task(task) => {
            let checks = task.verify.iter().map(|verify| verify.check.clone()).collect();
            Some((format!("{}/{}", phase.name, step.name), checks))
        }
        _ => None,
    });
    tasks.collect()
}

#[test]
fn a_workflow_of_three_phases_in_prose_is_a_pipeline() {
    let registry = registry();
    let loaded = Loaded::markdown(&sample("three-phase.md"), &registry).expect("sound");
    let document = &loaded.document;
    assert_eq!(document.name, "bookshop-release-workflow");
    assert_eq!(document.about, "How the bookshop goes from a finished change to a watched release.");
    let names: Vec<_> = document.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["pre-deployment-validation", "deployment", "watching"]);
    assert_eq!(document.phases[0].supporting, ["security-specialist", "architect"]);
    assert_eq!(document.phases[0].exit, ["ready"]);
    assert_eq!(
        document.gates["ready"].with,
        serde_json::json!([
            "quality",
            "vulnerabilities",
            "audit",
            "benchmarks",
            "environment",
            "backup",
            "docs",
            "on-call"
        ])
    );
    let expected = [
        ("pre-deployment-validation/spec-validator", vec!["quality", "benchmarks", "docs"]),
        ("pre-deployment-validation/security-specialist", vec!["audit", "vulnerabilities"]),
        ("pre-deployment-validation/architect", vec!["environment", "backup"]),
        ("deployment/stage", vec!["smoke"]),
        ("watching/spec-reviewer", vec!["alerts"]),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(path, checks)| (path.to_owned(), checks.into_iter().map(str::to_owned).collect::<Vec<_>>()))
        .collect();
    assert_eq!(tasks(document), expected);
    let lists: Vec<_> = document.checklists.iter().map(|list| (list.title.as_str(), list.items.len())).collect();
    let before = "Before the bookshop goes out";
    assert_eq!(lists, [(before, 12), ("Acceptance checklist", 1)], "and examples mean nothing");
    assert_eq!(document.checklists[1].items[0].manual.as_deref(), Some("deployment/accept"));
    loaded.bind(&registry).expect("it binds");
}

#[test]
fn a_workflow_whose_headings_go_up_and_down_is_a_pipeline() {
    let registry = registry();
    let loaded = Loaded::markdown(&sample("parcels.md"), &registry).expect("sound");
    let names: Vec<_> = loaded.document.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["readiness", "build", "execution"]);
    let checks: Vec<_> = tasks(&loaded.document).into_iter().map(|(path, checks)| (path, checks.len())).collect();
    assert_eq!(
        checks,
        [
            ("readiness/deployment-ops-manager".to_owned(), 2),
            ("readiness/risk-manager".to_owned(), 2),
            ("build/cicd-builder".to_owned(), 1)
        ],
        "a heading of the second level inside one of the third takes no agent from its phase"
    );
    assert_eq!(loaded.document.phases[0].promises[0].name, "risks");
    assert_eq!(loaded.document.phases[2].exit, ["open"]);
    let pipeline = loaded.bind(&registry).expect("it binds");
    // A plan that has no way back says so, and why.
    assert!(format!("{:?}", pipeline.rollback()).contains("cannot be called back"));
}

#[test]
fn samples_come_back_from_markdown_and_data() {
    let registry = registry();
    let read = |name: &str| match name.rsplit('.').next() {
        Some("md") => Loaded::markdown(&sample(name), &registry).expect("sound"),
        _ => Loaded::yaml(&sample(name)).expect("sound"),
    };
    for name in ["three-phase.md", "parcels.md", "release.yaml"] {
        let loaded = read(name);
        let pipeline = loaded.bind(&registry).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let page = loaded.document.to_markdown();
        let again = Loaded::markdown(&page, &registry).unwrap_or_else(|errors| panic!("{name}: {errors}\n{page}"));
        assert_eq!(again.document, loaded.document, "{name}\n{page}");
        assert_same(&pipeline, &again.bind(&registry).expect("the same"));
        let yaml = loaded.document.to_yaml().expect("YAML");
        assert_eq!(Loaded::yaml(&yaml).expect("our own").document, loaded.document, "{name}");
    }
}

fn refused(page: &str) -> DocumentErrors {
    let registry = registry();
    let loaded = Loaded::markdown(page, &registry);
    loaded.and_then(|loaded| loaded.bind(&registry).map(|_| ())).expect_err("it must not bind")
}

/// What is said of the line when this stands in it instead of that; and nothing is said of a line before it.
#[track_caller]
fn only(that: &str, this: &str, said: &str) {
    at(that, this, that, said);
}

/// The same, of the line in which another text stands.
#[track_caller]
fn at(that: &str, this: &str, text: &str, said: &str) {
    let page = sample("three-phase.md");
    let line = page[..page.find(text).expect(text)].matches('\n').count() + 1;
    let refused = refused(&page.replacen(that, this, 1));
    let first = &refused.problems[0];
    assert_eq!(first.line, u32::try_from(line).ok(), "{refused}");
    assert!(first.to_string().contains(said), "{refused}");
}

/// Rows: M138, M142.
#[test]
fn what_cannot_be_bound_is_named_with_its_line() {
    only("/task security-specialist", "/task security-specalist", "did you mean security-specialist?");
    only("**Lead agent**: spec-validator", "**Lead agent**: spec-valdator", "did you mean spec-validator?");
    only("- [ ] Benchmarks validated", "- [ ] Benchmarks vallidated", "did you mean benchmarks-validated?");
    only("(`vulnerabilities`)", "(`vulnerabilites`)", "did you mean vulnerabilities?");
    only("--timeout=20m", "--timeuot=20m", "did you mean --timeout?");
    only("--timeout=20m", "--timeout=20", "is not a length of time");
    only("--max-age=12h", "--maxage=12h", "did you mean --max-age?");
    only("previous", "preevious", "did you mean previous?");
    only("--target=shop", "--target=shoop", "did you mean shop?");
    only("--needs=readiness", "--needs=readyness", "did you mean readiness?");
    only("/soak --for=30m", "/soak", "how long?");
    only("**Only for**: production", "**Only for**: prodcution", "is no kind of release");
    only("`manual:deployment/accept`", "`manual:deployment/acept`", "did you mean deployment/accept?");
    only("| `quality` |", "| `qualiti` |", "did you mean quality?");
    // A slip in a heading is told where something would be lost by it.
    at("## Phase 2: Deployment", "## Phaze 2: Deployment", "/task deployer", "belongs to no phase");
    at("**Way back**: previous\n", "\n", "# Bookshop", "where a failed release goes back to");
}

#[test]
fn every_line_that_is_lost_is_missed() {
    // A slip in any line is either found, or changes nothing that binds: no line of it is dropped in silence.
    let registry = registry();
    let page = sample("three-phase.md");
    let sound = Loaded::markdown(&page, &registry).expect("sound").document;
    let (mut refused, mut prose) = (0, 0);
    let lines: Vec<&str> = page.lines().collect();
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("/task") || line.contains("- [ ]") || line.starts_with("/"))
    {
        let mut mutated = lines.clone();
        let broken =
            line.replacen("/task", "/tsk", 1).replacen("- [ ] ", "- [ ] not ", 1).replacen("/approve", "/aprove", 1);
        let broken = broken.replacen("/rollout", "/rolout", 1).replacen("/soak", "/sok", 1);
        mutated[index] = &broken;
        match Loaded::markdown(&mutated.join("\n"), &registry) {
            Err(errors) => {
                refused += 1;
                assert!(
                    errors.problems.iter().any(|problem| problem.line == u32::try_from(index + 1).ok()),
                    "{errors}"
                );
            }
            Ok(loaded) if loaded.document == sound => prose += usize::from(!line.contains('`')),
            Ok(loaded) => {
                // An item with a code span keeps its check whatever its words are.
                assert!(line.contains('`'), "{line}: {:?}", loaded.document);
            }
        }
    }
    assert!(refused >= 12 && prose == 2, "{refused} refused, {prose} in examples");
}

/// The host of the eight phases: its checks are those of the catalogue and of the sixteen verified steps.
fn eight_phase_registry() -> Registry {
    let catalogue = Catalogue::standard(&Thresholds::default());
    let mut registry = Registry::new().checks(catalogue.checks().map(CatalogueCheck::check));
    let mut cards: BTreeMap<&str, AgentCard> = BTreeMap::new();
    for (number, step) in STEPS.iter().enumerate() {
        registry = registry.checks(step.checks(&catalogue));
        let card = cards.entry(step.agent).or_insert_with(|| named(step.agent));
        // Of the deliverables of a phase, its first agent hands over the first half.
        for (index, name) in DELIVERABLES[usize::from(step.phase) - 1].split(", ").enumerate() {
            if index % 2 == number % 2 {
                let (name, version) = (name.replace(' ', "-"), 1);
                card.provides.push(DeliverableKey { name, version });
            }
        }
    }
    for card in cards.into_values() {
        registry = idle(registry, card);
    }
    registry
        .gate_kind("go-no-go", |name, checks: Vec<CheckName>| Ok(deploy_agents::gates::GoNoGo::new(name, checks)))
        .strategy(Still { name: block("gradual"), asks: vec![block("http")] })
        .monitor(ScriptedMonitor::new(block("http"), []))
        .target(ScriptedTarget::new(TargetName::new("shop").expect("a name")))
}

/// The deliverables of the phases, as the sample has them.
const DELIVERABLES: [&str; 8] = [
    "readiness report, risk register, dependency validation, capacity report, backup plan",
    "release plan, schedule, stakeholder notices, change window, approvals",
    "build artifacts, dependency report, version tag, security scan, artifact repository",
    "provisioning record, configuration record, hardening report, compliance report",
    "rollout record, exposure record, health log, alert arming, gate results",
    "smoke report, integration report, benchmark report, acceptance record, security verification",
    "live monitors, dashboards, anomaly detection, service level tracker, alert configuration",
    "release notes, deployment guide, training pack, knowledge base, lessons learned",
];

/// Rows: M138.
#[test]
fn a_workflow_of_eight_phases_is_read_whole() {
    let registry = eight_phase_registry();
    let loaded = Loaded::markdown(&sample("eight-phase.md"), &registry).unwrap_or_else(|errors| panic!("{errors}"));
    let document = &loaded.document;
    let tasks = tasks(document);
    let checks: usize = tasks.iter().map(|(_, checks)| checks.len()).sum();
    let promises: usize = document.phases.iter().map(|phase| phase.promises.len()).sum();
    let items = document.checklists[0].items.len();
    let counts = (document.phases.len(), tasks.len(), checks, promises, items);
    assert_eq!(counts, (8, 16, 64, 39, 18), "phases, agents, verifications, deliverables, items");
    let expected: Vec<(String, Vec<String>)> = STEPS
        .iter()
        .map(|step| {
            let path = format!("{}/{}", document.phases[usize::from(step.phase) - 1].name, step.agent);
            let lines = ["read", "standards", "checks", "reports"];
            (path, lines.iter().map(|line| format!("{}-{}:{line}", step.agent, step.phase)).collect())
        })
        .collect();
    assert_eq!(tasks, expected, "each line at its own step");
    let deployment: Vec<_> = Checklist::deployment().items().iter().map(|item| item.checks.clone()).collect();
    let bound = document.checklists[0]
        .items
        .iter()
        .map(|item| item.checks.iter().map(|check| CheckName::new(check).expect("a name")).collect::<Vec<_>>());
    assert_eq!(bound.collect::<Vec<_>>(), deployment);
    let pipeline = loaded.bind(&registry).unwrap_or_else(|errors| panic!("{errors}"));
    let again = Loaded::markdown(&document.to_markdown(), &registry).expect("our own");
    assert_eq!(again.document, *document);
    assert_same(&pipeline, &again.bind(&registry).expect("the same"));
}
