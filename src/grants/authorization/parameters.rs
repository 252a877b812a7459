//! The parameters of an authorization request (RFC 6749 §4.1.1, `OpenID` Connect Core §3.1.2.1), read
//! into a request that is in order or refused with the code that the specification names.

use tokensmith_verify::ScopeSet;

use super::{AuthorizationError, ReturnAddress};
use crate::domain::Timestamp;
use crate::domain::authorization::{AuthorizationRequest, Prompt, ResponseMode};
use crate::domain::claims::ClaimsRequest;
use crate::domain::client::{Client, GrantType};
use crate::domain::entitlement::grant_audience;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::id::UserId;
use crate::grants::TokenService;
use crate::grants::pkce::check_challenge;

/// The parameters as they came, in their order.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationParameters(Vec<(String, String)>);

/// More than any request of a real client has; a longer one is pushed in vain, too, since it has to
/// travel through the browser.
const MOST_BYTES: usize = 4 * 1024;

/// The longest name under which somebody is expected to sign in.
const MOST_HINT_CHARACTERS: usize = 200;

/// A parameter that may be there once is there twice.
struct Repeated;

impl AuthorizationParameters {
    /// The parameters of a query or a form. RFC 6749 §3.1: one without a value counts as omitted.
    #[must_use]
    pub fn new(parameters: Vec<(String, String)>) -> Self {
        let given = |(_, value): &(String, String)| !value.is_empty();
        Self(parameters.into_iter().filter(given).collect())
    }

    /// The parameters, to be sent on.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(given, _)| *given == name)
            .map(|(_, value)| value)
    }

    /// RFC 6749 §3.1: parameters must not be included more than once.
    fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut given = self.all(name);
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(Repeated),
            (given, None) => Ok(given),
        }
    }

    /// The first value of a parameter, before the whole is known to be in order.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The client that asks, for lookups.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.one("client_id").ok().flatten()
    }

    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.one(name).is_err()
    }

    /// A parameter that is there twice although it must not; known ones are named, others not: the
    /// description goes to the client and into logs.
    fn find_repeated(&self) -> Option<&'static str> {
        // RFC 8707 §2 is the one specification that lets a parameter be repeated.
        let mut places = self.0.iter().enumerate();
        let is_repeated = |name: &str, place| {
            let mut earlier = self.0.iter().take(place);
            name != "resource" && earlier.any(|(other, _)| other == name)
        };
        let (_, (name, _)) = places.find(|(place, (name, _))| is_repeated(name, *place))?;
        Some(match name.as_str() {
            "acr_values" => "acr_values",
            "display" => "display",
            "response_type" => "response_type",
            "scope" => "scope",
            _ => "of some name",
        })
    }

    /// Such a request is refused, and none of it is repeated: it might be longer than a head that a
    /// proxy takes.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        let bytes = self.iter().map(|(name, value)| name.len() + value.len());
        bytes.sum::<usize>() > MOST_BYTES
    }
}

impl TokenService {
    /// Reads the parameters of a client that is known.
    pub(in crate::grants) fn read_request(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let mut back = return_address(client, parameters)?;
        self.read_rest(client, parameters, &mut back, now)
            .and_then(check_size)
            .map_err(|error| AuthorizationError::Redirected(Box::new(back), error))
    }

