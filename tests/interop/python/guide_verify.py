"""Runs a program of docs/guides/verify-elsewhere.md, which the tests put beside this file.

    guide_verify.py verify|follow ISSUER AUDIENCE

Takes tokens on standard input, one a line, and answers each with a line of JSON: {"claims": …},
{"refused": why} or {"unavailable": why}. `follow` may learn of revocations from the stream only.
"""

import json
import sys

import jwt
from follow import FollowingVerifier
from verify import Unavailable, Verifier


def poll(*_) -> bool:
    raise Unavailable("this would be a poll")


def main() -> None:
    how, issuer, audience = sys.argv[1:]
    if how == "follow":
        Verifier.is_revoked = poll
        verifier: Verifier = FollowingVerifier(issuer, audience)
    else:
        verifier = Verifier(issuer, audience)
    for line in sys.stdin:
        try:
            answer = {"claims": verifier.verify(line.strip())}
        except jwt.InvalidTokenError as error:
            answer = {"refused": repr(error)}
        except Unavailable as error:
            answer = {"unavailable": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
