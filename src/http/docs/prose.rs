//! Descriptions: paragraphs of text with `code` and [links](https://spec.commonmark.org). That is
//! all of `CommonMark` that the contract uses.

/// Paragraphs of a description.
#[derive(Clone, Debug, PartialEq, askama::Template)]
#[template(
    ext = "html",
    source = "{% for spans in paragraphs %}<p>{% for span in spans %}{% match span %}\
        {% when Span::Text(text) %}{{ text }}\
        {% when Span::Code(text) %}<code>{{ text }}</code>\
        {% when Span::Link { text, target } %}<a href=\"{{ target }}\">{{ text }}</a>\
        {% endmatch %}{% endfor %}</p>{% endfor %}"
)]
pub(super) struct Prose {
    pub(super) paragraphs: Vec<Vec<Span>>,
}

impl askama::filters::HtmlSafe for Prose {}

/// A piece of a paragraph.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Span {
    Text(String),
    Code(String),
    Link { text: String, target: String },
}

impl Prose {
    /// Reads a description.
    pub(super) fn parse(text: &str) -> Self {
        let paragraphs = text.split("\n\n").map(str::trim);
        Self {
            paragraphs: paragraphs
                .filter(|paragraph| !paragraph.is_empty())
                .map(spans)
                .collect(),
        }
    }
}

fn spans(mut rest: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    while !rest.is_empty() {
        let plain = rest.find(['`', '[']).unwrap_or(rest.len());
        let (text, marked) = rest.split_at(plain);
        if !text.is_empty() {
            spans.push(Span::Text(text.to_owned()));
        }
        let Some((span, after)) = code(marked).or_else(|| link(marked)) else {
            // A mark that opens nothing is itself.
            let (mark, after) = marked.split_at(marked.len().min(1));
            spans.extend((!mark.is_empty()).then(|| Span::Text(mark.to_owned())));
            rest = after;
            continue;
        };
        spans.push(span);
        rest = after;
    }
    spans
}

fn code(text: &str) -> Option<(Span, &str)> {
    let (code, after) = text.strip_prefix('`')?.split_once('`')?;
    Some((Span::Code(code.to_owned()), after))
}

fn link(text: &str) -> Option<(Span, &str)> {
    let (words, after) = text.strip_prefix('[')?.split_once("](")?;
    let (target, after) = after.split_once(')')?;
    let (text, target) = (words.to_owned(), target.to_owned());
    Some((Span::Link { text, target }, after))
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use super::*;

    fn html(text: &str) -> String {
        Prose::parse(text).render().unwrap()
    }

    #[test]
    fn code_and_links_are_marked_up() {
        assert_eq!(
            html("See `aud` in\n[RFC 9068](https://rfc.example/9068).\n\nThen go on."),
            "<p>See <code>aud</code> in\n<a href=\"https://rfc.example/9068\">RFC 9068</a>.</p>\
             <p>Then go on.</p>",
        );
    }

    #[test]
    fn everything_else_is_text() {
        assert_eq!(
            html("a [b] `c <script>"),
            "<p>a [b] `c &#60;script&#62;</p>"
        );
    }
}
