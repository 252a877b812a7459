//! Figures as people read them.

/// Three significant digits at least, thousands apart: `0.0123`, `1.08`, `4,386`.
pub(super) fn readable(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 || size >= 100.0 {
        return with_thousands(&format!("{value:.0}"));
    }
    let digits = match size {
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// A figure that may be missing.
pub(super) fn readable_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), readable)
}

fn with_thousands(digits: &str) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        for (value, text) in [
            (0.0123, "0.012"),
            (1.078_9, "1.08"),
            (32.71, "32.7"),
            (100.0, "100"),
            (4_386.297, "4,386"),
            (10_000_000.0, "10,000,000"),
            (-1_234.0, "-1,234"),
            (8.0, "8"),
        ] {
            assert_eq!(readable(value), text);
        }
        assert_eq!(readable_or_dash(None), "–");
    }
}
