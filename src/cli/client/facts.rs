//! What `tokensmith client show` says to people about a client.

use std::fmt::Display;

use crate::domain::Timestamp;
use crate::domain::client::{AccessTokenFormat, Client, ClientMetadata, ClientSecret, PkcePolicy};

/// A name and a value.
pub(super) type Fact = (&'static str, String);

/// The facts about a client, in the order in which they are read, without those that were left to
/// the defaults.
pub(super) fn of(client: &Client) -> Vec<Fact> {
    let disabled = |at| format!("disabled since {at}");
    let state = client.disabled_at.map_or("enabled".into(), disabled);
    let mut facts = vec![
        ("client_id", client.id.to_string()),
        ("name", text(client.metadata.client_name.as_ref())),
        ("state", state),
    ];
    facts.extend(registered(&client.metadata));
    facts.push(("created", client.created_at.to_rfc3339()));
    facts.extend(client.secrets.iter().map(secret));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn registered(metadata: &ClientMetadata) -> [Fact; 18] {
    let first_party = metadata.first_party.then_some("yes");
    let pushed = metadata.require_pushed_authorization_requests;
    let pkce = Some(metadata.pkce).filter(|policy| *policy == PkcePolicy::Optional);
    let format =
        Some(metadata.access_token_format).filter(|format| *format == AccessTokenFormat::Reference);
    [
        ("logo", text(metadata.logo_uri.as_ref())),
        ("grants", list(&metadata.grant_types)),
        ("auth method", text(metadata.token_endpoint_auth_method)),
        ("first-party", text(first_party)),
        ("scope", metadata.scope.to_string()),
        ("audiences", list(&metadata.audiences)),
        ("redirect URIs", list(&metadata.redirect_uris)),
        ("logout URIs", list(&metadata.post_logout_redirect_uris)),
        (
            "back-channel",
            text(metadata.backchannel_logout_uri.as_ref()),
        ),
        ("PKCE", text(pkce)),
        ("PAR", text(pushed.then_some("required"))),
        ("signed with", metadata.access_token_alg.to_string()),
        ("token format", text(format)),
        ("idle TTL", seconds(metadata.session_idle_ttl)),
        ("session TTL", seconds(metadata.session_ttl)),
        ("rotates", text(metadata.rotate_refresh_tokens)),
        ("retry window", seconds(metadata.retry_window)),
        ("introspects", list(&metadata.resource_servers)),
    ]
}

fn secret(secret: &ClientSecret) -> Fact {
    let day = |instant: Option<Timestamp>| {
        instant.map_or_else(|| "never".to_owned(), |instant| instant.to_rfc3339())
    };
    let (ends, used) = (day(secret.expires_at), day(secret.last_used_at));
    let made = secret.created_at.to_rfc3339();
    let dates = format!("{} made {made}, ends {ends}, last used {used}", secret.id);
    ("secret", dates)
}

fn text(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn seconds(value: Option<u32>) -> String {
    text(value.map(|seconds| format!("{seconds}s")))
}

fn list(values: impl IntoIterator<Item: Display>) -> String {
    let values = values.into_iter().map(|value| value.to_string());
    values.collect::<Vec<_>>().join(" ")
}
