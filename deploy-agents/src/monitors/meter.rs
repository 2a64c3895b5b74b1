//! What a host counts itself, in its own process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, Histogram, HistogramError, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError,
    Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::time::{Clock, SystemClock, Timestamp};

use super::askings::Askings;

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
/// An answer is about slots that are over: the window ends where the running slot began, and reaches back so many slots as the
/// lookback, so that what was recorded in the last seconds is in the next answer. Whoever asks again about one lookback later (a tenth
/// early or late, for no clock is exact) is answered from where the answer before ended: each event is in exactly one window, also where
/// the lookback is no multiple of the slot, and whoever else asks. Asked later than that, the windows leave a gap, which is seen in
/// them; asked more often, they overlap, as the questions do. A lookback shorter than a slot is answered by windows of no length
/// and of a whole slot by turns: take slots that are no longer than the shortest lookback. No window begins before the meter did.
///
/// A metric of which a revision has recorded nothing in the window is [`Reading::NoData`].
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
    /// By its clock.
    began: Duration,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    series: Series,
    asked: Askings<Edge>,
}

/// Where a window ends: before the beginning of a slot.
#[derive(Debug, Clone, Copy)]
struct Edge {
    slot: u64,
    wall: Timestamp,
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
        let clock = SystemClock::new();
        Self {
            name,
            slot: Duration::from_secs(10),
            slots: 90,
            most_series: 256,
            began: clock.monotonic(),
            clock: Arc::new(clock),
            kept: Arc::default(),
        }
    }

    /// The same with so many slots of this length; at least one, and at least a millisecond. The slot that is running comes on top. A
    /// question that looks back further than all of them is answered with what there is, and the window says so.
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

    /// The same with another clock, by which it begins now.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.began = clock.monotonic();
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
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read under the lock: no answer may have closed the slot by the time that the event is in it.
        let number = self.slot_at(self.clock.monotonic());
        let all = &mut kept.series;
        let key = (metric.clone(), revision.clone());
        if !all.contains_key(&key) && all.len() >= self.most_series {
            // Revisions that nobody asks about any more make room.
            all.retain(|_, slots| slots.back().is_some_and(|slot| slot.number + self.slots as u64 >= number));
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
        while slots.front().is_some_and(|slot| slot.number + (self.slots as u64) < number) {
            slots.pop_front();
        }
        slots.back_mut().map_or(Ok(()), |slot| add(&mut slot.recorded))
    }

    fn slot_at(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX)
    }

    /// When a slot begins.
    fn beginning(&self, slot: u64) -> Duration {
        Duration::from_nanos(u64::try_from(self.slot.as_nanos().saturating_mul(u128::from(slot))).unwrap_or(u64::MAX))
    }

    /// The slots that answer a question, and when they were.
    fn window(&self, asked: &Askings<Edge>, request: &MeasureRequest, now: Duration) -> (Range<u64>, Window) {
        let (running, wall) = (self.slot_at(now), self.clock.wall());
        // Of a moment that is over. What passed since is rounded down, as the wall clock is.
        let shown = |at: Duration| {
            let ago = i64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(i64::MAX);
            Timestamp(wall.0.saturating_sub(ago))
        };
        let to = shown(self.beginning(running).max(self.began));
        let oldest = running.saturating_sub(self.slots as u64);
        let (from, began) = match asked.before(request, now) {
            Some((_, Edge { slot, wall })) if slot >= oldest => (slot.min(running), wall),
            _ => {
                let slot = self.slot_at(now.saturating_sub(request.lookback)).max(oldest);
                (slot, shown(self.beginning(slot).max(self.began)))
            }
        };
        // The wall clock may have been set back meanwhile.
        (from..running, Window { from: began, to: to.max(began) })
    }

    /// What was recorded in these slots.
    fn within(&self, slots: &VecDeque<Slot>, of: &Range<u64>) -> Result<Reading, MonitorError> {
        let (mut counts, mut histogram): (Option<Counts>, Option<Histogram>) = (None, None);
        for slot in slots.iter().filter(|slot| of.contains(&slot.number)) {
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
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        let (slots, window) = self.window(&kept.asked, request, now);
        let all = &kept.series;
        let mut metrics: Vec<&MetricName> = all.keys().map(|(metric, _)| metric).collect();
        metrics.dedup();
        // A metric that nobody has recorded yet is no unknown one: it may come with the first event.
        let asked: Vec<&MetricName> =
            if request.metrics.is_empty() { metrics } else { request.metrics.iter().collect() };
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let mut measured = Vec::new();
        for (arm, revision) in arms.into_iter().filter_map(|(arm, revision)| Some((arm, revision?))) {
            for metric in &asked {
                let recorded = all.get(&((*metric).clone(), revision.clone()));
                let reading = recorded.map_or(Ok(Reading::NoData), |recorded| self.within(recorded, &slots))?;
                measured.push(Measurement::new((*metric).clone(), arm, window, reading));
            }
        }
        kept.asked.answered(request, now, Edge { slot: slots.end, wall: window.to });
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex, OnceLock, Weak};
    use std::time::Duration;

    use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading, Window};
    use deploy_core::name::{BlockName, MetricName, RevisionName};
    use deploy_core::release::Release;
    use deploy_core::time::{Clock, Now, Timestamp};
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Kept, Meter, MeterError};

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

    async fn answer(meter: &Meter, wanted: &[&str], lookback: Duration) -> Vec<Measurement> {
        let request = MeasureRequest {
            monitor: meter.name(),
            metrics: wanted.iter().map(|wanted| metric(wanted)).collect(),
            candidate: revision("v2"),
            baseline: Some(revision("v1")),
            lookback,
        };
        let release =
            Release::new("shop".try_into().expect("a name"), "test".try_into().expect("a name"), revision("v2"));
        let cx = MeasureContext::new(Arc::new(release), Now::default());
        meter.measure(&request, &cx).await.expect("an answer")
    }

    async fn ask(meter: &Meter, wanted: &str, lookback: u64) -> (Duration, Reading) {
        let all = answer(meter, &[wanted], Duration::from_secs(lookback)).await;
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
        assert_eq!(
            (covers, counts.events(), counts.bad()),
            (Duration::from_secs(20), 20, 2),
            "the slot that runs is not over"
        );
        let (covers, reading) = ask(&meter, "ms", 1_000).await;
        let Reading::Histogram(histogram) = reading else { panic!("{reading:?}") };
        assert_eq!(
            (covers, histogram.count()),
            (Duration::from_secs(60), 60),
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

    /// An event at each of these times, in milliseconds, and questions at each of those; what each window is, and counts.
    fn windows(events: &BTreeSet<u64>, askings: &[(u64, Duration, &'static str)]) -> Vec<(Window, u64)> {
        let clock = Arc::new(Hand::default());
        let meter = meter(&clock).slots(600, Duration::from_secs(10));
        let set = |ms: u64| *clock.0.lock().expect("not poisoned") = Duration::from_millis(ms);
        let mut events = events.iter().copied().peekable();
        let ask = async {
            let mut windows = Vec::new();
            for (at, lookback, wanted) in askings {
                while let Some(event) = events.next_if(|event| event < at) {
                    set(event);
                    meter.event(&metric("errors"), &revision("v2"), false).expect("room");
                    meter.event(&metric("others"), &revision("v2"), false).expect("room");
                }
                set(*at);
                let all = answer(&meter, &[wanted], *lookback).await;
                let count = if let Reading::Counts(counts) = &all[0].reading { counts.events() } else { 0 };
                windows.push((all[0].window, count));
            }
            windows
        };
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(ask)
    }

    fn inside(events: &BTreeSet<u64>, window: Window) -> u64 {
        let at = |event: &&u64| Timestamp(1_000_000).after(Duration::from_millis(**event));
        events.iter().filter(|event| (window.from..window.to).contains(&at(event))).count() as u64
    }

    #[test]
    fn consecutive_windows_share_no_slot() {
        let (events, minute) = ((0..125_000).step_by(1_000).collect(), Duration::from_secs(60));
        let [(first, a), (second, b)] =
            windows(&events, &[(65_000, minute, "errors"), (125_000, minute, "errors")])[..]
        else {
            panic!("two windows")
        };
        assert_eq!((first.to, a + b), (second.from, 120), "{first:?} {second:?}");
    }

    proptest! {
        /// Each event is in one window of each asker, however they share the meter, and whatever the lookback is.
        #[test]
        fn windows_of_consecutive_questions_tile(
            events in proptest::collection::btree_set(0_u64..1_000_000, 0..300),
            mine in (1_000_u64..120_000, 0_u64..120_000),
            theirs in (1_000_u64..120_000, 0_u64..120_000),
            jitter in proptest::collection::vec(-40_i64..=40, 200),
        ) {
            let mut askings = Vec::new();
            for (who, (every, first)) in [("errors", mine), ("others", theirs)] {
                for (n, jitter) in (0..40).zip(&jitter) {
                    // Early or late by less than a tenth from one to the next.
                    let late = jitter * i64::try_from(every).expect("small") / 1_000;
                    askings.push(((first + every * (n + 1)).saturating_add_signed(late), Duration::from_millis(every), who));
                }
            }
            askings.sort();
            let all = windows(&events, &askings);
            for who in ["errors", "others"] {
                let own = || askings.iter().zip(&all).filter(|((.., asker), _)| *asker == who).map(|(_, answer)| answer);
                for (before, after) in own().zip(own().skip(1)) {
                    prop_assert_eq!(before.0.to, after.0.from);
                }
                for (window, count) in own() {
                    prop_assert_eq!(*count, inside(&events, *window), "{:?}", window);
                }
            }
        }

        /// Asked whenever: no window says that it covers what it did not count.
        #[test]
        fn a_window_counts_what_it_covers_and_nothing_else(
            events in proptest::collection::btree_set(0_u64..1_000_000, 0..300),
            askings in proptest::collection::btree_map(0_u64..1_000_000, 1_000_u64..300_000, 1..30),
        ) {
            let askings: Vec<_> = askings.iter().map(|(at, back)| (*at, Duration::from_millis(*back), "errors")).collect();
            for (window, count) in windows(&events, &askings) {
                prop_assert_eq!(count, inside(&events, window), "{:?}", window);
            }
        }
    }

    #[test]
    fn no_window_begins_before_the_meter_did() {
        let clock = Arc::new(Hand(Mutex::new(Duration::from_secs(3_605))));
        let meter = meter(&clock).slots(600, Duration::from_secs(10));
        *clock.0.lock().expect("not poisoned") = Duration::from_secs(3_625);
        meter.event(&metric("errors"), &revision("v2"), true).expect("room");
        *clock.0.lock().expect("not poisoned") = Duration::from_secs(3_630);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (covers, _) = runtime.block_on(ask(&meter, "errors", 600));
        assert_eq!(covers, Duration::from_secs(25));
    }

    /// A clock that is read under the meter's lock alone.
    #[derive(Debug, Default)]
    struct Watched(OnceLock<Weak<Mutex<Kept>>>);

    impl Clock for Watched {
        fn wall(&self) -> Timestamp {
            Timestamp(0)
        }
        fn monotonic(&self) -> Duration {
            let kept = self.0.get().and_then(Weak::upgrade);
            assert!(kept.is_none_or(|kept| kept.try_lock().is_err()), "an answer may close the slot meanwhile");
            Duration::ZERO
        }
    }

    #[tokio::test]
    async fn an_event_is_in_a_slot_that_no_answer_closed() {
        let clock = Arc::new(Watched::default());
        let meter = Meter::new(BlockName::new("meter").expect("a name")).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        clock.0.set(Arc::downgrade(&meter.kept)).expect("set once");
        meter.event(&metric("errors"), &revision("v2"), false).expect("room");
        answer(&meter, &["errors"], Duration::from_secs(60)).await;
    }
}
