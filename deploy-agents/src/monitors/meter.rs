//! What a host counts itself, in its own process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, Histogram, HistogramError, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError,
    Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::time::{Clock, SystemClock, Timestamp, millis};

/// Counts events and sizes by metric and revision in the host's own process, in slots of time, and is the monitor of them.
///
/// Cheap to clone: all clones count together. Recording takes a lock for some nanoseconds and never waits for anything else. What
/// it holds is bounded: so many series, and for each so many slots; a histogram takes 10 KB at most for each slot in which it was
/// used. A series beyond the bound is [`MeterError::Full`], so that a label made of user input is noticed and takes no memory.
///
/// | recorded by | reading |
/// |---|---|
/// | [`event`](Self::event) | [`Reading::Counts`] |
/// | [`size`](Self::size) | [`Reading::Histogram`] |
///
/// An answer is about whole slots: the window is rounded outwards to them at its beginning, and ends now. A metric of which a
/// revision has recorded nothing in the window is [`Reading::NoData`].
///
/// ```
/// use deploy_agents::monitors::Meter;
/// use deploy_core::name::{BlockName, MetricName, RevisionName};
///
/// let meter = Meter::new(BlockName::new("orders")?);
/// let (errors, latency, v2) = (MetricName::new("orders.errors")?, MetricName::new("orders.ms")?, RevisionName::new("v2")?);
/// meter.event(&errors, &v2, true)?;
/// meter.size(&latency, &v2, 12.5)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Rows: M73.
#[derive(Clone)]
pub struct Meter {
    name: BlockName,
    slot: Duration,
    slots: usize,
    most_series: usize,
    clock: Arc<dyn Clock>,
    series: Arc<Mutex<Series>>,
}

type Series = BTreeMap<(MetricName, RevisionName), VecDeque<Slot>>;

/// What was recorded in one slot of time.
#[derive(Debug)]
struct Slot {
    /// Its number since the clock began.
    number: u64,
    recorded: Recorded,
}

#[derive(Debug)]
enum Recorded {
    Events { events: u64, bad: u64 },
    Sizes(Histogram),
}

/// What cannot be recorded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// There are as many series as there may be: use fewer metrics, or allow for more.
    #[error("{metric} of {revision} would be one series more than the {most} that there may be")]
    Full {
        /// The metric.
        metric: MetricName,
        /// The revision.
        revision: RevisionName,
        /// The bound.
        most: usize,
    },
    /// The metric was recorded the other way before: take another name.
    #[error("{0} holds the other kind: events and sizes need a metric each")]
    OtherKind(MetricName),
    /// The size is none.
    #[error(transparent)]
    Size(#[from] HistogramError),
}

