//! Holds every answer that a test reads against `openapi.yaml`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use super::Reply;

/// The public contract.
pub(crate) struct Contract {
    /// The document, as JSON.
    pub(crate) document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An operation and a status that it documents.
pub(crate) type Documented = (String, u16);

/// An operation with its place.
pub(crate) struct Operation<'a> {
    pub(crate) id: &'a str,
    pub(crate) method: Method,
    /// With placeholders.
    pub(crate) path: &'a str,
    pub(crate) definition: &'a Value,
}

impl Contract {
    /// `openapi.yaml` of this checkout.
    pub(crate) fn committed() -> &'static Self {
        static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract {
            document: serde_saphyr::from_str(include_str!("../../../openapi.yaml")).unwrap(),
            validators: Mutex::default(),
        });
        &CONTRACT
    }

    /// Every operation.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let members = item.as_object().unwrap().iter();
            members
                .filter(|(name, _)| !["parameters", "servers"].contains(&name.as_str()))
                .map(move |(name, definition)| Operation {
                    id: definition["operationId"].as_str().unwrap_or_default(),
                    method: name.to_uppercase().parse().unwrap(),
                    path,
                    definition,
                })
        })
    }

    /// Every operation with each status that it documents.
    pub(crate) fn documented_answers(&self) -> BTreeSet<Documented> {
        self.operations()
            .flat_map(|operation| {
                let responses = operation.definition["responses"].as_object().unwrap();
                let statuses = responses.keys().map(|status| status.parse().unwrap());
                statuses
                    .map(|status| (operation.id.to_owned(), status))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Checks an answer: the operation is known, the status documented, and headers and body are
    /// as described. `base` is the path of the issuer. `None` stands for the answers that every
    /// path and every method may give.
    pub(crate) fn check(
        &self,
        base: &str,
        (method, path): (&Method, &str),
        reply: &Reply,
    ) -> Result<Option<Documented>, String> {
        let here: Vec<_> = self
            .operations()
            .filter(|operation| self.stands_at(operation, base, path))
            .collect();
        // HEAD answers as GET does, without the body (RFC 9110 §9.3.2).
        let wanted = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let operation = here.iter().find(|operation| operation.method == *wanted);
        let status = reply.status.as_u16();
        let is_page = reply.header("content-type").starts_with("text/html");
        let everywhere = match (here.is_empty(), operation, status) {
            (true, _, 404) if is_page => self.check_body(
                &json!({ "$ref": "#/components/schemas/Page" }),
                method,
                reply,
            ),
            // Whoever opens the issuer itself is sent to the account.
            (true, _, 303) if path.trim_end_matches('/') == base => Ok(()),
            (true, _, 404) | (false, _, 405) => self.check_body(
                &json!({ "$ref": "#/components/schemas/Error" }),
                method,
                reply,
            ),
            (true, _, _) => Err("the path is not documented, and the answer is not 404".into()),
            // A browser's question beforehand; documented for no operation.
            (false, None, 204) if method == Method::OPTIONS => Ok(()),
            (false, None, _) => {
                Err("the method is not documented, and the answer is not 405".into())
            }
            (false, Some(operation), _) => {
                self.check_operation(operation, method, reply)?;
                return Ok(Some((operation.id.to_owned(), status)));
            }
        };
        everywhere.map(|()| None)
    }

    fn check_operation(
        &self,
        operation: &Operation<'_>,
        method: &Method,
        reply: &Reply,
    ) -> Result<(), String> {
        let status = reply.status.as_u16().to_string();
        let response = operation.definition["responses"].get(&status);
        let response = response.ok_or_else(|| format!("{} documents no {status}", operation.id))?;
        let response = self.resolve(response);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            self.check_header(name, self.resolve(header), reply)?;
        }
        check_revocation_seq(response, reply)?;
        let Some(content) = response["content"].as_object() else {
            return if reply.text.is_empty() {
                Ok(())
            } else {
                Err(format!("{} {status} documents no body", operation.id))
            };
        };
        let media_type = reply
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default();
        let media = content
            .get(media_type)
            .ok_or_else(|| format!("{} {status} is not {media_type:?}", operation.id))?;
        self.check_body(&media["schema"], method, reply)
    }

    fn check_header(&self, name: &str, header: &Value, reply: &Reply) -> Result<(), String> {
        let value = reply.header(name);
        if value.is_empty() {
            return match header["required"].as_bool() {
                Some(true) => Err(format!("the header {name} is missing")),
                _ => Ok(()),
            };
        }
        self.check_value(&header["schema"], &Value::from(value))
            .map_err(|error| format!("{name}: {error}"))
    }

    fn check_body(&self, schema: &Value, method: &Method, reply: &Reply) -> Result<(), String> {
        if method == Method::HEAD {
            return Ok(());
        }
        let is_json = reply.header("content-type").starts_with("application/json");
        let body = if is_json {
            reply.json()
        } else {
            Value::from(reply.text.as_str())
        };
        self.check_value(schema, &body)
    }

    /// Checks a value against a schema of the document.
    pub(crate) fn check_value(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = self.validator(schema);
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{} at {:?}", error, error.instance_path().as_str()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("; "))
        }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        let mut validators = self.validators.lock().unwrap();
        let known = validators.entry(key).or_insert_with(|| {
            let mut root = schema.clone();
            // So that references resolve.
            root["components"] = self.document["components"].clone();
            let options = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .should_validate_formats(true);
            Arc::new(options.build(&root).unwrap())
        });
        Arc::clone(known)
    }

    /// What a reference names, or the value itself.
    pub(crate) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            None => value,
            Some(reference) => {
                let pointer = reference.trim_start_matches('#');
                let target = self.document.pointer(pointer);
                target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
            }
        }
    }

    /// Whether a path of the server is that of the operation.
    fn stands_at(&self, operation: &Operation<'_>, base: &str, path: &str) -> bool {
        let servers = &self.document["paths"][operation.path]["servers"];
        let is_at_root = servers[0]["url"] == "/";
        let template = match (is_at_root, operation.path.starts_with("/.well-known/")) {
            (false, _) => format!("{base}{}", operation.path),
            // RFC 8414 §3.1.
            (true, true) => format!("{}{base}", operation.path),
            (true, false) => operation.path.to_owned(),
        };
        let (expected, given) = (template.split('/'), path.split('/'));
        expected.clone().count() == given.clone().count()
            && expected
                .zip(given)
                .all(|(expected, given)| expected.starts_with('{') || expected == given)
    }

    /// Every reference of the document with the place where it stands.
    pub(crate) fn references(&self) -> BTreeMap<String, String> {
        fn walk(value: &Value, place: &str, found: &mut BTreeMap<String, String>) {
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        match member.as_str().filter(|_| name == "$ref") {
                            Some(target) => drop(found.insert(place.to_owned(), target.to_owned())),
                            None => walk(member, &format!("{place}/{name}"), found),
                        }
                    }
                }
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        walk(item, &format!("{place}/{index}"), found);
                    }
                }
                _ => {}
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.document, "", &mut found);
        found
    }
}

/// What succeeds says where the revocation stands if and only if that is documented. What fails may
/// say it, too: a page does not know whether anything has ended before it failed.
fn check_revocation_seq(response: &Value, reply: &Reply) -> Result<(), String> {
    const NAME: &str = "Revocation-Seq";
    if reply.status.is_client_error() || reply.status.is_server_error() {
        return Ok(());
    }
    let is_documented = response["headers"].get(NAME).is_some();
    match (is_documented, reply.headers.contains_key(NAME)) {
        (true, false) => Err(format!("{NAME} is missing")),
        (false, true) => Err(format!("{NAME} is not documented")),
        _ => Ok(()),
    }
}
