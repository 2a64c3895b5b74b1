//! How often the sequential judge is wrong, and how soon it is right: simulated rollouts, reproducible from a seed.
//!
//! `cargo bench --bench operating_characteristics -- [--seed N] [--runs N] [--runs-a0 N] [--only A0,B1] [--out DIR]`
//!
//! With `--out` the table and the picture of the documentation are written there.
//!
//! The world: 100 requests a second (2 in A2 and B7), each assigned at random to the candidate with a share of 5, 10, 25
//! and 50 %, ten minutes each, a look every minute; 1 % errors, latencies log-normal with a median of 100 ms and a 99 %
//! quantile of 404 ms. Judges see the same batches: without margins at α = 0.05 and 0.01, and with the default margins at
//! both. In A6 one of two endpoints has three times the errors and takes twice as long in both arms, the candidate's clients call it more often, and
//! each endpoint is a stratum; judges that know no strata see both together. Detection times are means restricted to the 40 minutes: never counts as 40. The rules in use see the same minutes: see `peers.rs`.

mod peers;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use deploy_core::monitor::{Batch, BatchKey, Counts, Histogram, Paired, Traffic, Window};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
use deploy_strategies::analysis::verdict::Cause;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Normal, Poisson};

const STEPS: [f64; 4] = [0.05, 0.10, 0.25, 0.50];
const MINUTES: usize = 40;
const SPREAD: f64 = 0.6;

/// A scenario: what each arm does in each minute.
struct Scenario {
    name: &'static str,
    what: &'static str,
    requests_per_second: f64,
    baseline: fn(f64) -> Arm,
    candidate: fn(f64) -> Arm,
    pods: bool,
    /// What part of the requests go to an endpoint of its own, in the candidate and in the baseline, if there is one.
    checkout: Option<[f64; 2]>,
    /// The most that may be aborted, in percent, at α = 0.05 and 0.01 without margins.
    most_aborts: Option<(f64, f64)>,
    /// The reference: restricted mean minutes at α = 0.05, 0.01 and, with margins, 0.05.
    minutes: Option<(f64, f64, f64)>,
}

/// What one arm does in one minute.
#[derive(Clone, Copy)]
struct Arm {
    errors: f64,
    /// On the logarithm of time.
    slower: f64,
    /// The share of requests that are slower still, and by how much on the logarithm.
    tail: (f64, f64),
}

const fn arm(errors: f64, slower: f64) -> Arm {
    Arm { errors, slower, tail: (0.0, 0.0) }
}

fn good(_: f64) -> Arm {
    arm(0.01, 0.0)
}

fn drift(minute: f64) -> Arm {
    let part = minute / MINUTES as f64;
    arm(0.005 * 6f64.powf(part), 0.3 * part)
}

/// So that the 99 % quantile rises by a fifth and the median by half a percent.
fn slow_tail(_: f64) -> Arm {
    Arm { tail: (0.03, 1.063_191_994_324_826_5), ..good(0.0) }
}

