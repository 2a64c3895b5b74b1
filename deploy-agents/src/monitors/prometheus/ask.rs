//! One metric of one arm: asked, and read under its policy.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::monitor::{Counts, Reading, Window};
use deploy_core::name::RevisionName;
use deploy_core::real::Real;
use deploy_core::time::{Spell, Timestamp, millis};

use super::PrometheusMonitor;
use super::answer::{Answer, AnswerError, Data, Labels, Point, read};
use super::growth::Growth;
use super::policy::{Absent, Partial, PrometheusPolicy, Unfit};
use super::query::{Fold, Guard, PromQuery};
use super::template::{Template, duration};
use crate::http::{HttpError, retry_after, shown};
use crate::monitors::buckets::Buckets;
use crate::monitors::{Query, Selector, whole};

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A number, or that there is none.
type Found<T> = Result<Option<T>, Failure>;

/// The most periods that are looked back: a year of weeks.
const MOST_PERIODS: u32 = 52;

/// The most evaluations of one range, as Prometheus itself has it.
const MOST_STEPS: u128 = 11_000;

pub(super) struct Question<'a> {
    monitor: &'a PrometheusMonitor,
    policy: &'a PrometheusPolicy,
    revision: &'a RevisionName,
    values: &'a BTreeMap<String, String>,
    lookback: Duration,
    window: Window,
}

impl<'a> Question<'a> {
    pub(super) fn new(
        monitor: &'a PrometheusMonitor,
        policy: &'a PrometheusPolicy,
        revision: &'a RevisionName,
        values: &'a BTreeMap<String, String>,
        lookback: Duration,
        now: Timestamp,
    ) -> Self {
        let to = Timestamp(now.0.saturating_sub(signed(policy.settle)));
        Self { monitor, policy, revision, values, lookback, window: Window::ending(to, lookback) }
    }

    /// The reading, and the window that it really covers.
    pub(super) async fn answer(&self, query: &PromQuery) -> Result<(Window, Reading), Failure> {
        if self.policy.warm_up > self.lookback {
            let (warm_up, lookback) = (Spell(self.policy.warm_up), Spell(self.lookback));
            return Err(format!("the warm-up of {warm_up} is longer than the lookback of {lookback}").into());
        }
        let mut window = self.window;
        let reading = match query {
            PromQuery::Series(query) => {
                let (covered, reading) = self.series(query).await?;
                window = covered.unwrap_or(window);
                reading
            }
            PromQuery::Instant { expression, guard } => match self.guarded(guard).await? {
                Some(covered) => {
                    window = covered;
                    self.instant(expression, true).await?.map(value)
                }
                None => None,
            },
            PromQuery::Range { expression, step, fold, guard } => match self.guarded(guard).await? {
                Some(covered) => {
                    window = covered;
                    self.range(expression, *step, *fold).await?
                }
                None => None,
            },
            PromQuery::Seasonal { expression, period, periods, guard } => match self.guarded(guard).await? {
                Some(covered) => {
                    window = covered;
                    self.seasonal(expression, *period, *periods).await?.map(value)
                }
                None => None,
            },
            PromQuery::Ratio { bad, all, guard } => match self.guarded(guard).await? {
                Some(covered) => {
                    window = covered;
                    self.ratio(bad, all).await?
                }
                None => None,
            },
        };
        Ok((window, reading.unwrap_or(Reading::NoData)))
    }

    /// The expression now, as a multiple of the median of what it was in the periods before.
    async fn seasonal(&self, expression: &Template, period: Duration, periods: u32) -> Found<f64> {
        let Some(now) = self.instant(expression, false).await? else { return Ok(None) };
        let query = expression.fill(self.values, self.lookback)?;
        let mut past = Vec::new();
        for back in 1..=periods.clamp(1, MOST_PERIODS) {
            let at = Timestamp(self.window.to.0.saturating_sub(signed(period.saturating_mul(back))));
            let point = match self.ask("/api/v1/query", &[("query", &query), ("time", &seconds(at))]).await? {
                Some(Data::Scalar(point)) => Some(point),
                Some(Data::Vector(all)) if all.len() <= 1 => all.first().map(|(_, point)| *point),
                Some(Data::Vector(_) | Data::Matrix(_)) => {
                    return Err(format!("{query} does not answer one number: aggregate").into());
                }
                None => None,
            };
            past.extend(point.map(|point| point.value).filter(|value| value.is_finite()));
        }
        past.sort_by(f64::total_cmp);
        let enough = past.len() * 2 >= usize::try_from(periods.max(1)).unwrap_or(usize::MAX);
        let median = (past.get(past.len() / 2).copied().unwrap_or(0.0)
            + past.get(past.len().saturating_sub(1) / 2).copied().unwrap_or(0.0))
            / 2.0;
        Ok((enough && median != 0.0).then(|| now / median))
    }

