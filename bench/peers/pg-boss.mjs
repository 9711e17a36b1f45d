// pg-boss 12, for queue.mjs.
//
// What `work` does without options is not measured: one job each two seconds (docs/api/workers.md).
// "best" takes what its documentation has for throughput and for latency: many jobs a fetch that are completed together
// (batchSize), the next fetch at once while they come full (burstWhenBatchFull), LISTEN/NOTIFY (docs/api/workers.md,
// "Low-latency dispatch"), a table of the queue's own (docs/api/queues.md, partition).
// Of 500 to 5,000 jobs a fetch and one or two fetches at once, these were fastest.
import { PgBoss } from "pg-boss";

const QUEUE = "bench";

export const settings = {
  best: {
    boss: { useListenNotify: true },
    queue: { notify: true, partition: true },
    work: { batchSize: 2000, burstWhenBatchFull: true, localConcurrency: 2 },
  },
};

/** Whether a job is left that isn't completed. */
export const anyLeft = `SELECT EXISTS (SELECT FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed') AS left`;

async function start(url, chosen, more) {
  const boss = new PgBoss({ connectionString: url, ...settings[chosen].boss, ...more });
  boss.on("error", console.error);
  return boss.start();
}

/** Makes the schema and the queue. */
export async function prepare(url, chosen) {
  const boss = await start(url, chosen, { supervise: false, schedule: false });
  await boss.createQueue(QUEUE, settings[chosen].queue);
  await boss.stop({ graceful: false });
}

/** Adds jobs, 5,000 a call, as its test of speed does. */
export async function addMany(url, jobs, chosen) {
  const boss = await start(url, chosen, { supervise: false, schedule: false });
  for (let left = jobs; left > 0; left -= 5000) {
    await boss.insert(QUEUE, new Array(Math.min(left, 5000)).fill({ data: {} }));
  }
  await boss.stop({ graceful: false });
}

/** What adds one job that is due now. */
export async function producer(url, chosen) {
  const boss = await start(url, chosen, { supervise: false, schedule: false });
  return () => boss.send(QUEUE, {});
}

/** Works until the process ends; `started` is called with the number of jobs that begin. */
export async function work(url, chosen, started) {
  const boss = await start(url, chosen);
  await boss.work(QUEUE, settings[chosen].work, async (jobs) => started(jobs.length));
}
