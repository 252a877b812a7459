//! A second opinion about JSON: everything is kept as it came, and then counted.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A JSON value in which an object keeps members of equal names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The members of an object in which no name occurs twice, at any depth.
    pub(crate) fn strict_object(json: &[u8]) -> Option<Self> {
        Self::parse(json)
            .filter(|tree| matches!(tree, Self::Object(_)))
            .filter(Self::has_unique_names)
    }

    /// One of them that is not larger than what the verifier takes.
    pub(crate) fn modest_object(json: &[u8]) -> Option<Self> {
        Self::strict_object(json).filter(|tree| tree.depth() <= 16 && tree.most_members() <= 128)
    }

    /// The first member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Array(elements) => elements.iter().map(Self::text).collect(),
            _ => None,
        }
    }

    fn has_unique_names(&self) -> bool {
        match self {
            Self::Object(members) => {
                let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
                names.sort_unstable();
                names.dedup();
                names.len() == members.len()
                    && members.iter().all(|(_, value)| value.has_unique_names())
            }
            Self::Array(elements) => elements.iter().all(Self::has_unique_names),
            _ => true,
        }
    }

    /// How many arrays and objects stand within each other.
    fn depth(&self) -> usize {
        match self {
            Self::Object(members) => 1 + deepest(members.iter().map(|(_, value)| value)),
            Self::Array(elements) => 1 + deepest(elements.iter()),
            _ => 0,
        }
    }

    fn most_members(&self) -> usize {
        let within = |values: &mut dyn Iterator<Item = &Self>| {
            values.map(Self::most_members).max().unwrap_or_default()
        };
        match self {
            Self::Object(members) => members
                .len()
                .max(within(&mut members.iter().map(|(_, value)| value))),
            Self::Array(elements) => within(&mut elements.iter()),
            _ => 0,
        }
    }
}

fn deepest<'t>(values: impl Iterator<Item = &'t Tree>) -> usize {
    values.map(Tree::depth).max().unwrap_or_default()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = items.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
