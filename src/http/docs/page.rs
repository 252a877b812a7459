//! The page: the contract by tags and operations, ready for the template.

use actix_web::http::StatusCode;
use askama::Template;

use super::contract::{Contract, Example, Operation, Parameter, Path, RequestBody, Response};
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
    authentication: Vec<Authentication>,
    parameters: Vec<ParameterView>,
    body: Option<BodyView>,
    commands: Vec<Sample>,
    responses: Vec<ResponseView>,
}

/// A way of authenticating at an operation.
struct Authentication {
    name: &'static str,
    /// One of them is needed.
    scopes: Vec<String>,
}

/// An example, and what it shows where there are several.
struct Sample {
    title: String,
    text: String,
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
    examples: Vec<Sample>,
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
        let responses = operation.responses.iter();
        OperationView {
            id: operation.id.clone(),
            method,
            path: name.to_owned(),
            summary: operation.summary.clone(),
            description: Prose::parse(&operation.description),
            authentication: self
                .schemes(operation)
                .map(|(scheme, scopes)| Authentication {
                    name: scheme_name(scheme),
                    scopes: scopes.to_vec(),
                })
                .collect(),
            parameters: self.parameters(path, operation),
            body: operation
                .request_body
                .as_ref()
                .and_then(|body| self.body(body)),
            commands: self.commands(method, &self.url(name, path), operation),
            responses: responses
                .map(|(status, response)| self.response(status, response))
                .collect(),
        }
    }

    /// The `scheme` of each way to authenticate, with the scopes of which one is needed.
    fn schemes<'a>(
        &'a self,
        operation: &'a Operation,
    ) -> impl Iterator<Item = (&'a str, &'a [String])> {
        let known = &self.contract.components.security_schemes;
        let ways = operation.security.iter().flatten();
        ways.filter_map(|(name, scopes)| {
            let scheme = known.get(name)?;
            Some((scheme.scheme.as_str(), scopes.as_slice()))
        })
    }

    /// The operation as lines for the shell: one for each example of its body. What people visit is
    /// an address for their browser, and what its forms send nobody sends by hand.
    fn commands(&self, method: &'static str, url: &str, operation: &Operation) -> Vec<Sample> {
        if self.is_for_browsers(operation) {
            let mut parameters = operation.parameters.iter();
            let query = parameters.find_map(|parameter| parameter.example.as_ref());
            let address = Sample {
                title: String::new(),
                text: example::address(url, query),
            };
            return Vec::from_iter((method == "GET").then_some(address));
        }
        let scheme = self.schemes(operation).next().map(|(scheme, _)| scheme);
        let body = operation.request_body.as_ref();
        let Some((media_type, media)) = body.and_then(|body| body.content.first()) else {
            return vec![command(method, url, scheme, None, String::new())];
        };
        let examples = self.contract.examples(media).into_iter();
        examples
            .map(|(title, example)| {
                // A client that says in the form who it is says so only there.
                let says_who =
                    matches!(&example, Example::Object(form) if form.contains_key("client_id"));
                let scheme = scheme.filter(|scheme| *scheme != BASIC || !says_who);
                command(method, url, scheme, Some((media_type, example)), title)
            })
            .collect()
    }

    fn is_for_browsers(&self, operation: &Operation) -> bool {
        let mut responses = operation.responses.values();
        responses.any(|response| {
            let response = self.contract.response(response);
            response.content.contains_key("text/html")
        })
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
            .flat_map(|parameter| self.parameter(&self.contract.parameter(parameter)))
            .collect()
    }

    /// An object in a query stands for its members: each is a parameter of its own (`explode`).
    fn parameter(&self, parameter: &Parameter) -> Vec<ParameterView> {
        let view = |field| ParameterView {
            field,
            place: parameter.place.clone(),
        };
        let members = self.contract.shapes(&parameter.schema).into_iter();
        let members: Vec<_> = members.flat_map(|shape| shape.fields).map(view).collect();
        if !members.is_empty() {
            return members;
        }
        let (name, required) = (&parameter.name, parameter.required);
        let field = self.contract.field(name, &parameter.schema, required);
        let description = Prose::parse(&parameter.description);
        vec![view(Field {
            description,
            ..field
        })]
    }

    fn body(&self, body: &RequestBody) -> Option<BodyView> {
        let (media_type, media) = body.content.first()?;
        Some(BodyView {
            media_type: media_type.clone(),
            required: body.required,
            shapes: self.contract.shapes(&media.schema),
        })
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
        let media_types: Vec<&str> = response.content.keys().map(String::as_str).collect();
        let is_json = |media_type: &str| media_type.ends_with("json");
        ResponseView {
            status: status.to_owned(),
            reason,
            // Whoever posts a form is sent on.
            is_success: code.is_some_and(|code| code < 300 || code == 303),
            description: Prose::parse(&response.description),
            headers: headers.collect(),
            media_type: media_types.join(", "),
            shapes: body
                .map(|(_, media)| self.contract.shapes(&media.schema))
                .unwrap_or_default(),
            examples: body
                .filter(|(name, _)| is_json(name))
                .map(|(_, media)| self.contract.examples(media))
                .into_iter()
                .flatten()
                .map(|(title, example)| Sample {
                    title,
                    text: example::pretty(&example),
                })
                .collect(),
        }
    }
}

