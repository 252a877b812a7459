//! What `tokensmith user show` says to people about an account.

use crate::domain::user::User;

/// A name and a value.
pub(super) type Fact = (&'static str, String);

/// The facts about an account, in the order in which they are read, without those that are not
/// known.
pub(super) fn of(user: &User) -> Vec<Fact> {
    let profile = &user.profile;
    let unverified = user.email.is_some() && !profile.email_verified;
    let email = user.email.as_ref().map(|email| {
        let note = if unverified { " (not verified)" } else { "" };
        format!("{email}{note}")
    });
    let state = user.disabled_at.map_or_else(
        || state(user).to_owned(),
        |at| format!("disabled since {}", at.to_rfc3339()),
    );
    let password = user.password_changed_at.filter(|_| user.has_password);
    let password = password.map_or_else(
        || "none".to_owned(),
        |at| format!("set at {}", at.to_rfc3339()),
    );
    // An address may have several lines, a fact has one.
    let address = profile
        .address
        .as_ref()
        .map(|address| address.replace('\n', ", "));
    let facts = [
        ("user_id", Some(user.id.to_string())),
        ("username", Some(user.username.to_string())),
        ("e-mail", email),
        ("name", profile.name.clone()),
        ("phone", profile.phone.clone()),
        ("address", address),
        ("state", Some(state)),
        ("password", Some(password)),
        ("created", Some(user.created_at.to_rfc3339())),
        ("last login", user.last_login_at.map(|at| at.to_rfc3339())),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
}

/// Whether the person can sign in, in one word.
pub(super) fn state(user: &User) -> &'static str {
    if user.disabled_at.is_some() {
        "disabled"
    } else {
        "enabled"
    }
}
