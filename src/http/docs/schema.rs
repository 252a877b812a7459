//! Schemas as rows of a table: references followed, `allOf` merged, types and limits in words.

use super::contract::{Contract, Example, Kind, Members, Schema};
use super::example::inline;
use super::prose::Prose;

/// One member of an object, a parameter or a header.
#[derive(Clone, askama::Template)]
#[template(path = "docs_field.html", whitespace = "minimize")]
pub(super) struct Field {
    pub(super) name: String,
    /// Such as `array of string`.
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) description: Prose,
    /// Default and limits.
    pub(super) facts: Vec<Fact>,
    /// What is inside, where that has members.
    pub(super) shapes: Vec<Shape>,
}

impl askama::filters::HtmlSafe for Field {}

/// Something that holds for the value: a word, and the values it is about.
#[derive(Clone)]
pub(super) struct Fact {
    pub(super) word: &'static str,
    pub(super) values: Vec<String>,
}

/// The members of an object. Where a value has one of several shapes, each has a title.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) title: String,
    pub(super) fields: Vec<Field>,
}

impl Contract {
    /// The schema with its references followed and `allOf` merged.
    pub(super) fn resolve(&self, schema: &Schema) -> Schema {
        let mut resolved = match &schema.reference {
            Some(reference) => {
                let target = self.schema(reference).cloned().unwrap_or_default();
                overlay(self.resolve(&target), schema.clone())
            }
            None => schema.clone(),
        };
        for part in std::mem::take(&mut resolved.all_of) {
            let part = self.resolve(&part);
            for (name, member) in part.properties {
                resolved.properties.entry(name).or_insert(member);
            }
            resolved.required.extend(part.required);
        }
        resolved
    }

    /// The members of a value of this schema; empty for anything but objects, and arrays of them.
    pub(super) fn shapes(&self, schema: &Schema) -> Vec<Shape> {
        let schema = self.resolve(schema);
        if let Some(inner) = schema.content.as_ref().or(schema.items.as_ref()) {
            return self.shapes(inner);
        }
        if !schema.one_of.is_empty() {
            let alternatives = schema.one_of.iter();
            return alternatives.flat_map(|one| self.shapes(one)).collect();
        }
        if schema.properties.is_empty() {
            return Vec::new();
        }
        let fields = schema.properties.iter().map(|(name, member)| {
            let required = schema.required.contains(name);
            self.field(name, member, required)
        });
        vec![Shape {
            fields: fields.collect(),
            title: schema.title.unwrap_or_default(),
        }]
    }

    /// One row.
    pub(super) fn field(&self, name: &str, schema: &Schema, required: bool) -> Field {
        let resolved = self.resolve(schema);
        let description = resolved.description.as_deref().unwrap_or_default();
        Field {
            name: name.to_owned(),
            kind: self.kind(&resolved),
            required,
            description: Prose::parse(description),
            facts: self.facts(&resolved),
            shapes: self.shapes(schema),
        }
    }

    fn kind(&self, schema: &Schema) -> String {
        let name = match &schema.kind {
            Some(Kind::One(name)) => name.clone(),
            Some(Kind::Several(names)) => names.join(" or "),
            None if !schema.one_of.is_empty() => "object".to_owned(),
            None => schema.constant.as_ref().map_or("", kind_of).to_owned(),
        };
        match (&schema.items, &schema.format) {
            (Some(items), _) if name == "array" => {
                format!("array of {}", self.kind(&self.resolve(items)))
            }
            (_, Some(format)) => format!("{name}, {format}"),
            (_, None) => name,
        }
    }

    fn facts(&self, schema: &Schema) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut fact = |word, values: Vec<String>| facts.push(Fact { word, values });
        if let Some(constant) = &schema.constant {
            fact("always", vec![inline(constant)]);
        }
        if !schema.choices.is_empty() {
            fact("one of", schema.choices.iter().map(inline).collect());
        }
        let items = schema.items.as_ref().map(|items| self.resolve(items));
        if let Some(items) = items.filter(|items| !items.choices.is_empty()) {
            fact("each one of", items.choices.iter().map(inline).collect());
        }
        if let Some(default) = &schema.default {
            fact("default", vec![inline(default)]);
        }
        match (schema.minimum, schema.maximum) {
            (Some(minimum), Some(maximum)) => {
                fact("range", vec![format!("{minimum} to {maximum}")]);
            }
            (Some(minimum), None) => fact("at least", vec![minimum.to_string()]),
            (None, Some(maximum)) => fact("at most", vec![maximum.to_string()]),
            (None, None) => {}
        }
        if let Some(length) = schema.max_length {
            fact("at most", vec![format!("{length} characters")]);
        }
        facts
    }
}

fn overlay(target: Schema, over: Schema) -> Schema {
    Schema {
        reference: None,
        description: over.description.or(target.description),
        default: over.default.or(target.default),
        examples: first_filled(over.examples, target.examples),
        properties: merged(target.properties, over.properties),
        ..target
    }
}

fn first_filled(first: Vec<Example>, second: Vec<Example>) -> Vec<Example> {
    if first.is_empty() { second } else { first }
}

fn merged(mut members: Members<Schema>, further: Members<Schema>) -> Members<Schema> {
    members.extend(further);
    members
}

fn kind_of(value: &Example) -> &'static str {
    match value {
        Example::Object(_) => "object",
        Example::Array(_) => "array",
        Example::Scalar(value) if value.is_string() => "string",
        Example::Scalar(value) if value.is_boolean() => "boolean",
        Example::Scalar(value) if value.is_number() => "integer",
        Example::Scalar(_) => "null",
    }
}
