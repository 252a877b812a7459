//! What the service counts itself: `/metrics` in the text format of Prometheus.

/// The metrics of one moment.
pub(crate) struct Counters(String);

impl Counters {
    pub(super) fn of_text(text: String) -> Self {
        Self(text)
    }

    /// The sum of the samples with this name whose labels contain `label`; an empty one is in all.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let value: f64 = value.split(' ').next()?.parse().ok()?;
            labels.contains(label).then_some(value)
        });
        // `sum` would make a negative zero of none.
        samples.fold(0.0, |sum, value| sum + value)
    }

    /// By how much that sum has grown since `earlier`.
    pub(crate) fn growth(&self, earlier: &Self, name: &str, label: &str) -> f64 {
        self.sum(name, label) - earlier.sum(name, label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_label() {
        let text = "# HELP refreshes Uses.\n# TYPE refreshes counter\n\
            refreshes_total{outcome=\"rotated\"} 5\nrefreshes_total{outcome=\"refused\"} 2\n\
            refreshes 9\nqueue 3\n# EOF\n";
        let counters = Counters::of_text(text.to_owned());
        let is = |name, label, value: f64| (counters.sum(name, label) - value).abs() < 1e-9;
        assert!(is("refreshes_total", "", 7.0));
        assert!(is("refreshes_total", "outcome=\"rotated\"", 5.0));
        assert!(is("queue", "", 3.0));
        assert!(is("nothing", "", 0.0));
        assert!(counters.growth(&counters, "queue", "").abs() < 1e-9);
    }
}