    async fn ratio(&self, bad: &Template, all: &Template) -> Found<Reading> {
        // Of the events of which there is no series at all nothing is known, zero included.
        let Some(all) = self.instant(all, false).await? else { return Ok(None) };
        let Some(bad) = self.instant(bad, true).await? else { return Ok(None) };
        if bad < 0.0 || all < 0.0 {
            return Err(format!("{bad} bad events among {all}: events are not negative").into());
        }
        Ok(Some(Reading::Counts(Counts::new(whole(all), whole(bad))?)))
    }

    /// One number of an expression at the end of the window. Where it is no event that is asked about, an empty answer may be zero.
    async fn instant(&self, expression: &Template, may_be_zero: bool) -> Found<f64> {
        let query = expression.fill(self.values, self.lookback)?;
        let point = match self.at_the_end(&query).await? {
            None => return Ok(None),
            Some(Data::Scalar(point)) => Some(point),
            Some(Data::Vector(all)) if all.len() > 1 => {
                return Err(
                    format!("{query} answers {} series where one number is asked for: aggregate", all.len()).into()
                );
            }
            Some(Data::Vector(all)) => all.first().map(|(_, point)| *point),
            Some(Data::Matrix(_)) => return Err(format!("{query} answers samples over time, not one number").into()),
        };
        match (point, &self.policy.absent) {
            (Some(point), _) => self.number(point.value),
            (None, Absent::Zero { .. }) if may_be_zero => Ok(Some(0.0)),
            (None, Absent::Error) => Err(format!("there is no series for {query}").into()),
            (None, Absent::NoData | Absent::Zero { .. }) => Ok(None),
        }
    }

