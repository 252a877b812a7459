// Reads the status of tokens with a library for status lists, as it is, without any code of ours.
//
//     node status_list.mjs TOKEN...
//
// Prints the status of each token and the length of the list of the first.

import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list';

const statuses = [];
let length;
for (const token of process.argv.slice(2)) {
  const { uri, idx } = getStatusListFromJWT(token);
  const answer = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } });
  const list = getListFromStatusListJWT(await answer.text());
  length ??= list.statusList.length;
  statuses.push(list.getStatus(idx));
}
console.log(JSON.stringify({ statuses, length }));
