//! The pipelines that this host has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_agents::documents::Loaded;
use deploy_core::agent::Repeatable;
use deploy_core::name::TargetName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, Work};
use deploy_core::target::TargetState;

use crate::Failure;
use crate::demo::{self, Session};
use crate::drive::Pipelines;
use crate::journal::JournalFile;
use crate::profile::{Profile, profile};
use crate::registry::{NamedProgram, program, registry};
use crate::trouble::Trouble;
use crate::workflow::{self, Shape};

/// How long a target may take to say what is there.
const LOOK: Duration = Duration::from_secs(5);

/// Which pipeline is meant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Source {
    /// A pipeline file instead of the default pipeline: YAML, JSON or Markdown by what its name ends in. `plan --document`
    /// writes one.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Give the pipeline file an agent that runs a program, which succeeds with exit code 0. May be given several times.
    #[arg(long = "program", value_name = "NAME=COMMAND", value_parser = program, requires = "file")]
    programs: Vec<NamedProgram>,

    /// The same for a program that must not run twice: if nobody can tell what became of it, a person must (`settle`).
    #[arg(long = "program-once", value_name = "NAME=COMMAND", value_parser = program, requires = "file")]
    once: Vec<NamedProgram>,

    /// A documented workflow instead of the default pipeline; see `deployctl workflow`.
    #[arg(long, value_enum, conflicts_with = "file")]
    workflow: Option<Shape>,

    /// A folder of reports with a `manifest.json`, which the agents of the crew read.
    #[arg(long, value_name = "FOLDER")]
    evidence: Option<PathBuf>,

    /// A JSON file that says what is asked of a release: `thresholds` of the checks, and `without_checks` and `without` (seats)
    /// that do not apply, each with its reason, which every report shows.
    #[arg(long, value_name = "FILE", value_parser = profile, requires = "evidence")]
    profile: Option<Profile>,

    /// Ask a person before the rollout.
    #[arg(long, conflicts_with = "file")]
    ask: bool,

    /// Multiply soaks and intervals of rollouts to the place; below 1 is faster.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = demo::pace)]
    pace: f64,
}

impl Source {
    /// Has it mean a workflow.
    pub(crate) fn follow(&mut self, shape: Shape) {
        self.workflow = Some(shape);
    }

    /// The pipeline, to be looked at: nothing is started.
    pub(crate) async fn look(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        self.pipeline(&Session::adopt(file).await?.unwrap_or_else(Session::absent))
    }

    fn pipeline(&self, session: &Session) -> Result<Pipeline, Failure> {
        if let Some(shape) = self.workflow {
            let folder = self.evidence.as_deref().filter(|folder| folder.is_dir());
            let folder = folder
                .ok_or_else(|| Trouble::usage("a workflow reads evidence; give the folder with --evidence FOLDER"))?;
            let profile = self.profile.clone().unwrap_or_default();
            let built = workflow::build(shape, "orders-workflow", session, folder, &profile, self.ask, self.pace)?;
            return Ok(built.pipeline);
        }
        let own = demo::pipeline(session, self.ask, self.pace)?;
        let Some(path) = self.file.as_deref() else { return Ok(own) };
        let place = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Trouble::usage(format!("the pipeline file {place} cannot be read: {error}")))?;
        let profile = self.profile.clone().unwrap_or_default();
        let programs = self.programs.iter().map(|program| (program, Repeatable::Yes));
        let programs = programs.chain(self.once.iter().map(|program| (program, Repeatable::No)));
        let registry = registry(&own, programs, self.evidence.as_deref(), &profile)?;
        let loaded = match path.extension().and_then(|end| end.to_str()) {
            Some("json") => Loaded::json(&text),
            Some("yaml" | "yml") => Loaded::yaml(&text),
            Some("md") => Loaded::markdown(&text, &registry),
            _ => {
                let text = format!("the name {place} does not say what it is; let it end in .yaml, .json or .md");
                return Err(Trouble::usage(text));
            }
        };
        let bound = loaded.and_then(|loaded| loaded.bind(&registry));
        bound.map_err(|errors| Trouble::usage(format!("{place}: {errors}")))
    }
}

impl Pipelines for Source {
    fn check(&self, _: &JournalFile) -> Result<(), Failure> {
        self.pipeline(&Session::absent()).map(drop)
    }

    /// What it releases to is there afterwards.
    async fn ready(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let nowhere = self.pipeline(&Session::absent())?;
        if needs_the_place(&nowhere) { self.pipeline(&Session::adopt_or_start(file).await?) } else { Ok(nowhere) }
    }
}

/// Whether a pipeline releases to the place of the default pipeline, or asks it something.
fn needs_the_place(pipeline: &Pipeline) -> bool {
    pipeline.phases().iter().flat_map(|phase| &phase.steps).any(|step| match step.work {
        Work::Rollout(rollout) => rollout.target.as_str() == "place",
        Work::Task { agent, .. } => agent.as_str() == "probe-release",
        Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => false,
    })
}

/// What is at the targets of a plan now. Those that do not answer are left out: the preview says so.
pub(crate) async fn observe(pipeline: &Pipeline, plan: &Plan) -> BTreeMap<TargetName, TargetState> {
    let mut found = BTreeMap::new();
    for step in &plan.steps {
        let Work::Rollout(work) = &step.work else { continue };
        let Some(target) = pipeline.blocks().target(&work.target) else { continue };
        if found.contains_key(&work.target) {
            continue;
        }
        if let Ok(Ok(state)) = tokio::time::timeout(LOOK, target.observe()).await {
            found.insert(work.target.clone(), state);
        }
    }
    found
}

/// Reads a plan that was made before.
pub(crate) fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let place = path.display();
    let text =
        std::fs::read(path).map_err(|error| Trouble::usage(format!("the plan {place} cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| Trouble::usage(format!("{place} is not a plan: {error}")))
}