    /// Everything that is told to the client itself when it is wrong.
    fn read_rest(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
        back: &mut ReturnAddress,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, OAuthError> {
        let one = |name: &'static str| {
            parameters.one(name).map_err(|Repeated| {
                OAuthError::invalid_request(format!("the parameter {name} is repeated"))
            })
        };
        let text = |name| one(name).map(|value| value.map(ToOwned::to_owned));
        back.mode = response_mode(one("response_mode")?)?;
        if parameters.is_too_long() {
            return Err(too_long());
        }
        back.state = text("state")?;
        if let Some(name) = parameters.find_repeated() {
            let description = format!("the parameter {name} is repeated");
            return Err(OAuthError::invalid_request(description));
        }
        refuse_unsupported(parameters)?;
        check_response_type(one("response_type")?)?;
        crate::grants::check_grant(client, GrantType::AuthorizationCode)?;
        let scope = granted_scope(one("scope")?, &client.metadata.scope)?;
        let resources: Vec<&str> = parameters.all("resource").collect();
        let audience = grant_audience(&resources, &client.metadata, &self.issuer)?;
        let challenge = (one("code_challenge")?, one("code_challenge_method")?);
        let code_challenge = check_challenge(client, challenge.0, challenge.1)?;
        // A mistake that gives the verifier away with the answer.
        let leaks = |(state, challenge): (&String, &String)| {
            self.accounts.tokens.pkce_matches(state, challenge)
        };
        if back
            .state
            .as_ref()
            .zip(code_challenge.as_ref())
            .is_some_and(leaks)
        {
            let description = "state must not be the code_verifier: it comes back with the code";
            return Err(OAuthError::invalid_request(description));
        }
        let nonce = text("nonce")?;
        let prompt: Prompt = parsed(one("prompt")?)?.unwrap_or_default();
        let claims: ClaimsRequest = parsed(one("claims")?)?.unwrap_or_default();
        let hinted = self.hinted_person(client, one("id_token_hint")?)?;
        Ok(AuthorizationRequest {
            client_id: client.id.clone(),
            redirect_uri: back.redirect_uri.clone(),
            response_mode: back.mode,
            code_challenge,
            nonce,
            prompt,
            max_age: max_age(one("max_age")?)?,
            login_hint: one("login_hint")?.map(shortened),
            subject: subject(hinted, &claims)?,
            essential_acr: claims.essential_acr.clone(),
            // What the client is not registered for it does not get by another name.
            userinfo_claims: claims.userinfo.covered_by(&client.metadata.scope),
            id_token_claims: claims.id_token.covered_by(&client.metadata.scope),
            ui_locales: words(one("ui_locales")?),
            state: back.state.clone(),
            pushed_as: None,
            started_at: now,
            scope,
            audience,
        })
    }

    /// `OpenID` Connect Core §3.1.2.1: an ID token that the client got here before.
    fn hinted_person(
        &self,
        client: &Client,
        hint: Option<&str>,
    ) -> Result<Option<UserId>, OAuthError> {
        let Some(text) = hint else {
            return Ok(None);
        };
        let hint = self.hints.read_id_token_hint(text);
        match hint.filter(|hint| hint.client_id == client.id) {
            Some(hint) => Ok(Some(hint.user_id)),
            None => Err(OAuthError::invalid_request(
                "id_token_hint is not an ID token that this client got here",
            )),
        }
    }
}

/// Characters that JSON escapes make a request longer than it was, and it has to fit into an address.
fn check_size(request: AuthorizationRequest) -> Result<AuthorizationRequest, OAuthError> {
    const MOST_SEALED_BYTES: usize = 5 * 1024;
    let length = serde_json::to_vec(&request).map_or(usize::MAX, |json| json.len());
    if length > MOST_SEALED_BYTES {
        let description = "the parameters take too much room; send less";
        return Err(OAuthError::invalid_request(description));
    }
    Ok(request)
}

pub(super) fn too_long() -> OAuthError {
    OAuthError::invalid_request("the parameters are longer than 4096 characters altogether")
}

/// Where the answer may go. Until that is known nothing is redirected (RFC 6749 §4.1.2.1).
fn return_address(
    client: &Client,
    parameters: &AuthorizationParameters,
) -> Result<ReturnAddress, AuthorizationError> {
    let shown = |description| AuthorizationError::Shown(OAuthError::invalid_request(description));
    let registered = &client.metadata.redirect_uris;
    let redirect_uri = match parameters.one("redirect_uri") {
        Err(Repeated) => return Err(shown("redirect_uri is repeated")),
        Ok(Some(presented)) if registered.iter().any(|uri| uri.matches(presented)) => {
            presented.to_owned()
        }
        Ok(Some(_)) => {
            return Err(shown("redirect_uri is not registered for this client"));
        }
        // RFC 6749 §3.1.2.3, but OpenID Connect Core §3.1.2.1 insists on it.
        Ok(None) => return Err(shown("redirect_uri is missing")),
    };
    Ok(ReturnAddress {
        client_id: client.id.clone(),
        redirect_uri,
        mode: ResponseMode::Query,
        state: parameters
            .first("state")
            .filter(|_| !parameters.is_too_long())
            .map(ToOwned::to_owned),
    })
}

