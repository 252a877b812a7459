//! Statements for several rows at once.

/// A statement for so many rows.
pub(super) struct Together {
    pub(super) rows: usize,
    pub(super) text: String,
}

/// The same statement in few sizes, so that each is prepared once.
pub(super) struct Sizes([Together; 3]);

impl Sizes {
    /// How many rows the largest has.
    pub(super) const MOST: usize = 64;

    /// Takes the text of the statement for a number of rows.
    pub(super) fn new(text: impl Fn(usize) -> String) -> Self {
        Self([4, 16, Self::MOST].map(|rows| Together {
            rows,
            text: text(rows),
        }))
    }

    /// The smallest that is large enough, or else the largest.
    pub(super) fn for_rows(&self, rows: usize) -> &Together {
        let Self([few, some, most]) = self;
        [few, some]
            .into_iter()
            .find(|size| rows <= size.rows)
            .unwrap_or(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_large_enough_and_no_larger_than_it_must_be() {
        let sizes = Sizes::new(|rows| format!("{rows} rows"));
        for (rows, expected) in [
            (0, 4),
            (1, 4),
            (4, 4),
            (5, 16),
            (16, 16),
            (17, 64),
            (64, 64),
        ] {
            let size = sizes.for_rows(rows);
            assert_eq!(
                (size.rows, size.text.as_str()),
                (expected, format!("{expected} rows").as_str())
            );
        }
        assert_eq!(Sizes::MOST, sizes.for_rows(1_000).rows);
    }
}