impl Meter {
    /// A meter of 90 slots of ten seconds, which is a quarter of an hour, for at most 256 series.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self {
            name,
            slot: Duration::from_secs(10),
            slots: 90,
            most_series: 256,
            clock: Arc::new(SystemClock::new()),
            series: Arc::default(),
        }
    }

    /// The same with so many slots of this length; at least one, and at least a millisecond. A question that looks back further
    /// than all of them is answered with what there is, and the window says so.
    #[must_use]
    pub fn slots(mut self, slots: usize, each: Duration) -> Self {
        (self.slots, self.slot) = (slots.max(1), each.max(Duration::from_millis(1)));
        self
    }

    /// The same for at most so many series, each a metric of a revision.
    #[must_use]
    pub fn most_series(mut self, most: usize) -> Self {
        self.most_series = most;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Counts an event, a bad one or a good one.
    ///
    /// # Errors
    ///
    /// [`MeterError`]; nothing was recorded then.
    pub fn event(&self, metric: &MetricName, revision: &RevisionName, bad: bool) -> Result<(), MeterError> {
        self.record(
            metric,
            revision,
            || Recorded::Events { events: 0, bad: 0 },
            |recorded| match recorded {
                Recorded::Events { events, bad: bads } => {
                    *events += 1;
                    *bads += u64::from(bad);
                    Ok(())
                }
                Recorded::Sizes(_) => Err(MeterError::OtherKind(metric.clone())),
            },
        )
    }

    /// Counts a size, in the unit that the metric's name states.
    ///
    /// # Errors
    ///
    /// [`MeterError`]; nothing was recorded then.
    pub fn size(&self, metric: &MetricName, revision: &RevisionName, size: f64) -> Result<(), MeterError> {
        if !size.is_finite() || size < 0.0 {
            return Err(HistogramError::NotASize(size).into());
        }
        self.record(
            metric,
            revision,
            || Recorded::Sizes(Histogram::new()),
            |recorded| match recorded {
                Recorded::Sizes(histogram) => Ok(histogram.insert(size)?),
                Recorded::Events { .. } => Err(MeterError::OtherKind(metric.clone())),
            },
        )
    }

    fn record(
        &self,
        metric: &MetricName,
        revision: &RevisionName,
        empty: impl Fn() -> Recorded,
        add: impl Fn(&mut Recorded) -> Result<(), MeterError>,
    ) -> Result<(), MeterError> {
        let number = self.slot_at(self.clock.monotonic());
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (metric.clone(), revision.clone());
        if !all.contains_key(&key) && all.len() >= self.most_series {
            // Revisions that nobody asks about any more make room.
            all.retain(|_, slots| slots.back().is_some_and(|slot| slot.number + self.slots as u64 > number));
            if all.len() >= self.most_series {
                let (metric, revision) = key;
                return Err(MeterError::Full { metric, revision, most: self.most_series });
            }
        }
        let slots = all.entry(key).or_default();
        if slots.back().is_none_or(|slot| slot.number < number) {
            let kind_differs = slots.back().is_some_and(|slot| !slot.recorded.is_like(&empty()));
            if kind_differs {
                return Err(MeterError::OtherKind(metric.clone()));
            }
            slots.push_back(Slot { number, recorded: empty() });
        }
        while slots.len() > self.slots || slots.front().is_some_and(|slot| slot.number + (self.slots as u64) < number) {
            slots.pop_front();
        }
        slots.back_mut().map_or(Ok(()), |slot| add(&mut slot.recorded))
    }

    fn slot_at(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What was recorded from this slot on.
    fn since(&self, slots: &VecDeque<Slot>, from: u64) -> Result<Reading, MonitorError> {
        let (mut counts, mut histogram): (Option<Counts>, Option<Histogram>) = (None, None);
        for slot in slots.iter().filter(|slot| slot.number >= from) {
            match &slot.recorded {
                Recorded::Events { events, bad } => {
                    let more = Counts::new(*events, *bad).map_err(|e| MonitorError::new("miscounted").because(e))?;
                    counts = Some(counts.unwrap_or_default().plus(more));
                }
                Recorded::Sizes(sizes) => {
                    let all = histogram.get_or_insert_with(Histogram::new);
                    all.merge(sizes)
                        .map_err(|e| MonitorError::new(format!("{} cannot add up", self.name)).because(e))?;
                }
            }
        }
        Ok(match (counts, histogram) {
            (Some(counts), _) => Reading::Counts(counts),
            (None, Some(histogram)) => Reading::Histogram(histogram),
            (None, None) => Reading::NoData,
        })
    }
}

impl Recorded {
    fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Events { .. }, Self::Events { .. }) | (Self::Sizes(_), Self::Sizes(_)))
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("name", &self.name)
            .field("slot", &self.slot)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for Meter {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        let newest = self.slot_at(now);
        let reach = self.slot_at(now.saturating_sub(request.lookback));
        let from = reach.max((newest + 1).saturating_sub(self.slots as u64));
        let began = self.slot.saturating_mul(u32::try_from(from).unwrap_or(u32::MAX));
        let back = i64::try_from(millis(now.saturating_sub(began))).unwrap_or(i64::MAX);
        let window = Window { from: Timestamp(wall.0.saturating_sub(back)), to: wall };
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metrics: Vec<&MetricName> = all.keys().map(|(metric, _)| metric).collect();
        metrics.dedup();
        // A metric that nobody has recorded yet is no unknown one: it may come with the first event.
        let asked: Vec<&MetricName> =
            if request.metrics.is_empty() { metrics } else { request.metrics.iter().collect() };
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let mut measured = Vec::new();
        for (arm, revision) in arms.into_iter().filter_map(|(arm, revision)| Some((arm, revision?))) {
            for metric in &asked {
                let slots = all.get(&((*metric).clone(), revision.clone()));
                let reading = slots.map_or(Ok(Reading::NoData), |slots| self.since(slots, from))?;
                measured.push(Measurement::new((*metric).clone(), arm, window, reading));
            }
        }
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Monitor as _, Reading};
    use deploy_core::name::{BlockName, MetricName, RevisionName};
    use deploy_core::release::Release;
    use deploy_core::time::{Clock, Now, Timestamp};

    use super::{Meter, MeterError};

    #[derive(Debug, Default)]
    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn wall(&self) -> Timestamp {
            Timestamp(1_000_000).after(self.monotonic())
        }
        fn monotonic(&self) -> Duration {
            *self.0.lock().expect("not poisoned")
        }
    }

    fn metric(text: &str) -> MetricName {
        MetricName::new(text).expect("a name")
    }

    fn revision(text: &str) -> RevisionName {
        RevisionName::new(text).expect("a name")
    }

    fn meter(clock: &Arc<Hand>) -> Meter {
        let meter = Meter::new(BlockName::new("meter").expect("a name"));
        meter.slots(6, Duration::from_secs(10)).clock(Arc::clone(clock) as Arc<dyn Clock>)
    }

    async fn ask(meter: &Meter, wanted: &str, lookback: u64) -> (Duration, Reading) {
        let request = MeasureRequest {
            monitor: meter.name(),
            metrics: vec![metric(wanted)],
            candidate: revision("v2"),
            baseline: Some(revision("v1")),
            lookback: Duration::from_secs(lookback),
        };
        let release =
            Release::new("shop".try_into().expect("a name"), "test".try_into().expect("a name"), revision("v2"));
        let cx = MeasureContext::new(Arc::new(release), Now::default());
        let all = meter.measure(&request, &cx).await.expect("an answer");
        assert!(all[1].arm == Arm::Baseline && all[1].reading == Reading::NoData, "nothing was recorded of v1");
        (all[0].window.to.since(all[0].window.from), all[0].reading.clone())
    }

    /// Rows: M73.
    #[tokio::test]
    async fn what_was_recorded_in_the_window_is_counted_in_whole_slots() {
        let clock = Arc::new(Hand::default());
        let meter = meter(&clock);
        for second in 0..100 {
            *clock.0.lock().expect("not poisoned") = Duration::from_secs(second);
            meter.event(&metric("errors"), &revision("v2"), second % 10 == 0).expect("room");
            meter.size(&metric("ms"), &revision("v2"), 5.0).expect("room");
        }
        let (covers, reading) = ask(&meter, "errors", 25).await;
        let Reading::Counts(counts) = reading else { panic!("{reading:?}") };
        assert_eq!((covers, counts.events(), counts.bad()), (Duration::from_secs(29), 30, 3));
        let (covers, reading) = ask(&meter, "ms", 1_000).await;
        let Reading::Histogram(histogram) = reading else { panic!("{reading:?}") };
        assert_eq!(
            (covers, histogram.count()),
            (Duration::from_secs(59), 60),
            "as far back as it goes, and it says so"
        );
        assert_eq!(ask(&meter, "other", 10).await.1, Reading::NoData);
        *clock.0.lock().expect("not poisoned") = Duration::from_secs(500);
        assert_eq!(ask(&meter, "errors", 25).await.1, Reading::NoData, "silence is not zero");
    }

    #[test]
    fn what_it_holds_is_bounded_and_what_makes_no_sense_is_refused() {
        let clock = Arc::new(Hand::default());
        let meter = meter(&clock).most_series(2);
        meter.event(&metric("a"), &revision("v1"), false).expect("room");
        meter.event(&metric("a"), &revision("v2"), false).expect("room");
        assert!(matches!(meter.event(&metric("a"), &revision("v3"), false), Err(MeterError::Full { most: 2, .. })));
        assert!(matches!(meter.size(&metric("a"), &revision("v2"), 1.0), Err(MeterError::OtherKind(_))));
        assert!(matches!(meter.size(&metric("a"), &revision("v2"), f64::NAN), Err(MeterError::Size(_))));
        // Nobody has used them for longer than is remembered.
        *clock.0.lock().expect("not poisoned") = Duration::from_secs(600);
        meter.event(&metric("a"), &revision("v3"), false).expect("room again");
    }
}