    async fn range(&self, expression: &Template, step: Duration, fold: Fold) -> Found<Reading> {
        let query = expression.fill(self.values, self.lookback)?;
        if step.is_zero() || self.lookback.as_nanos() / step.as_nanos() > MOST_STEPS {
            return Err(format!("a step of {} over {} is too fine", Spell(step), Spell(self.lookback)).into());
        }
        // The window begins with its first instant and ends before its last: the last evaluation takes in all of it.
        let from = Timestamp(self.window.from.0.saturating_add(signed(step)).min(self.window.to.0));
        let (start, end, step) = (seconds(from), seconds(self.window.to), format!("{}", step.as_secs_f64()));
        let values = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", &step)];
        let points = match self.ask("/api/v1/query_range", &values).await? {
            None => return Ok(None),
            Some(Data::Matrix(all)) if all.len() > 1 => {
                return Err(format!("{query} answers {} series where one is asked for: aggregate", all.len()).into());
            }
            Some(Data::Matrix(all)) => all.into_iter().next().map(|(_, points)| points).unwrap_or_default(),
            Some(Data::Scalar(_) | Data::Vector(_)) => {
                return Err(format!("{query} answers no samples over time").into());
            }
        };
        if points.is_empty() {
            return match &self.policy.absent {
                Absent::NoData => Ok(None),
                Absent::Error => Err(format!("there is no series for {query}").into()),
                Absent::Zero { .. } => Ok(Some(Reading::Value(Real::ZERO))),
            };
        }
        let (mut numbers, mut times) = (Vec::new(), Vec::new());
        for point in &points {
            if let Some(number) = self.number(point.value)? {
                numbers.push(number);
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "milliseconds since the first sample are far below 2^53"
                )]
                times.push((point.at_ms - points[0].at_ms) as f64 / 1_000.0);
            }
        }
        let mean = |numbers: &[f64]| {
            #[expect(clippy::cast_precision_loss, reason = "at most a few thousand numbers")]
            let count = numbers.len() as f64;
            numbers.iter().sum::<f64>() / count
        };
        let all = numbers.iter().copied();
        Ok(match fold {
            _ if numbers.is_empty() => None,
            Fold::Last => all.last().map(value),
            Fold::Mean => Some(value(mean(&numbers))),
            Fold::Min => all.reduce(f64::min).map(value),
            Fold::Max => all.reduce(f64::max).map(value),
            Fold::Slope => slope(&times, &numbers).map(value),
            Fold::Samples => Some(Reading::Samples(all.filter_map(|n| Real::new(n).ok()).collect())),
        })
    }

    /// Series read sample by sample.
    async fn series(&self, query: &Query) -> Result<(Option<Window>, Option<Reading>), Failure> {
        Ok(match query {
            Query::Rate(selector) => match self.growth(selector, &self.policy.absent).await? {
                Some(Counted::Zero) => (None, Some(value(0.0))),
                Some(Counted::Growth(growth)) => {
                    #[expect(clippy::cast_precision_loss, reason = "spans of milliseconds are far below 2^53")]
                    let seconds = (growth.last_ms - growth.first_ms) as f64 / 1_000.0;
                    (Some(growth.window(self.window.from)), (seconds > 0.0).then(|| value(growth.total() / seconds)))
                }
                None => (None, None),
            },
            Query::Ratio { bad, all, absent_is_zero } => {
                let zero = Absent::Zero { reason: String::new() };
                let if_no_bad = if *absent_is_zero { &zero } else { &self.policy.absent };
                let Some(Counted::Growth(all)) = self.growth(all, none_is_no_data(&self.policy.absent)).await? else {
                    return Ok((None, None));
                };
                let bad = match self.growth_of(bad, if_no_bad, Needs { fresh: false, warm: false }).await? {
                    Some(Counted::Growth(bad)) => bad.total(),
                    Some(Counted::Zero) => 0.0,
                    None => return Ok((Some(all.window(self.window.from)), None)),
                };
                (
                    Some(all.window(self.window.from)),
                    Some(Reading::Counts(Counts::new(whole(all.total()), whole(bad))?)),
                )
            }
            Query::Events { bad, good, absent_is_zero } => self.events(bad, good, *absent_is_zero).await?,
            Query::Quantile { histogram, .. } | Query::Apdex { histogram, .. } | Query::Slower { histogram, .. } => {
                let none = none_is_no_data(&self.policy.absent);
                let Some(Counted::Growth(growth)) = self.growth(&histogram.buckets(), none).await? else {
                    return Ok((None, None));
                };
                let buckets = Buckets::new(growth.series.iter().map(|(labels, count)| (labels, *count)));
                let reading = buckets.read(query).map_err(|why| format!("{}: {why}", histogram.name()))?;
                (Some(growth.window(self.window.from)), reading)
            }
            Query::Sum(selector) => (None, self.gauges(selector, |a, b| a + b).await?.map(value)),
            Query::Max(selector) => (None, self.gauges(selector, f64::max).await?.map(value)),
        })
    }

    /// Bad events and good ones, each in series of their own.
    async fn events(
        &self,
        bad: &[Selector],
        good: &[Selector],
        absent_is_zero: bool,
    ) -> Result<(Option<Window>, Option<Reading>), Failure> {
        let zero = Absent::Zero { reason: String::new() };
        let absent = if absent_is_zero { &zero } else { &self.policy.absent };
        // A class of events that may be absent may also fall silent: its staleness is that of the whole. One that must be there is
        // stale by itself.
        let own = !matches!(absent, Absent::Zero { .. });
        let (mut window, mut goods, mut bads): (Option<Window>, f64, f64) = (None, 0.0, 0.0);
        for selector in good {
            match self.growth_of(selector, absent, Needs { fresh: own, warm: false }).await? {
                Some(Counted::Growth(growth)) => {
                    let of = growth.window(self.window.from);
                    window = Some(window.map_or(of, |w| Window { from: w.from.min(of.from), to: w.to.max(of.to) }));
                    goods += growth.total();
                }
                Some(Counted::Zero) => {}
                None => return Ok((None, None)),
            }
        }
        // Without any good event's series nobody counted at all, whatever an absent one is.
        let Some(covered) = window else { return Ok((None, None)) };
        if self.is_stale(covered.to.0) {
            let stale = unfit(self.policy.stale.then, || "every selector of good events is stale".to_owned())?;
            return Ok((window, stale));
        }
        if !self.is_warm(covered.from.0) {
            return Ok((window, None));
        }
        for selector in bad {
            match self.growth_of(selector, absent, Needs { fresh: own, warm: false }).await? {
                Some(Counted::Growth(growth)) => bads += growth.total(),
                Some(Counted::Zero) => {}
                None => return Ok((window, None)),
            }
        }
        Ok((window, Some(Reading::Counts(Counts::new(whole(goods) + whole(bads), whole(bads))?))))
    }

    async fn growth(&self, selector: &Selector, absent: &Absent) -> Found<Counted> {
        self.growth_of(selector, absent, Needs { fresh: true, warm: true }).await
    }

    /// Growth over the window. Where it is about a part of the events, staleness and warm-up may be those of the whole.
    async fn growth_of(&self, selector: &Selector, absent: &Absent, needs: Needs) -> Found<Counted> {
        let Some(series) = self.samples(selector).await? else { return Ok(None) };
        let Some(newest) = newest(&series) else { return self.missing(selector, absent) };
        if needs.fresh && self.is_stale(newest) {
            let promql = || selector.promql(self.revision);
            return unfit(self.policy.stale.then, || format!("{} is stale: {}", selector.name(), promql()));
        }
        let Some(growth) = Growth::after(self.window.from.0, &series, self.policy.births) else {
            return self.missing(selector, absent);
        };
        let usable = growth.passes(self.policy.resets).map_err(|why| format!("{}: {why}", selector.name()))?;
        Ok((usable && (!needs.warm || self.is_warm(growth.first_ms))).then_some(Counted::Growth(growth)))
    }

    fn is_warm(&self, first_ms: i64) -> bool {
        first_ms <= self.window.to.0.saturating_sub(signed(self.policy.warm_up))
    }

    /// The gauges whose newest sample is fresh, folded into one number.
    async fn gauges(&self, selector: &Selector, fold: fn(f64, f64) -> f64) -> Found<f64> {
        let Some(series) = self.samples(selector).await? else { return Ok(None) };
        if newest(&series).is_none() {
            return match self.missing(selector, &self.policy.absent)? {
                Some(_) => Ok(Some(0.0)),
                None => Ok(None),
            };
        }
        let fresh: Vec<Point> = series
            .iter()
            .filter_map(|(_, points)| points.last().copied())
            .filter(|point| !self.is_stale(point.at_ms))
            .collect();
        if fresh.is_empty() {
            return unfit(self.policy.stale.then, || format!("{} is stale", selector.name()));
        }
        let mut numbers = Vec::new();
        for point in fresh {
            numbers.extend(self.number(point.value)?);
        }
        Ok(numbers.into_iter().reduce(fold))
    }

    /// The samples of the window and of two scrapes before it.
    async fn samples(&self, selector: &Selector) -> Found<Vec<(Labels, Vec<Point>)>> {
        let reach = self.lookback + self.policy.scraped_every * 2;
        let query = format!("{}[{}]", selector.promql(self.revision), duration(reach));
        match self.at_the_end(&query).await? {
            None => Ok(None),
            Some(Data::Matrix(series)) => Ok(Some(series)),
            Some(Data::Vector(series)) if series.is_empty() => Ok(Some(Vec::new())),
            Some(_) => Err(format!("{query} answers no samples over time").into()),
        }
    }

    /// What the samples of the guard's series cover of the window; nothing if the answer cannot be used.
    async fn guarded(&self, guard: &Guard) -> Found<Window> {
        let (selector, may_be_absent) = match guard {
            Guard::Nothing { .. } => return Ok(Some(self.window)),
            Guard::Series(selector) => (selector, false),
            Guard::SeriesIfAny { selector, .. } => (selector, true),
        };
        let selector = selector.fill(self.values, self.lookback)?;
        let step = duration(self.policy.scraped_every.max(Duration::from_millis(1)));
        let reach = duration(self.lookback);
        let edge = async |fold: &str| {
            let query = format!("{fold}({fold}_over_time(timestamp({selector})[{reach}:{step}]))");
            match self.at_the_end(&query).await? {
                None => Ok(None),
                Some(Data::Vector(all)) => {
                    let at = all.first().map(|(_, point)| point.value).filter(|at| at.is_finite());
                    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
                    Ok::<_, Failure>(Some(at.map(|at| (at * 1_000.0) as i64)))
                }
                Some(Data::Scalar(_) | Data::Matrix(_)) => Err(format!("{query} answers no series").into()),
            }
        };
        // An answer with warnings is no data, where the policy has it so.
        let Some(newest) = edge("max").await? else { return Ok(None) };
        let Some(newest) = newest else {
            if may_be_absent {
                return Ok(Some(self.window));
            }
            let why =
                || format!("{selector} has no sample in {}, and so shows nothing to be fresh", Spell(self.lookback));
            return unfit(self.policy.stale.then, why);
        };
        if self.is_stale(newest) {
            return unfit(self.policy.stale.then, || format!("{selector} is stale"));
        }
        let Some(oldest) = edge("min").await?.flatten() else { return Ok(None) };
        // A series that was there at the window's first evaluation is one scrape old at most.
        let every = self.policy.scraped_every;
        if oldest > self.window.to.0.saturating_sub(signed(self.policy.warm_up.saturating_sub(every))) {
            return Ok(None);
        }
        // A scrape or two are missing at the edge of every window; beyond that the series are younger than the window.
        let young = oldest > self.window.from.0.saturating_add(signed(every.saturating_mul(2)));
        Ok(Some(if young { Window { from: Timestamp(oldest), ..self.window } } else { self.window }))
    }

    async fn at_the_end(&self, query: &str) -> Found<Data> {
        self.ask("/api/v1/query", &[("query", query), ("time", &seconds(self.window.to))]).await
    }

    /// What the server answers. Nothing if it warns, and the policy has that for no data.
    async fn ask(&self, path: &str, values: &[(&str, &str)]) -> Found<Data> {
        let server = &self.policy_of_server();
        let within = duration(server.within);
        let values: Vec<(&str, &str)> = values.iter().copied().chain([("timeout", within.as_str())]).collect();
        let mut left = server.attempts.get();
        let answer = loop {
            left -= 1;
            let mut pause = server.apart;
            let error = match self.monitor.endpoint.ask(path, &values).await {
                Ok(answer)
                    if answer.status().is_server_error() || answer.status() == http::StatusCode::TOO_MANY_REQUESTS =>
                {
                    let asks = retry_after(&answer);
                    pause = pause.max(asks.unwrap_or_default());
                    let wait = asks
                        .map_or_else(String::new, |asks| format!(", and asks to be left alone for {}", Spell(asks)));
                    format!("{}{wait}", self.refusal(&answer)).into()
                }
                Ok(answer) => break answer,
                Err(error @ (HttpError::Unsupported { .. } | HttpError::TooLarge { .. })) => return Err(error.into()),
                Err(error) => Failure::from(error),
            };
            if left == 0 || pause > server.within.max(server.apart) {
                return Err(error);
            }
            crate::wait::pause(pause).await;
        };
        if !answer.status().is_success() {
            return Err(self.refusal(&answer).into());
        }
        let Answer { data, doubts } = read(answer.body()).map_err(|error| -> Failure {
            format!("{}: {}", self.monitor.endpoint.name(), deploy_core::report::chain(&error)).into()
        })?;
        match (&self.policy.partial, doubts.is_empty()) {
            (_, true) | (Partial::Accept { .. }, false) => Ok(Some(data)),
            (Partial::NoData, false) => Ok(None),
            (Partial::Error, false) => Err(format!("the answer may be incomplete: {}", doubts.join("; ")).into()),
        }
    }

    /// What a server that answers no success says. Its body is read for its reason alone.
    fn refusal(&self, answer: &http::Response<Bytes>) -> String {
        let (from, status) = (self.monitor.endpoint.name(), answer.status());
        if status.is_redirection() {
            let to = answer.headers().get(http::header::LOCATION).and_then(|to| to.to_str().ok());
            let to = to.map_or_else(|| "another place".to_owned(), shown);
            return format!("{from} answered {status} to {to}, which is not followed: name the server itself");
        }
        if status == http::StatusCode::UNAUTHORIZED || status == http::StatusCode::FORBIDDEN {
            return format!("{from} answered {status}: it wants another token, or one at all");
        }
        match read(answer.body()) {
            Ok(_) => format!("{from} answered {status}, though its body says success"),
            Err(AnswerError::Shape(_)) => format!("{from} answered {status}"),
            Err(error) => format!("{from} answered {status}: {error}"),
        }
    }

    fn policy_of_server(&self) -> super::policy::Server {
        self.monitor.policy.server
    }

    fn number(&self, number: f64) -> Found<f64> {
        if number.is_finite() {
            return Ok(Some(number));
        }
        unfit(self.policy.not_a_number, || format!("the answer is {number}"))
    }

    fn missing(&self, selector: &Selector, absent: &Absent) -> Found<Counted> {
        match absent {
            Absent::NoData => Ok(None),
            Absent::Error => Err(format!("there is no series {}", selector.promql(self.revision)).into()),
            Absent::Zero { .. } => Ok(Some(Counted::Zero)),
        }
    }

    fn is_stale(&self, at_ms: i64) -> bool {
        self.window.to.since(Timestamp(at_ms)) > self.policy.stale.after
    }
}

