//! `deployctl workflow`: the documented workflows, ready made, with the default pipeline's place to release to.

use clap::{Subcommand, ValueEnum};
use deploy_agents::crew::EvidenceFolder;
use deploy_agents::workflows::{Workflow, eight_phase, three_phase};
use deploy_core::operator::ApprovalRequest;
use deploy_core::report::chain;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::demo::{Session, site};
use crate::drive;
use crate::incident;
use crate::profile::Profile;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;

/// How long the rollout of a workflow bakes here, in seconds: nobody wants to wait ten minutes for an example.
const BAKE: f64 = 5.0;

/// Run a documented workflow, or list them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the workflows.
    List,
    /// Release by a whole workflow: every role looks at the evidence, and a gate at the end of each phase weighs what it says.
    ///
    /// The same as `run --workflow`, which goes on with it too. Without evidence of the release it ends with a no-go, which
    /// names every check that is missing.
    Deployment(Box<Deployment>),
    /// Answer to an incident: with --event a run does, from triage to the review of what it cost.
    ///
    /// Without, the steps of an answer are listed, with the command of each that is here, and nothing is done; exit code 9 as long as a
    /// step is not here, with the names of those that are not.
    IncidentResponse(Box<incident::Args>),
}

#[derive(Debug, clap::Args)]
struct Deployment {
    /// Which of the two.
    #[arg(long, value_enum, default_value_t = Shape::EightPhase)]
    shape: Shape,

    #[command(flatten)]
    run: drive::Args,
}

/// Which workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Pre-deployment, deployment, post-deployment.
    ThreePhase,
    /// Readiness, planning, build, infrastructure, deployment, validation, monitoring, documentation.
    EightPhase,
}

/// Rows: M110.
pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    match &args.command {
        Command::List => {
            let mut screen = Screen::new(shared.json);
            for shape in [Shape::ThreePhase, Shape::EightPhase] {
                let workflow = build(
                    shape,
                    "listed",
                    &Session::absent(),
                    std::path::Path::new("."),
                    &Profile::default(),
                    false,
                    1.0,
                )?;
                let phases: Vec<_> = workflow.pipeline.phases().iter().map(|phase| phase.name.to_string()).collect();
                let seats: Vec<_> = workflow.seats.keys().map(ToString::to_string).collect();
                let checks: usize = workflow.checklist().items().len();
                let name = shape.name();
                let text =
                    format!("{name}: {}\n  {}\n  a checklist of {checks} items", phases.join(", "), seats.join(", "));
                let facts = json!({ "workflow": name, "phases": phases, "seats": seats, "checklist": checks });
                screen.say("workflow", &text, &facts);
            }
            Ok(Code::Succeeded)
        }
        Command::Deployment(deployment) => {
            let mut run = deployment.run.clone();
            run.source.follow(deployment.shape);
            drive::run(&run, shared).await
        }
        Command::IncidentResponse(args) => incident::run(args, shared).await,
    }
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::ThreePhase => "three-phase",
            Self::EightPhase => "eight-phase",
        }
    }
}

/// The workflow, for this place and this evidence.
pub(crate) fn build(
    shape: Shape,
    name: &str,
    place: &Session,
    evidence: &std::path::Path,
    profile: &Profile,
    ask: bool,
    pace: f64,
) -> Result<Workflow, Failure> {
    let (evidence, site) = (EvidenceFolder::new(evidence), site(place, pace)?);
    let mut builder = match shape {
        Shape::ThreePhase => three_phase(name, evidence, site),
        Shape::EightPhase => eight_phase(name, evidence, site),
    };
    builder = builder.bake(std::time::Duration::from_secs_f64(BAKE * pace));
    if ask {
        builder = builder.approval(ApprovalRequest::new("Shall this revision go out?"));
    }
    profile
        .ask(builder)?
        .build()
        .map_err(|error| Trouble::usage(format!("the workflow cannot be put together: {}", chain(&error))))
}
