//! Reads the manifests of other systems. What cannot be carried over is refused by file, line and column, never dropped in silence.
//!
//! | manifest | becomes |
//! |---|---|
//! | `Rollout` of Argo Rollouts, with the `AnalysisTemplate`s and `ClusterAnalysisTemplate`s beside it | [`Canary`](crate::canary::Canary), [`Rolling`](crate::rolling::Rolling) (a canary without steps and without a router) or [`BlueGreen`](crate::blue_green::BlueGreen) |
//! | `Canary` of Flagger, with the `MetricTemplate`s beside it | [`Canary`](crate::canary::Canary) (weights, A/B, mirroring), [`BlueGreen`](crate::blue_green::BlueGreen), or [`AllAtOnce`](crate::all_at_once::AllAtOnce) (analysis skipped) |
//!
//! The strategy is all of it that says how a release spreads. Two things are left to the host, as data: the [`Question`]s that its
//! monitors have to be able to answer, and the [`Hook`]s that it has to bind as gates or notifiers. Whatever else a manifest has is in
//! [`Imported::notes`] with its line: where the target has it, and where something means a little else here. Everything that is carried
//! over, everything that is not, and why stands in `docs/import.md` beside this crate.
//!
//! ```
//! use deploy_strategies::import::Manifests;
//! use deploy_strategies::spec::StrategySpec;
//!
//! let rollout = r#"
//! apiVersion: argoproj.io/v1alpha1
//! kind: Rollout
//! metadata: {name: shop}
//! spec:
//!   replicas: 10
//!   selector: {matchLabels: {app: shop}}
//!   template: {metadata: {labels: {app: shop}}}
//!   strategy:
//!     canary:
//!       canaryService: shop-canary
//!       stableService: shop-stable
//!       trafficRouting: {nginx: {stableIngress: shop}}
//!       steps:
//!         - setWeight: 20
//!         - pause: {duration: 10m}
//!         - analysis:
//!             templates: [{templateName: errors}]
//!             args: [{name: service, value: shop-canary}]
//!         - setWeight: 50
//!         - pause: {}
//! ---
//! apiVersion: argoproj.io/v1alpha1
//! kind: AnalysisTemplate
//! metadata: {name: errors}
//! spec:
//!   args: [{name: service}]
//!   metrics:
//!     - name: error-rate
//!       interval: 1m
//!       count: 5
//!       failureLimit: 1
//!       successCondition: result[0] <= 0.01
//!       provider:
//!         prometheus:
//!           address: http://prometheus:9090
//!           query: sum(rate(errors{service="{{args.service}}"}[1m]))
//! "#;
//! let mut manifests = Manifests::new();
//! manifests.add("shop.yaml", rollout);
//! let imported = &manifests.strategies()?[0];
//! let StrategySpec::Canary(canary) = &imported.strategy else { unreachable!() };
//! assert_eq!(canary.spec().steps.len(), 3, "20 % for ten minutes, then measured, then 50 % and a person");
//!
//! // The host binds a monitor named `prometheus` that sends this and hands the answer back.
//! let question = &imported.questions[0];
//! assert_eq!((question.monitor.as_str(), question.metric.as_str()), ("prometheus", "error-rate"));
//! let answer = br#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "0.002"]}]}}"#;
//! assert_eq!(question.number(answer)?.get(), 0.002);
//!
//! // What has no counterpart is refused by its place.
//! let mut manifests = Manifests::new();
//! manifests.add("shop.yaml", rollout.replace("- pause: {}", "- plugin: {name: mine}"));
//! let refused = manifests.strategies().expect_err("a plug-in");
//! assert!(refused.to_string().starts_with("shop.yaml:21:11: spec.strategy.canary.steps[4].plugin: "), "{refused}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod argo;
mod cursor;
mod expression;
mod finding;
mod flagger;
mod question;

use serde::{Deserialize, Serialize};

use self::cursor::{Cursor, Findings};
pub use self::expression::{Expression, ExpressionError};
pub use self::finding::{Finding, FindingKind, NotCarried};
pub use self::question::{
    AnswerError, Binding, FlaggerSource, Part, PrometheusSource, Question, RangeSource, Source, WebSource,
};
use crate::document::{self, Node, Place, Value};
use crate::spec::StrategySpec;
use crate::way_back::RollbackWindow;

/// A strategy out of a manifest, and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// What kind of manifest it was: `Rollout` or `Canary`.
    pub kind: &'static str,
    /// `metadata.name` of the manifest; empty if it has none.
    pub name: String,
    /// `metadata.namespace` of the manifest; empty if it has none.
    pub namespace: String,
    /// The file, by the name that it was given.
    pub file: String,
    /// Where the document begins.
    pub place: Option<Place>,
    /// The strategy.
    pub strategy: StrategySpec,
    /// What its monitors have to be able to answer.
    pub questions: Vec<Question>,
    /// What has to be bound before it does what the manifest does.
    pub hooks: Vec<Hook>,
    /// How far back a rollback may skip the steps, where the manifest says so.
    pub rollback_window: Option<RollbackWindow>,
    /// Where the target has something, and where something means a little else here.
    pub notes: Vec<Finding>,
}

