//! Sizes that others have counted: histograms and sketches of other formats, as ours.
//!
//! Each bin of the other format goes, whole, to one bin of ours: that of the size that stands for it. So merging before or
//! after is the same, to the last count, and whether an event is "at or above a threshold" is decided by its bin in the same way
//! for both arms, which is all that a comparison needs: the guarantees of the sequential judge hold as they are. What is lost is
//! resolution: a limit in absolute terms is off by at most a bin of theirs and a bin of ours (1.6 %).
//!
//! | format | read by | how exact |
//! |---|---|---|
//! | HdrHistogram, V2, plain or compressed, bytes or base 64 | [`hdr`] (feature `hdr`) | with two digits or more and a unit that is a power of two, its bins lie wholly in ours |
//! | DDSketch, protocol buffers, logarithmic mapping | [`ddsketch`] | its relative accuracy, twice at the worst |
//! | anything else that is counted by size | [`of_bins`] | as its bins |
//!
//! t-digests are not read: how many of their values lie above a threshold is interpolated, and a count must be a count.

pub mod ddsketch;
#[cfg(feature = "hdr")]
pub mod hdr;

use deploy_core::monitor::{Histogram, HistogramError};

/// A histogram or sketch that cannot be taken over. Nothing of it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
    /// The bytes are not of the format: check what wrote them, and whether they were cut off.
    #[error("not {format}: {why}")]
    Malformed {
        /// Which format was expected.
        format: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It is of the format, but of a kind that we do not read.
    #[error("{format} with {what} is not read")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What about it.
        what: String,
    },
    /// A size is not finite and at least zero, or a bin is full.
    #[error(transparent)]
    Size(#[from] HistogramError),
}

/// A histogram of bins: the size that stands for each, in the metric's unit, and how often it was counted.
///
/// ```
/// use deploy_strategies::analysis::sketch::of_bins;
///
/// let latency = of_bins([(5.0, 90), (10.0, 9), (250.0, 1)])?;
/// assert_eq!(latency.count(), 100);
/// # Ok::<(), deploy_strategies::analysis::sketch::SketchError>(())
/// ```
///
/// # Errors
///
/// [`SketchError::Size`] if a size is negative or not finite, or a bin of ours would pass 4,294,967,295.
pub fn of_bins(bins: impl IntoIterator<Item = (f64, u64)>) -> Result<Histogram, SketchError> {
    let mut histogram = Histogram::new();
    for (size, count) in bins {
        let count = u32::try_from(count).map_err(|_| HistogramError::Full)?;
        histogram.insert_many(size, count)?;
    }
    Ok(histogram)
}
