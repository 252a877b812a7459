//! A labelled field of a form: one template, so that its error and its hint are tied to it
//! everywhere.

use askama::Template;

use super::texts::Texts;

/// A field, its label, and what is wrong with it.
#[derive(Template)]
#[template(path = "pages/field.html", whitespace = "minimize")]
pub(super) struct Field<'a> {
    id: &'static str,
    name: &'static str,
    label: &'static str,
    kind: Kind,
    autocomplete: &'static str,
    value: &'a str,
    hint: Option<&'static str>,
    fault: Fault,
    /// Set in words beside the label when the field may stay empty.
    optional: Option<&'static str>,
    has_focus: bool,
}

/// A field is written by its own template.
impl askama::filters::HtmlSafe for Field<'_> {}

/// What is typed into a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words.
    Text,
    /// A name that no keyboard may correct.
    Identifier,
    /// An address that phones have a keyboard for.
    Email,
    /// A telephone number.
    Phone,
    /// Hidden while typed, and never sent back.
    Password,
    /// Several lines.
    Lines,
}

impl Kind {
    fn input_type(self) -> &'static str {
        match self {
            Self::Text | Self::Identifier | Self::Lines => "text",
            Self::Email => "email",
            Self::Phone => "tel",
            Self::Password => "password",
        }
    }

    /// Whether capital letters and corrections of a keyboard do harm.
    fn is_literal(self) -> bool {
        matches!(self, Self::Identifier | Self::Email)
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The message of the form, `#error`, says what.
    InMessage,
    /// This.
    Own(&'static str),
}

impl Fault {
    /// A text of the field's own, if there is one.
    pub(super) fn of(text: Option<&'static str>) -> Self {
        text.map_or(Self::None, Self::Own)
    }
}

impl<'a> Field<'a> {
    /// A field that has to be filled in.
    pub(super) fn new(id: &'static str, label: &'static str, kind: Kind) -> Self {
        Self {
            id,
            name: id,
            label,
            kind,
            autocomplete: "off",
            value: "",
            hint: None,
            fault: Fault::None,
            optional: None,
            has_focus: false,
        }
    }

    /// The name under which it is sent, if that is not its id.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// What a browser may fill in (HTML §4.10.18.7.1).
    pub(super) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self {
            autocomplete,
            ..self
        }
    }

    /// What is in it, unless it is a password.
    pub(super) fn value(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    /// What helps to fill it in.
    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// What is wrong with it.
    pub(super) fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// It may stay empty.
    pub(super) fn optional(self, texts: &'static Texts) -> Self {
        Self {
            optional: Some(texts.common.optional),
            ..self
        }
    }

    /// Where a person goes on typing.
    pub(super) fn focus(&mut self) {
        self.has_focus = true;
    }

    pub(super) fn is_faulty(&self) -> bool {
        self.fault != Fault::None
    }

    /// Its entry in the summary above the form, if it says itself what is wrong.
    fn complaint(&self) -> Option<Complaint> {
        self.own_fault().map(|_| Complaint {
            id: self.id,
            label: self.label,
        })
    }

    /// The hint, until something more important is to be said.
    fn shown_hint(&self) -> Option<&'static str> {
        self.hint.filter(|_| self.own_fault().is_none())
    }

    /// The ids of what a screen reader reads with it.
    fn described_by(&self) -> String {
        let hint = self.shown_hint().map(|_| format!("{}-hint", self.id));
        let fault = match self.fault {
            Fault::None => None,
            Fault::InMessage => Some("error".to_owned()),
            Fault::Own(_) => Some(format!("{}-error", self.id)),
        };
        let ids: Vec<String> = fault.into_iter().chain(hint).collect();
        ids.join(" ")
    }

    fn own_fault(&self) -> Option<&'static str> {
        match self.fault {
            Fault::Own(text) => Some(text),
            Fault::None | Fault::InMessage => None,
        }
    }
}

/// A field that says what is wrong with it, in the summary above the form.
pub(super) struct Complaint {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
}

/// What stands above a form that was refused.
pub(super) struct Refusal {
    /// In a sentence.
    pub(super) message: String,
    /// The fields to look at.
    pub(super) complaints: Vec<Complaint>,
}

impl Refusal {
    /// The message, or else where to look; `None` if nothing is wrong.
    pub(super) fn of(
        message: Option<String>,
        fields: &[&Field<'_>],
        texts: &'static Texts,
    ) -> Option<Self> {
        let complaints: Vec<Complaint> = fields
            .iter()
            .filter_map(|field| field.complaint())
            .collect();
        if message.is_none() && complaints.is_empty() {
            return None;
        }
        Some(Self {
            message: message.unwrap_or_else(|| texts.common.check_fields.to_owned()),
            complaints,
        })
    }
}

/// Puts the cursor into the first field that is wrong, or else into the first that is empty.
pub(super) fn focus_first(fields: &mut [&mut Field<'_>]) {
    let wrong = fields.iter().position(|field| field.is_faulty());
    let empty = || fields.iter().position(|field| field.value.is_empty());
    let first = wrong.or_else(empty);
    if let Some(field) = first.and_then(|at| fields.get_mut(at)) {
        field.focus();
    }
}

/// Puts the cursor into the first field that is wrong, if one is.
pub(super) fn focus_fault(fields: &mut [&mut Field<'_>]) {
    if let Some(field) = fields.iter_mut().find(|field| field.is_faulty()) {
        field.focus();
    }
}
