//! A person with an account.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::id::UserId;
use super::identifier::{EmailAddress, IdentifierKey, Username};

/// An account, without its password.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The `sub` of the person's tokens. It is never given out again.
    pub id: UserId,
    /// What the person signs in with.
    pub username: Username,
    /// Signs in as well as the username does.
    pub email: Option<EmailAddress>,
    /// What else is known about the person.
    pub profile: Profile,
    /// Whether the person has a password at all.
    pub has_password: bool,
    /// When it was last changed.
    pub password_changed_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the person last signed in with the password.
    pub last_login_at: Option<Timestamp>,
    /// Since when the person cannot sign in; `None` while enabled.
    pub disabled_at: Option<Timestamp>,
}

/// Claims about a person (`OpenID` Connect Core §5.1).
///
/// This is also the stored form, so members that are not known are passed over: a newer release
/// that runs beside this one may have written them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The telephone number, E.164 recommended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The postal address as one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether the e-mail address is known to be the person's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
}

/// A text of a profile that cannot be stored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is 1 to 200 characters without control characters")]
pub struct InvalidProfile(pub &'static str);

impl Profile {
    /// Checks every text: 1 to 200 characters, no control characters (an address may have line
    /// breaks).
    pub fn check(&self) -> Result<(), InvalidProfile> {
        let texts = [
            ("name", &self.name),
            ("phone", &self.phone),
            ("address", &self.address),
        ];
        for (member, text) in texts {
            let Some(text) = text else { continue };
            let is_control = |c: char| c.is_control() && !(member == "address" && c == '\n');
            let length = text.chars().count();
            if !(1..=200).contains(&length) || text.contains(is_control) {
                return Err(InvalidProfile(member));
            }
        }
        Ok(())
    }
}

/// The names under which an account is found; no other account may have one of them.
#[must_use]
pub fn identifiers(username: &Username, email: Option<&EmailAddress>) -> Vec<IdentifierKey> {
    let mut keys = vec![username.key()];
    keys.extend(email.map(EmailAddress::key));
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_no_control_characters() {
        let with = |name: &str| Profile {
            name: Some(name.to_owned()),
            ..Profile::default()
        };
        assert_eq!(with("Ada Lovelace").check(), Ok(()));
        for bad in ["", "a\0b", "a\nb", &"x".repeat(201)] {
            assert_eq!(with(bad).check(), Err(InvalidProfile("name")), "{bad:?}");
        }
        let address = Profile {
            address: Some("1 St James's Square\nLondon".to_owned()),
            ..Profile::default()
        };
        assert_eq!(address.check(), Ok(()));
    }
}
