//! Whatever happens to a good token on the way, it is not accepted.

use proptest::prelude::*;
use tokensmith_verify::KeySet;
use tokensmith_verify::testing::Forge;

const AUDIENCE: &str = "https://api.example.com";

fn good_token() -> String {
    Forge::new()
        .issue("ada")
        .audience(AUDIENCE)
        .scope("orders:read")
        .sign()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_token_with_one_character_changed_is_never_accepted(
        position in any::<prop::sample::Index>(),
        character in prop_oneof!["[A-Za-z0-9_.=+/ -]", "\\PC"],
    ) {
        let token = good_token();
        let mut characters: Vec<String> = token.chars().map(String::from).collect();
        let position = position.index(characters.len());
        prop_assume!(characters[position] != character);
        characters[position] = character;
        prop_assert!(Forge::new().verifier(AUDIENCE).verify(&characters.concat()).is_err());
    }

    #[test]
    fn a_token_with_text_inserted_or_removed_is_never_accepted(
        position in any::<prop::sample::Index>(),
        removed in 0_usize..8,
        inserted in "[A-Za-z0-9_.=-]{0,8}",
    ) {
        let token = good_token();
        let position = position.index(token.len());
        let end = (position + removed).min(token.len());
        let mut mutated = token.clone();
        mutated.replace_range(position..end, &inserted);
        prop_assume!(mutated != token);
        prop_assert!(Forge::new().verifier(AUDIENCE).verify(&mutated).is_err());
    }

    #[test]
    fn parts_of_different_tokens_do_not_make_one(which in 0_u8..8) {
        let (one, other) = (good_token(), Forge::new().issue("eve").audience(AUDIENCE).sign());
        let pick = |index: usize| {
            let source = if which >> index & 1 == 0 { &one } else { &other };
            source.split('.').nth(index).unwrap()
        };
        let mixed = [pick(0), pick(1), pick(2)].join(".");
        let verifier = Forge::new().verifier(AUDIENCE);
        prop_assert_eq!(verifier.verify(&mixed).is_ok(), mixed == one || mixed == other);
    }

    #[test]
    fn no_text_makes_the_verifier_panic(text in "\\PC{0,200}") {
        prop_assert!(Forge::new().verifier(AUDIENCE).verify(&text).is_err());
    }

    #[test]
    fn no_signed_payload_makes_the_verifier_panic(payload in any::<Vec<u8>>()) {
        let header = r#"{"alg":"RS256","typ":"at+jwt","kid":"forge"}"#;
        let token = Forge::new().sign_raw(header, &payload);
        prop_assert!(Forge::new().verifier(AUDIENCE).verify(&token).is_err());
    }

    #[test]
    fn no_jwks_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = KeySet::from_json(&text);
    }
}
