//! What a client gets of what it asks for: scope (RFC 6749 §3.3) and audience (RFC 8707 §2).

use tokensmith_verify::{Audience, ScopeSet};

use super::client::ClientMetadata;
use super::error::{OAuthError, OAuthErrorCode};
use super::issuer::Issuer;
use super::resource::{InvalidResource, Resource};

/// The longest `scope` that is read. A registration cannot hold more either: its token would pass
/// the limit for tokens.
const MOST_SCOPE_BYTES: usize = 2048;

/// The scope that is granted at the token endpoint: what was asked for, all of which must be
/// registered, or everything registered when nothing was asked for.
pub fn grant_scope(requested: Option<&str>, registered: &ScopeSet) -> Result<ScopeSet, OAuthError> {
    let Some(text) = requested else {
        return Ok(registered.clone());
    };
    let invalid = |description| OAuthError::new(OAuthErrorCode::InvalidScope, description);
    if text.len() > MOST_SCOPE_BYTES {
        return Err(invalid("scope is longer than 2048 characters".to_owned()));
    }
    let requested: ScopeSet = text
        .parse()
        .map_err(|_| invalid("scope is a list of names separated by single spaces".to_owned()))?;
    if requested.iter().all(|scope| registered.contains(scope)) {
        return Ok(requested);
    }
    Err(invalid(if registered.is_empty() {
        "this client is registered for no scope".to_owned()
    } else {
        format!("this client may ask for: {registered}")
    }))
}

/// The audience that is granted: the resources asked for, all of which must be registered, or the
/// first registered one, or the issuer when the client has none. Never empty.
pub fn grant_audience(
    requested: &[&str],
    metadata: &ClientMetadata,
    issuer: &Issuer,
) -> Result<Audience, OAuthError> {
    let invalid = |description| OAuthError::new(OAuthErrorCode::InvalidTarget, description);
    let mut granted: Vec<String> = Vec::with_capacity(requested.len());
    for text in requested {
        let resource: Resource = text
            .parse()
            .map_err(|error: InvalidResource| invalid(error.to_string()))?;
        if !is_allowed(&resource, metadata, issuer) {
            return Err(invalid(
                "this client may not ask for this resource".to_owned(),
            ));
        }
        if !granted.iter().any(|earlier| earlier == resource.as_str()) {
            granted.push(resource.as_str().to_owned());
        }
    }
    Ok(Audience::try_from(granted).unwrap_or_else(|_| default_audience(metadata, issuer)))
}

/// The scope of one access token of a session: what was asked for, none of which may be new
/// (RFC 6749 §6), or all that was granted.
pub fn narrow_scope(requested: Option<&str>, granted: &ScopeSet) -> Result<ScopeSet, OAuthError> {
    grant_scope(requested, granted).map_err(|_| {
        let description = "the scope must not be wider than what was granted at login";
        OAuthError::new(OAuthErrorCode::InvalidScope, description)
    })
}

/// The audience of one access token of a session: what was asked for, none of which may be new
/// (RFC 8707 §2.2), or all that was granted. The app of the issuer itself may always ask for a
/// token for the issuer, with which the person manages the account.
pub fn narrow_audience(
    requested: &[&str],
    granted: &Audience,
    issuer_for_first_party: Option<&Issuer>,
) -> Result<Audience, OAuthError> {
    let mut narrowed: Vec<String> = Vec::with_capacity(requested.len());
    for resource in requested {
        let is_granted = granted.iter().any(|member| member == *resource)
            || issuer_for_first_party.is_some_and(|issuer| issuer.as_str() == *resource);
        if !is_granted {
            let description = "the resource must be one that was granted at login";
            return Err(OAuthError::new(OAuthErrorCode::InvalidTarget, description));
        }
        if !narrowed.iter().any(|earlier| earlier == resource) {
            narrowed.push((*resource).to_owned());
        }
    }
    Ok(Audience::try_from(narrowed).unwrap_or_else(|_| granted.clone()))
}

fn is_allowed(resource: &Resource, metadata: &ClientMetadata, issuer: &Issuer) -> bool {
    let issuer_is_default = metadata.audiences.is_empty() && resource.as_str() == issuer.as_str();
    issuer_is_default || metadata.audiences.contains(resource)
}

