//! What people sign in with: usernames and e-mail addresses, and the form in which they are
//! compared.

use std::fmt;
use std::str::FromStr;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::{Deserialize, Deserializer, Serialize};

/// The most bytes of UTF-8 that an identifier has, as written and as compared.
const MAX_BYTES: usize = 256;

/// A username, kept as it was written.
///
/// 1 to 100 characters and at most 256 bytes, without space at the ends and without control,
/// invisible or unassigned characters. It never parses as a UUID, because the `sub` of a user is
/// one. It contains `@` only where it is an e-mail address as a whole, because people sign in with
/// either: whose address it is, the uniqueness of [`IdentifierKey`] across both decides.
///
/// All of this holds for the comparison form as well, so full-width letters are no way around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Username(String);

impl Username {
    const MAX_CHARACTERS: usize = 100;

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which it is compared and unique.
    #[must_use]
    pub fn key(&self) -> IdentifierKey {
        IdentifierKey::of(&self.0)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a username.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUsername {
    /// Empty or too long.
    #[error("a username is 1 to 100 characters and at most 256 bytes")]
    Length,
    /// A character that nobody sees, or space at an end.
    #[error("a username has no space at its ends and no control or invisible characters")]
    Characters,
    /// The text parses as a UUID, as the `sub` of a user does.
    #[error("a username must not be a UUID, because the ids of users are")]
    Uuid,
    /// It contains `@` and is no e-mail address.
    #[error("a username that contains `@` must be an e-mail address")]
    At,
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES || text.chars().count() > Self::MAX_CHARACTERS {
            return Err(InvalidUsername::Length);
        }
        let key = IdentifierKey::of(text);
        for form in [text, key.as_str()] {
            if form.is_empty() || form.len() > MAX_BYTES {
                return Err(InvalidUsername::Length);
            }
            if form.trim() != form || form.contains(is_hidden) {
                return Err(InvalidUsername::Characters);
            }
            if uuid::Uuid::try_parse(form).is_ok() {
                return Err(InvalidUsername::Uuid);
            }
        }
        if key.as_str().contains('@') && text.parse::<EmailAddress>().is_err() {
            return Err(InvalidUsername::At);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An e-mail address, kept as it was written.
///
/// `name@domain` with 1 to 64 bytes before the one `@` and at most 254 in all (RFC 5321 §4.5.3.1),
/// in any script (RFC 6531). `ada@localhost` is one; quoted names, comments and address literals
/// are not. Whether mail arrives there, only mail can tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EmailAddress(String);

impl EmailAddress {
    const MAX_BYTES: usize = 254;

    /// The address as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which it is compared and unique. RFC 5321 §2.4 lets a host tell `Ada@` from
    /// `ada@`; hardly one does, and people do not.
    #[must_use]
    pub fn key(&self) -> IdentifierKey {
        IdentifierKey::of(&self.0)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not an e-mail address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an e-mail address is name@domain, at most 254 bytes, without spaces, quotes and brackets")]
pub struct InvalidEmailAddress;

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The length comes first: normalising takes time and may grow the text.
        if text.len() <= Self::MAX_BYTES
            && is_address(text)
            && is_address(IdentifierKey::of(text).as_str())
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEmailAddress)
        }
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What RFC 5322 §3.2.3 allows in quotes only, so that no reader sees two addresses in one.
const SPECIALS: &str = "\"(),:;<>@[\\]";

fn is_address(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    let is_special = |c: char| SPECIALS.contains(c) || c.is_whitespace() || is_hidden(c);
    // RFC 1035 §2.3.4
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= EmailAddress::MAX_BYTES
        && (1..=64).contains(&name.len())
        && domain.split('.').all(is_label)
        && !name.contains(is_special)
        && !domain.contains(is_special)
}

/// A username or e-mail address in the form in which they are compared and unique.
///
/// Without characters that nobody sees, then NFKC, full case folding, and NFKC again: close to
/// `NFKC_Casefold` of Unicode §3.13 and to `UsernameCaseMapped` of RFC 8265 §3.3, but stricter
/// than either in what is the same. `ADA`, `ada` and full-width `ａｄａ` are; so are `Straße` and
/// `STRASSE`. Folding knows no language, so the Turkish `İ` and `ı` are letters apart from `i`.
/// Look-alikes of other scripts (Cyrillic `а`) stay apart, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentifierKey(String);

impl IdentifierKey {
    /// The key of what a person typed into the login field. `None` when no account can have it:
    /// nothing, more than 256 bytes, or control characters. Nothing is trimmed.
    #[must_use]
    pub fn of_login(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES || text.contains(char::is_control) {
            return None;
        }
        let key = Self::of(text);
        (1..=MAX_BYTES).contains(&key.0.len()).then_some(key)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(text: &str) -> Self {
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let visible: String = text.chars().filter(|c| !ignorable.contains(*c)).collect();
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        let folded = CaseMapper::new()
            .fold_string(&nfkc.normalize(&visible))
            .into_owned();
        Self(nfkc.normalize(&folded).into_owned())
    }
}

impl fmt::Display for IdentifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control, format, private and unassigned characters, and line breaks: they are not seen, they
/// turn text around, or their normal form may change with Unicode. The two joiners are how Persian
/// and the languages of India spell.
fn is_hidden(c: char) -> bool {
    match c {
        '\u{200c}' | '\u{200d}' => false,
        '\u{2028}' | '\u{2029}' => true,
        _ => {
            GeneralCategoryGroup::Other.contains(CodePointMapData::<GeneralCategory>::new().get(c))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn username(text: &str) -> Result<Username, InvalidUsername> {
        text.parse()
    }

    fn key(text: &str) -> IdentifierKey {
        IdentifierKey::of(text)
    }

    #[test]
    fn a_username_is_kept_as_written() {
        let longest = "é".repeat(100);
        for good in [
            "ada",
            "Ada Lovelace",
            "ada.lovelace+x",
            "阿达",
            "علی\u{200c}رضا",
            "ada@example.com",
            "❤\u{fe0f}",
            &longest,
        ] {
            assert_eq!(username(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_username_has_a_length_that_people_can_type() {
        for bad in [
            "",
            "\u{fe0f}",
            &"a".repeat(101),
            &"阿".repeat(90),
            &"ﷺ".repeat(20),
        ] {
            assert_eq!(username(bad), Err(InvalidUsername::Length), "{bad:?}");
        }
    }

    #[test]
    fn nothing_in_a_username_is_out_of_sight() {
        for bad in [
            " ada",
            "ada ",
            "ada\u{a0}",
            "a\0da",
            "ada\n",
            "a\u{2028}da",
            "a\u{200b}da",
            "\u{202e}ada",
            "a\u{e000}da",
            "¨ada",
        ] {
            assert_eq!(username(bad), Err(InvalidUsername::Characters), "{bad:?}");
        }
    }

    #[test]
    fn a_username_can_never_be_taken_for_a_user_id() {
        for uuid in [
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "01890A5DAC96774BBCCEB302099A8057",
            "０1890a5dac96774bbcceb302099a8057",
        ] {
            assert_eq!(username(uuid), Err(InvalidUsername::Uuid));
        }
    }

    #[test]
    fn a_username_with_an_at_sign_is_an_address() {
        for bad in ["@ada", "ada@", "a@b@c", "ada＠", "ada lovelace@example.com"] {
            assert_eq!(username(bad), Err(InvalidUsername::At), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_a_name_at_a_domain() {
        let longest = format!(
            "{}@{}",
            "a".repeat(64),
            ["b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".")
        );
        assert_eq!(longest.len(), 254);
        for good in [
            "ada@localhost",
            "a.b+c'd@example.com",
            "адà@пример.рф",
            &longest,
        ] {
            assert_eq!(good.parse::<EmailAddress>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a b@c",
            "a\r\n@b",
            "<a@b>",
            "a@b,c",
            "\"a b\"@c",
            "a@[127.0.0.1]",
            "a＠b@c",
            "a@b，c",
            "a\u{200b}@b",
            &format!("{}@b", "a".repeat(65)),
            &format!("a{longest}"),
        ] {
            assert_eq!(
                bad.parse::<EmailAddress>(),
                Err(InvalidEmailAddress),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn names_that_read_the_same_are_the_same() {
        for same in [
            &["ada", "ADA", "aDa", "ａｄａ", "ＡＤＡ", "a\u{200d}da"][..],
            &["straße", "STRASSE", "strasse", "STRAẞE"],
            &["é", "É", "e\u{301}", "E\u{301}"],
            &["ΟΔΟΣ", "οδος", "οδοσ"],
            &["ﬁn", "fin", "FIN"],
            &["ᾳ", "αι", "ΑΙ", "α\u{345}"],
        ] {
            for other in same {
                assert_eq!(key(other), key(same[0]), "{other} {}", same[0]);
            }
        }
    }

    #[test]
    fn turkish_letters_are_not_taken_for_others() {
        assert_eq!(key("İ").as_str(), "i\u{307}");
        assert_ne!(key("İ"), key("i"));
        assert_ne!(key("ı"), key("I"));
    }

    #[test]
    fn look_alikes_of_other_scripts_stay_apart() {
        assert_ne!(key("аda"), key("ada"));
    }

    #[test]
    fn what_no_account_can_have_is_no_login() {
        for bad in ["", "a\0", "\u{200b}", &"a".repeat(257), &"ﷺ".repeat(20)] {
            assert_eq!(IdentifierKey::of_login(bad), None, "{bad:?}");
        }
        assert_ne!(
            IdentifierKey::of_login(" ada"),
            IdentifierKey::of_login("ada")
        );
    }

    #[test]
    fn every_character_has_one_key() {
        for c in char::MIN..=char::MAX {
            let once = key(&c.to_string());
            assert_eq!(key(once.as_str()), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_itself(text in "\\PC{0,20}|[a-zA-ZßİıΣς\u{300}-\u{345}]{0,20}") {
            let once = key(&text);
            prop_assert_eq!(key(once.as_str()), once);
        }

        #[test]
        fn case_does_not_matter(text in "[a-zA-Zà-öø-ÿα-ωА-я0-9]{0,20}") {
            prop_assert_eq!(key(&text.to_uppercase()), key(&text));
            prop_assert_eq!(key(&text.to_lowercase()), key(&text));
        }

        #[test]
        fn whoever_has_a_name_can_sign_in_with_it(text in "\\PC{1,12}|\\PC{1,6}@[a-z\\PC]{1,6}") {
            if let Ok(name) = text.parse::<Username>() {
                prop_assert_eq!(IdentifierKey::of_login(&text), Some(name.key()));
            }
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(IdentifierKey::of_login(&text), Some(address.key()));
            }
        }

        #[test]
        fn a_name_survives_json(text in "\\PC{0,20}") {
            if let Ok(name) = text.parse::<Username>() {
                let json = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<Username>(&json).unwrap(), name);
            }
        }
    }
}
