//! Claims about a person (`OpenID` Connect Core §5): which there are, which scope covers them, and
//! how a request asks for single ones.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tokensmith_verify::ScopeSet;

use super::user::User;

/// A claim about a person (`OpenID` Connect Core §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PersonClaim {
    /// `name`
    Name,
    /// `preferred_username`
    PreferredUsername,
    /// `email`
    Email,
    /// `email_verified`
    EmailVerified,
    /// `address` (§5.1.1), as one text.
    Address,
    /// `phone_number`
    PhoneNumber,
    /// `phone_number_verified`
    PhoneNumberVerified,
}

impl PersonClaim {
    /// Every claim.
    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::PreferredUsername,
        Self::Email,
        Self::EmailVerified,
        Self::Address,
        Self::PhoneNumber,
        Self::PhoneNumberVerified,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::PreferredUsername => "preferred_username",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::Address => "address",
            Self::PhoneNumber => "phone_number",
            Self::PhoneNumberVerified => "phone_number_verified",
        }
    }

    /// The scope that covers it (§5.4). A client that may not ask for the scope may not ask for the
    /// claim either.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Name | Self::PreferredUsername => "profile",
            Self::Email | Self::EmailVerified => "email",
            Self::Address => "address",
            Self::PhoneNumber | Self::PhoneNumberVerified => "phone",
        }
    }

    /// Its value, where it is known.
    fn of(self, user: &User) -> Option<Value> {
        let profile = &user.profile;
        match self {
            Self::Name => profile.name.as_deref().map(Value::from),
            Self::PreferredUsername => Some(user.username.to_string().into()),
            Self::Email => user.email.as_ref().map(|email| email.to_string().into()),
            Self::EmailVerified => user.email.as_ref().map(|_| profile.email_verified.into()),
            Self::Address => {
                let formatted = profile.address.as_deref();
                formatted.map(|formatted| json!({ "formatted": formatted }))
            }
            Self::PhoneNumber => profile.phone.as_deref().map(Value::from),
            // Nobody has ever called it.
            Self::PhoneNumberVerified => profile.phone.as_ref().map(|_| false.into()),
        }
    }
}

/// A set of claims; as text, their names with spaces between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedClaims(BTreeSet<PersonClaim>);

impl RequestedClaims {
    /// The claims that a scope stands for (§5.4).
    #[must_use]
    pub fn of_scope(scope: &ScopeSet) -> Self {
        let all = PersonClaim::ALL.into_iter();
        Self(all.filter(|claim| scope.contains(claim.scope())).collect())
    }

    /// Whether none is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self(self.0.union(&others.0).copied().collect())
    }

    /// Those that one of the scopes covers.
    #[must_use]
    pub fn covered_by(&self, scope: &ScopeSet) -> Self {
        let covered = |claim: &&PersonClaim| scope.contains(claim.scope());
        Self(self.0.iter().filter(covered).copied().collect())
    }

    /// The scopes that cover them.
    pub fn scopes(&self) -> impl Iterator<Item = &'static str> {
        let scopes: BTreeSet<_> = self.0.iter().map(|claim| claim.scope()).collect();
        scopes.into_iter()
    }

    /// Their values for a person; what is not known is left out (§5.3.2).
    #[must_use]
    pub fn values(&self, user: &User) -> Map<String, Value> {
        let known = |claim: &PersonClaim| Some((claim.as_str().to_owned(), claim.of(user)?));
        self.0.iter().filter_map(known).collect()
    }
}

impl fmt::Display for RequestedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|claim| claim.as_str()).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for RequestedClaims {
    type Err = std::convert::Infallible;

    /// Names that are not known are passed over: a newer release may have written them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |name| {
            let mut all = PersonClaim::ALL.into_iter();
            all.find(|claim| claim.as_str() == name)
        };
        Ok(Self(text.split(' ').filter_map(known).collect()))
    }
}

impl Serialize for RequestedClaims {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestedClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What the `claims` parameter asks for (§5.5). Voluntary and essential claims are the same here:
/// whoever agrees gives both, and what is not known cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    /// To be told by userinfo.
    pub userinfo: RequestedClaims,
    /// To be told in the ID token.
    pub id_token: RequestedClaims,
    /// The one person that it is about: `sub` with a value.
    pub subject: Option<String>,
    /// The `acr` that has to be reached; none when it is only a wish (§5.5.1.1).
    pub essential_acr: Option<Vec<String>>,
}

/// The parameter is not what §5.5 says.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "claims is a JSON object with members userinfo and id_token (OpenID Connect Core section 5.5)"
)]
pub struct InvalidClaimsRequest;

