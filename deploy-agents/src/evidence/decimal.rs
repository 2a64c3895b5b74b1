//! Decimal numbers by the customs of several countries.

/// A decimal number. A comma before exactly three digits, with a point after it, groups; a single comma without a point and
/// not before exactly three digits is a decimal one. `1,234` could be either and is refused.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = |text: &str| {
        let shape = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        shape.then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
    };
    match (text.matches(',').count(), text.split_once('.')) {
        (0, _) => plain(text),
        (_, Some((whole, fraction))) => {
            let mut groups = whole.split(',');
            let first = groups.next().is_some_and(|g| (1..=3).contains(&g.len()));
            let grouped = first && groups.all(|g| g.len() == 3) && !fraction.contains(',');
            grouped.then(|| plain(&text.replace(',', ""))).flatten()
        }
        (1, None) => {
            let (whole, fraction) = text.split_once(',')?;
            let ambiguous = fraction.len() == 3 && !whole.trim_start_matches('0').is_empty();
            (!ambiguous).then(|| plain(&text.replace(',', "."))).flatten()
        }
        (_, None) => None,
    }
}
