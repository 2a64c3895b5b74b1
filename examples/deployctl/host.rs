//! The pipelines that this host has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_agents::documents::{Loaded, StepWork};
use deploy_core::name::TargetName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, Work};
use deploy_core::target::TargetState;

use crate::Failure;
use crate::demo::{self, Session};
use crate::journal::JournalFile;
use crate::registry::{NamedProgram, program, registry};
use crate::trouble::Trouble;
use crate::workflow::{self, Shape};

/// How long a target may take to say what is there.
const LOOK: Duration = Duration::from_secs(5);

/// Which pipeline is meant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Source {
    /// A pipeline file, YAML or JSON by what its name ends in, instead of the default pipeline. `plan --document` writes one.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Give the pipeline file an agent that runs a program; it claims the check of its own name. May be given several times.
    #[arg(long = "program", value_name = "NAME=COMMAND", value_parser = program, requires = "file")]
    programs: Vec<NamedProgram>,

    /// A documented workflow instead of the default pipeline; see `deployctl workflow`.
    #[arg(long, value_enum, conflicts_with = "file")]
    workflow: Option<Shape>,

    /// A folder of reports with a `manifest.json`, which the agents of the crew read.
    #[arg(long, value_name = "FOLDER")]
    evidence: Option<PathBuf>,

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

    /// The pipeline, to be driven: what it releases to is there afterwards.
    pub(crate) async fn ready(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let document = self.document()?;
        // Whatever is wrong with the pipeline is found before anything is started.
        self.pipeline(&Session::absent(), document.clone())?;
        let session = match &document {
            Some((_, loaded)) if !needs_the_place(loaded) => Session::absent(),
            _ => Session::adopt_or_start(file).await?,
        };
        self.pipeline(&session, document)
    }

    /// The pipeline, to be looked at: nothing is started.
    pub(crate) async fn look(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let session = Session::adopt(file).await?.unwrap_or_else(Session::absent);
        self.pipeline(&session, self.document()?)
    }

    fn pipeline(&self, session: &Session, document: Option<(&Path, Loaded)>) -> Result<Pipeline, Failure> {
        let own = demo::pipeline(session, self.ask, self.pace)?;
        if let Some(shape) = self.workflow {
            let evidence =
                self.evidence.as_deref().filter(|folder| folder.is_dir()).ok_or_else(|| {
                    Trouble::usage("a workflow reads evidence; give the folder with --evidence FOLDER")
                })?;
            return Ok(workflow::build(shape, "orders-workflow", session, evidence, self.ask, self.pace)?.pipeline);
        }
        let Some((path, loaded)) = document else { return Ok(own) };
        let registry = registry(&own, &self.programs, self.evidence.as_deref())?;
        loaded.bind(&registry).map_err(|errors| Trouble::usage(format!("{}: {errors}", path.display())))
    }

    fn document(&self) -> Result<Option<(&Path, Loaded)>, Failure> {
        let Some(path) = self.file.as_deref() else { return Ok(None) };
        let place = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Trouble::usage(format!("the pipeline file {place} cannot be read: {error}")))?;
        let loaded = match path.extension().and_then(|end| end.to_str()) {
            Some("json") => Loaded::json(&text),
            Some("yaml" | "yml") => Loaded::yaml(&text),
            _ => {
                return Err(Trouble::usage(format!(
                    "the name {place} does not say what it is; let it end in .yaml or .json"
                )));
            }
        };
        loaded.map(|loaded| Some((path, loaded))).map_err(|errors| Trouble::usage(format!("{place}: {errors}")))
    }
}

/// Whether a document releases to the place of the default pipeline, or asks it something.
fn needs_the_place(loaded: &Loaded) -> bool {
    let steps = loaded.document.phases.iter().flat_map(|phase| &phase.steps);
    steps.into_iter().any(|step| match &step.work {
        StepWork::Rollout(rollout) => rollout.target == "place",
        StepWork::Task(task) => task.agent == "probe-release",
        StepWork::Gate(_) | StepWork::Approval(_) | StepWork::Soak(_) => false,
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
