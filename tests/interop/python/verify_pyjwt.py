"""Verifies an access token as an API written in Python would.

    verify_pyjwt.py JWKS_URL ISSUER AUDIENCE TOKEN

Prints the claims and exits with 0, or prints why the token is refused and exits with 1.
"""

import json
import sys

import jwt


def main() -> int:
    jwks_url, issuer, audience, token = sys.argv[1:]
    # RFC 9068 §4: the type comes first, so that no other kind of JWT passes.
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        print("InvalidTypeError")
        return 1
    key = jwt.PyJWKClient(jwks_url).get_signing_key_from_jwt(token)
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=issuer,
            audience=audience,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
        )
    except jwt.InvalidTokenError as error:
        print(type(error).__name__)
        return 1
    print(json.dumps(claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())
