// Logs a person in through the browser as a web app with oauth4webapi would, and out again.
//
//     node browser_oauth4webapi.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI LOGGED_OUT_URI plain|pushed
//
// An empty secret stands for a public client. Prints each address that the browser shall visit, and
// reads the address that it comes back with. Prints what it saw as JSON in the end.

import { createInterface } from 'node:readline';
import * as oauth from 'oauth4webapi';

const [issuer, clientId, secret, redirectUri, loggedOutUri, way] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: clientId };
const authentication = secret ? oauth.ClientSecretBasic(secret) : oauth.None();
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const visit = async (url) => {
  console.log(url.href);
  return new URL((await lines.next()).value);
};

const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, { algorithm: 'oidc', ...insecure }),
);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
let query = new URLSearchParams({
  client_id: clientId,
  response_type: 'code',
  redirect_uri: redirectUri,
  scope: 'openid profile offline_access',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
  prompt: 'consent',
  max_age: '300',
});
if (way === 'pushed') {
  const answer = await oauth.pushedAuthorizationRequest(
    server,
    client,
    authentication,
    query,
    insecure,
  );
  const pushed = await oauth.processPushedAuthorizationResponse(server, client, answer);
  query = new URLSearchParams({ client_id: clientId, request_uri: pushed.request_uri });
}
const callback = await visit(new URL(`${server.authorization_endpoint}?${query}`));

const answer = await oauth.authorizationCodeGrantRequest(
  server,
  client,
  authentication,
  oauth.validateAuthResponse(server, client, callback, state),
  redirectUri,
  verifier,
  insecure,
);
const first = await oauth.processAuthorizationCodeResponse(server, client, answer, {
  expectedNonce: nonce,
  maxAge: 300,
  requireIdToken: true,
});
await oauth.validateApplicationLevelSignature(server, answer, insecure);
const { sub } = oauth.getValidatedIdTokenClaims(first);

const userinfo = async (token) =>
  oauth.processUserInfoResponse(
    server,
    client,
    sub,
    await oauth.userInfoRequest(server, client, token, insecure),
  );
const refresh = async (token) =>
  oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, authentication, token, insecure),
  );
const user = await userinfo(first.access_token);
const second = await refresh(first.refresh_token);
const again = await userinfo(second.access_token);
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, second.refresh_token, insecure),
);
let refused;
try {
  await refresh(second.refresh_token);
} catch (error) {
  refused = error.error;
}

const goodbye = oauth.generateRandomState();
const logout = new URL(server.end_session_endpoint);
logout.searchParams.set('id_token_hint', first.id_token);
logout.searchParams.set('post_logout_redirect_uri', loggedOutUri);
logout.searchParams.set('state', goodbye);
const back = await visit(logout);
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
