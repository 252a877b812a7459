//! Passwords that people present and choose, and the hashes by which they are known.

mod cost;
mod hash;

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use zeroize::Zeroizing;
use zxcvbn::feedback::Warning;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Entropy, Score};

pub use cost::{Argon2Parameters, CostOutOfBounds};
pub use hash::{Argon2Kind, HashScheme, InvalidPasswordHash, PasswordHash, Pbkdf2Digest};

/// A password in plain text: a login form's, or one that a person wants to have from now on.
///
/// In the form of `OpaqueString` (RFC 8265 §4.2): spaces of any kind are U+0020, and the text is in
/// NFC, so that the same keys give the same password on every device. Wiped from memory on drop.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The most bytes, in NFC.
    const MAX_BYTES: usize = 256;
    /// The fewest characters of a password that is chosen. NIST SP 800-63B wants 8 in revision 3
    /// and, where nothing else is asked for, 15 in revision 4. This is between them, because the
    /// estimator refuses the weak ones.
    const MIN_CHARACTERS: usize = 10;

    /// A password to be checked. `None` when it is empty or has more than 256 bytes, as no
    /// account's password does.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Self::normalised(text)
    }

    /// A password that somebody wants, after NIST SP 800-63B-4 §3.1.1.2 in all but the length: at
    /// least 10 characters, at most 256 bytes, no rules about kinds of characters, none that
    /// attackers try first.
    ///
    /// `person` is what others know: username, e-mail address, name, and the name of this service.
    /// Whatever is close to one of these counts as easily guessed.
    ///
    /// Takes a tenth of a millisecond, and 20 ms for texts that are made to be slow.
    pub fn chosen(text: &str, person: &[&str]) -> Result<Self, UnacceptablePassword> {
        let password = Self::normalised(text).ok_or(UnacceptablePassword::TooLong)?;
        if password.0.chars().count() < Self::MIN_CHARACTERS {
            return Err(UnacceptablePassword::TooShort);
        }
        // RFC 8264 §4.3.3 keeps them out of the FreeformClass. They come from paste, and are never
        // typed again.
        if password.0.contains(char::is_control) {
            return Err(UnacceptablePassword::ControlCharacter);
        }
        refuse_guessable(&password.0, person)?;
        Ok(password)
    }

    /// What is hashed: UTF-8, 1 to 256 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn normalised(text: &str) -> Option<Self> {
        // NFC makes a text at most three times longer or four times shorter, so whatever is longer
        // cannot fit; and a buffer that never grows leaves no copies behind.
        if text.len() > 4 * Self::MAX_BYTES {
            return None;
        }
        let category = CodePointMapData::<GeneralCategory>::new();
        let spaces = text.chars().map(|c| match category.get(c) {
            GeneralCategory::SpaceSeparator => ' ',
            _ => c,
        });
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(ComposingNormalizerBorrowed::new_nfc().normalize_iter(spaces));
        (normal.len() <= Self::MAX_BYTES).then_some(Self(normal))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Why a password cannot be chosen, in words for the person who chose it. Never repeats it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnacceptablePassword {
    /// Fewer than 10 characters.
    #[error("a password has at least 10 characters; a few words make a good one")]
    TooShort,
    /// More than 256 bytes in NFC.
    #[error("a password has at most 256 bytes")]
    TooLong,
    /// A tab, a line break, or another control character.
    #[error("a password has no control characters, such as a tab or a line break")]
    ControlCharacter,
    /// It is on the list of common passwords, in upper or lower case.
    #[error("this password is one of those that very many people have, so it is tried first")]
    Common,
    /// It is made of the person's names.
    #[error(
        "this password is made of your name, your address or the name of this service, so it is \
         easy to guess"
    )]
    Personal,
    /// Fewer than a million guesses find it. With advice: sentences in English.
    #[error("this password is easy to guess. {0}")]
    Guessable(String),
}

