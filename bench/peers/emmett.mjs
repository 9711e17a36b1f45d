// emmett-postgresql 0.42, for append.mjs.
//
// "default" is the pool that node-postgres makes: 10 connections. Its documentation
// (https://event-driven-io.github.io/emmett/) names no setting for throughput but the pool; "best" is what was fastest.
import pg from "pg";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";

export const settings = { default: { max: 10 }, best: { max: 32 } };

/** Makes the schema. */
export async function prepare(url) {
  const events = getPostgreSQLEventStore(url);
  await events.schema.migrate();
  await events.close();
}

/** Gives each client what appends an event to its stream at an expected version. */
export function open(url, chosen) {
  const pool = new pg.Pool({ connectionString: url, ...settings[chosen] });
  const events = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
  return () => (stream, version, type, data, metadata) =>
    events.appendToStream(`account-${stream}`, [{ type, data, metadata }], {
      expectedStreamVersion: version === 0 ? "STREAM_DOES_NOT_EXIST" : BigInt(version),
    });
}
