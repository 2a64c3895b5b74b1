//! What another workflow must have done first.

use deploy_core::evidence::Refusal;
use deploy_core::machine::Outcome;
use deploy_core::name::NameError;
use serde::{Deserialize, Serialize};

use crate::checks::{Assessor, CatalogueCheck, Figure, kind};
use crate::crew::Crew;
use crate::evidence::facts::ProvenanceFacts;

/// Something that another workflow must have done for the same commit before this one begins: the development of a feature, its
/// tests.
///
/// It is shown by the exported run of that workflow, which ended well ([`kind::PREREQUISITE_RUN`]), or by a statement that a
/// trusted key signed ([`kind::PREREQUISITE`]). Either must name the commit that is released.
///
/// ```
/// use deploy_agents::workflows::Prerequisite;
///
/// let tested = Prerequisite::workflow("testing-validation");
/// assert_eq!(tested.check_name(), "prerequisite:testing-validation");
/// ```
///
/// Rows: M228, M229.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prerequisite {
    /// The workflow, by the name of its pipeline.
    pub workflow: String,
}

impl Prerequisite {
    /// This workflow must have ended well for the same commit.
    pub fn workflow(name: impl Into<String>) -> Self {
        Self { workflow: name.into() }
    }

    /// How its check is called.
    #[must_use]
    pub fn check_name(&self) -> String {
        format!("prerequisite:{}", self.workflow)
    }

    /// Its check.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the workflow's name is none.
    pub fn check(&self, crew: &Crew) -> Result<CatalogueCheck, NameError> {
        let (workflow, keys) = (self.workflow.clone(), crew.thresholds().build_keys.clone());
        let passes = format!("workflow {workflow} ended well for the same commit");
        let judge = move |reading: &crate::checks::Reading<'_>, _: &crate::checks::Thresholds| {
            let commit = reading.release().change.commit.as_deref();
            let mut found = Assessor::new();
            match (reading.run(kind::PREREQUISITE_RUN), reading.signed(kind::PREREQUISITE, &keys)) {
                (Ok(run), _) => of_run(&mut found, &workflow, &run, commit),
                (Err(Refusal::Missing(_)), Ok(statements)) => of_statements(&mut found, &workflow, &statements, commit),
                // What was shown and does not hold says more than what was not shown.
                (Err(Refusal::Missing(_)), Err(refusal)) if !matches!(refusal, Refusal::Missing(_)) => {
                    found.refuse(refusal);
                }
                (Err(refusal), _) => found.refuse(refusal),
            }
            found.finish()
        };
        let check = CatalogueCheck::new(&self.check_name(), passes, judge)?;
        Ok(check.reads(&[kind::PREREQUISITE_RUN, kind::PREREQUISITE]).rows(&[228, 229]))
    }
}

fn of_run(found: &mut Assessor, workflow: &str, run: &crate::checks::runs::RunFacts, commit: Option<&str>) {
    let theirs = run.plan.release.change.commit.as_deref();
    found.figure(Figure::text("workflow", &run.plan.pipeline).limit(workflow).at(run.line(2)));
    found.require(run.plan.pipeline.as_str() == workflow, || {
        format!("it is a run of {}, and {workflow} is asked for", run.plan.pipeline)
    });
    if theirs.is_none() || theirs != commit {
        let (theirs, ours) = (theirs.unwrap_or("no commit"), commit.unwrap_or("no commit"));
        found.refuse(Refusal::Foreign(format!("{workflow} was about {theirs}, the release is about {ours}")));
    }
    match run.ended {
        None => found.refuse(Refusal::Unfinished(format!("{workflow} has not ended"))),
        Some((outcome, _, line)) => {
            found.figure(Figure::text("ended", outcome.as_str()).limit("succeeded").at(run.line(line)));
            found.require(outcome == Outcome::Succeeded, || format!("{workflow} ended {}", outcome.as_str()));
        }
    }
}

fn of_statements(found: &mut Assessor, workflow: &str, statements: &[ProvenanceFacts], commit: Option<&str>) {
    let about = |s: &&ProvenanceFacts| s.predicate_type.trim_end_matches('/').rsplit('/').next() == Some(workflow);
    let Some(statement) = statements.iter().find(about) else {
        found.refuse(Refusal::Missing(format!("there is no statement about workflow {workflow}")));
        return;
    };
    found.doubts(&statement.doubts);
    found.require(!statement.signed_by.is_empty(), || "nobody who is trusted signed it".to_owned());
    let ours = |subject: &crate::evidence::facts::AttestedSubject| {
        ["gitCommit", "sha1"].iter().any(|name| {
            let theirs = subject.digests.get(*name).map(|digest| digest.value.as_str());
            theirs.is_some() && theirs == commit
        })
    };
    if !statement.subjects.iter().any(ours) {
        let ours = commit.unwrap_or("no commit");
        found.refuse(Refusal::Foreign(format!("{workflow} was stated about another commit than {ours}")));
    }
    let result = statement.result.as_ref().map(|result| result.value.to_lowercase());
    found.require(matches!(result.as_deref(), Some("passed" | "pass" | "succeeded" | "success")), || {
        format!("{workflow} is stated to have ended {}", result.as_deref().unwrap_or("in no way"))
    });
}
