//! What a judgement costs: the rank test against sorting and against SciPy on the same data, an update of the sequential judge, an insert
//! into a histogram against an increment, and what is remembered of a metric.
//!
//! SciPy is asked through the Python named by `PYTHON`, or `python3`; without it that comparison is left out, and said so.

use std::hint::black_box;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use deploy_benches::{line, middle, spent};
use deploy_core::monitor::{Batch, BatchKey, Counts, Histogram, Paired, Window};
use deploy_core::name::MetricName;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::rank::Ranks;
use deploy_strategies::analysis::sequential::{Sequential, Watch, Watched};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    rank_test(&mut rng);
    sequential_update(&mut rng);
    histogram_insert(&mut rng);
}

/// Milliseconds of the middle pass.
fn milliseconds(passes: usize, mut work: impl FnMut()) -> f64 {
    middle((0..passes).map(|_| spent(&mut work).0).collect()).as_secs_f64() * 1e3
}

fn rank_test(rng: &mut ChaCha8Rng) {
    println!("rank test (Mann-Whitney, normal, ties corrected), processor time, middle of several passes\n");
    let times = LogNormal::new(100f64.ln(), 0.6).expect("a spread");
    for (n, passes) in [(1_000, 201), (100_000, 15), (1_000_000, 5)] {
        let mut sample = |factor: f64| (0..n).map(|_| factor * times.sample(rng)).collect::<Vec<f64>>();
        let (x, y) = (sample(1.001), sample(1.0));
        // The peer sorts the same keys, both samples' together, from the same disorder.
        let keys: Vec<u64> = x.iter().chain(&y).map(|value| value.to_bits() ^ (1 << 63)).collect();
        let (mut ours, mut sorting) = (Vec::new(), Vec::new());
        let mut chance = 0.0;
        for _ in 0..passes {
            ours.push(
                spent(|| chance = Ranks::of(black_box(&x), black_box(&y)).expect("finite").normal(true).differs).0,
            );
            let mut copy = keys.clone();
            sorting.push(spent(|| black_box(&mut copy).sort_unstable()).0);
        }
        let (ours, sorting) = (middle(ours).as_secs_f64() * 1e3, middle(sorting).as_secs_f64() * 1e3);
        let what = format!("{n} a side: {ours:.3} ms; ratio to sort_unstable of the same keys");
        line(&what, ours / sorting, "≤ 1.5", ours / sorting <= 1.5);
        match scipy(&x, &y, if n < 1_000_000 { 5 } else { 3 }) {
            Ok((theirs, their_chance)) => {
                let same = (their_chance - chance).abs() <= 1e-9 * chance.max(1e-300);
                let what = format!("{n} a side: SciPy {theirs:.2} ms for the same p-value; how many times as fast");
                line(&what, theirs / ours, "≥ 5, same p", theirs / ours >= 5.0 && same);
            }
            Err(why) => println!("{n} a side: no comparison with SciPy: {why}"),
        }
    }
}

/// Milliseconds of the best pass, and the p-value.
fn scipy(x: &[f64], y: &[f64], passes: usize) -> Result<(f64, f64), String> {
    const SCRIPT: &str = "
import sys, time
import numpy
from scipy.stats import mannwhitneyu
both = numpy.fromfile(sys.argv[1])
x, y = both[:len(both) // 2], both[len(both) // 2:]
best = None
for _ in range(int(sys.argv[2])):
    began = time.process_time()
    result = mannwhitneyu(x, y, alternative='two-sided', method='asymptotic')
    spent = time.process_time() - began
    best = spent if best is None else min(best, spent)
print(best * 1e3, repr(float(result.pvalue)))
";
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let bytes: Vec<u8> = x.iter().chain(y).flat_map(|value| value.to_le_bytes()).collect();
    file.write_all(&bytes).map_err(|error| error.to_string())?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).args(["-c", SCRIPT]).arg(file.path()).arg(passes.to_string()).output();
    let output = output.map_err(|error| format!("{python}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map_while(|number| number.parse::<f64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(best), Some(chance)) => Ok((best, chance)),
        _ => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it said nothing").to_owned()),
    }
}

fn sequential_update(rng: &mut ChaCha8Rng) {
    println!(
        "\nsequential judge: one batch of a minute, 6,000 and 600,000 requests, a tenth of them the candidate's\n"
    );
    let (errors, latency) = (MetricName::new("errors").expect("a name"), MetricName::new("latency").expect("a name"));
    let times = LogNormal::new(100f64.ln(), 0.6).expect("a spread");
    for requests in [6_000_u64, 600_000] {
        let batches: Vec<Batch> = (0..40)
            .map(|minute| {
                let mut arm = |n: u64| {
                    let mut histogram = Histogram::new();
                    (0..n).for_each(|_| histogram.insert(times.sample(rng)).expect("a size"));
                    let bad = (0..n).filter(|_| rng.random::<f64>() < 0.01).count() as u64;
                    (Counts::new(n, bad).expect("fewer than all"), histogram)
                };
                let ((c, ch), (b, bh)) = (arm(requests / 10), arm(requests - requests / 10));
                let window = Window::ending(Timestamp(60_000 * (minute + 1)), Duration::from_secs(60));
                Batch::new(BatchKey::new((minute / 10) as u32, minute as u64), window)
                    .metric(errors.clone(), Paired::Counts { candidate: c, baseline: b })
                    .metric(latency.clone(), Paired::Histograms { candidate: ch, baseline: bh })
            })
            .collect();
        for (what, watched) in [
            ("errors", vec![Watched::required(errors.clone(), Watch::errors())]),
            ("latency at three quantiles", vec![Watched::required(latency.clone(), Watch::latency())]),
        ] {
            let judge = Sequential::new(4, watched);
            let mut state = judge.begin().expect("figures that make sense");
            let all = milliseconds(9, || {
                state = judge.begin().expect("figures that make sense");
                batches.iter().for_each(|batch| {
                    judge.take(&mut state, batch).expect("a batch that fits");
                });
            });
            let each = all / batches.len() as f64;
            line(&format!("{requests} requests, {what}: ms a batch"), each, "≤ 1", each <= 1.0);
            let size = serde_json::to_string(&state).expect("written").len() as f64;
            line(&format!("{requests} requests, {what}: bytes remembered"), size, "≤ 2048", size <= 2048.0);
        }
    }
}

fn histogram_insert(rng: &mut ChaCha8Rng) {
    println!("\nhistogram: an insert of a latency against an increment in an array of as many counters\n");
    let times = LogNormal::new(100f64.ln(), 0.6).expect("a spread");
    let values: Vec<f64> = (0..2_000_000).map(|_| times.sample(rng)).collect();
    let mut histogram = Histogram::new();
    let slots: Vec<u16> =
        values.iter().map(|value| ((value.to_bits() >> 46) % Histogram::BINS as u64) as u16).collect();
    let (mut inserts, mut increments) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        inserts.push(spent(|| black_box(&values).iter().for_each(|value| histogram.insert(*value).expect("a size"))).0);
        let mut bins = vec![0_u32; Histogram::BINS];
        increments.push(
            spent(|| {
                black_box(&slots).iter().for_each(|slot| bins[usize::from(*slot)] += 1);
                black_box(&mut bins);
            })
            .0,
        );
    }
    let per = |time: Duration| time.as_secs_f64() * 1e9 / values.len() as f64;
    let (insert, increment) = (per(middle(inserts)), per(middle(increments)));
    let what = format!("{insert:.2} ns an insert, {increment:.2} ns an increment; ratio");
    line(&what, insert / increment, "≤ 3", insert / increment <= 3.0);
}
