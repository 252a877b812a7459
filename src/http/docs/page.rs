//! The page: the contract by tags and operations, ready for the template.

use actix_web::http::StatusCode;
use askama::Template;

use super::contract::{Contract, Operation, Path, RequestBody, Response};
use super::example::{self, Request};
use super::prose::Prose;
use super::schema::{Field, Shape};
use crate::domain::issuer::Issuer;
use crate::http::openapi::OPENAPI;

#[derive(Template)]
#[template(path = "docs.html", whitespace = "minimize")]
struct DocsPage {
    title: String,
    version: String,
    summary: String,
    description: Prose,
    issuer: String,
    schemes: Vec<Scheme>,
    groups: Vec<Group>,
}

/// A way of authenticating.
struct Scheme {
    name: &'static str,
    description: Prose,
}

/// The operations of one tag.
struct Group {
    id: String,
    name: String,
    description: Prose,
    operations: Vec<OperationView>,
}

struct OperationView {
    id: String,
    method: &'static str,
    path: String,
    summary: String,
    description: Prose,
    authentication: Vec<&'static str>,
    parameters: Vec<ParameterView>,
    body: Option<BodyView>,
    curl: String,
    responses: Vec<ResponseView>,
}

struct ParameterView {
    place: String,
    field: Field,
}

struct BodyView {
    media_type: String,
    required: bool,
    shapes: Vec<Shape>,
}

struct ResponseView {
    status: String,
    reason: &'static str,
    is_success: bool,
    description: Prose,
    headers: Vec<Field>,
    media_type: String,
    shapes: Vec<Shape>,
    example: String,
}

/// The page for a server of this issuer.
pub(super) fn render(issuer: &Issuer) -> Result<String, String> {
    let contract = Contract::parse(OPENAPI)?;
    let builder = Builder { contract, issuer };
    builder.page().render().map_err(|error| error.to_string())
}

struct Builder<'a> {
    contract: Contract,
    issuer: &'a Issuer,
}

