// graphile-worker as a peer: no-op jobs a second, and how long from adding a job until an idle worker starts it.
// node queue.mjs URL JOBS default|batched → {"rate": jobs a second, "start_ms": median}
import pg from "pg";
import { makeWorkerUtils, run, Logger } from "graphile-worker";

const [url, jobs, settings] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const quiet = new Logger(() => () => {});
// The batched settings are those of https://worker.graphile.org/docs/performance; without them, its defaults with as
// many jobs at once as there the best.
const batched = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const preset = (connectionString) => ({
  worker: {
    connectionString,
    logger: quiet,
    ...(settings === "batched" ? { concurrentJobs: 24, maxPoolSize: 25, ...batched } : {}),
  },
});

const utils = await makeWorkerUtils({ preset: preset(url) });
await utils.migrate();
const pool = new pg.Pool({ connectionString: url, max: 2 });

async function rate() {
  await pool.query(
    `SELECT graphile_worker.add_jobs(array_agg(('noop', '{}', NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec))
     FROM generate_series(1, $1::int)`,
    [jobs],
  );
  let left = jobs;
  let done;
  const finished = new Promise((resolve) => (done = resolve));
  const begun = performance.now();
  const runner = await run({
    preset: preset(url),
    taskList: { noop: async () => void (--left === 0 && done()) },
    parsedCronItems: [],
  });
  await finished;
  await runner.stop();
  return (1000 * jobs) / (performance.now() - begun);
}

async function start() {
  let started;
  const runner = await run({ preset: preset(url), taskList: { once: async () => started(performance.now()) }, parsedCronItems: [] });
  const times = [];
  for (let n = 0; n < 300; n++) {
    const begins = new Promise((resolve) => (started = resolve));
    const added = performance.now();
    await utils.addJob("once", {});
    times.push((await begins) - added);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await runner.stop();
  times.sort((a, b) => a - b);
  return times[times.length / 2];
}

const start_ms = await start();
const result = { rate: await rate(), start_ms };
await utils.release();
await pool.end();
console.log(JSON.stringify(result));
process.exit(0);
