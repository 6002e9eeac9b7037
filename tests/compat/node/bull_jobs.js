// Bull: four queues with workers of their own in this process. Jobs are added one at a time and in bulk,
// by priority and for later; one fails and is tried again. Usage: node bull_jobs.js PORT
"use strict";

const Queue = require("bull");
const { PORT, eventually, report, run } = require("./report.js");

const QUEUES = 4;
const JOBS = 50;

run(async () => {
  const jobs = {};
  const runs = {};
  const queues = Array.from(
    { length: QUEUES },
    (_, n) => new Queue(`queue-${n}`, { redis: { host: "127.0.0.1", port: PORT } }),
  );
  for (const queue of queues) {
    queue.on("error", (error) => console.error("bull:", error.message));
    queue.process(5, async (job) => {
      const name = `${queue.name} ${job.data.name}`;
      runs[name] = (runs[name] || 0) + 1;
      await job.progress(50);
      if (job.data.name === "fails once" && runs[name] === 1) throw new Error("the first try");
      return `${job.data.name} is done`;
    });
  }
  const results = [];
  for (const queue of queues) {
    const added = await queue.addBulk(
      Array.from({ length: JOBS }, (_, n) => ({ data: { name: `job ${n}` } })),
    );
    added.push(
      await queue.add({ name: "fails once" }, { attempts: 3, backoff: 1 }),
      await queue.add({ name: "first" }, { priority: 1 }),
      await queue.add({ name: "later" }, { delay: 500 }),
    );
    results.push(...(await Promise.all(added.map((job) => job.finished()))));
  }
  jobs.results = results;
  await eventually(async () => {
    const counts = await Promise.all(queues.map((queue) => queue.getJobCounts()));
    return counts.every((count) => count.completed === JOBS + 3);
  });
  jobs.counts = await Promise.all(queues.map((queue) => queue.getJobCounts()));
  jobs["each once"] = Object.entries(runs).sort();
  report("bull", jobs, "Bull");
});
