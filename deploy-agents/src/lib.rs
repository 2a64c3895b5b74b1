//! Building blocks that touch the world: agents, gates, monitors and targets for the pipelines of `deploy-core`.
//!
//! ```text
//!             deploy-core                                   this crate                      the world
//!  Pipeline ─► Plan ─► Machine ─► Driver ── perform ──►  agents::Program           ──►  a process group
//!                                        ── perform ──►  agents::HttpProbe         ──►  a URL
//!                                        ── evaluate ─►  gates::GoNoGo                  (reads receipts alone)
//!                                        ── measure ──►  monitors::{Probe,Scrape}  ──►  a URL, a /metrics page
//!                                        ── apply ────►  targets::place::PlaceTarget
//!                                                               │ HTTP/JSON, token, fence
//!                                                               ▼
//!                                        targets::place::Place ─► processes::ProcessFleet ─► child processes
//!                                                              └► Balancer: proxy, haproxy, envoy ◄─ users
//!                                        ── apply ────►  targets::flags::FlagFile         ──►  a file in flagd's format
//! ```
//!
//! | building block | trait | what it touches | what makes it safe to repeat |
//! |---|---|---|---|
//! | [`agents::Program`] | `Agent` | a program in a process group of its own | the program itself, told `DEPLOY_EFFECT_KEY`; say so on the card |
//! | [`agents::BackgroundProgram`] | `Agent` | a program that outlives the engine, and a directory | one directory for each effect key, and a lock in it: it is started at most once |
//! | [`agents::HttpProbe`] | `Agent` | a URL, with GET | it has no effect |
//! | [`agents::CiWorkflow`] | `Agent` | a CI system ([`agents::GithubActions`]) | the effect key marks the run, which is looked for before it is ordered |
//! | [`agents::SmokeSuite`] | `Agent` | URLs and programs | its tests may be made any number of times |
//! | [`agents::ConfigChange`] | `Agent` | a configuration, with its versions | it replaces only what it was compared with, and finds its own work again |
//! | [`agents::Migration`] | `Agent` | a database | a table in it says what is applied, in the same transaction |
//! | [`crew::Member`], behind each of the 21 roles | `Agent` | an [`EvidenceSource`](crew::EvidenceSource); reads only | it has no effect |
//! | [`gates::GoNoGo`], of [`gates::QualityGate`] too | `Gate` | nothing | it has no effect |
//! | [`gates::EvidenceGate`] | `Gate` | an [`EvidenceSource`](crew::EvidenceSource); reads only | it has no effect |
//! | [`gates::ApprovalGate`] | `Gate` | what the host reads answers from; a notifier for reminders | one key for each reminder and person |
//! | [`gates::ChangeWindowGate`] | `Gate` | nothing | it has no effect |
//! | [`monitors::ProbeMonitor`] | `Monitor` | a URL, with GET | it has no effect |
//! | [`monitors::ScrapeMonitor`] | `Monitor` | `/metrics` pages, HAProxy's socket, log files; reads only | it has no effect |
//! | `monitors::imported::ImportedMonitor` (feature `import`) | `Monitor` | whatever an imported analysis asks; with POST or PUT if it says so | the peer asks the same as often |
//! | [`monitors::prometheus::PrometheusMonitor`] | `Monitor` | the HTTP interface of a Prometheus; reads only | it has no effect |
//! | [`monitors::JourneyMonitor`], [`monitors::NetworkProbe`] | `Monitor` | a service, as its users reach it | it has no effect |
//! | [`monitors::NewErrors`] | `Monitor` | nothing: the host tells it | it has no effect |
//! | [`monitors::Meter`] | `Monitor` | nothing: the host counts itself | it has no effect |
//! | [`monitors::ActivateMonitors`] | `Gate` | what its monitors touch | it has no effect |
//! | [`monitors::alertmanager::AlertDrill`] | `Agent` | an Alertmanager | each attempt posts an alert of its own, and resolves it |
//! | [`monitors::PreserveEvidence`], [`monitors::SecurityIncident`] | `Agent` | files and pages, and a monitor; reads only | it has no effect |
//! | [`notifiers::ApprovalReminders`] | none: it looks at a run from outside | whatever its notifier reaches | one key for each reminder and party, made of what the journal knows |
//! | [`notifiers::Announce`] | `Agent` | whatever its notifier reaches | one key for each run, step and party; receivers compare it |
//! | [`targets::processes::ProcessFleet`] | `Target` | child processes and the balancer in front of them | it takes full statements; older fences are refused |
//! | [`targets::flags::FlagFile`] | `Target` | a file in flagd's format | it takes full statements; only weights are replaced |
//! | `targets::flags::UnleashTarget` (feature `unleash`) | `Target` | Unleash's admin API | it takes full statements, and reads them back |
//! | `targets::kubernetes::KubernetesTarget` (feature `kubernetes`) | `Target` | Deployments, Services and HTTPRoutes of a cluster | it takes full statements; older fences are refused |
//! | [`targets::place::PlaceTarget`] | `Target` | a [`Place`](targets::place::Place) in another process | the same, over HTTP |
//!
//! | balancer | what it is |
//! |---|---|
//! | [`targets::proxy::Proxy`] | the weighted reverse proxy in this process |
//! | [`targets::haproxy::Haproxy`] | HAProxy, with a configuration of its own or attached to the host's |
//! | [`targets::envoy::Envoy`] | Envoy, with a configuration of its own |
//!
//! [`evidence`] reads the reports that tools write, and says of every number where it stood.
//!
//! `docs/balancers.md`, `docs/custom-agents.md`, `docs/evidence.md`, `docs/flags.md`, `docs/kubernetes.md`, `docs/notifiers.md` and `docs/pipelines-as-data.md`
//! beside this crate say what each can do, and why it does it so.
//!
//! [`workflows`] are the two documented workflows and the answer to an incident, ready made of all of this; `docs/crew.md` and
//! `docs/workflows.md` say how.
//!
//! Beside them: [`checks`], what evidence must say, as a catalogue; [`documents`], pipelines as data and as pages; `model` (feature `model`),
//! agents whose reports a language model reads over; [`dossier`], a run as one value for people;
//! [`targets::proxy::Proxy`], which may be used alone; [`targets::haproxy::RuntimeSocket`], a client of HAProxy's runtime socket; [`http::HttpClient`], the port
//! through which blocks ask over HTTP; [`notifiers::Notifier`], the port through which people are told; [`process::CommandLine`], what is to be run; [`secret::Secret`], what is never shown.
//!
//! ```
//! use deploy_agents::agents::Program;
//! use deploy_agents::process::CommandLine;
//! use deploy_core::agent::{Agent, AgentCard};
//! use deploy_core::name::{BlockName, CheckName};
//!
//! let tests = Program::new(
//!     AgentCard::new(BlockName::new("unit-tests")?, "runs the tests").repeatable(),
//!     CommandLine::new("cargo").args(["test", "--workspace"]).inherit_env(),
//! )
//! .claims(CheckName::new("tests-pass")?);
//! assert_eq!(tests.card().name.as_str(), "unit-tests");
//! # Ok::<(), deploy_core::name::NameError>(())
//! ```
//!
//! Reading order: [`agents`] for work with evidence, [`monitors`] for what is measured, [`targets`] for where it runs.
//!
//! # Features
//!
//! None is on unless it is asked for.
//!
//! - `cel`: the policies of [`evidence`] in CEL.
//! - `import`: [`monitors::imported`](monitors), what the manifests of other systems measure.
//! - `json-schema`: configurations are checked against JSON schemas.
//! - `kubernetes`: a service in a Kubernetes cluster as a target.
//! - `model`: agents whose reports a language model reads over.
//! - `schema`: the JSON schema of [`documents`].
//! - `testing`: stand-ins for servers, for the tests of hosts.
//! - `unleash`: flags over Unleash's admin API as a target.
//! - `workflow-md`: [`documents`] in Markdown.
//! - `yaml`: [`documents`] in YAML.
//! - `zip`: artifacts of [`agents::CiWorkflow`] are unpacked.

pub mod agents;
pub mod checks;
pub mod crew;
pub mod documents;
pub mod dossier;
pub mod evidence;
mod excerpt;
pub mod gates;
pub mod http;
#[cfg(feature = "model")]
pub mod model;
pub mod monitors;
pub mod notifiers;
pub mod process;
pub mod secret;
pub mod targets;
#[cfg(feature = "testing")]
pub mod testing;
mod upgrade;
pub mod wait;
mod whole_file;
pub mod workflows;

/// The guide is compiled with the rest.
#[cfg(doctest)]
#[doc = include_str!("../docs/custom-agents.md")]
mod custom_agents {}
