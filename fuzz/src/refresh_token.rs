//! Refresh tokens, reference tokens, codes, cookies and client secrets: what the server makes and
//! reads again.
//!
//! The input is a text that is presented, or, behind `+`, what a token is made of and what is
//! changed about it. No text is a token of two kinds, each has one spelling, and none is good that
//! the server did not make.

use std::sync::{Arc, LazyLock};

use tokensmith::crypto::{HmacSecretMint, MasterKeyedTokens, SystemEntropy};
use tokensmith::domain::Timestamp;
use tokensmith::domain::client::ClientSecret;
use tokensmith::domain::id::{LoginId, SessionId};
use tokensmith::domain::ports::{ReferenceToken, SecretMint as _, SessionTokens as _};
use tokensmith::domain::revocation::StatusIndex;
use tokensmith::domain::rotation::Generation;
use tokensmith::domain::session::SessionSecret;

use crate::choices::{Choices, edit};
use crate::signed::master_key;

static TOKENS: LazyLock<MasterKeyedTokens> = LazyLock::new(|| {
    let entropy = Arc::new(SystemEntropy::default());
    MasterKeyedTokens::new(&master_key(), entropy).expect("a derived key has its length")
});
static MINT: LazyLock<HmacSecretMint> =
    LazyLock::new(|| HmacSecretMint::new(&master_key(), Arc::new(SystemEntropy::default())));

const SECRET: SessionSecret = SessionSecret([3; 16]);
const OTHER_SECRET: SessionSecret = SessionSecret([4; 16]);

/// Holds every property of what the server makes.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'+', choices)) => check_made(&mut Choices::new(choices)),
        _ => check_presented(&String::from_utf8_lossy(data)),
    }
}

fn check_presented(text: &str) {
    let kinds = [
        TOKENS.read_refresh_token(text).is_some(),
        TOKENS.read_reference_token(text).is_some(),
        TOKENS.read_code(text).is_some(),
        TOKENS.read_login_cookie(text).is_some(),
        TOKENS.read_request_name(text).is_some(),
    ];
    let fitting = kinds.iter().filter(|fits| **fits).count();
    assert!(fitting <= 1, "no text is of two kinds: {kinds:?}");
    if let Some(token) = TOKENS.read_refresh_token(text) {
        let made = TOKENS.refresh_token(token.session, token.generation, &SECRET);
        let is_good = TOKENS.refresh_token_is_good(&token, &SECRET);
        assert_eq!(
            is_good,
            *made == text,
            "what is good is what we make, as we spell it"
        );
        let is_good_elsewhere = TOKENS.refresh_token_is_good(&token, &OTHER_SECRET);
        assert!(!(is_good && is_good_elsewhere), "a token is of one session");
    }
    if let Some(token) = TOKENS.read_reference_token(text)
        && TOKENS.reference_token_is_good(&token, &SECRET)
    {
        let made = TOKENS.reference_token(&token.token, &SECRET);
        assert_eq!(made, text, "what is good is what we make, as we spell it");
    }
    if let Some(cookie) = TOKENS.read_login_cookie(text) {
        let made = TOKENS.login_cookie(cookie.login, &SECRET);
        let is_good = TOKENS.login_cookie_is_good(&cookie, &SECRET);
        assert_eq!(
            is_good,
            *made == text,
            "what is good is what we make, as we spell it"
        );
    }
    // libFuzzer finds what was sealed here for another purpose among the texts that were compared.
    assert!(
        TOKENS.open("presented", text).is_none(),
        "nothing opens that was not sealed for that"
    );
}

fn check_made(choices: &mut Choices<'_>) {
    match choices.byte() % 5 {
        0 => check_refresh_token(choices),
        1 => check_reference_token(choices),
        2 => check_login_cookie(choices),
        3 => check_sealed(choices),
        _ => check_client_secret(choices),
    }
}

