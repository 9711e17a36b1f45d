// Event stores as peers: appends a second at an expected version, ten a stream, by many clients at once.
// node append.mjs URL SECONDS CLIENTS emmett|message-db default|best → {"rate": appends a second, "median_ms": latency}
import { randomUUID } from "node:crypto";
import pg from "pg";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";

const [url, seconds, clients, store, settings] = process.argv.slice(2);
// Both leave it to node-postgres how many connections there are: 10. The best is as many as there are clients.
const max = settings === "best" ? Number(clients) : 10;
const data = { widget: randomUUID(), plan: "free" };
const metadata = { at: new Date().toISOString(), actor: "visitor", correlation: randomUUID(), program: "bench" };

async function emmett() {
  const pool = new pg.Pool({ connectionString: url, max });
  const events = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
  await events.schema?.migrate?.();
  return (stream, version) =>
    events.appendToStream(`account-${stream}`, [{ type: "WidgetAdded", data, metadata }], {
      expectedStreamVersion: version === 0 ? "STREAM_DOES_NOT_EXIST" : BigInt(version),
    });
}

async function messageDb() {
  const pool = new pg.Pool({ connectionString: url, max, options: "-c search_path=message_store,public" });
  const query = {
    name: "write",
    text: "SELECT message_store.write_message($1, $2, $3, $4::jsonb, $5::jsonb, $6)",
  };
  return (stream, version) =>
    pool.query({
      ...query,
      values: [randomUUID(), `account-${stream}`, "WidgetAdded", JSON.stringify(data), JSON.stringify(metadata), version - 1],
    });
}

const append = await (store === "emmett" ? emmett() : messageDb());
await append(randomUUID(), 0);
const times = [];
const begun = performance.now();
const ends = begun + 1000 * Number(seconds);
async function client() {
  while (performance.now() < ends) {
    const stream = randomUUID();
    for (let version = 0; version < 10; version++) {
      const asked = performance.now();
      await append(stream, version);
      times.push(performance.now() - asked);
    }
  }
}
await Promise.all(Array.from({ length: Number(clients) }, client));
const rate = (1000 * times.length) / (performance.now() - begun);
times.sort((a, b) => a - b);
console.log(JSON.stringify({ rate, median_ms: times[times.length >> 1] }));
process.exit(0);
