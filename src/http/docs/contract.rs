//! What the page reads of the contract: OpenAPI 3.1 with JSON Schema 2020-12, in the document's
//! order.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Members in the order in which the document has them.
pub(super) type Members<T> = IndexMap<String, T>;

/// The document.
#[derive(Deserialize)]
pub(super) struct Contract {
    pub(super) info: Info,
    pub(super) tags: Vec<Tag>,
    pub(super) paths: Members<Path>,
    pub(super) components: Components,
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) title: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) description: String,
}

#[derive(Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) description: String,
}

/// The operations of one path.
#[derive(Deserialize)]
pub(super) struct Path {
    /// Present where the path does not stand under the issuer's.
    servers: Option<Vec<Server>>,
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
    get: Option<Operation>,
    post: Option<Operation>,
    put: Option<Operation>,
    patch: Option<Operation>,
    delete: Option<Operation>,
}

#[derive(Deserialize)]
struct Server {
    url: String,
}

impl Path {
    /// Whether the path stands at the root, whatever the issuer's path is.
    pub(super) fn is_at_root(&self) -> bool {
        let mut servers = self.servers.iter().flatten();
        servers.any(|server| server.url == "/")
    }

    /// The operations with their methods.
    pub(super) fn operations(&self) -> impl Iterator<Item = (&'static str, &Operation)> {
        [
            ("GET", &self.get),
            ("POST", &self.post),
            ("PUT", &self.put),
            ("PATCH", &self.patch),
            ("DELETE", &self.delete),
        ]
        .into_iter()
        .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    #[serde(rename = "operationId")]
    pub(super) id: String,
    pub(super) tags: Vec<String>,
    pub(super) summary: String,
    #[serde(default)]
    pub(super) description: String,
    /// Ways of authenticating, each with the scopes that it needs; one of them is enough.
    #[serde(default)]
    pub(super) security: Vec<Members<Vec<String>>>,
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
    pub(super) request_body: Option<RequestBody>,
    pub(super) responses: Members<Response>,
}

/// A parameter, or a reference to one.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Parameter {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, rename = "in")]
    pub(super) place: String,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) schema: Schema,
    pub(super) example: Option<Example>,
}

#[derive(Deserialize)]
pub(super) struct RequestBody {
    #[serde(default)]
    pub(super) required: bool,
    pub(super) content: Members<Media>,
}

/// A response, or a reference to one.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Response {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) headers: Members<Header>,
    #[serde(default)]
    pub(super) content: Members<Media>,
}

/// A header, or a reference to one.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Header {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Clone, Deserialize)]
pub(super) struct Media {
    pub(super) schema: Schema,
    pub(super) example: Option<Example>,
    /// Instead of one: several, by name.
    #[serde(default)]
    pub(super) examples: Members<NamedExample>,
}

#[derive(Clone, Deserialize)]
pub(super) struct NamedExample {
    pub(super) summary: String,
    pub(super) value: Example,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components {
    pub(super) security_schemes: Members<SecurityScheme>,
    headers: Members<Header>,
    parameters: Members<Parameter>,
    responses: Members<Response>,
    schemas: Members<Schema>,
}

#[derive(Deserialize)]
pub(super) struct SecurityScheme {
    pub(super) scheme: String,
    pub(super) description: String,
}

/// A schema; beside a reference its other members take precedence over those of the target.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref")]
    pub(super) reference: Option<String>,
    pub(super) title: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Kind>,
    pub(super) format: Option<String>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) properties: Members<Schema>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) items: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) all_of: Vec<Schema>,
    #[serde(default)]
    pub(super) one_of: Vec<Schema>,
    /// What the text decodes to.
    #[serde(rename = "contentSchema")]
    pub(super) content: Option<Box<Schema>>,
    pub(super) default: Option<Example>,
    #[serde(rename = "const")]
    pub(super) constant: Option<Example>,
    #[serde(default, rename = "enum")]
    pub(super) choices: Vec<Example>,
    #[serde(default)]
    pub(super) examples: Vec<Example>,
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
    pub(super) max_length: Option<u64>,
}

/// `type`: one name or several.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Kind {
    One(String),
    Several(Vec<String>),
}

/// A JSON value that keeps the order of its members.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Example {
    Object(Members<Example>),
    Array(Vec<Example>),
    Scalar(serde_json::Value),
}

impl Contract {
    /// Reads the document.
    pub(super) fn parse(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|error| format!("openapi.yaml: {error}"))
    }

    /// The parameter itself, where a reference stands for it.
    pub(super) fn parameter(&self, parameter: &Parameter) -> Parameter {
        find(&self.components.parameters, parameter.reference.as_deref())
            .unwrap_or(parameter)
            .clone()
    }

    /// The response itself, where a reference stands for it.
    pub(super) fn response(&self, response: &Response) -> Response {
        find(&self.components.responses, response.reference.as_deref())
            .unwrap_or(response)
            .clone()
    }

    /// The header itself, where a reference stands for it.
    pub(super) fn header(&self, header: &Header) -> Header {
        find(&self.components.headers, header.reference.as_deref())
            .unwrap_or(header)
            .clone()
    }

    /// The schema that a reference names.
    pub(super) fn schema(&self, reference: &str) -> Option<&Schema> {
        find(&self.components.schemas, Some(reference))
    }
}

/// `#/components/KIND/NAME`: what the section of that kind has under the name.
fn find<'a, T>(section: &'a Members<T>, reference: Option<&str>) -> Option<&'a T> {
    section.get(reference?.rsplit('/').next()?)
}
