//! Logins, consents, pushed requests and the word that a session is over: each transition does what
//! its guards say, also when two come at once.

mod codes;
mod deliveries;
mod logins;
mod races;

use tokensmith::domain::browser_login::BrowserLogin;
use tokensmith::domain::consent::Consent;
use tokensmith::domain::device::DeviceLabel;
use tokensmith::domain::id::{LoginId, SessionId, UserId};
use tokensmith::domain::ports::{
    AuthorizationCode, CodeDigest, CodeGrant, CodeGranting, GrantBasis, LoginEnd, Redemption,
    SignIn, SignInOutcome, Store,
};
use tokensmith::domain::session::{EndReason, Session, SessionEnd, SessionSecret};

use super::sessions::{authentication, code, session, user};
use super::{at, record};

const DAY: i64 = 86_400;

/// The numbers of nothing.
const NOTHING: [u8; 0] = [];

/// The login of a number: three days without use, a week at the most.
fn login(number: u8, user: u8) -> BrowserLogin {
    BrowserLogin {
        id: LoginId([number; 16]),
        user_id: UserId([user; 16]),
        secret: SessionSecret([number; 16]),
        authentication: authentication(),
        device: Some(DeviceLabel::parse("Küche").unwrap()),
        address: Some([192, 0, 2, 1].into()),
        created_at: at(0),
        last_seen_at: at(0),
        idle_expires_at: at(3 * DAY),
        expires_at: at(7 * DAY),
        ended_at: None,
    }
}

/// A sign-in with the password that [`user`] has.
fn order(login: BrowserLogin) -> SignIn {
    SignIn {
        login,
        renews: false,
        password_changed_at: at(0),
        forget: vec![],
        refund: vec![],
    }
}

/// Makes an account.
async fn person(store: &dyn Store, number: u8) {
    let name = format!("user{number}");
    let made = store.create_user(&user(number, &name), &record(0)).await;
    made.unwrap();
}

/// Signs a person in.
async fn sign_in(store: &dyn Store, number: u8, user: u8) -> BrowserLogin {
    let login = login(number, user);
    let outcome = store.sign_in(&order(login.clone()), &record(0)).await;
    assert_eq!(outcome.unwrap(), SignInOutcome::SignedIn);
    login
}

/// What somebody has agreed to just now, with a client that has always been there.
fn agreed(consent: Consent) -> GrantBasis {
    GrantBasis::Agreed {
        consent,
        client_since: at(0),
    }
}

/// A code of a number under a login of `(number, user)`, with a scope.
fn grant(number: u8, login: (u8, u8), scope: &str) -> CodeGrant {
    let (login, user) = login;
    CodeGrant {
        code: AuthorizationCode {
            login_id: Some(LoginId([login; 16])),
            scope: scope.parse().unwrap(),
            ..code(number, user)
        },
        login: LoginId([login; 16]),
        idle_expires_at: at(3 * DAY),
        basis: GrantBasis::FirstParty,
        pushed: None,
    }
}

/// The session that the code of a [`grant`] begins.
fn session_of(grant: &CodeGrant) -> Session {
    let code = &grant.code;
    let mut session = session(code.digest.0[0], code.user_id.0[0]);
    session.terms.login_id = code.login_id;
    session.terms.scope = code.scope.clone();
    session.terms.client_id = code.client_id.clone();
    session
}

/// Begins a session of a number under a login.
async fn begin(store: &dyn Store, number: u8, login: (u8, u8), scope: &str) -> Session {
    begin_by(store, &grant(number, login, scope)).await
}

async fn begin_by(store: &dyn Store, grant: &CodeGrant) -> Session {
    let granted = store.grant_code(grant, at(0), &record(0)).await;
    assert_eq!(granted.unwrap(), CodeGranting::Granted);
    let session = session_of(grant);
    let redeemed = store
        .redeem_code(grant.code.digest, &session, &record(0))
        .await;
    assert_eq!(redeemed.unwrap(), Redemption::Started);
    session
}

/// A sign-out after so many seconds, which spares sessions with `offline_access`.
fn sign_out(seconds: i64) -> LoginEnd {
    LoginEnd {
        end: ended(seconds, EndReason::LoggedOut),
        with_offline_sessions: false,
    }
}

/// The end of a whole device.
fn end_of_device(seconds: i64) -> LoginEnd {
    LoginEnd {
        end: ended(seconds, EndReason::EndedByUser),
        with_offline_sessions: true,
    }
}

fn ended(seconds: i64, reason: EndReason) -> SessionEnd {
    super::sessions::end(at(seconds), reason)
}

/// The first bytes of the ids of a person's live sessions, in order.
async fn live(store: &dyn Store, user: u8) -> Vec<u8> {
    let sessions = store
        .list_sessions(UserId([user; 16]), at(2))
        .await
        .unwrap();
    let mut numbers: Vec<u8> = sessions.iter().map(|it| it.terms.id.0[0]).collect();
    numbers.sort_unstable();
    numbers
}

/// The same of the logins.
async fn live_logins(store: &dyn Store, user: u8) -> Vec<u8> {
    let logins = store.list_logins(UserId([user; 16]), at(2)).await.unwrap();
    let mut numbers: Vec<u8> = logins.iter().map(|it| it.id.0[0]).collect();
    numbers.sort_unstable();
    numbers
}

/// Whether a code is there, redeemed or not.
async fn code_is_there(store: &dyn Store, number: u8) -> bool {
    store
        .find_code(CodeDigest([number; 32]))
        .await
        .unwrap()
        .is_some()
}

async fn end_of(store: &dyn Store, number: u8) -> Option<SessionEnd> {
    let found = store.find_session(SessionId([number; 16])).await.unwrap();
    found.unwrap().session.end
}
