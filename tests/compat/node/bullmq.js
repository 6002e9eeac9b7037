// A job queue at work: BullMQ adds jobs, its workers run them, and each has run exactly once with
// the right result.
//
// Usage: node bullmq.js PORT. Ends with status 0, or with the first thing that was wrong.
"use strict";

const assert = require("node:assert/strict");
const { FlowProducer, Queue, QueueEvents, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const JOBS = 200;

async function main() {
  const runs = new Map();
  const queue = new Queue("sums", { connection });
  queue.setMaxListeners(0);
  await queue.obliterate({ force: true });
  const events = new QueueEvents("sums", { connection });
  await events.waitUntilReady();
  const run = async (job) => {
    runs.set(job.data.number, (runs.get(job.data.number) ?? 0) + 1);
    if (job.data.fails > job.attemptsMade) throw new Error("once more, please");
    await job.updateProgress(50);
    return job.data.number * 2;
  };
  const workers = Array.from(
    { length: 3 },
    () => new Worker("sums", run, { connection, concurrency: 4 }),
  );

  // At once, with retries, later, and one that waits for its children.
  const half = Array.from({ length: JOBS }, (_, number) => ({ name: "sum", data: { number } }));
  const jobs = await queue.addBulk(half);
  const again = await queue.add("again", { number: "again", fails: 2 }, { attempts: 3 });
  const later = await queue.add("later", { number: 1000 }, { delay: 300 });
  const flows = new FlowProducer({ connection });
  const flow = await flows.add({
    name: "parent",
    queueName: "sums",
    data: { number: 2000 },
    children: [1, 2, 3].map((n) => ({
      name: "child",
      queueName: "sums",
      data: { number: 2000 + n },
    })),
  });

  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20000)));
  assert.deepEqual(results, jobs.map((job) => job.data.number * 2));
  assert.equal(await later.waitUntilFinished(events, 20000), 2000);
  assert.equal(await flow.job.waitUntilFinished(events, 20000), 4000);
  assert.equal(Object.keys(await flow.job.getChildrenValues()).length, 3);
  await again.waitUntilFinished(events, 20000);
  assert.equal(runs.get("again"), 3);
  runs.delete("again");
  assert.deepEqual(new Set(runs.values()), new Set([1]), "each has run once");
  assert.equal(runs.size, JOBS + 5);
  const counts = await queue.getJobCounts("completed", "failed", "active", "wait", "delayed");
  assert.deepEqual(counts, { completed: JOBS + 6, failed: 0, active: 0, wait: 0, delayed: 0 });

  await Promise.all([...workers, events, flows, queue].map((each) => each.close()));
  console.log("all jobs were right");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