fn check_refresh_token(choices: &mut Choices<'_>) {
    let (session, generation) = (SessionId(id(choices)), Generation(choices.number()));
    let made = TOKENS.refresh_token(session, generation, &SECRET);
    let read = TOKENS
        .read_refresh_token(&made)
        .expect("what we make we read");
    assert_eq!(
        (read.session, read.generation),
        (session, generation),
        "as it was made"
    );
    assert!(
        TOKENS.refresh_token_is_good(&read, &SECRET),
        "and it is good"
    );
    assert!(
        !TOKENS.refresh_token_is_good(&read, &OTHER_SECRET),
        "but of one session"
    );
    check_presented(&made);
    check_changed(&made, choices, |text| {
        TOKENS
            .read_refresh_token(text)
            .is_some_and(|token| TOKENS.refresh_token_is_good(&token, &SECRET))
    });
}

fn check_reference_token(choices: &mut Choices<'_>) {
    let instant = |choices: &mut Choices<'_>| {
        let seconds = i64::from(choices.number());
        Timestamp::from_timestamp(seconds, 0).expect("the year 2106 is a time")
    };
    // Scopes and audiences are lists with spaces: neither has a line feed.
    let text = |choices: &mut Choices<'_>| {
        let length = usize::from(choices.byte() % 40);
        let text = String::from_utf8_lossy(choices.take(length)).replace('\n', " ");
        (length % 4 != 0).then_some(text)
    };
    let token = ReferenceToken {
        session: SessionId(id(choices)),
        issued_at: instant(choices),
        expires_at: instant(choices),
        scope: text(choices),
        audience: text(choices),
    };
    let made = TOKENS.reference_token(&token, &SECRET);
    let read = TOKENS
        .read_reference_token(&made)
        .expect("what we make we read");
    assert_eq!(read.token, token, "print then parse is the identity");
    assert!(
        TOKENS.reference_token_is_good(&read, &SECRET),
        "and it is good"
    );
    check_presented(&made);
    check_changed(&made, choices, |text| {
        TOKENS
            .read_reference_token(text)
            .is_some_and(|token| TOKENS.reference_token_is_good(&token, &SECRET))
    });
}

fn check_login_cookie(choices: &mut Choices<'_>) {
    let login = LoginId(id(choices));
    let made = TOKENS.login_cookie(login, &SECRET);
    let read = TOKENS
        .read_login_cookie(&made)
        .expect("what we make we read");
    assert_eq!(read.login, login, "as it was made");
    check_presented(&made);
    check_changed(&made, choices, |text| {
        TOKENS
            .read_login_cookie(text)
            .is_some_and(|cookie| TOKENS.login_cookie_is_good(&cookie, &SECRET))
    });
}

fn check_sealed(choices: &mut Choices<'_>) {
    let plain = choices.take(40);
    let sealed = TOKENS.seal("fuzz", plain).expect("there is randomness");
    let opened = TOKENS.open("fuzz", &sealed).expect("what was sealed opens");
    assert_eq!(*opened, plain, "seal then open is the identity");
    assert!(
        TOKENS.open("other", &sealed).is_none(),
        "it opens for one purpose"
    );
    check_changed(&sealed, choices, |text| TOKENS.open("fuzz", text).is_some());
}

fn check_client_secret(choices: &mut Choices<'_>) {
    let (secret, id, digest) = MINT.mint_client_secret().expect("there is randomness");
    let stored = ClientSecret {
        id,
        digest,
        status: StatusIndex::new(0, 0),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        last_used_at: None,
    };
    let matches = |text: &str| {
        MINT.find_matching(text, &mut std::iter::once(&stored))
            .is_some()
    };
    assert!(matches(&secret), "a secret is known again");
    check_changed(&secret, choices, matches);
    let (code, digest) = TOKENS.new_code().expect("there is randomness");
    assert!(
        TOKENS.read_code(&code) == Some(digest),
        "a code is known again"
    );
    check_changed(&code, choices, |text| {
        TOKENS.read_code(text) == Some(digest)
    });
}

/// Whatever is changed about a text, it is good no more.
fn check_changed(made: &str, choices: &mut Choices<'_>, is_good: impl Fn(&str) -> bool) {
    let mut changed = made.as_bytes().to_vec();
    for _ in 0..4 {
        edit(&mut changed, choices);
        let text = String::from_utf8_lossy(&changed);
        assert_eq!(
            is_good(&text),
            text == made,
            "what was changed is good no more"
        );
    }
}

fn id(choices: &mut Choices<'_>) -> [u8; 16] {
    std::array::from_fn(|_| choices.byte())
}
