//! Tries every critical function once.

mod probe;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected, Finding, Severity};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::{Clock, SystemClock};

pub use self::probe::SmokeProbe;
use super::subject;
use crate::checks::kind;
use crate::checks::performance::{SmokeFunction, SmokePlan};
use crate::evidence::JunitReport;
use crate::http::{HttpClient, PlainHttp};

/// Tries every critical function once, and reports the plan and what became of it as JUnit XML.
///
/// What must be tried and how it is tried are given apart: the *plan* names functions and the tests of each, the *probes* carry
/// the tests out. A declared test without a probe is not in the report, and the check `smoke` of the
/// [catalogue](crate::checks::Catalogue) then fails: as many tests must have run as are declared. A probe that no function
/// declares is run and reported too.
///
/// | what happened | with a [claim](Self::claims) | without |
/// |---|---|---|
/// | every declared test passed | done | done |
/// | one failed, or was not run | done; the check says no | definitive, naming them |
/// | cancelled, or the step's time is up | definitive: a smoke test changes nothing that lasts | the same |
///
/// The evidence is of kinds `smoke-plan` and `smoke-junit`, made by the hosts and programs that answered.
///
/// Rows: M31.
///
/// ```
/// use deploy_agents::agents::{Expectation, SmokeProbe, SmokeSuite};
/// use deploy_core::name::{BlockName, CheckName};
///
/// let smoke = SmokeSuite::new(BlockName::new("smoke")?)
///     .function("orders can be listed", ["list"])
///     .function("orders can be placed", ["place"])
///     .probe(SmokeProbe::get("list", "http://127.0.0.1:8080/orders").expect(Expectation::BodyContains("[".to_owned())))
///     .probe(SmokeProbe::post("place", "http://127.0.0.1:8080/orders", "{}").attempts(2))
///     .claims(CheckName::new("smoke")?);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Clone)]
pub struct SmokeSuite {
    card: AgentCard,
    functions: Vec<SmokeFunction>,
    probes: Vec<SmokeProbe>,
    claims: Option<CheckName>,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SmokeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmokeSuite")
            .field("functions", &self.functions)
            .field("probes", &self.probes)
            .finish_non_exhaustive()
    }
}

impl SmokeSuite {
    /// A suite that declares nothing yet.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self {
            card: AgentCard::new(name, "tries every critical function of what was released").repeatable(),
            functions: Vec::new(),
            probes: Vec::new(),
            claims: None,
            http: Arc::new(PlainHttp::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same with one more critical function, and the tests that try it.
    #[must_use]
    pub fn function<T: Into<String>>(mut self, name: impl Into<String>, tests: impl IntoIterator<Item = T>) -> Self {
        self.functions.push(SmokeFunction { name: name.into(), tests: tests.into_iter().map(Into::into).collect() });
        self
    }

    /// The same with the functions of a plan that lies elsewhere, for example beside the code.
    #[must_use]
    pub fn plan(mut self, plan: SmokePlan) -> Self {
        self.functions.extend(plan.functions);
        self
    }

    /// The same with one more probe.
    #[must_use]
    pub fn probe(mut self, probe: SmokeProbe) -> Self {
        self.probes.push(probe);
        self
    }

    /// The same, claiming this check: then it is the check that says whether the suite is good enough.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// The same with another clock, which dates the evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn run(&self, report: &mut JunitReport, cx: &StepContext) {
        for probe in &self.probes {
            let (began, mut wrong) = (self.clock.monotonic(), Vec::new());
            let passed = loop {
                match probe.attempt(self.http.as_ref(), &cx.cancellation).await {
                    Ok(()) => break true,
                    Err(reason) => wrong.push(reason),
                }
                if wrong.len() >= probe.tries() as usize {
                    break false;
                }
            };
            let took = self.clock.monotonic().saturating_sub(began);
            match (passed, wrong.is_empty()) {
                (true, true) => report.passed(probe.name(), took),
                (true, false) => report.passed_after(probe.name(), took, wrong),
                (false, _) => report.failed(probe.name(), took, wrong.join("\n")),
            }
        }
    }

    /// What is declared and did not pass, each with the reason.
    fn open(&self, report: &JunitReport) -> Vec<String> {
        let probed: BTreeSet<&str> = self.probes.iter().map(SmokeProbe::name).collect();
        let mut open: Vec<String> = report.failures().map(|(name, reason)| format!("{name}: {reason}")).collect();
        for function in &self.functions {
            if function.tests.is_empty() {
                open.push(format!("nothing tries {}", function.name));
            }
            for test in function.tests.iter().filter(|test| !probed.contains(test.as_str())) {
                open.push(format!("{test}: it is declared for {}, and no probe carries it out", function.name));
            }
        }
        if self.functions.is_empty() {
            open.push("no critical function is declared".to_owned());
        }
        open
    }

    fn report(&self, task: &Task, tests: &JunitReport) -> Result<Report, AgentError> {
        let whom: BTreeSet<String> = self.probes.iter().map(SmokeProbe::whom).collect();
        let whom = if whom.is_empty() { "nobody".to_owned() } else { whom.into_iter().collect::<Vec<_>>().join(", ") };
        let now = self.clock.wall();
        let plan = serde_json::json!({ "format": 1, "functions": self.functions });
        let plan = serde_json::to_vec_pretty(&plan)
            .map_err(|e| AgentError::definitive("the plan cannot be written as JSON").because(e))?;
        let plan = Collected::new("smoke-plan", whom.clone(), subject(task), now, plan);
        let junit = Collected::new(kind::SMOKE, whom, subject(task), now, tests.to_xml().into_bytes());
        let declared: BTreeSet<&String> = self.functions.iter().flat_map(|function| &function.tests).collect();
        let (executed, failed) = (tests.executed(), tests.failures().count());
        let mut report = Report::new().note(format!(
            "{} smoke tests are declared for {} functions; {executed} were run, {failed} failed",
            declared.len(),
            self.functions.len(),
        ));
        for open in self.open(tests) {
            report = report.finding(Finding { severity: Severity::Error, text: open });
        }
        if let Some(check) = &self.claims {
            report = report.claim(Claim {
                check: check.clone(),
                evidence: vec![plan.evidence.digest, junit.evidence.digest],
                value: String::new(),
            });
        }
        Ok(report.evidence(plan.summary("smoke-plan.json")).evidence(junit.summary("smoke.xml")))
    }
}

#[async_trait]
impl Agent for SmokeSuite {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        if task.undo {
            return Ok(Report::new().note("smoke tests leave nothing to undo").into());
        }
        let mut tests = JunitReport::new(self.card.name.as_str(), self.clock.wall());
        tokio::select! {
            biased;
            () = cx.cancellation.cancelled() => return Err(AgentError::definitive("the smoke tests were cancelled")),
            () = self.run(&mut tests, cx) => {}
            () = crate::wait::pause(cx.timeout) => {
                let within = deploy_core::time::Spell(cx.timeout);
                return Err(AgentError::definitive(format!("the smoke tests did not end within {within}")));
            }
        }
        let open = self.open(&tests);
        if self.claims.is_none() && !open.is_empty() {
            return Err(AgentError::definitive(format!("{} smoke tests are open: {}", open.len(), open.join("; "))));
        }
        self.report(task, &tests).map(Performed::from)
    }
}
