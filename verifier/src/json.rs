//! JSON as strictly as RFC 7515 §4 and RFC 7519 §4 ask: every member name once, at any depth, also
//! when one of the two is written with escapes.
//!
//! `serde_json` keeps the last of two equal names, and derived types notice only the names that
//! they know; both let two parsers of one token disagree. Here one pass over the text settles it
//! and yields a tree that borrows from the text. Rules are checked on the tree, and the caller's
//! types are built from the same tree: what was checked is what is believed.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::value::{
    EnumAccessDeserializer, MapAccessDeserializer, MapDeserializer, SeqDeserializer,
};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use crate::numeric_date::NumericDate;

/// Nesting allowed, the top-level object included. Our deepest claim, `status`, needs three.
pub(crate) const MAX_DEPTH: usize = 16;
/// Members allowed in one object. Bounds the comparison of names, which is quadratic.
pub(crate) const MAX_MEMBERS: usize = 128;

/// Why a text was not taken as a strict JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not one JSON object and nothing else.
    Syntax,
    DuplicateMember,
    TooComplex,
}

/// One strict JSON object.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Members<'a>,
}

type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// One strict JSON value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Members<'a>),
}

impl<'a> Object<'a> {
    /// Reads `json`, which must be one object and nothing else.
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, Fault> {
        // Validating UTF-8 once is cheaper than per string.
        let text = std::str::from_utf8(json).map_err(|_| Fault::Syntax)?;
        let fault = Cell::new(Fault::Syntax);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(StrictObject {
                depth: 1,
                fault: &fault,
            })
            .map_err(|_| fault.get())?;
        deserializer.end().map_err(|_| Fault::Syntax)?;
        Ok(Self { members })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Value<'_> {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array of texts.
    pub(crate) fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Array(elements) => elements.iter().map(Value::as_text).collect(),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<NumericDate> {
        match self {
            Self::Unsigned(number) => Some(NumericDate::Whole(*number)),
            Self::Negative(_) => Some(NumericDate::Negative),
            Self::Float(number) => Some(NumericDate::Fractional(*number)),
            _ => None,
        }
    }
}

/// Visits an object and keeps its members.
struct StrictObject<'f> {
    depth: usize,
    fault: &'f Cell<Fault>,
}

impl<'de> Visitor<'de> for StrictObject<'_> {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let fail = |fault| {
            self.fault.set(fault);
            Err(A::Error::custom("strict JSON"))
        };
        if self.depth > MAX_DEPTH {
            return fail(Fault::TooComplex);
        }
        // A token has about a dozen claims; what is nested has few.
        let mut members = Vec::with_capacity(if self.depth == 1 { 16 } else { 2 });
        while let Some(name) = map.next_key_seed(Name)? {
            if members.len() == MAX_MEMBERS {
                return fail(Fault::TooComplex);
            }
            if members.iter().any(|(member, _)| *member == name) {
                return fail(Fault::DuplicateMember);
            }
            let value = map.next_value_seed(Strict {
                depth: self.depth,
                fault: self.fault,
            })?;
            members.push((name, value));
        }
        Ok(members)
    }
}

/// A member name, unescaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Any value, checked to its leaves.
#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: usize,
    fault: &'f Cell<Fault>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Negative(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            self.fault.set(Fault::TooComplex);
            return Err(A::Error::custom("strict JSON"));
        }
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(Self {
            depth,
            fault: self.fault,
        })? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        StrictObject {
            depth: self.depth + 1,
            fault: self.fault,
        }
        .visit_map(map)
        .map(Value::Object)
    }
}

/// The caller's types are built from the tree that was checked.
impl<'t, 'de: 't> IntoDeserializer<'de, Error> for &'t Object<'de> {
    type Deserializer = MapAccessDeserializer<MembersDeserializer<'t, 'de>>;

    fn into_deserializer(self) -> Self::Deserializer {
        MapAccessDeserializer::new(members_deserializer(&self.members))
    }
}

impl<'t, 'de: 't> IntoDeserializer<'de, Error> for &'t Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

type MembersDeserializer<'t, 'de> = MapDeserializer<
    'de,
    std::iter::Map<
        std::slice::Iter<'t, (Cow<'de, str>, Value<'de>)>,
        fn(&'t (Cow<'de, str>, Value<'de>)) -> (&'t str, &'t Value<'de>),
    >,
    Error,
>;

fn members_deserializer<'t, 'de: 't>(members: &'t Members<'de>) -> MembersDeserializer<'t, 'de> {
    MapDeserializer::new(members.iter().map(|(name, value)| (name.as_ref(), value)))
}

