//! What people have written about figures: `notes.md`, a heading for each.

use std::collections::HashMap;

/// Why a figure is what it is, by its name.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<String, String>);

impl Notes {
    /// From the file in the source.
    pub(super) fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/notes.md");
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    /// A section for each heading of the second level; what stands before the first is about the
    /// file.
    pub(super) fn parse(text: &str) -> Self {
        let sections = text.split("\n## ").skip(1);
        let notes = sections.filter_map(|section| {
            let (name, body) = section.split_once('\n')?;
            let body = body.trim();
            (!body.is_empty()).then(|| (name.replace('`', "").trim().to_owned(), body.to_owned()))
        });
        Self(notes.collect())
    }

    /// Of a figure on this database, or on any.
    pub(super) fn find(&self, figure: &str, database: &str) -> Option<&str> {
        let special = self.0.get(&format!("{figure} ({database})"));
        special.or_else(|| self.0.get(figure)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_by_figure_and_database() {
        let notes = Notes::parse(
            "# Notes\n\nAbout them.\n\n## `token ratio`\n\nBecause.\n\nAnd so on.\n\n\
             ## refresh ratio (postgres)\n\nThe driver.\n\n## empty\n\n",
        );
        assert_eq!(
            notes.find("token ratio", "sqlite"),
            Some("Because.\n\nAnd so on.")
        );
        assert_eq!(notes.find("refresh ratio", "postgres"), Some("The driver."));
        assert_eq!(notes.find("refresh ratio", "sqlite"), None);
        assert_eq!(notes.find("empty", "sqlite"), None);
    }
}
