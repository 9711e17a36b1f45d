// message-db 1.3, for append.mjs. It is installed by its own script before (bench/src/peers.rs).
//
// "default" writes all streams in one category through node-postgres' pool of 10 connections.
// "best" has a category for each client: a write takes an advisory lock of its stream's category (function acquire_lock;
// https://github.com/message-db/message-db/issues/43), so that writes of one category wait for each other's commits. Of 16,
// 32 and 64 connections, 32 were fastest.
import { randomUUID } from "node:crypto";
import pg from "pg";

export const settings = {
  default: { max: 10, category: () => "account" },
  best: { max: 32, category: (client) => `account${client}` },
};

const query = {
  name: "write",
  text: "SELECT message_store.write_message($1, $2, $3, $4::jsonb, $5::jsonb, $6)",
};

export async function prepare() {}

/** Gives each client what appends an event to its stream at an expected version. */
export function open(url, chosen) {
  const { max, category } = settings[chosen];
  const pool = new pg.Pool({ connectionString: url, max, options: "-c search_path=message_store,public" });
  return (client) => (stream, version, type, data, metadata) => {
    const values = [randomUUID(), `${category(client)}-${stream}`, type, JSON.stringify(data), JSON.stringify(metadata)];
    return pool.query({ ...query, values: [...values, version - 1] });
  };
}
