//! `tokensmith dev`: the whole service on one machine, with something to try it on.

use super::output;

/// The id of the seeded service.
pub const DEMO_CLIENT: &str = "demo";
/// The id of the seeded app, through which people sign in.
pub const DEMO_APP: &str = "demo-app";
/// The username of the seeded person.
pub const DEMO_USER: &str = "ada";
/// The API that the tokens of both are for.
pub const DEMO_AUDIENCE: &str = "https://api.example.com";

/// What the seeded clients and person prove themselves with, while they are as they were seeded.
pub struct DemoCredentials {
    /// The secret of [`DEMO_CLIENT`].
    pub client_secret: Option<String>,
    /// The password of [`DEMO_USER`].
    pub password: Option<String>,
}

/// A PKCE verifier and its challenge (RFC 7636, appendix B); good for a demonstration only.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Tells the person at the terminal what to try.
///
/// # Errors
/// When standard output is gone.
pub fn welcome(address: &str, issuer: &str, demo: &DemoCredentials) -> std::io::Result<()> {
    output::line(&format!(
        "Tokensmith is ready at {address} (issuer {issuer})\n"
    ))?;
    if let Some(secret) = &demo.client_secret {
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "tokensmith".to_owned());
        output::line(&format!(
            "Get a token for a service:\n\n  curl -s -u {DEMO_CLIENT}:{secret} \\\n    \
             -d grant_type=client_credentials {address}/oauth/token\n\n\
             Get one and verify it offline, in another terminal:\n\n  \
             TOKEN=$(curl -s -u {DEMO_CLIENT}:{secret} \\\n    \
             -d grant_type=client_credentials {address}/oauth/token \\\n    \
             | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
             {program} token verify --issuer {issuer} --audience {DEMO_AUDIENCE} \"$TOKEN\"\n"
        ))?;
    }
    if let Some(password) = &demo.password {
        output::line(&format!(
            "Sign a person in, as an app of your own would, and refresh:\n\n  \
             CODE=$(curl -s {address}/oauth/challenge -d client_id={DEMO_APP} \\\n    \
             -d response_type=code -d code_challenge_method=S256 \\\n    \
             -d code_challenge={CHALLENGE} \\\n    \
             -d username={DEMO_USER} -d password={password} \\\n    \
             | sed 's/.*\"authorization_code\":\"\\([^\"]*\\)\".*/\\1/')\n  \
             REFRESH=$(curl -s {address}/oauth/token -d client_id={DEMO_APP} \\\n    \
             -d grant_type=authorization_code -d \"code=$CODE\" \\\n    \
             -d code_verifier={VERIFIER} \\\n    \
             | sed 's/.*\"refresh_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
             curl -s {address}/oauth/token -d client_id={DEMO_APP} \\\n    \
             -d grant_type=refresh_token -d \"refresh_token=$REFRESH\"\n\n\
             Or sign in in a browser: {address}/account, as {DEMO_USER} with that password\n"
        ))?;
    }
    output::line(&format!(
        "Read on: {address}/docs (all endpoints), {address}/.well-known/jwks.json (public keys)\n\
         Stop with Ctrl-C.\n"
    ))
}
