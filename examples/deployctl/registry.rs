//! The building blocks that a pipeline file can name on this host.
//!
//! | block | names |
//! |---|---|
//! | agents | the programs of `--program` and `--program-once`; with `--evidence` every seat of the crew, such as `security-specialist-1`, or `security-specialist` for its first one; those of the default pipeline |
//! | gates | of kind `go-no-go`, with the names of its checks |
//! | strategies | `canary`, that of the default pipeline; of kind `canary`, with `weights` in percent and a `soak` |
//! | target, monitor | `place` and `proxy`, those of the default pipeline |
//! | checks | the whole catalogue, and those of the default pipeline |
//!
//! A company's host adds its own blocks here, and nowhere else.

use std::path::Path;

use deploy_agents::agents::Program;
use deploy_agents::checks::Catalogue;
use deploy_agents::crew::{Member, SEATS, duty};
use deploy_agents::documents::{Length, Registry};
use deploy_agents::gates::GoNoGo;
use deploy_agents::process::CommandLine;
use deploy_core::agent::{AgentCard, Repeatable};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::pipeline::Pipeline;
use deploy_strategies::canary::{Canary, Step};
use serde::Deserialize;

use crate::Failure;
use crate::profile::Profile;

/// A program under the name of an agent.
#[derive(Debug, Clone)]
pub(crate) struct NamedProgram {
    pub(crate) name: BlockName,
    pub(crate) words: Vec<String>,
}

/// Reads `NAME=PROGRAM ARGUMENT ...`.
pub(crate) fn program(text: &str) -> Result<NamedProgram, String> {
    let (name, line) = text.split_once('=').ok_or("write it as NAME=PROGRAM ARGUMENT ...")?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(format!("{name} has no program"));
    }
    Ok(NamedProgram { name: BlockName::new(name.trim()).map_err(|error| error.to_string())?, words })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CanaryOf {
    weights: Vec<u32>,
    soak: Length,
}

/// Everything that a file can name.
pub(crate) fn registry<'p>(
    own: &Pipeline,
    programs: impl Iterator<Item = (&'p NamedProgram, Repeatable)>,
    evidence: Option<&Path>,
    profile: &Profile,
) -> Result<Registry, Failure> {
    let thresholds = profile.thresholds();
    let mut registry = Registry::of(own)
        .checks(Catalogue::standard(&thresholds).checks().map(|check| check.check()))
        .gate_kind("go-no-go", |name, checks: Vec<CheckName>| Ok(GoNoGo::new(name, checks)))
        .strategy_kind("canary", |name, of: CanaryOf| {
            let step = |percent: &u32| Step::weight(*percent).soak(of.soak.span());
            let canary =
                of.weights.iter().map(step).fold(Canary::builder().name(name), |canary, step| canary.step(step));
            canary.build().map_err(|refused| refused.to_string())
        });
    for (NamedProgram { name, words }, repeatable) in programs {
        let mut card = AgentCard::new(name.clone(), format!("runs {}", words.join(" ")));
        card.repeatable = repeatable;
        let line = CommandLine::new(&words[0]).args(&words[1..]).inherit_env();
        registry = registry.agent(Program::new(card, line));
    }
    if let Some(folder) = evidence {
        let crew = profile.crew(folder)?;
        // The last seats first, so that a role without its phase is the first seat that it has.
        for (seat, duty) in SEATS.into_iter().rev().filter_map(|seat| Some((seat, duty(seat)?))) {
            registry = registry.agent(Member::new(duty, &crew)).alias(seat.role.slug(), seat.to_string());
        }
    }
    Ok(registry)
}
