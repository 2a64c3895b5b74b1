//! What an incident cost, and the check that it is stated completely and right.

use deploy_core::evidence::Refusal;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use crate::evidence::facts::IncidentFacts;

/// What an incident cost its users and the business, window by window as it was measured, and what that adds up to.
///
/// ```
/// use deploy_agents::checks::impact::{Impact, ImpactWindow};
/// use deploy_core::time::Timestamp;
///
/// let at = |text| Timestamp::parse(text).expect("a time");
/// let window = |from, to, requests, failed, users| {
///     ImpactWindow { users: Some(users), ..ImpactWindow::new(at(from), at(to), requests, failed) }
/// };
/// let impact = Impact::new("INC-7", at("2026-11-23T06:00:00Z"), 0.999, 1_000_000, [
///     window("2026-11-23T06:00:00Z", "2026-11-23T06:10:00Z", 20_000, 400, 310),
///     window("2026-11-23T06:10:00Z", "2026-11-23T06:15:00Z", 10_000, 100, 90),
/// ])
/// .ended(at("2026-11-23T06:15:00Z"));
/// let totals = &impact.totals;
/// assert_eq!((totals.requests, totals.failed), (30_000, 500));
/// // Of the thousand that may fail in a period of the objective, half are gone.
/// assert!((totals.budget_spent - 0.5).abs() < 1e-9);
/// // Nobody knows who was in both windows.
/// assert_eq!((totals.users_at_least, totals.users_at_most), (Some(310), Some(400)));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// What the incident is called.
    pub incident: String,
    /// When the first user met it.
    pub began_at: Timestamp,
    /// When the last one did; absent: it goes on.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The share of requests that must be good, from 0 to 1.
    pub objective: f64,
    /// How many requests the service has in a period of that objective, 30 days for example: what the budget is a share of.
    pub period_requests: u64,
    /// The currency of the amounts, in ISO 4217; absent where none are measured.
    #[serde(default)]
    pub currency: Option<String>,
    /// What was measured, from the beginning to the end without a gap.
    pub windows: Vec<ImpactWindow>,
    /// What that adds up to.
    pub totals: ImpactTotals,
}

/// What was measured in a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpactWindow {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// How many requests there were.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many different users met a failure in it; absent where users are not told apart.
    #[serde(default)]
    pub users: Option<u64>,
    /// What the service took in, in the smallest unit of the currency; absent where it is not measured.
    #[serde(default)]
    pub earned: Option<i64>,
    /// What it would have taken in, by the same hour of other days for example.
    #[serde(default)]
    pub expected: Option<i64>,
}

/// What an incident cost as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImpactTotals {
    /// How many requests there were while it went on.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The share of the error budget of a period that these were: 1 is all of it.
    pub budget_spent: f64,
    /// The users of the window with the most: at least so many met it.
    #[serde(default)]
    pub users_at_least: Option<u64>,
    /// The users of all windows together: at most so many met it, as some may have been in several.
    #[serde(default)]
    pub users_at_most: Option<u64>,
    /// What was expected and not taken in, in the smallest unit of the currency; below 0 where more was taken in.
    #[serde(default)]
    pub lost: Option<i64>,
}

impl Document for Impact {
    const KIND: &'static str = "impact";
}

impl ImpactWindow {
    /// A window in which neither users nor amounts were measured.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp, requests: u64, failed: u64) -> Self {
        Self { from, to, requests, failed, users: None, earned: None, expected: None }
    }
}

impl Impact {
    /// The impact of an incident that goes on, added up from these windows.
    pub fn new(
        incident: impl Into<String>,
        began_at: Timestamp,
        objective: f64,
        period_requests: u64,
        windows: impl IntoIterator<Item = ImpactWindow>,
    ) -> Self {
        let windows: Vec<ImpactWindow> = windows.into_iter().collect();
        let totals = ImpactTotals::of(&windows, objective, period_requests);
        let incident = incident.into();
        Self { incident, began_at, ended_at: None, objective, period_requests, currency: None, windows, totals }
    }

    /// The same of an incident that ended then.
    #[must_use]
    pub fn ended(mut self, at: Timestamp) -> Self {
        self.ended_at = Some(at);
        self
    }

    /// The same with its amounts in this currency.
    #[must_use]
    pub fn currency(mut self, code: impl Into<String>) -> Self {
        self.currency = Some(code.into());
        self
    }
}

impl ImpactTotals {
    /// What windows add up to. What only some windows measured adds up to nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
    pub fn of(windows: &[ImpactWindow], objective: f64, period_requests: u64) -> Self {
        let users: Option<Vec<u64>> = windows.iter().map(|window| window.users).collect();
        let users = users.filter(|users| !users.is_empty());
        let lost = |window: &ImpactWindow| window.expected?.checked_sub(window.earned?);
        let lost: Option<Vec<i64>> = windows.iter().map(lost).collect();
        let failed = windows.iter().fold(0, |sum: u64, window| sum.saturating_add(window.failed));
        Self {
            requests: windows.iter().fold(0, |sum: u64, window| sum.saturating_add(window.requests)),
            failed,
            budget_spent: failed as f64 / ((1.0 - objective) * period_requests as f64),
            users_at_least: users.iter().flatten().copied().max(),
            users_at_most: users.map(|users| users.iter().fold(0, |sum: u64, n| sum.saturating_add(*n))),
            lost: lost
                .filter(|lost| !lost.is_empty())
                .and_then(|lost| lost.iter().try_fold(0, |sum: i64, amount| sum.checked_add(*amount))),
        }
    }
}

