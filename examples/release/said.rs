//! What a release says of itself: the words of its self-test, and the answers that its users get.

use deploy_agents::agents::Program;
use deploy_agents::process::CommandLine;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, agent_fn};
use deploy_core::evidence::{CheckInput, Refusal, Verdict};
use deploy_core::name::{BlockName, CheckName};

use crate::Failure;
use crate::self_test::SelfTested;

/// Runs the program that is to be released, and has it test itself.
///
/// `args` make it do so, for a version.
pub(crate) fn self_test_agent(
    check: CheckName,
    args: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
) -> Result<impl Agent, Failure> {
    let program = std::env::current_exe()?;
    let card = AgentCard::new(BlockName::new("self-test")?, "has the new version test itself").repeatable();
    Ok(agent_fn(card.clone(), move |task, cx| {
        let line = CommandLine::new(&program).args(args(task.release.revision.as_str()));
        let program = Program::new(card.clone(), line).claims(check.clone());
        async move { at_once(program.perform(&task, &cx).await?) }
    }))
}

/// The report of an agent that never leaves anything running.
pub(crate) fn at_once(performed: Performed) -> Result<Report, AgentError> {
    match performed {
        Performed::Done(report) => Ok(report),
        Performed::Running { .. } => Err(AgentError::unknown("something was left running")),
    }
}

/// Reads the program's own words: the version must be the one that is released, and no order refused.
pub(crate) fn says_that_it_passed(seen: &CheckInput<'_>) -> Verdict {
    let Some((_, output)) = seen.evidence.first() else {
        return Verdict::Fail { reason: "there is no output".to_owned() };
    };
    match SelfTested::read(output) {
        Ok(found) if found.version != seen.release.revision.as_str() => {
            Verdict::Fail { reason: format!("{} was tested, not {}", found.version, seen.release.revision) }
        }
        Ok(found) if found.refused > 0 => {
            Verdict::Fail { reason: format!("{} of {} orders were refused", found.refused, found.orders) }
        }
        Ok(_) => Verdict::Pass,
        Err(why) => Verdict::Inconclusive { refusal: Refusal::Unparseable(why) },
    }
}

/// Reads the answers that a probe collected; each of them must be as wanted.
pub(crate) fn about(seen: &CheckInput<'_>, wanted: impl Fn(&str) -> bool) -> Verdict {
    #[derive(serde::Deserialize)]
    struct Probed {
        answers: Vec<Answer>,
    }
    #[derive(serde::Deserialize)]
    struct Answer {
        body_begins: String,
    }
    let probed = seen.evidence.iter().map(|(_, bytes)| serde_json::from_slice::<Probed>(bytes));
    let probed: Result<Vec<Probed>, _> = probed.collect();
    match probed {
        Ok(probed) => match probed.iter().flat_map(|p| &p.answers).find(|answer| !wanted(&answer.body_begins)) {
            Some(other) => Verdict::Fail { reason: format!("an answer was {:?}", other.body_begins) },
            None => Verdict::Pass,
        },
        Err(error) => Verdict::Inconclusive { refusal: Refusal::Unparseable(error.to_string()) },
    }
}