fn scenarios() -> Vec<Scenario> {
    let quiet = |name, what, candidate: fn(f64) -> Arm, most: (f64, f64)| Scenario {
        name,
        what,
        requests_per_second: 100.0,
        baseline: good,
        candidate,
        pods: false,
        checkout: None,
        most_aborts: Some(most),
        minutes: None,
    };
    let harm = |name, what, candidate: fn(f64) -> Arm, minutes: (f64, f64, f64)| Scenario {
        most_aborts: None,
        minutes: Some(minutes),
        ..quiet(name, what, candidate, (0.0, 0.0))
    };
    vec![
        quiet("A0", "no difference", good, (2.5, 0.5)),
        Scenario { baseline: drift, ..quiet("A1", "drift common to both arms", drift, (2.5, 0.5)) },
        Scenario { requests_per_second: 2.0, ..quiet("A2", "no difference, 2 a second", good, (2.5, 0.5)) },
        quiet(
            "A3",
            "candidate cold for 3 minutes, warm-up left out",
            |minute| if minute < 3.0 { arm(0.01, 0.405) } else { good(0.0) },
            (3.0, 3.0),
        ),
        Scenario { pods: true, most_aborts: None, ..quiet("A4", "instances of one build differ", good, (0.0, 0.0)) },
        quiet("A5", "candidate better, 1 to 0.7 %", |_| arm(0.007, 0.0), (2.5, 0.5)),
        harm("B1", "errors 1 to 1.5 %", |_| arm(0.015, 0.0), (14.8, 17.8, 26.7)),
        harm("B2", "errors 1 to 2 %", |_| arm(0.02, 0.0), (6.3, 7.7, 9.3)),
        harm("B3", "latency times 1.2", |_| arm(0.01, 0.182_321_556_793_954_6), (1.3, 1.5, 4.5)),
        harm("B4", "tail only, 99 % quantile up a fifth", slow_tail, (8.3, 10.2, 25.1)),
        harm("B5", "half of the requests fail", |_| arm(0.5, 0.0), (1.0, 1.0, 1.0)),
        harm(
            "B6",
            "errors doubled from minute 20",
            |minute| if minute < 20.0 { good(0.0) } else { arm(0.02, 0.0) },
            (22.3, 22.9, 23.7),
        ),
        Scenario {
            requests_per_second: 2.0,
            ..harm("B7", "errors doubled, 2 a second", |_| arm(0.02, 0.0), (37.8, 39.3, 38.7))
        },
        Scenario {
            baseline: drift,
            ..harm(
                "B8",
                "errors doubled under a common drift",
                |minute| Arm { errors: 2.0 * drift(minute).errors, ..drift(minute) },
                (9.3, 10.7, 12.2),
            )
        },
        // The last, since its place is a part of the seed of those before.
        Scenario {
            checkout: Some([0.4, 0.2]),
            ..quiet("A6", "candidate's clients call other endpoints", good, (2.5, 0.5))
        },
    ]
}

/// What one run came to: for each judge the minute of the rollback, from 1, and whether it ever advised promotion.
struct Outcome {
    plain: [Option<usize>; 2],
    margins: [Option<usize>; 2],
    promoted: bool,
    proven_by_step: [bool; 4],
    peers: peers::Aborted,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut seed, mut runs, mut runs_a0, mut only) = (1u64, 500usize, 2000usize, Vec::new());
    let mut out: Option<PathBuf> = None;
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
        match arg.as_str() {
            "--seed" => seed = number(),
            "--runs" => runs = number() as usize,
            "--runs-a0" => runs_a0 = number() as usize,
            "--out" => out = Some(args.next().expect("a folder").into()),
            "--only" => only = args.next().expect("names").split(',').map(str::to_owned).collect(),
            _ => {}
        }
    }
    println!("seed {seed}, {runs} runs each, A0 {runs_a0}");
    println!(
        "     aborted %, no margins   with margins      restricted mean minutes (reference)                promoted"
    );
    println!("      a=0.05  a=0.01     a=0.05  a=0.01      a=0.05         a=0.01         margins 0.05         %");
    let (mut failed, mut rows) = (Vec::new(), Vec::new());
    for (index, scenario) in scenarios().iter().enumerate() {
        if !only.is_empty() && !only.iter().any(|name| name == scenario.name) {
            continue;
        }
        let count = if scenario.name == "A0" { runs_a0 } else { runs };
        let seed_of = |run: usize| seed.wrapping_mul(1_000_003).wrapping_add((index * 100_000 + run) as u64);
        let outcomes = side_by_side(count, |run| simulate(scenario, seed_of(run)));
        report(scenario, &outcomes, &mut failed);
        rows.push(row(scenario, &outcomes));
    }
    rows.sort_by_key(|row| row.name);
    let rules: Vec<&str> = peers::NAMES.into_iter().chain(OURS).collect();
    let basis = format!(
        "Seed {seed}, {runs} rollouts each, A0 {runs_a0}: `cargo bench -p deploy-benches --bench operating_characteristics -- --out .`"
    );
    let table = report::markdown(&rules, &rows, &basis);
    println!("\n{table}");
    if let Some(folder) = out {
        std::fs::write(folder.join("operating-characteristics.table.md"), &table).expect("the folder can be written");
        let picture = report::picture(&rules, &rows);
        std::fs::write(folder.join("operating-characteristics.svg"), picture).expect("the folder can be written");
    }
    if failed.is_empty() {
        println!("every figure is within its bound");
    } else {
        println!("OUT OF BOUNDS: {}", failed.join("; "));
        std::process::exit(1);
    }
}

