//! Refuses limits that cannot mean what they say.

use std::collections::BTreeSet;

use deploy_core::monitor::Comparison;

use super::limits::{Limit, NoData};
use super::metric::MetricLimits;
use crate::refusal::{Problems, Refused};

/// `shared`: how many failed checks of all metrics together are too many, where that is counted.
pub(super) fn check(metrics: &[MetricLimits], shared: Option<Limit>) -> Result<(), Refused> {
    let mut problems = Problems::default();
    problems.require(!metrics.is_empty(), "metrics", "there is none", "at least one metric");
    let mut seen = BTreeSet::new();
    for (i, metric) in metrics.iter().enumerate() {
        let at = |field: &str| format!("metrics[{i}].{field}");
        let fresh = seen.insert((&metric.metric, metric.of, metric.condition));
        problems.require(fresh, at("metric"), format!("{} stands here twice alike", metric.metric), "each limit once");
        let conditions = metric.condition.success.is_some() || metric.condition.failure.is_some();
        problems.require(
            conditions,
            at("condition"),
            "neither success nor failure is given, so every number would be good",
            "success, failure or both",
        );
        let own = metric.failure_limit.is_some() || metric.consecutive_failure_limit.is_some();
        let can_fail = own || shared.is_some();
        problems.require(
            can_fail,
            at("failure_limit"),
            "neither failure_limit nor consecutive_failure_limit is given, so nothing could ever fail",
            "failure_limit, consecutive_failure_limit or both, for example {compare: \">\", count: 2}",
        );
        let own = metric.errors.limit.is_some() || metric.errors.consecutive_limit.is_some();
        let errors = own || shared.is_some();
        problems.require(
            errors,
            at("errors"),
            "neither limit nor consecutive_limit is given, so errors would go on for ever",
            "limit, consecutive_limit or both",
        );
        for (field, limit) in limits(metric) {
            limit_says_what_it_means(&mut problems, &at(field), limit);
        }
        if let Some(quantile) = metric.quantile {
            let inside = (0.0..=1.0).contains(&quantile.get());
            problems.require(inside, at("quantile"), format!("{quantile} is no share"), "0 to 1, for example 0.99");
        }
        let interval = metric.interval.is_none_or(|interval| !interval.is_zero());
        problems.require(interval, at("interval"), "it is 0s", "more than 0s");
        if let NoData::Ignore { reason } = &metric.no_data {
            let given = !reason.trim().is_empty();
            problems.require(given, at("no_data.ignore.reason"), "it is empty", "why absence does not matter");
        }
        if let Some(count) = metric.count {
            let failures = metric.failure_limit.map_or(0, |limit| limit.least().saturating_sub(1));
            let successes = metric.consecutive_success_limit.map_or(0, Limit::least);
            let least = failures.saturating_add(successes).max(1);
            problems.require(
                count >= least,
                at("count"),
                format!("{count} measurements can reach neither limit"),
                format!("at least {least}: the tolerated failures and the wanted successes in a row"),
            );
            let doubts = metric.inconclusive_limit.map_or(0, |limit| limit.least().saturating_sub(1));
            let reachable = count >= doubts;
            problems.require(
                reachable,
                at("inconclusive_limit"),
                format!("{count} measurements cannot reach it"),
                format!("at most {count}"),
            );
        }
    }
    if let Some(limit) = shared {
        limit_says_what_it_means(&mut problems, "failed_checks", limit);
    }
    problems.finish("a threshold judge")
}

fn limits(metric: &MetricLimits) -> impl Iterator<Item = (&'static str, Limit)> {
    let all = [
        ("failure_limit", metric.failure_limit),
        ("consecutive_failure_limit", metric.consecutive_failure_limit),
        ("errors.limit", metric.errors.limit),
        ("errors.consecutive_limit", metric.errors.consecutive_limit),
        ("inconclusive_limit", metric.inconclusive_limit),
        ("consecutive_success_limit", metric.consecutive_success_limit),
    ];
    all.into_iter().filter_map(|(field, limit)| limit.map(|limit| (field, limit)))
}

fn limit_says_what_it_means(problems: &mut Problems, at: &str, limit: Limit) {
    let upward = matches!(limit.compare, Comparison::Greater | Comparison::AtLeast);
    problems.require(
        upward,
        format!("{at}.compare"),
        format!("{} would be reached by the very first count", limit.compare),
        "> or >=",
    );
    let reachable = !(limit.compare == Comparison::AtLeast && limit.count == 0);
    problems.require(reachable, format!("{at}.count"), "≥ 0 is reached before anything happened", "at least 1 with >=");
}
