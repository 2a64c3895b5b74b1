//! A confidence sequence as a picture.

use std::fmt::Write as _;

use deploy_core::monitor::Advice;

use super::sequential::{Decided, TraceLine};
use super::verdict::short;

/// Draws what was known of an odds ratio look by look: the band that it lies in at every look, the estimate, a line at one,
/// a dashed one at the margin, and an upright one where it was decided. The picture is a complete SVG document without references to
/// anything outside.
#[must_use]
pub fn confidence_sequence(line: &TraceLine, margin: f64, decided: Option<Decided>) -> String {
    let title = line.quantile.map_or_else(
        || format!("{}: odds ratio", line.metric),
        |quantile| format!("{}, {} %: odds ratio of being slower", line.metric, short(100.0 * quantile)),
    );
    let first = line.points.first().map_or(0, |point| point.at.0);
    let last = line.points.last().map_or(1, |point| point.at.0).max(first + 1);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a rollout are few")]
    let x = |at: i64| LEFT + WIDE * (at - first) as f64 / (last - first) as f64;
    let y = |ratio: f64| {
        let part = libm::log(ratio.clamp(1.0 / REACH, REACH) * REACH) / (2.0 * libm::log(REACH));
        TOP + HIGH * (1.0 - part)
    };
    let mut svg = String::new();
    let (width, height) = (LEFT + WIDE + 20.0, TOP + HIGH + 40.0);
    // Writing to a string does not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"12\"><title>{0}</title><rect width=\"{width}\" height=\"{height}\" \
         fill=\"#fff\"/><text x=\"{LEFT}\" y=\"20\">{0}</text>",
        escaped(&title)
    );
    for ratio in [1.0 / REACH, 0.5, 1.0, 2.0, REACH] {
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"{2}\"/><text x=\"{3}\" y=\"{4:.1}\" \
             text-anchor=\"end\">{5}</text>",
            LEFT + WIDE,
            y(ratio),
            if (ratio - 1.0).abs() < 1e-9 { "#333" } else { "#ddd" },
            LEFT - 6.0,
            y(ratio) + 4.0,
            short(ratio)
        );
    }
    let _ = write!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#c00\" stroke-dasharray=\"4 3\"/>",
        LEFT + WIDE,
        y(margin)
    );
    let mut upper = String::new();
    let mut lower: Vec<String> = Vec::new();
    let mut middle = String::new();
    for point in &line.points {
        let at = x(point.at.0);
        let _ = write!(upper, "{at:.1},{:.1} ", y(point.high.unwrap_or(REACH)));
        lower.push(format!("{at:.1},{:.1} ", y(point.low.unwrap_or(1.0 / REACH))));
        if let Some(estimate) = point.estimate {
            let _ = write!(middle, "{at:.1},{:.1} ", y(estimate));
        }
    }
    let lower: String = lower.into_iter().rev().collect();
    let _ = write!(
        svg,
        "<polygon points=\"{}\" fill=\"#48c\" fill-opacity=\"0.25\"/><polyline points=\"{}\" fill=\"none\" \
         stroke=\"#048\" stroke-width=\"2\"/>",
        (upper + &lower).trim_end(),
        middle.trim_end()
    );
    if let Some(decided) = decided.filter(|decided| (first..=last).contains(&decided.at.0)) {
        let at = x(decided.at.0);
        let (word, colour) = match decided.advice {
            Advice::RollBack => ("roll back", "#c00"),
            Advice::Warn => ("warn", "#a60"),
            Advice::Promote => ("promote", "#070"),
            Advice::Continue => ("continue", "#333"),
        };
        // The words stand on the side where there is room.
        let (anchor, words) = if at > LEFT + WIDE / 2.0 { ("end", at - 4.0) } else { ("start", at + 4.0) };
        let _ = write!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{words:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{word}</text>",
            TOP + HIGH,
            TOP + 14.0
        );
    }
    let minutes = (last - first) / 60_000;
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0}\">0 min</text><text x=\"{1}\" y=\"{0}\" text-anchor=\"end\">{minutes} min</text></svg>",
        TOP + HIGH + 24.0,
        LEFT + WIDE
    );
    svg
}

/// The picture's frame, in its own units.
const LEFT: f64 = 50.0;
const TOP: f64 = 34.0;
const WIDE: f64 = 560.0;
const HIGH: f64 = 240.0;
/// Odds ratios are drawn from a fifth to fivefold.
const REACH: f64 = 5.0;

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Advice;
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;

    use super::{confidence_sequence, escaped};
    use crate::analysis::sequential::{Decided, TraceLine, TracePoint};

    #[test]
    fn the_band_narrows_from_left_to_right() {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let line = TraceLine {
            metric: MetricName::new("errors").expect("a name"),
            quantile: None,
            points: vec![
                TracePoint { at: at(0), estimate: None, low: None, high: None },
                TracePoint { at: at(1), estimate: Some(1.5), low: Some(0.5), high: Some(4.0) },
                TracePoint { at: at(2), estimate: Some(1.4), low: Some(1.0), high: Some(2.0) },
            ],
        };
        let decided = Decided { at: at(2), advice: Advice::RollBack };
        let svg = confidence_sequence(&line, 1.2, Some(decided));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert!(svg.contains("<title>errors: odds ratio</title>"));
        assert!(svg.contains("2 min"));
        // The first point has no bound: the band spans the whole frame there.
        assert!(svg.contains("points=\"50.0,34.0 330.0,"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains("x1=\"610.0\" x2=\"610.0\"") && svg.contains(">roll back</text>"), "{svg}");
        assert!(!svg.contains("NaN"));
        assert!(!confidence_sequence(&line, 1.2, None).contains("roll back"));
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escaped("<a&\"b>"), "&lt;a&amp;&quot;b&gt;");
    }
}