/// Our own judges, in the order of the table.
const OURS: [&str; 3] =
    ["sequential, α = 0.05, no margins", "sequential, α = 0.01, no margins", "sequential, margins, α = 0.05"];

/// Runs on all processors: each run has a seed of its own, so that the order does not matter.
fn side_by_side(count: usize, run: impl Fn(usize) -> Outcome + Sync) -> Vec<Outcome> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let run = &run;
        let share = |worker: usize| scope.spawn(move || (worker..count).step_by(workers).map(run).collect::<Vec<_>>());
        let started: Vec<_> = (0..workers).map(share).collect();
        started.into_iter().flat_map(|worker| worker.join().expect("no run panics")).collect()
    })
}

fn row(scenario: &Scenario, outcomes: &[Outcome]) -> report::Row {
    let count = outcomes.len() as f64;
    let rule = |pick: &dyn Fn(&Outcome) -> Option<usize>| {
        let aborted = outcomes.iter().filter(|outcome| pick(outcome).is_some()).count() as f64;
        let minutes = outcomes.iter().map(|outcome| pick(outcome).unwrap_or(MINUTES) as f64).sum::<f64>();
        (100.0 * aborted / count, minutes / count)
    };
    let peers = (0..peers::NAMES.len()).map(|at| rule(&|outcome: &Outcome| outcome.peers[at]));
    let ours = [rule(&|o| o.plain[0]), rule(&|o| o.plain[1]), rule(&|o| o.margins[0])];
    let rules = peers.chain(ours).collect();
    report::Row { name: scenario.name, what: scenario.what, harm: scenario.minutes.is_some(), rules }
}

fn report(scenario: &Scenario, outcomes: &[Outcome], failed: &mut Vec<String>) {
    let count = outcomes.len() as f64;
    let aborted = |pick: &dyn Fn(&Outcome) -> Option<usize>| {
        100.0 * outcomes.iter().filter(|outcome| pick(outcome).is_some()).count() as f64 / count
    };
    let minutes = |pick: &dyn Fn(&Outcome) -> Option<usize>| {
        outcomes.iter().map(|outcome| pick(outcome).unwrap_or(MINUTES) as f64).sum::<f64>() / count
    };
    let p05 = |o: &Outcome| o.plain[0];
    let p01 = |o: &Outcome| o.plain[1];
    let m05 = |o: &Outcome| o.margins[0];
    let m01 = |o: &Outcome| o.margins[1];
    let promoted = 100.0 * outcomes.iter().filter(|o| o.promoted).count() as f64 / count;
    let name = scenario.name;
    print!("{name}  {:7.2} {:7.2}    {:7.2} {:7.2}   ", aborted(&p05), aborted(&p01), aborted(&m05), aborted(&m01));
    if let Some((a, b, c)) = scenario.minutes {
        let (x, y, z) = (minutes(&p05), minutes(&p01), minutes(&m05));
        print!(" {x:6.2} ({a:4.1})  {y:6.2} ({b:4.1})  {z:6.2} ({c:4.1})  ");
        // Late onset counts from the onset on.
        let from = if name == "B6" { 20.0 } else { 0.0 };
        if name != "B7" {
            for (what, got, reference) in [("0.05", x, a), ("0.01", y, b)] {
                if got - from > 1.1 * (reference - from) {
                    failed.push(format!("{name} at {what} takes {got:.2} minutes"));
                }
            }
        }
        if name == "B5" && aborted(&p05) < 100.0 {
            failed.push("B5 is missed".to_owned());
        }
    } else {
        print!("{:52}", "");
    }
    if let Some((most05, most01)) = scenario.most_aborts
        && (aborted(&p05) > most05 || aborted(&p01) > most01)
    {
        failed.push(format!("{name} aborts {:.2} % and {:.2} %", aborted(&p05), aborted(&p01)));
    }
    if name == "A4" && aborted(&m05) > 1.5 {
        failed.push(format!("A4 aborts {:.2} % with margins", aborted(&m05)));
    }
    if (name == "A2" || name == "B7") && promoted > 1.0 {
        failed.push(format!("{name} is promoted in {promoted:.2} %"));
    }
    let proven: Vec<String> = (0..4)
        .map(|step| format!("{:.0}", 100.0 * outcomes.iter().filter(|o| o.proven_by_step[step]).count() as f64 / count))
        .collect();
    println!("{promoted:6.1}   {} (proof by stage: {} %)", scenario.what, proven.join(" / "));
}