/// Refuses what the estimator finds in fewer than a million guesses (score 0 or 1): logins are
/// throttled (NIST SP 800-63B-4 §3.2.2), and at a hundred guesses a day a million take 27 years.
///
/// The estimator judges years by the calendar, which it reads itself.
fn refuse_guessable(password: &str, person: &[&str]) -> Result<(), UnacceptablePassword> {
    let words = personal_words(person);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let sample = sample(password);
    let estimate = zxcvbn::zxcvbn(&sample, &words);
    if estimate.score() >= Score::Two {
        Ok(())
    } else if is_listed(&estimate) {
        Err(UnacceptablePassword::Common)
    } else if uses_one_of(&words, &estimate) {
        Err(UnacceptablePassword::Personal)
    } else {
        let advice = estimate.feedback().map(ToString::to_string);
        Err(UnacceptablePassword::Guessable(advice.unwrap_or_default()))
    }
}

/// What the estimator is shown: the first 40 characters in lower case, because capitals hardly
/// slow a guesser down and a list of common passwords has none.
///
/// Its time grows with the cube of the length and with every character that stands for a letter in
/// "l33t": 92 characters can take half a second. So after ten different ones further ones are left
/// out; what has more is no word in disguise.
fn sample(password: &str) -> Zeroizing<String> {
    const CHARACTERS: usize = 40;
    const STAND_INS: &str = "0123456789!$%(+<@[{|";
    const MOST_STAND_INS: usize = 10;
    let mut seen = Vec::with_capacity(MOST_STAND_INS);
    let mut sample = Zeroizing::new(String::with_capacity(4 * CHARACTERS));
    let lower = password.chars().flat_map(char::to_lowercase);
    sample.extend(lower.take(CHARACTERS).filter(|c| {
        if !STAND_INS.contains(*c) || seen.contains(c) {
            return true;
        }
        let is_shown = seen.len() < MOST_STAND_INS;
        if is_shown {
            seen.push(*c);
        }
        is_shown
    }));
    sample
}

/// The texts and the words in them, in lower case; the estimator only finds what it is told whole.
fn personal_words(person: &[&str]) -> Vec<String> {
    const MOST: usize = 24;
    let mut words = vec!["tokensmith".to_owned()];
    for text in person {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        let is_telling = |word: &&str| (3..=40).contains(&word.chars().count());
        words.extend(
            std::iter::once(*text)
                .chain(parts)
                .filter(is_telling)
                .map(str::to_lowercase),
        );
    }
    words.truncate(MOST);
    words
}

/// Whether the whole password is one entry of the estimator's list of common passwords: it gives
/// these warnings to nothing else.
fn is_listed(estimate: &Entropy) -> bool {
    let warning = estimate
        .feedback()
        .and_then(zxcvbn::feedback::Feedback::warning);
    matches!(
        warning,
        Some(
            Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
        )
    )
}