/// Something outside that the manifest asks or tells while a release is under way. A host binds it: as a gate if it is asked, as a
/// notifier if it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hook {
    /// Its name in the manifest.
    pub name: String,
    /// When it is called, and what its answer does.
    pub when: HookWhen,
    /// Its address.
    pub url: String,
    /// How long its answer may take, as the manifest writes it; empty if it does not say.
    pub timeout: String,
    /// What is sent along.
    pub metadata: Vec<(String, String)>,
    /// The line of the manifest.
    pub line: Option<u32>,
}

/// When a hook is called, and what its answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HookWhen {
    /// Before anything starts, again and again until it says yes: a gate before the rollout.
    ConfirmRollout,
    /// Before the new revision gets traffic; a no is a failed check: a gate before the rollout, or a smoke test in the preview.
    PreRollout,
    /// With every check; a no is a failed check: a monitor beside the others.
    Rollout,
    /// Before each raise of the weight, until it says yes.
    ConfirmTrafficIncrease,
    /// Before the new revision takes everything, until it says yes: a gate, or an approval of the last step.
    ConfirmPromotion,
    /// After the end, whichever it was: a notifier.
    PostRollout,
    /// With every check; a yes rolls back: whoever may abort the run.
    Rollback,
    /// With every event: a notifier.
    Event,
}

/// Files with manifests.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    files: Vec<(String, Vec<Node>)>,
    unreadable: Vec<Finding>,
}

impl Manifests {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file: YAML with any number of documents, or JSON. Templates may stand in other files than what names them. What cannot be
    /// read is said by [`strategies`](Self::strategies) and [`lint`](Self::lint).
    pub fn add(&mut self, file: impl Into<String>, text: impl AsRef<[u8]>) {
        let file = file.into();
        match document::text(text.as_ref()).and_then(Node::yaml) {
            Ok(documents) => self.files.push((file, documents.into_iter().flat_map(items).collect())),
            Err(unreadable) => self.unreadable.push(Finding {
                file,
                place: unreadable.place,
                at: String::new(),
                kind: FindingKind::Unreadable,
                wrong: unreadable.wrong,
                allowed: "YAML 1.2 or JSON in UTF-8".to_owned(),
            }),
        }
    }

    /// The strategy of every Rollout and every Canary, in the order of the files.
    ///
    /// # Errors
    ///
    /// [`NotCarried`] with everything that stands in the way of any of them, or if there is none.
    pub fn strategies(&self) -> Result<Vec<Imported>, NotCarried> {
        let (imported, findings) = self.read();
        if findings.is_empty() { Ok(imported) } else { Err(NotCarried { findings }) }
    }

    /// What the systems that the manifests were written for would refuse, whether or not there is a counterpart here.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        self.read().1.into_iter().filter(|finding| finding.kind.is_invalid()).collect()
    }

    fn read(&self) -> (Vec<Imported>, Vec<Finding>) {
        let roots = self.files.iter().flat_map(|(file, nodes)| nodes.iter().map(move |node| Cursor::new(node, file)));
        let files = Files { roots: roots.collect() };
        let mut findings = self.unreadable.clone();
        let mut imported = Vec::new();
        let mut any = !findings.is_empty();
        for root in &files.roots {
            let mut found = Findings::default();
            let kind = root.get("kind").str().unwrap_or_default();
            let api = root.get("apiVersion").str().unwrap_or_default();
            let mut one = match (kind, api.split('/').next().unwrap_or_default()) {
                ("Rollout", "argoproj.io") => argo::rollout(&files, root, &mut found),
                ("Canary", "flagger.app") => flagger::canary(&files, root, &mut found),
                _ => continue,
            };
            any = true;
            let (notes, wrong): (Vec<Finding>, Vec<Finding>) =
                found.list.into_iter().partition(|finding| finding.kind.is_note());
            if wrong.is_empty()
                && let Some(one) = &mut one
            {
                one.notes = notes;
            }
            if wrong.is_empty() && one.is_none() {
                // Nothing is ever dropped without a word.
                let mut unsaid = Findings::default();
                unsaid.none(root, "it could not be carried over", "");
                findings.extend(unsaid.list);
            }
            findings.extend(wrong);
            imported.extend(one);
        }
        if !any {
            let file = self.files.first().map(|(file, _)| file.clone()).unwrap_or_default();
            findings.push(Finding {
                file,
                place: None,
                at: String::new(),
                kind: FindingKind::NotInFiles,
                wrong: "there is no Rollout of argoproj.io and no Canary of flagger.app".to_owned(),
                allowed: "at least one".to_owned(),
            });
        }
        (imported, findings)
    }
}

/// The documents inside a `List`, or the document itself.
fn items(node: Node) -> Vec<Node> {
    let is_list = node.get("kind").is_some_and(|kind| kind.value == Value::Text("List".to_owned()));
    match node.get("items").map(|items| &items.value) {
        Some(Value::List(items)) if is_list => items.clone(),
        _ => vec![node],
    }
}

/// Every document.
#[derive(Debug)]
struct Files<'a> {
    roots: Vec<Cursor<'a>>,
}

impl<'a> Files<'a> {
    fn find(&self, kind: &str, name: &str) -> Option<&Cursor<'a>> {
        let is =
            |root: &&Cursor<'_>| root.get("kind").str() == Some(kind) && root.at("metadata.name").str() == Some(name);
        self.roots.iter().find(is)
    }
}
