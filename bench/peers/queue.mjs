// Job queues as peers. Workers are processes of their own, and jobs come from another process.
//
// node queue.mjs rate LIBRARY SETTINGS URL PROCESSES JOBS → {"rate"}: no-op jobs a second, from the start of the first
//   until the database has none left; they were added before, and the tables vacuumed and analysed.
// node queue.mjs start LIBRARY SETTINGS URL JOBS → {"start_ms"}: from adding a job that is due now until an idle worker
//   starts it, the median.
import { fork } from "node:child_process";
import pg from "pg";

const [what, library, settings, url, ...numbers] = process.argv.slice(2);
const peer = await import(`./${library}.mjs`);

/** Milliseconds, comparable over processes. */
const now = () => performance.timeOrigin + performance.now();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A worker; `hears` gets what it sends. */
const worker = (hears) => {
  const child = fork(process.argv[1], ["work", library, settings, url]);
  child.on("message", hears);
  return child;
};

async function query(sql) {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}

async function rate(processes, jobs) {
  await peer.prepare(url, settings);
  await peer.addMany(url, jobs, settings);
  await query("VACUUM ANALYZE");
  let first = Infinity;
  const started = new Array(processes).fill(0);
  const workers = started.map((_, number) =>
    worker((sent) => {
      first = Math.min(first, sent.first);
      started[number] = sent.started;
    }),
  );
  while (started.reduce((sum, count) => sum + count) < jobs) await sleep(2);
  while ((await query(peer.anyLeft))[0].left) await sleep(2);
  const rate = (1000 * jobs) / (now() - first);
  workers.forEach((worker) => worker.kill());
  return { rate };
}

async function start(jobs) {
  await peer.prepare(url, settings);
  const add = await peer.producer(url, settings);
  let begins;
  const idle = worker((sent) => begins?.(sent.last));
  const times = [];
  // The first one waits until the worker is there.
  for (let job = 0; job <= jobs; job++) {
    const started = new Promise((resolve) => (begins = resolve));
    const asked = now();
    await add();
    times.push((await started) - asked);
    await sleep(5 + 10 * Math.random());
  }
  idle.kill();
  const sorted = times.slice(1).sort((a, b) => a - b);
  return { start_ms: sorted[sorted.length >> 1] };
}

/** Sends how many it has started, at most each few milliseconds: a message a job would be work of our own. */
async function work() {
  let [first, last, started, due] = [0, 0, 0, false];
  await peer.work(url, settings, (count) => {
    last = now();
    first ||= last;
    started += count;
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      process.send({ first, last, started });
    }, 2);
  });
}

if (what === "work") {
  await work();
} else {
  console.log(JSON.stringify(what === "rate" ? await rate(...numbers.map(Number)) : await start(Number(numbers[0]))));
  process.exit(0);
}
