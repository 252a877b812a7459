//! As much of an HTML parser as our own pages need: text is escaped, attributes have double quotes
//! or no value.

/// A start tag.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    pub(super) fn get(&self, attribute: &str) -> Option<&'a str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(name, _)| *name == attribute)
            .map(|(_, value)| *value)
    }
}

/// All start tags of a page.
pub(super) fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    for piece in page.split('<').skip(1) {
        let (inside, _) = piece.split_once('>').expect("a tag ends");
        if inside.starts_with(['/', '!']) {
            continue;
        }
        let inside = inside.trim_end_matches('/');
        let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
        let mut attributes = Vec::new();
        rest = rest.trim_start();
        while !rest.is_empty() {
            let end = rest.find(['=', ' ']).unwrap_or(rest.len());
            let (attribute, after) = rest.split_at(end);
            assert!(
                !after.starts_with('=') || after.starts_with("=\""),
                "no quotes: {inside}"
            );
            let quoted = after.strip_prefix("=\"");
            let (value, after) = quoted.map_or(("", after), |quoted| {
                quoted.split_once('"').expect("a value ends")
            });
            attributes.push((attribute, value));
            rest = after.trim_start();
        }
        tags.push(Tag { name, attributes });
    }
    tags
}

/// All pieces of text of a page.
pub(super) fn texts(page: &str) -> Vec<String> {
    page.split('<')
        .filter_map(|piece| piece.split_once('>'))
        .map(|(_, text)| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}
