// Logs a person in through the browser as a web app with openid-client would, and out again.
//
//     node browser_openid_client.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI LOGGED_OUT_URI plain|pushed
//
// An empty secret stands for a public client. Prints each address that the browser shall visit, and
// reads the address that it comes back with. Prints what it saw as JSON in the end.

import { createInterface } from 'node:readline';
import * as oidc from 'openid-client';

const [issuer, clientId, secret, redirectUri, loggedOutUri, way] = process.argv.slice(2);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const visit = async (url) => {
  console.log(url.href);
  return new URL((await lines.next()).value);
};

const config = await oidc.discovery(
  new URL(issuer),
  clientId,
  undefined,
  secret ? oidc.ClientSecretBasic(secret) : oidc.None(),
  // The service under test listens on the loopback interface without TLS. The signature is checked
  // although the token came straight from the server.
  { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] },
);

const verifier = oidc.randomPKCECodeVerifier();
const expectedState = oidc.randomState();
const expectedNonce = oidc.randomNonce();
const parameters = {
  redirect_uri: redirectUri,
  scope: 'openid profile offline_access',
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state: expectedState,
  nonce: expectedNonce,
  prompt: 'consent',
  max_age: '300',
};
const pushed = way === 'pushed';
const callback = await visit(
  pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, parameters)
    : oidc.buildAuthorizationUrl(config, parameters),
);

const first = await oidc.authorizationCodeGrant(config, callback, {
  pkceCodeVerifier: verifier,
  expectedState,
  expectedNonce,
  idTokenExpected: true,
  maxAge: 300,
});
const { sub } = first.claims();
const user = await oidc.fetchUserInfo(config, first.access_token, sub);

const second = await oidc.refreshTokenGrant(config, first.refresh_token);
const again = await oidc.fetchUserInfo(config, second.access_token, sub);
await oidc.tokenRevocation(config, second.refresh_token);
let refused;
try {
  await oidc.refreshTokenGrant(config, second.refresh_token);
} catch (error) {
  refused = error.error;
}

const goodbye = oidc.randomState();
const back = await visit(
  oidc.buildEndSessionUrl(config, {
    id_token_hint: first.id_token,
    post_logout_redirect_uri: loggedOutUri,
    state: goodbye,
  }),
);
input.close();
console.log(
  JSON.stringify({
    sub,
    user,
    same_after_refresh: JSON.stringify(again) === JSON.stringify(user),
    refused_after_revocation: refused,
    state_after_logout: back.searchParams.get('state') === goodbye,
  }),
);
