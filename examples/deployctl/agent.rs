//! `deployctl agent`: the crew, one role at a time and on demand.

use std::path::PathBuf;

use clap::Subcommand;
use deploy_agents::checks::{EvidenceSet, Figure};
use deploy_agents::crew::{INCIDENT_SEATS, Member, Role, SEATS, Seat, Wanted, duty};
use deploy_core::agent::{Agent as _, Task};
use deploy_core::evidence::{Finding, Verdict};
use deploy_core::plan::StepPath;
use deploy_core::report::chain;
use deploy_core::time::{Clock as _, SystemClock, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::code::Code;
use crate::profile::{Profile, profile};
use crate::release::ReleaseArgs;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;

/// Have one agent of the crew look at a release, or list them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the roles, with what each answers for and reads.
    List,
    Run(Box<Run>),
}

/// Have an agent look at the evidence of a release, and say of each of its checks how it stands.
///
/// Exit code 0 if all of them are met, 1 if one is not. Nothing is recorded, and no run is needed.
#[derive(Debug, clap::Args)]
struct Run {
    /// The role, such as `security-specialist`; see `deployctl agent list`.
    #[arg(value_parser = role)]
    role: Role,

    /// Only this check, or those whose name holds these words.
    #[arg(long)]
    check: Option<String>,

    /// Its seat in this phase, from 1. Default: its first one.
    #[arg(long)]
    phase: Option<u8>,

    /// A folder of reports with a `manifest.json`.
    #[arg(long, value_name = "FOLDER")]
    evidence: PathBuf,

    /// A JSON file that says what is asked of a release; see `deployctl run --help`.
    #[arg(long, value_name = "FILE", value_parser = profile)]
    profile: Option<Profile>,

    /// The time at which the evidence is looked at, as 2026-11-22T08:00:00Z. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,

    /// Write what it hands over to later steps, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    #[command(flatten)]
    release: ReleaseArgs,
}

#[derive(Serialize)]
struct Judged<'a> {
    check: &'a str,
    verdict: &'a Verdict,
    met: bool,
    figures: &'a [Figure],
    notes: &'a [String],
    passes: &'a str,
}

/// Rows: M108, M109, M111, M113, M114, M115.
pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let mut screen = Screen::new(shared.json);
    match &args.command {
        Command::List => {
            list(&mut screen);
            Ok(Code::Succeeded)
        }
        Command::Run(args) => look(args, &mut screen).await,
    }
}

fn list(screen: &mut Screen) {
    for role in Role::ALL {
        let of_releases = |seat: &&Seat| seat.role == role && !INCIDENT_SEATS.contains(seat);
        let phases: Vec<u8> = SEATS.iter().filter(of_releases).map(|seat| seat.phase).collect();
        let incident = INCIDENT_SEATS.iter().find(|seat| seat.role == role).map(|seat| seat.phase);
        let workflow = if role.is_of_three_phases() { "three-phase" } else { "eight-phase" };
        let shown: Vec<String> = phases.iter().map(ToString::to_string).collect();
        let text = format!(
            "{role:<26} {}\n{:27}{workflow} workflow, phase {}{}; decides {}",
            role.responsibility(),
            "",
            shown.join(", "),
            incident.map(|phase| format!("; incident response, phase {phase}")).unwrap_or_default(),
            role.decides()
        );
        let facts = json!({
            "role": role, "responsibility": role.responsibility(), "workflow": workflow, "phases": phases,
            "incident_phase": incident, "decides": role.decides(),
        });
        screen.say("role", &text, &facts);
    }
}