const BASIC: &str = "basic";

fn scheme_name(scheme: &str) -> &'static str {
    match scheme {
        BASIC => "Client id and secret",
        _ => "Access token",
    }
}

fn command(
    method: &'static str,
    url: &str,
    scheme: Option<&str>,
    body: Option<(&str, Example)>,
    title: String,
) -> Sample {
    let url = url.to_owned();
    let request = Request {
        method,
        url,
        scheme,
        body,
    };
    Sample {
        title,
        text: example::curl(&request),
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
        // Not from what was parsed: a method that is not read would not be missed.
        let ids: Vec<&str> = OPENAPI
            .lines()
            .filter_map(|line| line.trim().strip_prefix("operationId: "))
            .collect();
        assert!(ids.len() >= 40, "{ids:?}");
        for id in ids {
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(page.contains("https://login.example.com/oauth/token"));
        assert!(page.contains("https://login.example.com/api/admin/clients/orders/enable"));
    }

    #[test]
    fn an_operation_with_several_uses_has_a_command_for_each() {
        let page = page("https://login.example.com");
        for (title, command) in [
            (
                "For a service",
                "-u &#34;$CLIENT_ID:$CLIENT_SECRET&#34; \\\n  -d grant_type=client_credentials",
            ),
            (
                "To go on with a session",
                "curl -d grant_type=refresh_token \\\n  -d client_id=phone",
            ),
            (
                "For the person&#39;s own account",
                "-d resource=https://login.example.com",
            ),
        ] {
            assert!(page.contains(title), "{title}");
            assert!(page.contains(command), "{command}");
        }
    }

    #[test]
    fn the_page_says_which_scope_an_operation_needs() {
        let page = page("https://login.example.com");
        for scope in ["tokensmith:account", "tokensmith:admin"] {
            let needs = format!("Access token</a> with <code>{scope}</code>");
            assert!(page.contains(&needs), "{needs}");
        }
    }

    #[test]
    fn the_path_of_the_issuer_stands_where_the_server_answers() {
        let page = page("https://example.com/auth");
        for address in [
            "https://example.com/auth/oauth/token",
            "https://example.com/.well-known/oauth-authorization-server/auth",
            "https://example.com/auth/.well-known/jwks.json",
            "https://example.com/auth/.well-known/openid-configuration",
            "https://example.com/readyz",
        ] {
            assert!(page.contains(address), "{address}");
        }
    }

    #[test]
    fn what_people_visit_is_an_address_and_no_command() {
        let page = page("https://login.example.com");
        let begins = "https://login.example.com/oauth/authorize?response_type=code&#38;client_id=";
        assert!(page.contains(begins));
        for command in [
            "https://login.example.com/account</code>",
            "https://login.example.com/docs</code>",
        ] {
            assert!(page.contains(command), "{command}");
            assert!(!page.contains(&format!("curl {command}")), "{command}");
        }
    }

    #[test]
    fn the_members_of_an_object_in_a_query_are_parameters() {
        let page = page("https://login.example.com");
        let place = "<span class=\"place\">query</span>";
        for name in ["code_challenge", "max_age", "post_logout_redirect_uri"] {
            let mut at = page.match_indices(place);
            let is_there = at.any(|(at, _)| {
                let field = &page[at..page.len().min(at + 200)];
                field.contains(&format!("<code class=\"name\">{name}</code>"))
            });
            assert!(is_there, "{name}");
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
