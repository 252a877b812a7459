//! Form bodies and queries.
//!
//! What is accepted is what the `url` crate reads in the same bytes; what is refused has a fault
//! that can be named.

use std::collections::BTreeSet;

use tokensmith::http::fuzzing::{form, parameters};
use url::form_urlencoded;

type Pairs = Vec<(String, String)>;

/// Holds every property of forms.
pub fn check(body: &[u8]) {
    let naive = naive_pairs(body);
    let unique = naive.clone().filter(has_unique_names);
    let read = form(body).ok();
    assert_eq!(read, unique, "two readings of one form agree");
    if let Ok(text) = std::str::from_utf8(body) {
        let read = parameters(text).ok().map(|pairs| {
            let pairs = pairs.into_iter();
            pairs
                .map(|(name, value)| (name, value.to_string()))
                .collect::<Pairs>()
        });
        assert_eq!(read, naive, "two readings of one query agree");
    }
    if let Some(pairs) = read {
        let mut printer = form_urlencoded::Serializer::new(String::new());
        printer.extend_pairs(&pairs);
        let printed = printer.finish();
        assert_eq!(
            form(printed.as_bytes()),
            Ok(pairs),
            "parse then print is the identity"
        );
    }
}

/// What there is to read if nothing is wrong.
fn naive_pairs(body: &[u8]) -> Option<Pairs> {
    let text = std::str::from_utf8(body).ok()?;
    let is_modest = text.split('&').count() <= 32;
    let is_whole = text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let pairs: Pairs = form_urlencoded::parse(body).into_owned().collect();
    // Bytes that are no UTF-8 come out as this character; so does its own escape.
    let replacements: usize = pairs
        .iter()
        .map(|(name, value)| (name.clone() + value).matches('\u{fffd}').count())
        .sum();
    let written =
        text.matches('\u{fffd}').count() + text.to_uppercase().matches("%EF%BF%BD").count();
    (is_modest && is_whole && replacements == written).then_some(pairs)
}

fn has_unique_names(pairs: &Pairs) -> bool {
    let mut seen = BTreeSet::new();
    pairs
        .iter()
        .all(|(name, _)| name == "resource" || seen.insert(name))
}
