//! Strategies: how a release spreads over a target; and judges: what the measured numbers mean.
//!
//! Everything here is pure: a situation in, a decision out. No clock, no I/O, no randomness.
//!
//! | strategy | choose it when | it asks of monitors | source |
//! |---|---|---|---|
//! | [`AllAtOnce`](all_at_once::AllAtOnce) | a canary would teach nothing: little traffic, internal tools, a first install | nothing | Kubernetes' `Recreate`, without its gap |
//! | [`BlueGreen`](blue_green::BlueGreen) | two revisions must not serve together, or the way back has to be one switch | checks of the preview, and checks after the switch | Argo Rollouts |
//! | [`Canary`](canary::Canary) | users can be split by weight, and a few may meet the new revision first | a metric per step or over all of them | Argo Rollouts, Flagger |
//! | [`FlagRollout`](flags::FlagRollout) | the code is out already and users get it by percentage | a metric per step | LaunchDarkly, Unleash |
//! | [`Rolling`](rolling::Rolling) | instances carry the traffic in equal parts and room is short | nothing: it waits for healthy instances | Kubernetes' `RollingUpdate`, OpenKruise's batches |
//!
//! Each is also plain data: [`StrategySpec`](spec::StrategySpec) reads and writes JSON and YAML. With the feature `import`, manifests of
//! Argo Rollouts and Flagger become such data.
//!
//! Many places at a time: [`Waves`](waves::Waves). Which way back may be taken: [`way_back`]. More on how to choose stands in
//! `docs/which-strategy.md` beside this crate, how to unit-test a strategy of your own in `docs/test-your-own-strategy.md`, and what is done
//! otherwise than elsewhere on purpose in `docs/differences.md`. What each strategy was shown to keep in every course, and in how many, is in
//! `docs/explored.md`.
//!
//! | judge | choose it when | source |
//! |---|---|---|
//! | [`Threshold`](analysis::threshold::Threshold) | a number must stay on one side of a limit | Argo Rollouts' analysis, with its holes closed |
//! | [`Sequential`](analysis::sequential::Sequential) | there is a baseline, and every look may be the last: one chance of error for the whole rollout | [`analysis::evidence`] |
//! | [`Kayenta`](analysis::kayenta::Kayenta) | Kayenta judges your releases today, class by class and score by score | Kayenta's own figures |
//! | [`BurnRate`](analysis::burn_rate::BurnRate) | users were promised something: catches harm to both arms, which no comparison can | Site Reliability Workbook, chapter 5 |
//! | [`ServiceScore`](analysis::service_score::ServiceScore) | a weighted score judges your releases today | Keptn's quality gates |
//!
//! They are one closed [`Judge`](analysis::Judge): strategies ask it through an [`Analysis`](analysis::Analysis), and anybody may hand it
//! batches.
//!
//! # Features
//!
//! None is on unless it is asked for.
//!
//! - `yaml`: strategies from YAML and to YAML, with the line of whatever is wrong.
//! - `import`: the manifests of Argo Rollouts and Flagger become strategies; brings `yaml`.
//! - `hdr`: latencies from HdrHistograms.

pub mod all_at_once;
pub mod analysis;
pub mod blue_green;
pub mod canary;
mod beside;
mod checked;
mod date;
mod exposure;
pub mod document;
mod field;
pub mod flags;
mod handover;
mod hold;
#[cfg(feature = "import")]
pub mod import;
mod lag;
mod named;
pub mod refusal;
mod retreat;
pub mod rolling;
mod said;
pub mod share;
mod span;
pub mod spec;
mod watch;
pub mod waves;
pub mod way_back;

/// Its examples run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/test-your-own-strategy.md")]
struct TestYourOwnStrategy;