fn simulate(scenario: &Scenario, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let errors = MetricName::new("errors").expect("a name");
    let latency = MetricName::new("latency").expect("a name");
    let judge = |error_margin: f64, latency_margin: f64, alpha: f64| {
        let mut watch = [Watch::errors(), Watch::latency()];
        if let [Watch::Errors { margin: e, .. }, Watch::Latency { margin: l, .. }] = &mut watch {
            (*e, *l) = (error_margin, latency_margin);
        }
        let [e, l] = watch;
        let metrics = vec![Watched::required(errors.clone(), e), Watched::required(latency.clone(), l)];
        Sequential { alpha, ..Sequential::new(4, metrics) }
    };
    let (plain, margins) = (judge(1.0, 0.0, 0.05), judge(1.2, 0.10, 0.05));
    let pods = Pods::new(scenario.pods, &mut rng);
    let per_minute = 60.0 * scenario.requests_per_second;
    let before = {
        let mut histogram = Histogram::new();
        let requests = poisson(10.0 * per_minute, &mut rng);
        fill(&mut histogram, requests, (scenario.baseline)(0.0), &[(0.0, 1.0)], &mut rng);
        BTreeMap::from([(latency.clone(), histogram)])
    };
    let mut plain_state = plain.begin_after(&before).expect("a configuration that makes sense");
    let mut margin_state = margins.begin_after(&before).expect("a configuration that makes sense");
    let mut outcome = Outcome {
        plain: [None; 2],
        margins: [None; 2],
        promoted: false,
        proven_by_step: [false; 4],
        peers: peers::Aborted::default(),
    };
    let mut peers = peers::Peers::new();
    for minute in 0..MINUTES {
        let stage = minute / 10;
        let share = STEPS[stage];
        let all = poisson(per_minute, &mut rng);
        let in_candidate = binomial(all, share, &mut rng);
        let mut arms: [Vec<(Counts, Histogram)>; 2] = [Vec::new(), Vec::new()];
        for (side, requests) in [(0, in_candidate), (1, all - in_candidate)] {
            let what = if side == 0 { scenario.candidate } else { scenario.baseline }(minute as f64);
            let serving = pods.serving(side == 0, share);
            for (requests, what) in endpoints(scenario, side, requests, what, &mut rng) {
                let mut histogram = Histogram::new();
                let bad = fill(&mut histogram, requests, what, &serving, &mut rng);
                arms[side].push((Counts::new(requests, bad).expect("fewer than all"), histogram));
            }
        }
        let [(c, ch), (b, bh)] = [0, 1].map(|side| together(&arms[side]));
        peers.take(minute + 1, [c, b], [&ch, &bh]);
        let window = Window::ending(Timestamp(60_000 * (minute as i64 + 1)), Duration::from_secs(60));
        let [candidate, baseline] = arms;
        let mut batches = Vec::new();
        for (stratum, (c, b)) in candidate.into_iter().zip(baseline).enumerate() {
            let stratum = scenario.checkout.map(|_| StratumName::new(["checkout", "search"][stratum]).expect("a name"));
            let first = stratum.as_ref().is_none_or(|stratum| stratum.as_str() == "checkout");
            let key = BatchKey { stratum, ..BatchKey::new(stage as u32, minute as u64) };
            let mut batch = Batch::new(key, window)
                .youngest(Duration::from_secs(if scenario.name == "A3" { 60 * minute as u64 } else { 600 }))
                .metric(errors.clone(), Paired::Counts { candidate: c.0, baseline: b.0 })
                .metric(latency.clone(), Paired::Histograms { candidate: c.1, baseline: b.1 });
            // The share is of all traffic.
            if first {
                let (candidate, baseline) = (in_candidate, all - in_candidate);
                batch = batch.traffic(Traffic { candidate, baseline, share: Real::new(share).expect("finite") });
            }
            batches.push(batch);
        }
        plain.take_window(&mut plain_state, &batches).expect("batches that fit");
        margins.take_window(&mut margin_state, &batches).expect("batches that fit");
        let plain_harm = plain.totals(&plain_state).expect("its own state").ln_harm;
        let totals = margins.totals(&margin_state).expect("its own state");
        for (at, alpha) in [0.05f64, 0.01].into_iter().enumerate() {
            if plain_harm >= -alpha.ln() {
                outcome.plain[at].get_or_insert(minute + 1);
            }
            if totals.ln_harm >= -alpha.ln() {
                outcome.margins[at].get_or_insert(minute + 1);
            }
        }
        let look = Look { stage: stage as u32, observed_for: Duration::from_secs(60 * (minute as u64 % 10 + 1)) };
        let verdict = margins.verdict(&margin_state, &look).expect("its own state");
        outcome.promoted |= verdict.cause == Cause::Proven;
        outcome.proven_by_step[stage] |= verdict.cause == Cause::Proven;
    }
    outcome.peers = peers.aborted();
    outcome
}

