//! Examples: of bodies, as JSON, and of whole requests, as a line for the shell.

use serde_json::Value;
use url::form_urlencoded;

use super::contract::{Contract, Example, Kind, Media, Members, Schema};

/// A request to show.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) url: String,
    /// The `scheme` of the way to authenticate, if there is one.
    pub(super) scheme: Option<&'a str>,
    /// Media type and body.
    pub(super) body: Option<(&'a str, Example)>,
}

impl Contract {
    /// The examples of a body: those that are given, each with what it shows, or one made of the
    /// schema's.
    pub(super) fn examples(&self, media: &Media) -> Vec<(String, Example)> {
        if media.examples.is_empty() {
            let given = media.example.clone();
            let example = given.unwrap_or_else(|| self.example_of(&media.schema));
            return vec![(String::new(), example)];
        }
        let examples = media.examples.values().cloned();
        examples.map(|one| (one.summary, one.value)).collect()
    }

    fn example_of(&self, schema: &Schema) -> Example {
        let schema = self.resolve(schema);
        let mut known = schema.examples.iter();
        let known = known
            .next()
            .or(schema.constant.as_ref())
            .or(schema.default.as_ref())
            .or(schema.choices.first());
        if let Some(known) = known {
            return known.clone();
        }
        if let Some(first) = schema.one_of.first() {
            return self.example_of(first);
        }
        match (&schema.kind, &schema.items) {
            (Some(Kind::One(kind)), Some(items)) if kind == "array" => {
                Example::Array(vec![self.example_of(items)])
            }
            (Some(Kind::One(kind)), _) if kind == "boolean" => Example::Scalar(true.into()),
            (Some(Kind::One(kind)), _) if kind == "string" => Example::Scalar("…".into()),
            _ => Example::Object(self.members(&schema)),
        }
    }

    /// Optional members take part when they bring an example of their own.
    fn members(&self, schema: &Schema) -> Members<Example> {
        let shown = schema
            .properties
            .iter()
            .filter(|(name, member)| schema.required.contains(name) || !member.examples.is_empty());
        shown
            .map(|(name, member)| (name.clone(), self.example_of(member)))
            .collect()
    }
}

/// JSON on several lines.
pub(super) fn pretty(example: &Example) -> String {
    serde_json::to_string_pretty(example).unwrap_or_default()
}

/// An address for a browser, with the members of an example in its query.
pub(super) fn address(url: &str, query: Option<&Example>) -> String {
    let Some(Example::Object(members)) = query else {
        return url.to_owned();
    };
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        pairs.append_pair(name, &inline(value));
    }
    format!("{url}?{}", pairs.finish())
}

/// A value within a sentence: text without quotes, everything else as JSON.
pub(super) fn inline(example: &Example) -> String {
    match example {
        Example::Scalar(Value::String(text)) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// The request as a command.
pub(super) fn curl(request: &Request<'_>) -> String {
    let mut words = vec!["curl".to_owned()];
    match (request.method, &request.body) {
        ("GET", _) | ("POST", Some(_)) => {}
        (method, _) => words.push(format!("-X {method}")),
    }
    match request.scheme {
        Some("basic") => words.push(r#"-u "$CLIENT_ID:$CLIENT_SECRET""#.to_owned()),
        Some(_) => words.push(r#"-H "Authorization: Bearer $TOKEN""#.to_owned()),
        None => {}
    }
    match &request.body {
        Some((media_type, Example::Object(members))) if media_type.ends_with("urlencoded") => {
            let field = |name: &str, value: &Example| {
                format!("-d {}", quoted(&format!("{name}={}", inline(value))))
            };
            for (name, value) in members {
                match value {
                    Example::Array(items) => words.extend(items.iter().map(|one| field(name, one))),
                    one => words.push(field(name, one)),
                }
            }
        }
        Some((_, body)) => words.push(format!("--json {}", quoted(&pretty(body)))),
        None => {}
    }
    words.push(quoted(&request.url));
    join(&words)
}

/// One line while it is short, else a line for each option.
fn join(words: &[String]) -> String {
    let line = words.join(" ");
    if line.len() <= 60 && !line.contains('\n') {
        line
    } else {
        words.join(" \\\n  ").replacen(" \\\n  ", " ", 1)
    }
}

/// Quoted for a POSIX shell where that is needed.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,:/=@%+~".contains(&byte);
    if word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_with_an_option_for_each_field() {
        let text = |value: &str| Example::Scalar(value.into());
        let fields = [
            ("scope", text("a b")),
            ("x", text("it's")),
            ("resource", Example::Array(vec![text("one"), text("two")])),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let line = curl(&Request {
            method: "POST",
            url: "http://127.0.0.1/token".into(),
            scheme: Some("basic"),
            body: Some((
                "application/x-www-form-urlencoded",
                Example::Object(fields.into()),
            )),
        });
        assert_eq!(
            line,
            "curl -u \"$CLIENT_ID:$CLIENT_SECRET\" \\\n  -d 'scope=a b' \\\n  \
             -d 'x=it'\\''s' \\\n  -d resource=one \\\n  -d resource=two \\\n  http://127.0.0.1/token",
        );
    }

    #[test]
    fn a_method_is_named_where_curl_would_choose_another() {
        let line = |method| {
            curl(&Request {
                method,
                url: "http://h/x".into(),
                scheme: None,
                body: None,
            })
        };
        assert_eq!(line("GET"), "curl http://h/x");
        assert_eq!(line("DELETE"), "curl -X DELETE http://h/x");
    }
}