/// What is not offered is refused rather than passed over: it changes what the others mean
/// (`OpenID` Connect Core §6, §7).
fn refuse_unsupported(parameters: &AuthorizationParameters) -> Result<(), OAuthError> {
    let refusals = [
        (
            "request",
            OAuthErrorCode::RequestNotSupported,
            "request objects are not supported; push the request (RFC 9126)",
        ),
        (
            "request_uri",
            OAuthErrorCode::RequestUriNotSupported,
            "request_uri names a request that was pushed here (RFC 9126)",
        ),
        (
            "registration",
            OAuthErrorCode::RegistrationNotSupported,
            "clients are registered beforehand",
        ),
    ];
    for (name, code, description) in refusals {
        if parameters.first(name).is_some() {
            return Err(OAuthError::new(code, description));
        }
    }
    Ok(())
}

fn check_response_type(given: Option<&str>) -> Result<(), OAuthError> {
    match given {
        Some("code") => Ok(()),
        None => Err(OAuthError::invalid_request("response_type is missing")),
        Some(_) => {
            let code = OAuthErrorCode::UnsupportedResponseType;
            Err(OAuthError::new(code, "the response type is code"))
        }
    }
}

fn response_mode(given: Option<&str>) -> Result<ResponseMode, OAuthError> {
    let Some(name) = given else {
        return Ok(ResponseMode::default());
    };
    let mut modes = ResponseMode::ALL.into_iter();
    modes
        .find(|mode| mode.as_str() == name)
        .ok_or_else(|| OAuthError::invalid_request("response_mode is query or form_post"))
}

/// What was asked for, as far as it is registered (RFC 6749 §3.3: the granted scope is told).
fn granted_scope(requested: Option<&str>, registered: &ScopeSet) -> Result<ScopeSet, OAuthError> {
    let invalid =
        |description: &'static str| OAuthError::new(OAuthErrorCode::InvalidScope, description);
    let Some(text) = requested else {
        return Ok(registered.clone());
    };
    let asked: ScopeSet = text
        .parse()
        .map_err(|_| invalid("scope is a list of names separated by single spaces"))?;
    let known: Vec<&str> = asked
        .iter()
        .filter(|name| registered.contains(name))
        .collect();
    if known.is_empty() {
        return Err(invalid("this client may ask for none of these scopes"));
    }
    known
        .join(" ")
        .parse()
        .map_err(|_| invalid("scope cannot be read"))
}

fn parsed<T>(given: Option<&str>) -> Result<Option<T>, OAuthError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let invalid = |error: T::Err| OAuthError::invalid_request(error.to_string());
    given.map(|text| text.parse().map_err(invalid)).transpose()
}

fn max_age(given: Option<&str>) -> Result<Option<u32>, OAuthError> {
    let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    match given {
        None => Ok(None),
        Some(text) => Some(text)
            .filter(is_number)
            // More seconds than a century has are no limit.
            .map(|digits| Some(digits.parse().unwrap_or(u32::MAX)))
            .ok_or_else(|| OAuthError::invalid_request("max_age is a number of seconds")),
    }
}

/// The one person that the answer may be about: by an ID token, or by the claim `sub` with a value
/// (`OpenID` Connect Core §5.5.1).
fn subject(hinted: Option<UserId>, claims: &ClaimsRequest) -> Result<Option<UserId>, OAuthError> {
    let Some(text) = &claims.subject else {
        return Ok(hinted);
    };
    let unknown = || OAuthError::invalid_request("claims asks for a sub that is none of here");
    let asked: UserId = text.parse().map_err(|_| unknown())?;
    match hinted {
        Some(hinted) if hinted != asked => Err(unknown()),
        _ => Ok(Some(asked)),
    }
}

fn shortened(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(MOST_HINT_CHARACTERS)
        .collect()
}

fn words(given: Option<&str>) -> Vec<String> {
    const MOST: usize = 10;
    let words = given.into_iter().flat_map(|text| text.split(' '));
    words
        .filter(|word| !word.is_empty())
        .take(MOST)
        .map(ToOwned::to_owned)
        .collect()
}
