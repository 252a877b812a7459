//! Reads our own pages. They are well-formed, and this insists on it: every element is closed, no id
//! is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use html5gum::{DefaultEmitter, HtmlString, Token, Tokenizer};

/// Elements without an end tag (HTML §13.1.2).
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// A page that was read.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// In the order of their start tags.
    pub(crate) elements: Vec<Element>,
    text: String,
}

/// An element with what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Its text within the document's.
    text: Range<usize>,
    /// The index of the form that it is in.
    form: Option<usize>,
}

/// A form with what a browser would send.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// As written; empty means the page's own address.
    pub(crate) action: String,
    /// `get` or `post`.
    pub(crate) method: String,
    /// Name and value of each field but the buttons, hidden ones included.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) buttons: Vec<Button>,
}

/// A button that sends its form.
#[derive(Clone, Debug)]
pub(crate) struct Button {
    pub(crate) id: String,
    /// Empty when the button says nothing to the server.
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Document {
    /// # Panics
    /// When it is not well-formed.
    pub(crate) fn read(html: &str) -> Self {
        let mut document = Self {
            elements: Vec::new(),
            text: String::new(),
        };
        let mut open: Vec<usize> = Vec::new();
        let mut emitter = DefaultEmitter::default();
        // So that the text of scripts and styles is none of ours.
        emitter.naively_switch_states(true);
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            match token {
                Token::StartTag(tag) => {
                    let attributes = tag.attributes.into_iter();
                    let index = document.open(
                        string(&tag.name),
                        attributes.map(|(name, value)| (string(&name), string(&value.value))),
                        &open,
                    );
                    if !VOID.contains(&document.elements[index].name.as_str()) && !tag.self_closing
                    {
                        open.push(index);
                    }
                }
                Token::EndTag(tag) => {
                    let end = document.text.len();
                    let element = open.pop().map(|index| &mut document.elements[index]);
                    let element = element.expect("an end tag without a start tag");
                    assert_eq!(
                        element.name,
                        string(&tag.name),
                        "closed by a tag in:\n{html}"
                    );
                    element.text.end = end;
                }
                Token::String(text) => {
                    let kept = open.last().map(|&index| &*document.elements[index].name);
                    if !matches!(kept, Some("script" | "style")) {
                        document.text.push_str(&string(&text.value));
                    }
                }
                Token::Error(error) => panic!("{error:?} in:\n{html}"),
                Token::Comment(_) | Token::Doctype(_) => {}
            }
        }
        assert!(open.is_empty(), "an element stays open in:\n{html}");
        document.assert_unique_ids();
        document
    }

    fn open(
        &mut self,
        name: String,
        attributes: impl Iterator<Item = (String, String)>,
        open: &[usize],
    ) -> usize {
        let is_form = |&&index: &&usize| self.elements[index].name == "form";
        let form = open.iter().rev().find(is_form).copied();
        let start = self.text.len();
        self.elements.push(Element {
            name,
            attributes: attributes.collect(),
            text: start..start,
            form,
        });
        self.elements.len() - 1
    }

    fn assert_unique_ids(&self) {
        let mut ids = BTreeSet::new();
        for element in &self.elements {
            let id = element.attribute("id");
            assert!(id.is_empty() || ids.insert(id), "the id {id:?} is twice");
        }
    }

    /// The element with an id.
    pub(crate) fn find(&self, id: &str) -> Option<&Element> {
        let mut elements = self.elements.iter();
        elements.find(|element| element.attribute("id") == id)
    }

    /// The text within an element, with single spaces.
    pub(crate) fn text_of(&self, element: &Element) -> String {
        let words = self.text[element.text.clone()].split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    /// Every form, in order.
    pub(crate) fn forms(&self) -> Vec<Form> {
        let elements = self.elements.iter().enumerate();
        elements
            .filter(|(_, element)| element.name == "form")
            .map(|(index, form)| self.form(index, form))
            .collect()
    }

    fn form(&self, index: usize, form: &Element) -> Form {
        let controls = || {
            let elements = self.elements.iter();
            elements.filter(move |element| element.form == Some(index))
        };
        let method = form.attribute("method").to_lowercase();
        Form {
            action: form.attribute("action").to_owned(),
            method: if method.is_empty() {
                "get".into()
            } else {
                method
            },
            fields: controls()
                .filter_map(|control| self.field(control))
                .collect(),
            buttons: controls().filter_map(Element::button).collect(),
        }
    }

    /// What a field would send (HTML §4.10.22.4).
    fn field(&self, control: &Element) -> Option<(String, String)> {
        let value = control.attribute("value");
        let value = match (&*control.name, control.attribute("type")) {
            ("input", "submit" | "button" | "image" | "reset") => return None,
            ("input", "checkbox" | "radio") if !control.has("checked") => return None,
            ("input", "checkbox" | "radio") if !control.has("value") => "on",
            ("input", _) => value,
            ("textarea", _) => return Some((control.field_name()?, self.text_of(control))),
            ("select", _) => panic!("our pages have no <select> yet; teach this harness"),
            _ => return None,
        };
        Some((control.field_name()?, value.to_owned()))
    }
}

impl Element {
    /// The value of an attribute; empty when it is not there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Whether an attribute is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    fn field_name(&self) -> Option<String> {
        let name = self.attribute("name");
        (!name.is_empty() && !self.has("disabled")).then(|| name.to_owned())
    }

    fn button(&self) -> Option<Button> {
        let sends = match (&*self.name, self.attribute("type")) {
            ("button", kind) => !["button", "reset"].contains(&kind),
            ("input", kind) => kind == "submit",
            _ => false,
        };
        let attribute = |name| self.attribute(name).to_owned();
        (sends && !self.has("disabled")).then(|| Button {
            id: attribute("id"),
            name: attribute("name"),
            value: attribute("value"),
        })
    }
}

fn string(text: &HtmlString) -> String {
    String::from_utf8(text.0.clone()).unwrap()
}
