//! JSON bodies of the API: an object, and no name twice, by two readings.

use serde_json::Value;
use tokensmith::http::fuzzing::json_object;

use crate::naive::Tree;

/// Holds every property of JSON bodies.
pub fn check(body: &[u8]) {
    let read = json_object(body);
    assert_eq!(
        read.is_some(),
        Tree::strict_object(body).is_some(),
        "two readings of one body agree"
    );
    if let Some(value) = read {
        let naive: Value = serde_json::from_slice(body).expect("what was read is JSON");
        assert_eq!(value, naive, "what comes out is what stands in it");
        // The library that reads them takes the last bit of fractions lightly; no body has any.
        if !has_fractions(&value) {
            let printed = value.to_string();
            assert_eq!(
                json_object(printed.as_bytes()),
                Some(value),
                "print then parse is the identity"
            );
        }
    }
}

fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(elements) => elements.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
