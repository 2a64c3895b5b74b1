//! Why a pipeline does not build.

use std::fmt;
use std::time::Duration;

use crate::deliverable::DeliverableKey;
use crate::name::{BlockName, CheckName, NameError, TargetName};
use crate::release::ReleaseKind;
use crate::time::Spell;

/// A pipeline that does not build, with every reason at once, in the order of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineErrors {
    /// What the pipeline was to be called.
    pub pipeline: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for PipelineErrors {}

impl fmt::Display for PipelineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.problems.len(), if self.problems.len() == 1 { "" } else { "s" });
        write!(f, "pipeline {} does not build; {count} problem{s}:", self.pipeline)?;
        self.problems.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

/// One reason why a pipeline does not build: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.fault, self.fault.mend())
    }
}

/// Where a problem is. Names are as the host wrote them, which may be the very problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the pipeline as a whole.
    Pipeline,
    /// In the phase of this name.
    Phase(String),
    /// In the step of this path.
    Step(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline => f.write_str("pipeline"),
            Self::Phase(name) => write!(f, "phase {name}"),
            Self::Step(path) => write!(f, "step {path}"),
        }
    }
}

/// What is wrong. The text says what; [`mend`](Self::mend) says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A text is not a name: choose another.
    #[error("{0}")]
    NotAName(#[from] NameError),
    /// There is no phase: add one.
    #[error("it has no phases")]
    EmptyPipeline,
    /// The phase has no step: add one, or drop the phase.
    #[error("it has no steps")]
    EmptyPhase,
    /// Nothing could ever be under way: give it at least 1.
    #[error("its width is zero, so that nothing could ever be under way")]
    ZeroWidth,
    /// The way back is not declared: declare it.
    #[error("it does not say where a failed release goes back to")]
    NoWayBack,
    /// Something that needs a reason has none: write it.
    #[error("{what} is given without a reason")]
    NoReason {
        /// What needs the reason.
        what: &'static str,
    },
    /// Two things have one name: rename one.
    #[error("{what} {name} is there twice")]
    Duplicate {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The name belongs to a step of the phase's own: choose another.
    #[error("{name} is what the phase's own gate step is called")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The list of kinds is empty: name at least one, or drop the limit.
    #[error("it is limited to no kind of release at all")]
    ForNoKind,
    /// A handle belongs to another pipeline: use one that this builder returned.
    #[error("it refers to {handle}, a step of another pipeline")]
    ForeignHandle {
        /// The path that the handle shows.
        handle: String,
    },
    /// A step waits for a step of a later phase: turn it round.
    #[error("it waits for {on}, which belongs to a later phase")]
    LaterPhase {
        /// What it waits for.
        on: String,
    },
    /// Steps wait for each other: remove one of the orders.
    #[error("it waits for itself: {}", .through.join(" waits for "))]
    Cycle {
        /// The way round, from the step back to itself.
        through: Vec<String>,
    },
    /// Nobody hands over what an agent needs: give it as an input.
    #[error("agent {agent} needs {} version {}, which nobody hands over to it", .needs.name, .needs.version)]
    NotProvided {
        /// Who needs it.
        agent: BlockName,
        /// What it needs.
        needs: DeliverableKey,
    },
    /// Several steps of the promising phase hand it over: say which.
    #[error("{} is promised by phase {phase}, where {} hand it over", .needs.name, .by.join(" and "))]
    Ambiguous {
        /// What is needed.
        needs: DeliverableKey,
        /// Who promises it.
        phase: String,
        /// Who hands it over.
        by: Vec<String>,
    },
    /// A step does not hand over what is asked of it: ask another, or list it on the agent's card.
    #[error("it takes {name} from {from}, which does not provide it")]
    NotOnCard {
        /// What is asked for.
        name: String,
        /// Of whom.
        from: String,
    },
    /// The two sides speak of different shapes: bring them to one version.
    #[error("it reads {} version {}, and {from} hands over version {provided}", .needs.name, .needs.version)]
    VersionMismatch {
        /// What is read.
        needs: DeliverableKey,
        /// The version that is handed over.
        provided: u32,
        /// By whom.
        from: String,
    },
    /// The agent does not read what it is given: list it on its card, or drop the input.
    #[error("it is given {name}, which agent {agent} does not list under its needs")]
    NotNeeded {
        /// What is given.
        name: String,
        /// To whom.
        agent: BlockName,
    },
    /// Something is given to a step that is no task: drop it.
    #[error("it is given {name}, and only tasks read anything")]
    ReadsNothing {
        /// What is given.
        name: String,
    },
    /// The step that hands it over is left out of releases in which it is needed: limit both alike.
    #[error("it takes {name} from {from}, which is left out of {kind} releases")]
    LeftOut {
        /// What is taken.
        name: String,
        /// From whom.
        from: String,
        /// When.
        kind: ReleaseKind,
    },
    /// No step of the phase hands over what the phase promises: add one, or drop the promise.
    #[error("it promises {} version {}, which no step of it hands over", .key.name, .key.version)]
    BrokenPromise {
        /// What is promised.
        key: DeliverableKey,
    },
    /// A gate does not say what must be so: give it a criterion.
    #[error("gate {gate} does not say what must be so for it to open")]
    NoCriterion {
        /// The gate.
        gate: BlockName,
    },
    /// A gate could never open or never shut: put it together anew.
    #[error("gate {gate} is flawed: {flaw}")]
    Flawed {
        /// The gate.
        gate: BlockName,
        /// Its own words.
        flaw: String,
    },
    /// There is no attempt at all: allow at least one.
    #[error("its retry policy allows no attempt")]
    NoAttempts,
    /// The number of attempts is no bound: set one.
    #[error("its retry policy allows {attempts} attempts, which is no bound")]
    Unbounded {
        /// How many.
        attempts: u32,
    },
    /// A length of time is zero: set it.
    #[error("its {what} is zero")]
    Zero {
        /// Which.
        what: &'static str,
    },
    /// A length of time is longer than the clocks count: shorten it.
    #[error("its {what} is {}, longer than a run can last", Spell(*.span))]
    TooLong {
        /// Which.
        what: &'static str,
        /// How long.
        span: Duration,
    },
    /// Nobody would have to say yes: ask for at least one.
    #[error("it asks for the approval of nobody: its quorum is zero")]
    ZeroQuorum,
    /// Nobody would know what they say yes to: write the question.
    #[error("it asks people without a question")]
    NoQuestion,
    /// Nobody can have this role: name it, or drop it.
    #[error("it asks for a role without a name")]
    BlankRole,
    /// Two blocks would answer to one name: rename one, or share one block.
    #[error("two different {what} are called {name}")]
    TwoBlocks {
        /// What they are.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The target cannot do what the strategy needs: choose another of either.
    #[error("strategy {strategy} needs {} of target {target}, which cannot do that", .missing.join(", "))]
    Lacks {
        /// Who needs it.
        strategy: BlockName,
        /// Who lacks it.
        target: TargetName,
        /// What is lacking, by name.
        missing: Vec<&'static str>,
    },
    /// The strategy will ask a monitor that it is not given: give it.
    #[error("strategy {strategy} asks monitor {monitor}, which the rollout is not given")]
    NoMonitor {
        /// Who asks.
        strategy: BlockName,
        /// For whom.
        monitor: BlockName,
    },
    /// A check is demanded twice: keep one.
    #[error("it must pass check {check} twice")]
    CheckTwice {
        /// Which.
        check: CheckName,
    },
    /// A check has no function behind it: register it.
    #[error("nothing is registered that could decide check {check}")]
    NoCheck {
        /// Which.
        check: CheckName,
    },
    /// There is a way back from a point of no return: drop one of the two.
    #[error("it is a point of no return and yet has an undo")]
    ReturnFromNoReturn,
}

impl Fault {
    /// What to do about it: a sentence without a full stop that begins in lower case.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::NotAName(_) => "choose a name of those characters".to_owned(),
            Self::EmptyPipeline => "add one with `phase(name)`".to_owned(),
            Self::EmptyPhase => "add a step to it, or drop the phase".to_owned(),
            Self::ZeroWidth => "say `width(1)` or more".to_owned(),
            Self::NoWayBack => "say `rollback(RollbackTo::Previous)`, `Remove`, or `None` with the reason".to_owned(),
            Self::NoReason { .. } => "write down why, for those who read the report".to_owned(),
            Self::Duplicate { what, .. } => format!("give each {what} a name of its own"),
            Self::Reserved { .. } => "choose another name".to_owned(),
            Self::ForNoKind => "name at least one kind, or drop `only_for`".to_owned(),
            Self::ForeignHandle { .. } => "use a handle that this pipeline's builder returned".to_owned(),
            Self::LaterPhase { .. } => "move one of the two, or drop the order; phases run in order anyway".to_owned(),
            Self::Cycle { .. } => "drop one of these orders or inputs".to_owned(),
            Self::NotProvided { needs, .. } => {
                format!("give it with `input`, or let an earlier phase promise {} with `promises`", needs.name)
            }
            Self::Ambiguous { .. } => "say which with `input`".to_owned(),
            Self::NotOnCard { name, .. } => {
                format!("take it from another step, or list {name} under `provides` on the card of that step's agent")
            }
            Self::VersionMismatch { .. } => "bring both sides to the same version of its type".to_owned(),
            Self::NotNeeded { name, .. } => format!("drop the input, or list {name} under `needs` on the agent's card"),
            Self::ReadsNothing { .. } => "give it to a task, or drop it".to_owned(),
            Self::LeftOut { .. } => "limit both steps with the same `only_for`, or neither".to_owned(),
            Self::BrokenPromise { .. } => "add a step whose agent provides it, or drop the promise".to_owned(),
            Self::NoCriterion { .. } => "let its `criterion()` say it in a sentence".to_owned(),
            Self::Flawed { .. } => "put it together anew".to_owned(),
            Self::NoAttempts => "allow at least one".to_owned(),
            Self::Unbounded { .. } => format!("allow at most {}", super::assemble::MOST_ATTEMPTS),
            Self::Zero { what } => format!("give the {what} a length, or drop what it limits"),
            Self::TooLong { .. } => "say less than a hundred years".to_owned(),
            Self::ZeroQuorum => "say `quorum(1)` or more, or drop the step".to_owned(),
            Self::NoQuestion => "write down what people say yes to".to_owned(),
            Self::BlankRole => "name the role, or drop it".to_owned(),
            Self::TwoBlocks { .. } => "rename one, or share one block by cloning its `Arc`".to_owned(),
            Self::Lacks { .. } => "choose a target that can, or a strategy that needs less".to_owned(),
            Self::NoMonitor { monitor, .. } => format!("give it with `monitor`, under the name {monitor}"),
            Self::CheckTwice { .. } => "keep the stricter of the two".to_owned(),
            Self::NoCheck { .. } => "register its function with `PipelineBuilder::check`".to_owned(),
            Self::ReturnFromNoReturn => "drop `undo`, or drop `point_of_no_return`".to_owned(),
        }
    }
}
