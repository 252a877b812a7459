// Runs a program of docs/guides/verify-elsewhere.md, which the tests put beside this file.
//
//     node guide_verify.mjs verify|follow ISSUER AUDIENCE
//
// Takes tokens on standard input, one a line, and answers each with a line of JSON: {"claims": …},
// {"refused": why} or {"unavailable": why}. `follow` may learn of revocations from the stream only.

import { createInterface } from 'node:readline';
import { errors } from 'jose';
import { Verifier } from './verify.mjs';
import { FollowingVerifier } from './follow.mjs';

const [how, issuer, audience] = process.argv.slice(2);
const stop = new AbortController();
let verifier;
if (how === 'follow') {
  Verifier.prototype.isRevoked = async () => {
    throw new Error('this would be a poll');
  };
  verifier = new FollowingVerifier(issuer, audience);
  verifier.follow(stop.signal);
} else {
  verifier = new Verifier(issuer, audience);
}

for await (const token of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(token)));
}
stop.abort();

async function answer(token) {
  try {
    return { claims: await verifier.verify(token) };
  } catch (error) {
    const why = String(error);
    return error instanceof errors.JOSEError ? { refused: why } : { unavailable: why };
  }
}