/// What is there and cannot be used.
fn unfit<T>(then: Unfit, why: impl FnOnce() -> String) -> Found<T> {
    match then {
        Unfit::NoData => Ok(None),
        Unfit::Error => Err(why().into()),
    }
}

/// What a selector must be by itself.
#[derive(Clone, Copy)]
struct Needs {
    fresh: bool,
    warm: bool,
}

/// What counters came to.
enum Counted {
    /// They are not there, and that is zero.
    Zero,
    /// They grew.
    Growth(Growth),
}

impl Growth {
    /// What it covers of a window that was asked for from here on. The last sample before stands for the beginning, series by series, so
    /// that questions about windows that follow one another count everything once, whenever each series is scraped; that the samples of one
    /// lie further back than those of another makes no overlap.
    fn window(&self, from: Timestamp) -> Window {
        Window { from: from.max(Timestamp(self.first_ms)), to: Timestamp(self.last_ms) }
    }
}

/// Of the whole of the events silence is never zero: that there were none, and that nobody counted them, look alike.
fn none_is_no_data(absent: &Absent) -> &Absent {
    if let Absent::Zero { .. } = absent { &Absent::NoData } else { absent }
}

/// The slope of the straight line of least squares; nothing of fewer than three numbers.
fn slope(times: &[f64], numbers: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "at most a few thousand numbers")]
    let count = numbers.len() as f64;
    let (mid, mean) = (times.iter().sum::<f64>() / count, numbers.iter().sum::<f64>() / count);
    let spread: f64 = times.iter().map(|t| (t - mid) * (t - mid)).sum();
    let together: f64 = times.iter().zip(numbers).map(|(t, n)| (t - mid) * (n - mean)).sum();
    (numbers.len() >= 3 && spread > 0.0).then(|| together / spread)
}

fn newest(series: &[(Labels, Vec<Point>)]) -> Option<i64> {
    series.iter().filter_map(|(_, points)| points.last()).map(|point| point.at_ms).max()
}

fn value(number: f64) -> Reading {
    Real::new(number).map_or(Reading::NoData, Reading::Value)
}

fn signed(span: Duration) -> i64 {
    i64::try_from(millis(span)).unwrap_or(i64::MAX)
}

/// A time as the interface takes it.
pub(in crate::monitors) fn seconds(at: Timestamp) -> String {
    let sign = if at.0 < 0 { "-" } else { "" };
    let ms = at.0.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1_000, ms % 1_000)
}