fn default_audience(metadata: &ClientMetadata, issuer: &Issuer) -> Audience {
    Audience::one(
        metadata
            .audiences
            .first()
            .map_or(issuer.as_str(), Resource::as_str),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    fn client(audiences: &[&str]) -> ClientMetadata {
        ClientMetadata {
            audiences: audiences.iter().map(|text| text.parse().unwrap()).collect(),
            ..ClientMetadata::default()
        }
    }

    fn audience(requested: &[&str], registered: &[&str]) -> Result<Vec<String>, OAuthErrorCode> {
        let issuer = Issuer::parse("https://login.example.com").unwrap();
        grant_audience(requested, &client(registered), &issuer)
            .map(|audience| audience.iter().map(ToOwned::to_owned).collect())
            .map_err(|error| error.code)
    }

    #[test]
    fn without_a_scope_everything_registered_is_granted() {
        assert_eq!(grant_scope(None, &scopes("a b")), Ok(scopes("a b")));
    }

    #[test]
    fn a_scope_that_is_not_registered_or_not_well_formed_is_refused() {
        assert_eq!(grant_scope(Some("b"), &scopes("a b")), Ok(scopes("b")));
        let long = "a ".repeat(1_100) + "a";
        for bad in [
            long.as_str(),
            "c",
            "a c",
            "",
            " a",
            "a  b",
            "a\"",
            "a\\b",
            "ä",
        ] {
            let error = grant_scope(Some(bad), &scopes("a b")).unwrap_err();
            assert_eq!(error.code, OAuthErrorCode::InvalidScope, "{bad:?}");
        }
    }

    #[test]
    fn the_audience_is_what_was_asked_for_or_the_first_registered_or_the_issuer() {
        let (one, two) = ("https://one.example", "https://two.example");
        assert_eq!(
            audience(&[], &[]),
            Ok(vec!["https://login.example.com".to_owned()])
        );
        assert_eq!(audience(&[], &[one, two]), Ok(vec![one.to_owned()]));
        assert_eq!(
            audience(&[two, one, two], &[one, two]),
            Ok(vec![two.into(), one.into()])
        );
        assert_eq!(
            audience(&["https://login.example.com"], &[]).map(|a| a.len()),
            Ok(1)
        );
    }

    #[test]
    fn a_token_of_a_session_may_be_narrower_and_never_wider() {
        let granted = scopes("a b");
        assert_eq!(narrow_scope(None, &granted), Ok(scopes("a b")));
        assert_eq!(narrow_scope(Some("b"), &granted), Ok(scopes("b")));
        for bad in ["c", "a c", ""] {
            let error = narrow_scope(Some(bad), &granted).unwrap_err();
            assert_eq!(error.code, OAuthErrorCode::InvalidScope, "{bad:?}");
        }
        let issuer = Issuer::parse("https://login.example.com").unwrap();
        let two = Audience::try_from(vec![
            "https://one.example".to_owned(),
            "https://two.example".to_owned(),
        ])
        .unwrap();
        let narrow = |requested: &[&str], issuer: Option<&Issuer>| {
            narrow_audience(requested, &two, issuer)
                .map(|audience| audience.iter().map(ToOwned::to_owned).collect::<Vec<_>>())
                .map_err(|error| error.code)
        };
        assert_eq!(narrow(&[], None).map(|all| all.len()), Ok(2));
        assert_eq!(
            narrow(&["https://two.example"], None),
            Ok(vec!["https://two.example".to_owned()])
        );
        let wider = Err(OAuthErrorCode::InvalidTarget);
        assert_eq!(narrow(&["https://three.example"], Some(&issuer)), wider);
        assert_eq!(narrow(&["https://login.example.com"], None), wider);
        assert_eq!(
            narrow(&["https://login.example.com"], Some(&issuer)),
            Ok(vec!["https://login.example.com".to_owned()])
        );
    }

    #[test]
    fn a_resource_that_is_not_registered_or_not_well_formed_is_refused() {
        let one = "https://one.example";
        for bad in [
            "https://two.example",
            "https://one.example/",
            "one",
            "",
            "https://one.example#",
        ] {
            assert_eq!(
                audience(&[bad], &[one]),
                Err(OAuthErrorCode::InvalidTarget),
                "{bad:?}"
            );
        }
        assert_eq!(
            audience(&["https://login.example.com"], &[one]),
            Err(OAuthErrorCode::InvalidTarget),
            "a client that is registered for an API gets no tokens for this server's own one",
        );
    }
}
