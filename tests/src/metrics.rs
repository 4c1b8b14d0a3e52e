//! What a daemon shows to Prometheus. Must not know which metrics there are.

/// The value of a metric with exactly these labels; none if it is not on the page.
pub fn value(page: &str, metric: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
}
