// graphile-worker 0.18, for queue.mjs.
//
// "default" is what `run` does without options: one job at a time.
// "best" is the configuration of https://worker.graphile.org/docs/performance, "With batching": 24 jobs at once, 500
// fetched at once, completions gathered. Its own performance test (perfTest/run.js) starts several processes of it.
import pg from "pg";
import { Logger, makeWorkerUtils, run } from "graphile-worker";

const quiet = new Logger(() => () => {});

export const settings = {
  default: {},
  best: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};

/** Whether a job is left that isn't completed: completing deletes it. */
export const anyLeft = "SELECT EXISTS (SELECT FROM graphile_worker._private_jobs) AS left";

/** Makes the schema. */
export async function prepare(url) {
  const utils = await makeWorkerUtils({ connectionString: url, logger: quiet });
  await utils.migrate();
  await utils.release();
}

/** Adds jobs, in one call, as its performance test does. */
export async function addMany(url, jobs) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(
    `SELECT graphile_worker.add_jobs(array_agg(('bench', '{}', NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec))
     FROM generate_series(1, $1::int)`,
    [jobs],
  );
  await client.end();
}

/** What adds one job that is due now. */
export async function producer(url) {
  const utils = await makeWorkerUtils({ connectionString: url, logger: quiet });
  return () => utils.addJob("bench", {});
}

/** Works until the process ends; `started` is called with the number of jobs that begin. */
export async function work(url, chosen, started) {
  const preset = { worker: { connectionString: url, logger: quiet, ...settings[chosen] } };
  await run({ preset, taskList: { bench: async () => started(1) }, parsedCronItems: [] });
}