impl FromStr for ClaimsRequest {
    type Err = InvalidClaimsRequest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| InvalidClaimsRequest)?;
        let section = |name| match whole.get(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(section)) => Ok(section.clone()),
            Some(_) => Err(InvalidClaimsRequest),
        };
        let (userinfo, id_token) = (section("userinfo")?, section("id_token")?);
        for asked in userinfo.values().chain(id_token.values()) {
            if !matches!(asked, Value::Null | Value::Object(_)) {
                return Err(InvalidClaimsRequest);
            }
        }
        let subject = [&id_token, &userinfo]
            .into_iter()
            .find_map(|section| section.get("sub")?.get("value")?.as_str());
        Ok(Self {
            subject: subject.map(ToOwned::to_owned),
            essential_acr: id_token.get("acr").and_then(essential_values),
            userinfo: names(&userinfo),
            id_token: names(&id_token),
        })
    }
}

fn names(section: &Map<String, Value>) -> RequestedClaims {
    let asked = |claim: &PersonClaim| section.contains_key(claim.as_str());
    RequestedClaims(PersonClaim::ALL.into_iter().filter(asked).collect())
}

/// The values of an essential claim; none for one without values, which any value meets.
fn essential_values(asked: &Value) -> Option<Vec<String>> {
    let is_essential = asked.get("essential").and_then(Value::as_bool) == Some(true);
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let one = asked.get("value").and_then(text).map(|value| vec![value]);
    let several = || {
        let values = asked.get("values")?.as_array()?;
        Some(values.iter().filter_map(text).collect())
    };
    one.or_else(several).filter(|_| is_essential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::id::UserId;
    use crate::domain::user::Profile;

    fn ada() -> User {
        User {
            id: UserId([1; 16]),
            username: "ada".parse().unwrap(),
            email: Some("ada@example.com".parse().unwrap()),
            profile: Profile {
                name: Some("Ada Lovelace".to_owned()),
                phone: None,
                address: Some("London".to_owned()),
                email_verified: true,
            },
            has_password: true,
            password_changed_at: None,
            created_at: Timestamp::UNIX_EPOCH,
            last_login_at: None,
            disabled_at: None,
        }
    }

    #[test]
    fn a_scope_stands_for_its_claims() {
        let told = |scope: &str| {
            let claims = RequestedClaims::of_scope(&scope.parse().unwrap());
            Value::Object(claims.values(&ada()))
        };
        assert_eq!(told("openid"), json!({}));
        assert_eq!(
            told("openid email"),
            json!({ "email": "ada@example.com", "email_verified": true })
        );
        assert_eq!(
            told("profile address phone"),
            json!({
                "name": "Ada Lovelace",
                "preferred_username": "ada",
                "address": { "formatted": "London" },
            })
        );
    }

    #[test]
    fn single_claims_can_be_asked_for() {
        let request: ClaimsRequest = r#"{
            "userinfo": {"name": {"essential": true}, "picture": null, "email": null},
            "id_token": {"email": null, "sub": {"value": "x"},
                         "acr": {"essential": true, "values": ["2", "3"]}}
        }"#
        .parse()
        .unwrap();
        assert_eq!(request.userinfo.to_string(), "name email");
        assert_eq!(request.id_token.to_string(), "email");
        assert_eq!(request.subject.as_deref(), Some("x"));
        assert_eq!(
            request.essential_acr,
            Some(vec!["2".to_owned(), "3".to_owned()])
        );
        let registered = "openid email".parse().unwrap();
        assert_eq!(
            request.userinfo.covered_by(&registered).to_string(),
            "email"
        );
    }

    #[test]
    fn a_wish_for_an_acr_is_not_essential() {
        for wish in [
            r#"{"id_token":{"acr":{"values":["2"]}}}"#,
            r#"{"id_token":{"acr":null}}"#,
            r#"{"id_token":{"acr":{"essential":true}}}"#,
            r#"{"userinfo":{"acr":{"essential":true,"value":"2"}}}"#,
        ] {
            let request: ClaimsRequest = wish.parse().unwrap();
            assert_eq!(request.essential_acr, None, "{wish}");
        }
    }

    #[test]
    fn what_is_no_claims_request_is_refused() {
        for bad in [
            "",
            "1",
            "[]",
            r#""name""#,
            r#"{"userinfo":1}"#,
            r#"{"id_token":{"name":true}}"#,
            "{",
        ] {
            assert_eq!(
                bad.parse::<ClaimsRequest>(),
                Err(InvalidClaimsRequest),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_text_of_a_set_is_read_back_and_unknown_names_are_passed_over() {
        let all = RequestedClaims(PersonClaim::ALL.into());
        assert_eq!(all.to_string().parse(), Ok(all));
        assert_eq!("".parse(), Ok(RequestedClaims::default()));
        assert_eq!("shoe_size".parse(), Ok(RequestedClaims::default()));
    }
}
