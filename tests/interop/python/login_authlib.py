"""Logs a person in, refreshes, introspects and revokes as an app written in Python would.

    login_authlib.py ISSUER CLIENT_ID CLIENT_SECRET USERNAME PASSWORD

An empty secret stands for a public client, which introspects nothing. Prints what it saw as JSON.
"""

import json
import os
import sys

# The service under test listens on the loopback interface without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge


def main() -> int:
    issuer, client_id, secret, username, password = sys.argv[1:]
    method = "client_secret_basic" if secret else "none"
    session = OAuth2Session(
        client_id, secret or None, token_endpoint_auth_method=method
    )
    session.trust_env = False
    metadata = session.get(
        f"{issuer}/.well-known/oauth-authorization-server", withhold_token=True
    ).json()
    verifier = generate_token(48)
    # The challenge endpoint is not in any library yet: one form.
    challenge = session.post(
        metadata["authorization_challenge_endpoint"],
        data={
            "client_id": client_id,
            "response_type": "code",
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            "username": username,
            "password": password,
        },
        auth=(client_id, secret) if secret else None,
        withhold_token=True,
    ).json()
    endpoint = metadata["token_endpoint"]
    first = session.fetch_token(
        endpoint,
        grant_type="authorization_code",
        code=challenge["authorization_code"],
        code_verifier=verifier,
    )

    def refresh(token: str) -> dict:
        return session.refresh_token(endpoint, refresh_token=token)

    original = first["refresh_token"]
    second = refresh(original)
    repeated = refresh(original)

    def is_active() -> bool | None:
        if not secret:
            return None
        answer = session.introspect_token(
            metadata["introspection_endpoint"], token=second["access_token"]
        )
        return answer.json()["active"]

    before = is_active()
    session.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"])
    after = is_active()
    refused = None
    try:
        refresh(second["refresh_token"])
    except OAuthError as error:
        refused = error.error
    seen = {
        "token_type": first["token_type"],
        "scope": first["scope"],
        "same_after_retry": repeated["refresh_token"] == second["refresh_token"],
        "active_before": before,
        "active_after": after,
        "refused": refused,
    }
    print(json.dumps({name: value for name, value in seen.items() if value is not None}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
