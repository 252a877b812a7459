//! One line of an import.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::accounts::registration::Registration;
use crate::domain::identifier::{EmailAddress, Username};
use crate::domain::password::{InvalidPasswordHash, PasswordHash};
use crate::domain::user::Profile;

/// An account that is to be, with its password where it has one.
pub(super) type Entry = (Registration, Option<PasswordHash>);

/// What a line says. Without `Debug`: a hash is a secret.
#[derive(Deserialize)]
struct Members {
    username: Username,
    email: Option<EmailAddress>,
    #[serde(default, deserialize_with = "true_or_false")]
    email_verified: bool,
    name: Option<String>,
    phone: Option<String>,
    address: Option<String>,
    password_hash: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The account that a line describes, or why it describes none.
///
/// The reason never repeats a value: somebody may have put the hash in the wrong place.
pub(super) fn parse(line: &[u8]) -> Result<Entry, String> {
    // What is no object would be repeated, and a list would be taken for one.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object".to_owned());
    }
    let members: Members = serde_json::from_slice(line).map_err(|error| reason(&error))?;
    if let Some(unknown) = members.others.keys().next() {
        return Err(unknown_member(unknown));
    }
    let profile = Profile {
        name: members.name,
        phone: members.phone,
        address: members.address,
        email_verified: members.email_verified,
    };
    profile.check().map_err(|error| error.to_string())?;
    let hash = members.password_hash.map(|text| text.parse()).transpose();
    let hash = hash.map_err(|error: InvalidPasswordHash| error.to_string())?;
    let registration = Registration {
        username: members.username,
        email: members.email,
        profile,
    };
    Ok((registration, hash))
}

/// The reason without a place where it has none worth telling: each line is the first to serde.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(reason, _)| reason);
    if error.is_data() {
        reason.to_owned()
    } else {
        format!("malformed JSON: {reason} at byte {}", error.column())
    }
}

fn unknown_member(name: &str) -> String {
    const KNOWN: &str = "username, email, email_verified, name, phone, address and password_hash";
    let is_word = |name: &str| {
        name.len() <= 32
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if is_word(name) {
        format!("there is no member {name}; the members are {KNOWN}")
    } else {
        format!("there is an unknown member; the members are {KNOWN}")
    }
}

/// In words of our own: serde would repeat what stands there instead.
fn true_or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    bool::deserialize(deserializer).map_err(|_| D::Error::custom("email_verified is true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";

    fn refused(line: &str) -> String {
        let reason = parse(line.as_bytes()).map(|_| ()).unwrap_err();
        assert!(!reason.contains("abcdefghij"), "{reason}");
        reason
    }

    #[test]
    fn a_line_may_say_everything_or_only_the_name() {
        let line = format!(
            r#" {{"username":"ada","email":"ada@example.com","email_verified":true,"name":"Ada",
                "phone":"+44","address":"London\nEngland","password_hash":"{HASH}"}} "#
        );
        let (all, hash) = parse(line.as_bytes()).unwrap();
        assert_eq!(all.email.unwrap().as_str(), "ada@example.com");
        assert!(all.profile.email_verified);
        assert_eq!(all.profile.address.as_deref(), Some("London\nEngland"));
        assert_eq!(hash.unwrap().as_str(), HASH);
        let (least, hash) = parse(br#"{"username":"ada","email":null}"#).unwrap();
        assert_eq!((least.email, least.profile), (None, Profile::default()));
        assert!(hash.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (line, words) in [
            ("", "not a JSON object"),
            ("null", "not a JSON object"),
            (r#"["ada"]"#, "not a JSON object"),
            ("{", "malformed JSON: EOF while parsing an object at byte 1"),
            (
                r#"{"username":"ada"} {}"#,
                "malformed JSON: trailing characters at byte 20",
            ),
            (
                r#"{"username":"ada",}"#,
                "malformed JSON: trailing comma at byte 19",
            ),
            ("{}", "missing field `username`"),
            (
                r#"{"username":"ada","username":"eve"}"#,
                "duplicate field `username`",
            ),
            (
                r#"{"username":1}"#,
                "invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"username":" ada"}"#,
                "a username has no space at its ends",
            ),
            (
                r#"{"username":"ada","email":"ada"}"#,
                "an e-mail address is name@domain",
            ),
            (
                r#"{"username":"ada","email_verified":"yes"}"#,
                "email_verified is true or false",
            ),
            (
                r#"{"username":"ada","name":""}"#,
                "name is 1 to 200 characters",
            ),
            (
                r#"{"username":"ada","password":"x"}"#,
                "there is no member password; the members",
            ),
            (
                r#"{"username":"ada","e mail":"x"}"#,
                "there is an unknown member",
            ),
            (
                r#"{"username":"ada","password_hash":"x"}"#,
                "not a known kind of password hash",
            ),
            (
                r#"{"username":"ada","password_hash":"$2b$31$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"}"#,
                "the cost of bcrypt must be 4 to 15",
            ),
        ] {
            let reason = refused(line);
            assert!(reason.contains(words), "{line}: {reason}");
        }
    }

    #[test]
    fn a_hash_in_the_wrong_place_is_not_repeated() {
        for line in [
            format!("\"{HASH}\""),
            format!(r#"{{"username":"ada","email_verified":"{HASH}"}}"#),
            format!(r#"{{"username":"{HASH}\u0000"}}"#),
            format!(r#"{{"username":"ada","email":"{HASH}"}}"#),
            format!(r#"{{"username":"ada","phone":"\n{HASH}"}}"#),
            format!(r#"{{"username":"ada","{HASH}":1}}"#),
            format!(r#"{{"username":"ada","password_hash":["{HASH}"]}}"#),
            format!(r#"{{"username":"ada","password_hash":"{HASH}x"}}"#),
            format!(r#"{{"username":"ada","password_hash":"{HASH}"#),
        ] {
            refused(&line);
        }
    }
}
