// Verifies an access token as an API written in JavaScript would.
//
//     node verify_jose.mjs JWKS_URL ISSUER AUDIENCE TOKEN
//
// Prints the claims and exits with 0, or prints why the token is refused and exits with 1.

import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const [jwksUrl, issuer, audience, token] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(jwksUrl));

try {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ['RS256'],
    typ: 'at+jwt',
    issuer,
    audience,
    requiredClaims: ['sub', 'exp', 'iat', 'jti'],
  });
  console.log(JSON.stringify(payload));
} catch (error) {
  if (!(error instanceof errors.JOSEError)) throw error;
  console.log(`${error.code} ${error.claim ?? ''}`.trim());
  process.exitCode = 1;
}