/// The impact of an incident is stated completely and right: every moment of it was measured, and the totals are what the measurements
/// add up to. How large it is, people weigh; more than the whole error budget of a period is a remark.
///
/// `events` are what is known of the incident, of which there may be nothing.
///
/// Rows: M118.
#[must_use]
pub fn impact_stated(impact: &Read<Impact>, events: &[IncidentFacts]) -> Assessment {
    let mut found = Assessor::new();
    let file = &impact.document;
    for event in events {
        found.doubts(&event.doubts);
        if event.incident.value != file.incident {
            let theirs = &event.incident;
            found.refuse(Refusal::Foreign(format!("it is the impact of {}, the incident is {theirs}", file.incident)));
        }
        let at = impact.at("/began_at");
        found.require(file.began_at <= event.at.value, || {
            format!("it began at {} ({at}), and was {} before, at {}", file.began_at, event.said, event.at)
        });
    }
    let budget = file.period_requests > 0 && file.objective > 0.0 && file.objective < 1.0;
    if !budget {
        let at = impact.at("/objective");
        found.refuse(Refusal::Unparseable(format!("its objective and requests leave no error budget ({at})")));
    }
    match file.ended_at {
        None => found.refuse(Refusal::Unfinished(format!("it goes on ({})", impact.at("/began_at")))),
        Some(ended) => {
            let lasted = ended.since(file.began_at);
            found.figure(Figure::text("lasted", Spell(lasted)).at(impact.at("/ended_at")));
            found.require(ended > file.began_at, || format!("it ended before it began ({})", impact.at("/ended_at")));
            covered(&mut found, impact, ended);
        }
    }
    for (index, window) in file.windows.iter().enumerate() {
        let at = || impact.at(format!("/windows/{index}"));
        found.require(window.failed <= window.requests, || format!("more failed than there were ({})", at()));
        found.require(window.to > window.from, || format!("a window ends before it begins ({})", at()));
    }
    if file.windows.iter().any(|window| window.expected.is_some()) {
        let coded = file
            .currency
            .as_deref()
            .is_some_and(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
        found.require(coded, || format!("its amounts are in no currency ({})", impact.at("/currency")));
    }
    if budget {
        totals(&mut found, impact);
    }
    found.finish()
}

/// Every moment from the beginning to the end lies in one window.
fn covered(found: &mut Assessor, impact: &Read<Impact>, ended: Timestamp) {
    let file = &impact.document;
    let mut until = file.began_at;
    for (index, window) in file.windows.iter().enumerate() {
        let at = impact.at(format!("/windows/{index}"));
        if index > 0 && window.from < until {
            found.refuse(Refusal::Duplicate(format!("{} to {until} was counted twice ({at})", window.from)));
        } else if window.from > until {
            found.refuse(Refusal::Missing(format!("nothing was measured from {until} to {} ({at})", window.from)));
        }
        until = until.max(window.to);
    }
    if until < ended {
        let at = impact.at("/windows");
        found.refuse(Refusal::Missing(format!("nothing was measured from {until} to {ended} ({at})")));
    }
}

/// The stated totals are those that the windows add up to.
fn totals(found: &mut Assessor, impact: &Read<Impact>) {
    let file = &impact.document;
    let (stated, real) = (&file.totals, ImpactTotals::of(&file.windows, file.objective, file.period_requests));
    let at = |name: &str| impact.at(format!("/totals/{name}"));
    let mut same = |name: &str, stated: Option<i128>, real: Option<i128>| {
        let shown = |number: Option<i128>| number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
        if let Some(stated) = stated {
            found.figure(Figure::text(name.replace('_', " "), stated).at(at(name)));
        }
        found.require(stated == real, || {
            let (stated, real) = (shown(stated), shown(real));
            format!("{} is stated as {stated}, and the windows add up to {real} ({})", name.replace('_', " "), at(name))
        });
    };
    same("requests", Some(stated.requests.into()), Some(real.requests.into()));
    same("failed", Some(stated.failed.into()), Some(real.failed.into()));
    let wide = |number: Option<u64>| number.map(i128::from);
    same("users_at_least", wide(stated.users_at_least), wide(real.users_at_least));
    same("users_at_most", wide(stated.users_at_most), wide(real.users_at_most));
    same("lost", stated.lost.map(i128::from), real.lost.map(i128::from));
    let place = at("budget_spent");
    found.figure(Figure::number("error budget spent", stated.budget_spent * 100.0, "%").at(place.clone()));
    // A decimal fraction in a document need not be the last bit of ours.
    let close = (stated.budget_spent - real.budget_spent).abs() <= 1e-9 * real.budget_spent.abs().max(1.0);
    found.require(close, || {
        let (stated, real) = (stated.budget_spent, real.budget_spent);
        format!("the budget spent is stated as {stated}, and the windows add up to {real} ({place})")
    });
    if real.budget_spent > 1.0 {
        found.remark(format!("it spent {:.1} times the error budget of its period ({place})", real.budget_spent));
    }
}
