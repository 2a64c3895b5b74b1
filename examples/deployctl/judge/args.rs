//! What can be asked.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Judge a candidate by its numbers beside those of a baseline.
///
/// A file is CSV with a header, or a JSON array of objects, with these columns or fields:
///
///   metric   its name; without the column all rows are of one metric called `value`
///   window   the number of the window, from 0; what is missing from both files is not there, and without the
///            column everything is one window, whose counts add up (for `kayenta` each value is then a point)
///   stage    the stage of the rollout that the window is of, a whole number from 0 that never goes down; without
///            the column all windows are of stage 0. `sequential` and `kayenta` judge the newest stage, and to
///            `sequential` harm in an earlier one counts too; `threshold` and `burn-rate` judge all of them alike
///   stratum  the part of the traffic that the row is of, a zone or an endpoint: `sequential` compares each with itself,
///            so that another mix of them is no harm; without the column rows are of all traffic
///   value    one sample, or the number of its window
///   events   how many events the window had, and
///   bad      how many of them were bad
///
/// Nothing else is read, and nothing is guessed: what cannot be read, what is counted twice for one window, and what
/// the method cannot take is named with its file, line and column.
///
/// With --json one object is printed: `method`, `verdict`, `warnings`, `power`, and of a sequential judge `lines`
/// (for each metric and quantile the odds ratio after each window: `estimate`, `low`, `high`) and what was `decided`
/// after which window.
///
/// Exit codes: 0 promote; 1 roll back; 2 the arguments or a file cannot be read; 3 it cannot be told, or not yet;
/// 4 the numbers cannot be judged by this method.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Numbers of the version that serves now.
    pub(crate) baseline: PathBuf,

    /// Numbers of the version that is being released.
    pub(crate) candidate: PathBuf,

    /// What the files are; by default what their names end in.
    #[arg(long)]
    pub(crate) format: Option<Format>,

    /// Who judges.
    #[arg(long, default_value = "sequential")]
    pub(crate) method: Method,

    /// A judge as JSON, instead of a method: what stands in a plan under `judge`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "alpha", "objective", "negligible", "at_most", "at_least"])]
    pub(crate) config: Option<PathBuf>,

    /// The chance of taking chance for harm: 0.01 unless said otherwise.
    #[arg(long, value_parser = share)]
    pub(crate) alpha: Option<f64>,

    /// For `sequential`: the share of bad events below which nobody minds them. Without it two arms that have next to none cannot be told
    /// apart, however much traffic there is.
    #[arg(long, value_parser = share)]
    pub(crate) negligible: Option<f64>,

    /// For `rank`, `means` and `proportions`: up to which share of the baseline's size more is no harm.
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    pub(crate) tolerance: f64,

    /// How long a window is, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) window: u64,

    /// For `burn-rate`: the share of good events that is promised, for example 0.999.
    #[arg(long, value_parser = share)]
    pub(crate) objective: Option<f64>,

    /// For `threshold`: the largest number that is good.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) at_most: Option<f64>,

    /// For `threshold`: the smallest number that is good.
    #[arg(long, allow_negative_numbers = true, conflicts_with = "at_most")]
    pub(crate) at_least: Option<f64>,

    /// For `threshold`: which of the samples of a window is held against the limit, from 0 to 1.
    #[arg(long, value_parser = share)]
    pub(crate) quantile: Option<f64>,

    /// The judgement as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the judgement as a page, Markdown or HTML by what the name ends in (.md, .html).
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Window by window, may be looked at any time; errors by counts, latency by samples.
    Sequential,
    /// Mann–Whitney's test and Hodges' and Lehmann's shift, on all samples, once.
    Rank,
    /// Welch's test of the means, on all samples, once.
    Means,
    /// Two shares of bad events, once.
    Proportions,
    /// As Kayenta does with its own defaults, where more is worse; each window is a point, or else each value.
    Kayenta,
    /// How fast an error budget burns; needs --objective.
    BurnRate,
    /// Each window against a limit; needs --at-most or --at-least.
    Threshold,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err("a number above 0 and below 1 is needed".to_owned()),
    }
}
