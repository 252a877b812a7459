//! `tokensmith client create`

use clap::Args;
use serde_json::{Map, Value};
use tokensmith_verify::ScopeSet;

use crate::cli::SettingsArgs;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::{
    AccessTokenFormat, ClientAuthMethod, ClientMetadata, GrantType, PkcePolicy,
};
use crate::domain::id::ClientId;
use crate::domain::redirect_uri::RedirectUri;
use crate::domain::resource::Resource;
use crate::domain::web_url::WebUrl;

/// `tokensmith client create`
#[derive(Args)]
pub struct CreateArgs {
    /// The client id; one is made up when absent
    #[arg(long, allow_hyphen_values = true)]
    id: Option<ClientId>,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A picture that people know the client by
    #[arg(long, value_name = "URL")]
    logo_uri: Option<WebUrl>,
    /// A grant that the client may use (repeatable): `authorization_code` for logins,
    /// `refresh_token` to keep people logged in, `client_credentials` for a service of its own
    #[arg(long, value_name = "GRANT", required = true)]
    grant: Vec<GrantType>,
    /// The scopes that the client may ask for, separated by spaces
    #[arg(long, value_name = "SCOPES")]
    scope: Option<ScopeSet>,
    /// An API that the client may ask tokens for (repeatable; the first is the default)
    #[arg(long, value_name = "URI")]
    audience: Vec<Resource>,
    #[command(flatten)]
    kind: KindArgs,
    /// Where codes may be sent, compared as written (repeatable)
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<RedirectUri>,
    #[command(flatten)]
    logout: LogoutArgs,
    /// Whether logins must use PKCE
    #[arg(long, value_name = "required|optional", default_value_t)]
    pkce: PkcePolicy,
    /// Let logins in a browser begin with a pushed request only (RFC 9126)
    #[arg(long)]
    require_par: bool,
    /// Lifetime of access tokens, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    access_token_ttl: Option<u32>,
    /// What signs the access tokens
    #[arg(long, value_name = "RS256|PS256|ES256|Ed25519", default_value_t)]
    access_token_alg: Algorithm,
    /// Signed access tokens, or mere references that APIs must ask this server about
    #[arg(long, value_name = "jwt|reference", default_value_t)]
    access_token_format: AccessTokenFormat,
    /// A fixed claim for the access tokens (repeatable): a name and JSON, or a name and text
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_claim)]
    claim: Vec<(String, Value)>,
    /// How long a session lives without being used, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    session_idle_ttl: Option<u32>,
    /// How long a session lives at all, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    session_ttl: Option<u32>,
    /// Whether each use of a refresh token makes a new one; for public clients only when absent
    #[arg(long, value_name = "true|false")]
    rotate_refresh_tokens: Option<bool>,
    /// How long the refresh token before may be repeated without its Idempotency-Key, such as 30s;
    /// 0s for not at all
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    retry_window: Option<u32>,
    /// An API in whose name the client may introspect tokens (repeatable)
    #[arg(long, value_name = "URI")]
    resource_server: Vec<Resource>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// What kind of client it is.
#[derive(Args)]
struct KindArgs {
    /// How the client authenticates; with its secret in either way when absent
    #[arg(long, value_name = "client_secret_basic|client_secret_post|none")]
    auth_method: Option<ClientAuthMethod>,
    /// An app that cannot keep a secret, on a phone or in a browser: the same as
    /// `--auth-method none`
    #[arg(long, conflicts_with = "auth_method")]
    public: bool,
    /// A client of your own: it may take passwords itself, and nobody is asked for consent
    #[arg(long)]
    first_party: bool,
    /// A client of somebody else (the default)
    #[arg(long, conflicts_with = "first_party")]
    third_party: bool,
}

/// What happens at a logout.
#[derive(Args)]
struct LogoutArgs {
    /// Where the browser may be sent after a logout, compared as written (repeatable)
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Vec<RedirectUri>,
    /// What this server calls with a logout token when a session of the client ends
    #[arg(long, value_name = "URL")]
    backchannel_logout_uri: Option<WebUrl>,
}

impl CreateArgs {
    /// What is to be registered, and under which id.
    pub(super) fn registration(self) -> (Option<ClientId>, ClientMetadata) {
        let public = self.kind.public.then_some(ClientAuthMethod::None);
        let metadata = ClientMetadata {
            client_name: self.name,
            logo_uri: self.logo_uri,
            grant_types: self.grant.into_iter().collect(),
            scope: self.scope.unwrap_or_default(),
            audiences: self.audience,
            token_endpoint_auth_method: self.kind.auth_method.or(public),
            redirect_uris: self.redirect_uri,
            post_logout_redirect_uris: self.logout.post_logout_redirect_uri,
            backchannel_logout_uri: self.logout.backchannel_logout_uri,
            first_party: self.kind.first_party,
            pkce: self.pkce,
            require_pushed_authorization_requests: self.require_par,
            access_token_ttl: self.access_token_ttl,
            access_token_alg: self.access_token_alg,
            access_token_format: self.access_token_format,
            access_token_claims: Map::from_iter(self.claim),
            session_idle_ttl: self.session_idle_ttl,
            session_ttl: self.session_ttl,
            rotate_refresh_tokens: self.rotate_refresh_tokens,
            retry_window: self.retry_window,
            resource_servers: self.resource_server,
        };
        (self.id, metadata)
    }
}

fn parse_seconds(text: &str) -> Result<u32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.subsec_nanos() != 0 {
        return Err("is not a whole number of seconds".to_owned());
    }
    u32::try_from(duration.as_secs()).map_err(|_| "is too long".to_owned())
}

fn parse_claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}
