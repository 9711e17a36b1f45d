// A client as others would write it, over types that are generated from the API's description. It reads and changes a
// service at RELIGHT_URL with an admin's key, RELIGHT_KEY, and prints "done".

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Account = components["schemas"]["Account"];
type Event = components["schemas"]["Event"];

declare const process: { env: Record<string, string | undefined> };

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const client = createClient<paths>({
  baseUrl: `${setting("RELIGHT_URL")}/api/v1`,
  headers: { Authorization: `Bearer ${setting("RELIGHT_KEY")}` },
});

// The data of an answer, or its problem details as an exception.
function data<T>(answer: { data?: T; error?: components["schemas"]["Problem"]; response: Response }): T {
  if (answer.error !== undefined) throw new Error(`${answer.error.status} ${answer.error.type}: ${answer.error.detail}`);
  if (answer.data === undefined) throw new Error(`${answer.response.status} without a body`);
  return answer.data;
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

// How far into the journal an answer goes.
function position(answer: { response: Response }): number {
  return Number(answer.response.headers.get("Relight-Position"));
}

async function allAccounts(status: Account["status"]): Promise<Account[]> {
  const all: Account[] = [];
  let after: string | undefined;
  do {
    const query = { status, limit: 1, ...(after === undefined ? {} : { after }) };
    const page = data(await client.GET("/accounts", { params: { query } }));
    all.push(...page.data);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return all;
}

async function widgets(account: Account): Promise<void> {
  const path = { id: account.id };
  const added = await client.POST("/accounts/{id}/widgets", {
    params: { path, header: { "Idempotency-Key": "client-1" } },
    body: { plan: "free" },
  });
  const widget = data(added);
  const query = { min_position: position(added) };
  const seen = data(await client.GET("/accounts/{id}", { params: { path, query } }));
  check(seen.widgets.free === account.widgets.free + 1, "the widget is not counted");
  const changed = await client.PATCH("/widgets/{id}", { params: { path: { id: widget.id } }, body: { plan: "upgraded" } });
  check(data(changed).plan === "upgraded", "the plan is not changed");
  const removed = await client.DELETE("/widgets/{id}", { params: { path: { id: widget.id } } });
  check(removed.response.status === 204, "the widget is not removed");
  const left = data(await client.GET("/accounts/{id}/widgets", { params: { path } }));
  check(left.data.every((other) => other.id !== widget.id), "the widget is still listed");
}

async function events(account: Account): Promise<void> {
  const history = data(await client.GET("/accounts/{id}/history", { params: { path: { id: account.id } } }));
  const types: Event["type"][] = history.data.map((event) => event.type);
  check(types[0] === "Connected" && types.includes("WidgetRemoved"), `a history of ${types.join(", ")}`);
  const query = { account: account.id, type: "WidgetAdded", from: "2020-01-01T00:00:00Z", limit: 200 };
  const added = data(await client.GET("/events", { params: { query } }));
  check(added.data.every((event) => event.account_id === account.id), "events of another account");
  const jobs = data(await client.GET("/work", {}));
  check(jobs.data.every((job) => job.attempts >= 0), "jobs with odd attempts");
}

async function webhooks(): Promise<void> {
  const endpoint = data(await client.POST("/webhooks", { body: { url: "https://client.example/hook" } }));
  check(endpoint.secret?.startsWith("whsec_") === true, "no secret");
  const listed = data(await client.GET("/webhooks"));
  check(listed.data.some((other) => other.id === endpoint.id), "the endpoint is not listed");
  const path = { id: endpoint.id };
  check(data(await client.GET("/webhooks/{id}/deliveries", { params: { path } })).data.length === 0, "deliveries");
  await client.DELETE("/webhooks/{id}", { params: { path } });
}

async function missing(): Promise<void> {
  const path = { id: "01900000-0000-7000-8000-000000000000" };
  const answer = await client.GET("/accounts/{id}", { params: { path } });
  check(answer.error?.type === "urn:relight:problem:not-found", "an account that does not exist");
}

const active = await allAccounts("active");
const account = active[0];
check(account !== undefined, "no active account");
const expired = await allAccounts("expired");
check(expired.every((other) => other.reason !== null && other.needs_person), "an expired account without a reason");
await widgets(account);
await events(account);
await webhooks();
await missing();
console.log("done");
