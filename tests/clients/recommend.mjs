// Prints what recs.recommend() gives a user, as JSON, by node's `pg`:
//   npm install pg && node recommend.mjs "$DATABASE_URL" user-42 10
// A host that starts with / is the folder of a Unix socket.
import { createRequire } from "node:module";

// From the folder where npm installed it, which need not be this script's.
const { Client } = createRequire(`${process.cwd()}/`)("pg");
const [connectionString, userId, k] = process.argv.slice(2);

const client = new Client(
  connectionString.startsWith("{") ? JSON.parse(connectionString) : { connectionString },
);
await client.connect();
const { rows } = await client.query(
  "SELECT item_id, score, rank, tier, reason FROM recs.recommend($1, $2)",
  [userId, Number(k)],
);
console.log(JSON.stringify(rows));
await client.end();
