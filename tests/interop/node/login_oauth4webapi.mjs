// Logs a person in, refreshes, introspects and revokes as an app written in JavaScript would.
//
//     node login_oauth4webapi.mjs ISSUER CLIENT_ID CLIENT_SECRET USERNAME PASSWORD
//
// An empty secret stands for a public client, which introspects nothing. Prints what it saw as JSON.

import * as oauth from 'oauth4webapi';

const [issuer, clientId, secret, username, password] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: clientId };
const authentication = secret ? oauth.ClientSecretBasic(secret) : oauth.None();

const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }),
);

// The challenge endpoint is not in any library yet: one form.
const verifier = oauth.generateRandomCodeVerifier();
const form = new URLSearchParams({
  client_id: clientId,
  response_type: 'code',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  username,
  password,
});
const challenge = await fetch(server.authorization_challenge_endpoint, {
  method: 'POST',
  headers: secret ? basic() : {},
  body: form,
});
const { authorization_code: code } = await challenge.json();

const first = await oauth.processGenericTokenEndpointResponse(
  server,
  client,
  await oauth.genericTokenEndpointRequest(
    server,
    client,
    authentication,
    'authorization_code',
    { code, code_verifier: verifier },
    insecure,
  ),
);
const refresh = async (token) =>
  oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, authentication, token, insecure),
  );
const second = await refresh(first.refresh_token);
const repeated = await refresh(first.refresh_token);

const isActive = async () => {
  if (!secret) return undefined;
  const answer = await oauth.introspectionRequest(
    server,
    client,
    authentication,
    second.access_token,
    insecure,
  );
  return (await oauth.processIntrospectionResponse(server, client, answer)).active;
};
const before = await isActive();
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, second.refresh_token, insecure),
);
const after = await isActive();
let refused;
try {
  await refresh(second.refresh_token);
} catch (error) {
  refused = error.error;
}
console.log(
  JSON.stringify({
    token_type: first.token_type,
    scope: first.scope,
    same_after_retry: repeated.refresh_token === second.refresh_token,
    active_before: before,
    active_after: after,
    refused,
  }),
);

function basic() {
  const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}
