//! `tokensmith dev`: the whole service on one machine, with something to try it on.

use super::output;

/// The id of the seeded client.
pub const DEMO_CLIENT: &str = "demo";
/// The API that its tokens are for.
pub const DEMO_AUDIENCE: &str = "https://api.example.com";

/// Tells the person at the terminal what to try.
///
/// # Errors
/// When standard output is gone.
pub fn welcome(address: &str, issuer: &str, secret: Option<&str>) -> std::io::Result<()> {
    output::line(&format!(
        "Tokensmith is ready at {address} (issuer {issuer})\n"
    ))?;
    if let Some(secret) = secret {
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "tokensmith".to_owned());
        output::line(&format!(
            "Get a token:\n\n  curl -s -u {DEMO_CLIENT}:{secret} \\\n    \
             -d grant_type=client_credentials {address}/oauth/token\n\n\
             Get one and verify it offline, in another terminal:\n\n  \
             TOKEN=$(curl -s -u {DEMO_CLIENT}:{secret} \\\n    \
             -d grant_type=client_credentials {address}/oauth/token \\\n    \
             | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
             {program} token verify --issuer {issuer} --audience {DEMO_AUDIENCE} \"$TOKEN\"\n"
        ))?;
    }
    output::line(&format!(
        "Read on: {address}/docs (all endpoints), {address}/.well-known/jwks.json (public keys)\n\
         Stop with Ctrl-C.\n"
    ))
}