/// The requests of each endpoint, and what they meet there.
fn endpoints(scenario: &Scenario, side: usize, requests: u64, what: Arm, rng: &mut ChaCha8Rng) -> Vec<(u64, Arm)> {
    let Some(checkout) = scenario.checkout else { return vec![(requests, what)] };
    let there = binomial(requests, checkout[side], rng);
    let slow = Arm { errors: 3.0 * what.errors, slower: what.slower + std::f64::consts::LN_2, ..what };
    vec![(there, slow), (requests - there, what)]
}

/// All endpoints of an arm.
fn together(arms: &[(Counts, Histogram)]) -> (Counts, Histogram) {
    let mut both = (Counts::default(), Histogram::new());
    for (counts, histogram) in arms {
        both.0 = both.0.plus(*counts);
        both.1.merge(histogram).expect("far from full");
    }
    both
}

/// Serves requests: their times go into the histogram, the number of errors comes back. `serving` are instances with
/// their own slowness (on the logarithm) and factor on errors.
fn fill(histogram: &mut Histogram, requests: u64, what: Arm, serving: &[(f64, f64)], rng: &mut ChaCha8Rng) -> u64 {
    let normal = Normal::new(100f64.ln() + what.slower, SPREAD).expect("a spread");
    let mut bad = 0;
    for _ in 0..requests {
        let (slower, worse) = if serving.len() == 1 { serving[0] } else { serving[rng.random_range(0..serving.len())] };
        let tail = if what.tail.0 > 0.0 && rng.random::<f64>() < what.tail.0 { what.tail.1 } else { 0.0 };
        let time = (normal.sample(rng) + slower + tail).exp();
        histogram.insert(time).expect("a size");
        bad += u64::from(rng.random::<f64>() < what.errors * worse);
    }
    bad
}

/// Instances: twenty places, of which the candidate takes its share with fresh ones.
struct Pods(Option<Vec<(f64, f64)>>);

impl Pods {
    fn new(differ: bool, rng: &mut ChaCha8Rng) -> Self {
        Self(differ.then(|| {
            let (slower, worse) =
                (Normal::<f64>::new(0.0, 0.04).expect("4 %"), Normal::<f64>::new(0.0, 0.15).expect("15 %"));
            (0..40).map(|_| (slower.sample(rng), f64::exp(worse.sample(rng)))).collect()
        }))
    }

    fn serving(&self, candidate: bool, share: f64) -> Vec<(f64, f64)> {
        let Some(pods) = &self.0 else { return vec![(0.0, 1.0)] };
        let fresh = ((20.0 * share).round() as usize).max(1);
        if candidate { pods[20..20 + fresh].to_vec() } else { pods[..20 - fresh].to_vec() }
    }
}

fn poisson(mean: f64, rng: &mut ChaCha8Rng) -> u64 {
    Poisson::new(mean).expect("a mean").sample(rng) as u64
}

fn binomial(n: u64, p: f64, rng: &mut ChaCha8Rng) -> u64 {
    Binomial::new(n, p).expect("a share").sample(rng)
}