fn uses_one_of(words: &[&str], estimate: &Entropy) -> bool {
    estimate.sequence().iter().any(|part| match &part.pattern {
        MatchPattern::Dictionary(found) => words.contains(&found.matched_word.as_str()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: &[&str] = &[
        "ada",
        "ada.lovelace@example.com",
        "Ada Lovelace",
        "id.example.com",
    ];

    fn refusal(text: &str) -> Option<UnacceptablePassword> {
        Password::chosen(text, ADA).err()
    }

    #[test]
    fn the_same_keys_give_the_same_password() {
        let bytes = |text: &str| Password::presented(text).unwrap().as_bytes().to_vec();
        assert_eq!(bytes("cafe\u{301}"), bytes("café"));
        assert_eq!(bytes("a\u{a0}b\u{3000}c"), b"a b c");
        // Case, compatibility forms and spaces at the ends are the person's choice.
        for kept in ["ａｄａ", "ADA", " ada ", "ﬁ", "a\u{200d}"] {
            assert_eq!(bytes(kept), kept.as_bytes());
        }
    }

    #[test]
    fn a_login_is_refused_unseen_only_when_no_account_can_have_the_password() {
        assert!(Password::presented("").is_none());
        assert!(Password::presented("x").is_some());
        assert!(Password::presented("a\0b\n").is_some());
        assert!(Password::presented(&"x".repeat(256)).is_some());
        assert!(Password::presented(&"x".repeat(257)).is_none());
        // 254 bytes once composed.
        assert!(Password::presented(&"e\u{301}".repeat(127)).is_some());
        assert!(Password::presented(&"e\u{301}".repeat(129)).is_none());
    }

    #[test]
    fn a_password_is_not_printed() {
        let password = Password::presented("hunter2").unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn good_passwords_come_in_many_shapes() {
        let longest = "correct horse battery staple ".repeat(8);
        for good in [
            "correct horse battery staple",
            "Tr0ub4dour&3xyz",
            "kdj3nf8skq",
            "пирог с капустой и яблоками",
            "正しい馬のバッテリーの主食です",
            "💚🐴🔋📎🌻🐸🎈🧭🪁🥝",
            "!@#$%^&*()_+0987654321-=QWErty~`|\\{}[]:;",
            "Ada likes rhubarb crumble",
            longest.trim(),
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
    }

    #[test]
    fn a_password_has_ten_characters_in_any_script() {
        assert_eq!(refusal("x7#kQ2!vp"), Some(UnacceptablePassword::TooShort));
        assert_eq!(refusal("пирогяблк"), Some(UnacceptablePassword::TooShort));
        // Nine characters once composed.
        let decomposed = "xe\u{301}7#kQ2!v";
        assert_eq!(refusal(decomposed), Some(UnacceptablePassword::TooShort));
        assert_eq!(refusal(""), Some(UnacceptablePassword::TooShort));
        assert_eq!(refusal("x7#kQ2!vp4"), None);
    }

    #[test]
    fn a_password_is_not_endless_and_has_no_control_characters() {
        let long = "correct horse ".repeat(20);
        assert_eq!(refusal(&long), Some(UnacceptablePassword::TooLong));
        assert_eq!(
            refusal(&long.repeat(1000)),
            Some(UnacceptablePassword::TooLong)
        );
        let pasted = "correct horse battery\n";
        assert_eq!(
            refusal(pasted),
            Some(UnacceptablePassword::ControlCharacter)
        );
    }

    #[test]
    fn common_passwords_are_refused_in_upper_and_lower_case() {
        for common in [
            "1234567890",
            "qwertyuiop",
            "password123",
            "Password123",
            "PASSWORD123",
            "pAsSwOrD1234",
            "1q2w3e4r5t",
            "qwerty12345",
            "1qaz2wsx3edc",
            "12345678910",
        ] {
            assert_eq!(
                refusal(common),
                Some(UnacceptablePassword::Common),
                "{common}"
            );
        }
    }

    #[test]
    fn what_others_know_about_a_person_is_no_password() {
        for personal in [
            "ada.lovelace@example.com",
            "AdaLovelace",
            "lovelaceada",
            "lovelace1234",
            "Tokensmith1!",
            "id.example.com",
        ] {
            let refusal = refusal(personal);
            assert_eq!(refusal, Some(UnacceptablePassword::Personal), "{personal}");
        }
    }

    #[test]
    fn easy_passwords_are_refused_with_advice() {
        for easy in [
            "aaaaaaaaaaaa",
            "abcdefghijkl",
            "passwordpassword",
            "P@ssw0rd123",
            "Photosynthesis",
            "11/11/2011",
            "абвгдежзик",
            &"abc123".repeat(5),
        ] {
            let Some(UnacceptablePassword::Guessable(advice)) = refusal(easy) else {
                panic!("{easy} {:?}", refusal(easy))
            };
            assert!(
                advice.contains("Add another word or two."),
                "{easy}: {advice}"
            );
        }
    }

    #[test]
    fn the_estimator_is_shown_little() {
        let everything: String = (' '..='~').collect();
        assert!(sample(&everything.repeat(3)).chars().count() <= 40);
        assert_eq!(*sample("1234567890!@ab!1"), "1234567890ab1");
        assert_eq!(*sample("ÀİX"), "ài\u{307}x");
        let talkative = "a lot of words to say about one person ".repeat(100);
        assert!(personal_words(&[&talkative]).len() <= 24);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_estimator_panic(
            text in "\\PC{10,60}|[0-9!@#$%^&*()/.<>{|+]{10,60}|[a-dA-D0-3/.\\-]{10,60}|[ßİıǅﬁa0]{10,60}",
            name in "\\PC{0,20}|[a-z@. ]{0,20}",
        ) {
            let _ = Password::chosen(&text, &[&name, "Ada Lovelace"]);
        }

        #[test]
        fn a_password_that_was_chosen_can_be_presented(text in "\\PC{10,40}") {
            if let Ok(chosen) = Password::chosen(&text, &[]) {
                let presented = Password::presented(&text).unwrap();
                prop_assert_eq!(presented.as_bytes(), chosen.as_bytes());
            }
        }
    }
}
