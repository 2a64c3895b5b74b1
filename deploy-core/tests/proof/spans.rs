//! What the driver says about a run: spans with our words, and never a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::journal::Journal as _;
use deploy_core::machine::Outcome;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::world::{Ending, World, ada, approval, block, name, release, run_id};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

/// Keeps every span, and the text of every event.
#[derive(Debug, Clone, Default)]
struct Keeper {
    spans: Arc<Mutex<Vec<Seen>>>,
    texts: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeper {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| span.parent()).map(|span| span.metadata().name());
        let seen = Seen { name: attributes.metadata().name(), parent, fields: fields.0 };
        self.spans.lock().expect("not poisoned").push(seen);
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.texts.lock().expect("not poisoned").push(format!("{:?}", fields.0));
    }
}

impl Keeper {
    /// Listens on this thread until the guard is dropped.
    ///
    /// Beside it a second listener lives as long as the process. As long as there is just one, whether anybody listens at a place in the code is
    /// asked of the thread that comes there first; a thread of another test would say no, for this one too.
    fn listen(&self) -> DefaultGuard {
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }
}

/// One span each per run, phase and step, with our words as field names.
#[tokio::test(start_paused = true)]
async fn a_run_a_phase_and_a_step_have_a_span_each() {
    let keeper = Keeper::default();
    let _guard = keeper.listen();
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Good);
    let engine = world.engine(&pipeline);
    let run = run_id("seen");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);

    let spans = keeper.spans.lock().expect("not poisoned").clone();
    let of = |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    let runs = of("run");
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].fields["run"], "seen");
    assert!(runs[0].fields["release"].contains("v2"), "{:?}", runs[0].fields);
    let phases: Vec<_> = of("phase").iter().map(|span| span.fields["phase"].trim_matches('"').to_owned()).collect();
    // In `consent` nobody is called: it waits for a person.
    assert_eq!(phases, ["prepare", "execute", "close"], "one each");
    assert!(of("phase").iter().all(|span| span.parent == Some("run")));
    let steps = of("step");
    assert!(steps.iter().all(|span| span.parent == Some("phase")));
    let paths: BTreeSet<_> = steps.iter().map(|span| span.fields["step"].clone()).collect();
    for path in ["prepare/first", "prepare/tests", "execute/rollout", "close/last"] {
        assert!(paths.contains(path), "{path} is not among {paths:?}");
    }
    for span in &steps {
        assert_eq!(span.fields.keys().copied().collect::<Vec<_>>(), ["attempt", "call", "step", "undo"]);
    }
    let attempts: BTreeSet<_> =
        steps.iter().filter(|s| s.fields["step"] == "close/last").map(|s| s.fields["attempt"].clone()).collect();
    assert_eq!(attempts.len(), 2, "the second attempt can be told from the first");
}

const SECRET: &str = "hunter2-the-marker";

/// An agent that holds a secret and shows it wherever it is printed.
#[derive(Debug)]
struct Keyholder {
    #[expect(dead_code, reason = "it is there to be printed by whoever prints the agent")]
    token: &'static str,
    fault: Misfortune,
}

#[derive(Debug, Clone, Copy)]
enum Misfortune {
    None,
    Fails,
    Panics,
}

#[async_trait]
impl Agent for Keyholder {
    fn card(&self) -> AgentCard {
        AgentCard::new(block("keyholder"), "holds a key").repeatable()
    }

    async fn perform(&self, _task: &Task, _cx: &StepContext) -> Result<Performed, AgentError> {
        match self.fault {
            Misfortune::None => Ok(Performed::Done(Report::new())),
            Misfortune::Fails => Err(AgentError::definitive("the door stayed shut")),
            Misfortune::Panics => panic!("the key broke"),
        }
    }
}

/// I16: what a building block holds reaches no record, no log, no error and no status.
#[tokio::test(start_paused = true)]
async fn a_secret_in_an_agent_stays_there() {
    for fault in [Misfortune::None, Misfortune::Fails, Misfortune::Panics] {
        let keeper = Keeper::default();
        let _guard = keeper.listen();
        let world = World::in_memory();
        let p = Pipeline::builder("secretive");
        p.rollback(RollbackTo::Previous);
        p.phase("only").task("work", Keyholder { token: SECRET, fault }).add();
        let pipeline = p.build().expect("valid");
        let engine = world.engine(&pipeline);
        let run = run_id("secretive");
        let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
        let end = handle.wait().await.expect("it ends");

        let mut said = vec![end.because.clone(), format!("{end:?} {handle:?} {engine:?}")];
        said.push(handle.status().await.expect("readable").to_string());
        for record in world.journal.read(&run, 0, usize::MAX).await.expect("readable") {
            said.push(String::from_utf8(record.bytes).expect("text"));
        }
        said.extend(keeper.texts.lock().expect("not poisoned").iter().cloned());
        said.extend(keeper.spans.lock().expect("not poisoned").iter().map(|span| format!("{span:?}")));
        assert!(said.len() > 8, "there is something to look through");
        for text in said {
            assert!(!text.contains(SECRET), "{fault:?}: {text}");
        }
    }
}
