"""Logs a person in through the browser as a web app with Authlib would, and out again.

    browser_authlib.py ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI LOGGED_OUT_URI plain|pushed

An empty secret stands for a public client. Prints each address that the browser shall visit, and
reads the address that it comes back with. Prints what it saw as JSON in the end.
"""

import json
import os
import sys
from urllib.parse import parse_qs, parse_qsl, urlsplit

# The service under test listens on the loopback interface without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet


def visit(url: str) -> str:
    print(url, flush=True)
    return sys.stdin.readline().strip()


def main() -> int:
    issuer, client_id, secret, redirect_uri, logged_out_uri, way = sys.argv[1:]
    session = OAuth2Session(
        client_id,
        secret or None,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        scope="openid profile offline_access",
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
    )
    session.trust_env = False

    def public(url: str) -> dict:
        return session.get(url, withhold_token=True).json()

    metadata = public(f"{issuer}/.well-known/openid-configuration")
    assert metadata["issuer"] == issuer
    verifier, nonce = generate_token(48), generate_token(20)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"],
        code_verifier=verifier,
        nonce=nonce,
        prompt="consent",
        max_age=300,
    )
    if way == "pushed":
        pushed = session.post(
            metadata["pushed_authorization_request_endpoint"],
            data=dict(parse_qsl(urlsplit(url).query)),
            auth=(client_id, secret) if secret else None,
            withhold_token=True,
        )
        assert pushed.status_code == 201, pushed.text
        reference = {"client_id": client_id, "request_uri": pushed.json()["request_uri"]}
        url = add_params_to_uri(metadata["authorization_endpoint"], reference.items())
    callback = visit(url)

    endpoint = metadata["token_endpoint"]
    first = session.fetch_token(
        endpoint, authorization_response=callback, state=state, code_verifier=verifier
    )
    keys = KeySet.import_key_set(public(metadata["jwks_uri"]))
    algorithms = metadata["id_token_signing_alg_values_supported"]
    decoded = jwt.decode(first["id_token"], keys, algorithms=algorithms)
    options = {"iss": {"essential": True, "values": [metadata["issuer"]]}}
    expected = {
        "client_id": client_id,
        "nonce": nonce,
        "max_age": 300,
        "access_token": first["access_token"],
    }
    claims = CodeIDToken(decoded.claims, decoded.header, options, expected)
    claims.validate()

    user = session.get(metadata["userinfo_endpoint"]).json()
    assert user["sub"] == claims["sub"]
    second = session.refresh_token(endpoint, refresh_token=first["refresh_token"])
    again = session.get(metadata["userinfo_endpoint"]).json()
    session.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"])
    refused = None
    try:
        session.refresh_token(endpoint, refresh_token=second["refresh_token"])
    except OAuthError as error:
        refused = error.error

    goodbye = generate_token(20)
    logout = {
        "id_token_hint": first["id_token"],
        "post_logout_redirect_uri": logged_out_uri,
        "state": goodbye,
    }
    back = visit(add_params_to_uri(metadata["end_session_endpoint"], logout.items()))
    seen = {
        "sub": claims["sub"],
        "user": user,
        "same_after_refresh": again == user,
        "refused_after_revocation": refused,
        "state_after_logout": parse_qs(urlsplit(back).query).get("state") == [goodbye],
    }
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