async fn look(args: &Run, screen: &mut Screen) -> Result<Code, Failure> {
    if !args.evidence.is_dir() {
        return Err(Trouble::usage(format!("there is no folder of evidence at {}", args.evidence.display())));
    }
    let crew = args.profile.clone().unwrap_or_default().crew(&args.evidence)?;
    let member = Member::new(duty(seat(args)?).ok_or_else(|| Trouble::usage("this seat has no duty"))?, &crew);
    let (release, now) = (args.release.release(), args.at.unwrap_or_else(|| SystemClock::new().wall()));
    let name = member.card().name;
    let step = StepPath::new(format!("on-demand/{name}"))?;
    let kinds = member.kinds();
    let pieces = crew.collect(&Wanted::new(&release, &step, &kinds, now)).await;
    let pieces = pieces.map_err(|error| Trouble::usage(format!("{}: {}", args.evidence.display(), chain(&error))))?;

    let set = pieces.iter().cloned().fold(EvidenceSet::new(), EvidenceSet::with);
    let asked = member.duty().step().asked_of(crew.catalogue());
    let named = |check: &str| args.check.as_ref().is_none_or(|words| check.contains(words.as_str()));
    let meant: Vec<_> = asked.iter().filter(|check| named(check.name().as_str())).collect();
    if meant.is_empty() {
        let names: Vec<_> = asked.iter().map(|check| check.name().to_string()).collect();
        let wanted = args.check.as_deref().unwrap_or_default();
        return Err(Trouble::usage(format!("{name} has no check {wanted:?}; it has: {}", names.join(", "))));
    }
    let mut open = 0;
    for check in &meant {
        let judged = set.judge(check, &release, &name, None, now);
        let (verdict, met) = (&judged.receipt.verdict, judged.receipt.verdict.is_met());
        open += usize::from(!met);
        let figures: String = judged.assessment.figures.iter().map(|figure| format!("\n      {figure}")).collect();
        let text = format!("{} {}: {}{figures}", if met { "met " } else { "OPEN" }, check.name(), spelt(verdict));
        let facts = Judged {
            check: check.name().as_str(),
            verdict,
            met,
            figures: &judged.assessment.figures,
            notes: &judged.assessment.notes,
            passes: check.passes(),
        };
        screen.say("check", &text, &facts);
    }
    if let Some(path) = &args.report {
        let task = Task::new(step, false, std::sync::Arc::new(release), std::collections::BTreeMap::new());
        let report = member.report(&task, pieces, now);
        let report = report.map_err(|error| Trouble::usage(format!("{name} cannot report: {}", error.chain())))?;
        let delivered: Vec<Value> = report
            .deliverables
            .iter()
            .map(|made| json!({ "name": made.key.name, "version": made.key.version, "value": serde_json::from_str::<Value>(&made.json).ok() }))
            .collect();
        let findings: &[Finding] = &report.findings;
        let document = json!({ "agent": name, "findings": findings, "deliverables": delivered });
        std::fs::write(path, format!("{document:#}\n"))
            .map_err(|error| Trouble::usage(format!("the report cannot be written to {}: {error}", path.display())))?;
    }
    let code = if open == 0 { Code::Succeeded } else { Code::Failed };
    let text = format!("{name}: {} of {} checks are met", meant.len() - open, meant.len());
    screen.say("end", &text, &json!({ "agent": name, "code": code.number(), "meaning": code, "text": text }));
    Ok(code)
}

fn seat(args: &Run) -> Result<Seat, Failure> {
    let seats: Vec<Seat> = SEATS.into_iter().filter(|seat| seat.role == args.role).collect();
    let wanted = |seat: &&Seat| args.phase.is_none_or(|phase| seat.phase == phase);
    let found = seats.iter().find(wanted).copied();
    found.ok_or_else(|| {
        let phases: Vec<_> = seats.iter().map(|seat| seat.phase.to_string()).collect();
        Trouble::usage(format!("{} has a seat in phase {}, and no other", args.role, phases.join(", ")))
    })
}

/// A verdict as a person says it.
pub(crate) fn spelt(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Concerns { remarks } => format!("concerns: {}", remarks.join("; ")),
        Verdict::Fail { reason } => format!("fail: {reason}"),
        Verdict::Inconclusive { refusal } => format!("refused: {refusal}"),
        Verdict::Waived(waiver) => format!("waived by {}: {}", waiver.person, waiver.reason),
        Verdict::NotApplicable { reason } => format!("not applicable: {reason}"),
    }
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|error| format!("{error}"))
}

pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