impl<'de> Deserializer<'de> for &Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Negative(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Value::Text(Cow::Owned(text)) => visitor.visit_str(text),
            Value::Array(elements) => visitor.visit_seq(SeqDeserializer::new(elements.iter())),
            Value::Object(members) => visitor.visit_map(members_deserializer(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A derived type would take an array of its fields in their order, too; a claim that is an
    /// object is nothing else.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Value::Object(members) => visitor.visit_map(members_deserializer(members)),
            _ => Err(Error::custom("a struct is an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Value::Text(name) => visitor.visit_enum(name.as_ref().into_deserializer()),
            Value::Object(members) if members.len() == 1 => {
                let members = members_deserializer(members);
                EnumAccessDeserializer::new(MapAccessDeserializer::new(members)).deserialize_enum(
                    "",
                    &[],
                    visitor,
                )
            }
            _ => Err(Error::custom(
                "an enum is a string or an object of one member",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        Object::parse(text.as_bytes()).err()
    }

    #[test]
    fn members_keep_their_values() {
        let object = Object::parse(br#"{"a":"\u0041","b":[ "x" ],"c":1,"d":{"e":[{}]}}"#).unwrap();
        assert_eq!(object.get("a").and_then(Value::as_text), Some("A"));
        assert_eq!(object.get("b").and_then(Value::as_texts), Some(vec!["x"]));
        assert_eq!(
            object.get("c").and_then(Value::as_number),
            Some(NumericDate::Whole(1))
        );
        assert!(object.contains("d") && !object.contains("e"));
    }

    #[test]
    fn the_tree_deserialises_as_the_text_would() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Everything {
            null: Option<u8>,
            some: Option<String>,
            flag: bool,
            numbers: (u8, i64, f64, f64),
            wrapped: Wrapper,
            kind: Kind,
            tagged: Kind,
            tuple: Kind,
            map: std::collections::BTreeMap<String, serde_json::Value>,
        }
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Wrapper(String);
        #[derive(Debug, PartialEq, serde::Deserialize)]
        enum Kind {
            Plain,
            With { inner: u8 },
            Pair(u8, u8),
        }

        let text = r#"{"null":null,"some":"\u0073","flag":true,"numbers":[1,-2,3.5,4],"wrapped":"w",
            "kind":"Plain","tagged":{"With":{"inner":1}},"tuple":{"Pair":[1,2]},
            "map":{"a":[{"b":null}]},"ignored":[{}]}"#;
        let object = Object::parse(text.as_bytes()).unwrap();
        let from_tree = Everything::deserialize((&object).into_deserializer()).unwrap();
        assert_eq!(from_tree, serde_json::from_str(text).unwrap());
    }

    #[test]
    fn a_struct_is_never_read_from_an_array_of_its_fields() {
        #[derive(Debug, serde::Deserialize)]
        struct Key {
            #[expect(dead_code, reason = "it is not to be read")]
            jkt: String,
        }
        let object = Object::parse(br#"{"cnf":["thumbprint"]}"#).unwrap();
        assert!(Key::deserialize(object.get("cnf").unwrap()).is_err());
    }

    #[test]
    fn a_duplicate_name_is_found_at_any_depth_and_under_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"alg":1,"\u0061lg":1}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[[{"a":1,"\u0061":1}]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(fault(text), Some(Fault::DuplicateMember), "{text}");
        }
        assert_eq!(fault(r#"{"x":{"a":1},"y":{"a":1},"A":1,"a":1}"#), None);
    }

    #[test]
    fn only_one_object_is_accepted() {
        for text in [
            "",
            " ",
            "[]",
            "1",
            "\"a\"",
            "null",
            "{} {}",
            "{}x",
            "{}\0",
            "\u{feff}{}",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "{\"a\":1e400}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\"",
            "{\"a\":1}/**/",
        ] {
            assert_eq!(fault(text), Some(Fault::Syntax), "{text:?}");
        }
        assert_eq!(
            Object::parse(b"{\"a\":\"\xff\"}").err(),
            Some(Fault::Syntax)
        );
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |levels: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        assert_eq!(fault(&nested(MAX_DEPTH)), None);
        assert_eq!(fault(&nested(MAX_DEPTH + 1)), Some(Fault::TooComplex));
        assert!(fault(&nested(100_000)).is_some());

        let wide = |members: usize| {
            let members: Vec<_> = (0..members).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(fault(&wide(MAX_MEMBERS)), None);
        assert_eq!(fault(&wide(MAX_MEMBERS + 1)), Some(Fault::TooComplex));
    }
}
