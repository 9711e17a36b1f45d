// Event stores as peers: appends a second at an expected version, ten a stream, by many clients at once.
// node append.mjs LIBRARY SETTINGS URL PROCESSES CLIENTS SECONDS → {"rate": appends a second, "median_ms": latency}
//
// A first second warms up; after it the tables are vacuumed and analysed.
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import pg from "pg";

const [library, settings, url, ...numbers] = process.argv.slice(2);
const [processes, clients, seconds] = numbers.map(Number);
const store = await import(`./${library}.mjs`);

const data = { widget: randomUUID(), plan: "free" };
const metadata = { at: new Date().toISOString(), actor: "visitor", correlation: randomUUID(), program: "bench" };

/** One client, until a time; how long each append took, in milliseconds. */
async function client(append, ends) {
  const times = [];
  while (performance.now() < ends) {
    const stream = randomUUID();
    for (let version = 0; version < 10; version++) {
      const asked = performance.now();
      await append(stream, version, "WidgetAdded", data, metadata);
      times.push(performance.now() - asked);
    }
  }
  return times;
}

/** A process with its share of the clients: it runs for as long as each message says, and answers what it measured. */
function appends() {
  const append = store.open(url, settings);
  const own = Array.from({ length: clients }, (_, number) => append(process.pid * 1000 + number));
  process.on("message", async (lasts) => {
    const begun = performance.now();
    const times = await Promise.all(own.map((append) => client(append, begun + 1000 * lasts)));
    process.send({ times: times.flat(), took: performance.now() - begun });
  });
  process.send("ready");
}

async function measure() {
  await store.prepare(url);
  const share = [library, settings, url, 0, Math.ceil(clients / processes), 0];
  const children = Array.from({ length: processes }, () => fork(process.argv[1], share));
  const all = (ask) =>
    Promise.all(
      children.map((child) => {
        const answered = new Promise((resolve) => child.once("message", resolve));
        ask?.(child);
        return answered;
      }),
    );
  await all();
  await all((child) => child.send(1));
  const admin = new pg.Client(url);
  await admin.connect();
  await admin.query("VACUUM ANALYZE");
  await admin.end();
  const measured = await all((child) => child.send(seconds));
  children.forEach((child) => child.kill());
  const rate = measured.reduce((sum, { times, took }) => sum + (1000 * times.length) / took, 0);
  const times = measured.flatMap(({ times }) => times).sort((a, b) => a - b);
  return { rate, median_ms: times[times.length >> 1] };
}

if (processes === 0) {
  appends();
} else {
  console.log(JSON.stringify(await measure()));
  process.exit(0);
}