impl Builder<'_> {
    fn page(&self) -> DocsPage {
        let info = &self.contract.info;
        let schemes = self.contract.components.security_schemes.values();
        DocsPage {
            title: info.title.clone(),
            version: info.version.clone(),
            summary: info.summary.clone(),
            description: Prose::parse(&info.description),
            issuer: self.issuer.to_string(),
            schemes: schemes
                .map(|scheme| Scheme {
                    name: scheme_name(&scheme.scheme),
                    description: Prose::parse(&scheme.description),
                })
                .collect(),
            groups: self.groups(),
        }
    }

    fn groups(&self) -> Vec<Group> {
        let group = |tag: &super::contract::Tag| Group {
            id: tag.name.to_lowercase().replace(' ', "-"),
            name: tag.name.clone(),
            description: Prose::parse(&tag.description),
            operations: self.operations(&tag.name),
        };
        self.contract.tags.iter().map(group).collect()
    }

    fn operations(&self, tag: &str) -> Vec<OperationView> {
        let paths = self.contract.paths.iter();
        paths
            .flat_map(|(name, path)| {
                path.operations()
                    .filter(|(_, operation)| operation.tags.iter().any(|own| own == tag))
                    .map(move |(method, operation)| self.operation(name, path, method, operation))
            })
            .collect()
    }

    fn operation(
        &self,
        name: &str,
        path: &Path,
        method: &'static str,
        operation: &Operation,
    ) -> OperationView {
        let schemes = self.schemes(operation);
        let request = Request {
            method,
            url: self.url(name, path),
            scheme: schemes.first().copied(),
            body: self.body_example(operation),
        };
        let responses = operation.responses.iter();
        OperationView {
            id: operation.id.clone(),
            method,
            path: name.to_owned(),
            summary: operation.summary.clone(),
            description: Prose::parse(&operation.description),
            authentication: schemes.iter().map(|scheme| scheme_name(scheme)).collect(),
            parameters: self.parameters(path, operation),
            body: operation
                .request_body
                .as_ref()
                .and_then(|body| self.body(body)),
            curl: example::curl(&request),
            responses: responses
                .map(|(status, response)| self.response(status, response))
                .collect(),
        }
    }

    /// The `scheme` of each way to authenticate.
    fn schemes<'a>(&'a self, operation: &'a Operation) -> Vec<&'a str> {
        let names = operation.security.iter().flat_map(|way| way.keys());
        names
            .filter_map(|name| self.contract.components.security_schemes.get(name))
            .map(|scheme| scheme.scheme.as_str())
            .collect()
    }

    /// The address of an operation on this server, with examples in place of path parameters.
    fn url(&self, name: &str, path: &Path) -> String {
        let issuer = self.issuer.as_str();
        let origin = issuer.strip_suffix(self.issuer.path()).unwrap_or(issuer);
        let mut url = match (path.is_at_root(), name.starts_with("/.well-known/")) {
            (false, _) => format!("{issuer}{name}"),
            // RFC 8414 §3.1: the path of the issuer comes after the well-known part.
            (true, true) => format!("{origin}{name}{}", self.issuer.path()),
            (true, false) => format!("{origin}{name}"),
        };
        for parameter in &path.parameters {
            let parameter = self.contract.parameter(parameter);
            if let Some(value) = &parameter.example {
                let placeholder = format!("{{{}}}", parameter.name);
                url = url.replace(&placeholder, &example::inline(value));
            }
        }
        url
    }

    fn parameters(&self, path: &Path, operation: &Operation) -> Vec<ParameterView> {
        let parameters = path.parameters.iter().chain(&operation.parameters);
        parameters
            .map(|parameter| {
                let parameter = self.contract.parameter(parameter);
                let (name, required) = (&parameter.name, parameter.required);
                let field = self.contract.field(name, &parameter.schema, required);
                ParameterView {
                    field: Field {
                        description: Prose::parse(&parameter.description),
                        ..field
                    },
                    place: parameter.place,
                }
            })
            .collect()
    }

    fn body(&self, body: &RequestBody) -> Option<BodyView> {
        let (media_type, media) = body.content.first()?;
        Some(BodyView {
            media_type: media_type.clone(),
            required: body.required,
            shapes: self.contract.shapes(&media.schema),
        })
    }

    fn body_example<'a>(
        &self,
        operation: &'a Operation,
    ) -> Option<(&'a str, super::contract::Example)> {
        let (media_type, media) = operation.request_body.as_ref()?.content.first()?;
        Some((media_type, self.contract.example(media)))
    }

    fn response(&self, status: &str, response: &Response) -> ResponseView {
        let response = self.contract.response(response);
        let code = status.parse::<u16>().ok();
        let reason = code
            .and_then(|code| StatusCode::from_u16(code).ok()?.canonical_reason())
            .unwrap_or_default();
        let headers = response.headers.iter().map(|(name, header)| {
            let header = self.contract.header(header);
            Field {
                name: name.clone(),
                kind: String::new(),
                required: header.required,
                description: Prose::parse(&header.description),
                facts: Vec::new(),
                shapes: Vec::new(),
            }
        });
        let body = response.content.first();
        let is_json = |media_type: &str| media_type.ends_with("json");
        ResponseView {
            status: status.to_owned(),
            reason,
            is_success: code.is_some_and(|code| code < 300),
            description: Prose::parse(&response.description),
            headers: headers.collect(),
            media_type: body.map(|(name, _)| name.clone()).unwrap_or_default(),
            shapes: body
                .map(|(_, media)| self.contract.shapes(&media.schema))
                .unwrap_or_default(),
            example: body
                .filter(|(name, _)| is_json(name))
                .map(|(_, media)| example::pretty(&self.contract.example(media)))
                .unwrap_or_default(),
        }
    }
}

fn scheme_name(scheme: &str) -> &'static str {
    match scheme {
        "basic" => "Client id and secret",
        _ => "Administrator's token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(issuer: &str) -> String {
        render(&Issuer::parse(issuer).unwrap()).unwrap()
    }

    #[test]
    fn the_page_has_every_operation_with_a_command_for_this_server() {
        let page = page("https://login.example.com");
        let contract = Contract::parse(OPENAPI).unwrap();
        for operation in contract.paths.values().flat_map(Path::operations) {
            let id = &operation.1.id;
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(page.contains("https://login.example.com/oauth/token"));
        assert!(page.contains("https://login.example.com/api/admin/clients/orders/enable"));
    }

    #[test]
    fn the_path_of_the_issuer_stands_where_the_server_answers() {
        let page = page("https://example.com/auth");
        for address in [
            "https://example.com/auth/oauth/token",
            "https://example.com/.well-known/oauth-authorization-server/auth",
            "https://example.com/auth/.well-known/jwks.json",
            "https://example.com/readyz",
        ] {
            assert!(page.contains(address), "{address}");
        }
    }

    #[test]
    fn nothing_on_the_page_is_loaded_from_elsewhere_or_is_a_script() {
        let page = page("https://login.example.com");
        assert!(!page.contains("<script"));
        assert!(!page.contains("style="));
        assert!(!page.contains("src="));
        let stylesheets: Vec<_> = page.matches("rel=\"stylesheet\"").collect();
        assert_eq!(stylesheets.len(), 1);
        assert!(page.contains("href=\"docs.css\""));
    }
}
