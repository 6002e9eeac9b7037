// ioredis as applications use it. Usage: node ioredis_jobs.js PORT
"use strict";

const { once } = require("node:events");
const Redis = require("ioredis");
const { CLIENTS, PORT, TLS, eventually, report, run, said } = require("./report.js");

async function client(options = {}) {
  const redis = new Redis({ host: "127.0.0.1", port: PORT, tls: TLS, ...options });
  await once(redis, "ready");
  return redis;
}

async function data(redis, jobs) {
  jobs.strings = [
    await redis.set("text", "caf\u00e9\r\n"), await redis.get("text"), await redis.get("missing"),
    await redis.set("bytes", Buffer.from([0, 255, 13, 10])), (await redis.getBuffer("bytes")).toString("hex"),
    await redis.mset({ a: 1, b: 2 }), await redis.mget("a", "missing", "b"),
  ];
  jobs["hashes and sorted sets"] = [
    await redis.hset("hash", { f: 1, g: 2 }), await redis.hgetall("hash"),
    await redis.zadd("zset", 1.5, "m", 2, "n"), await redis.zrange("zset", 0, -1, "WITHSCORES"),
  ];
  jobs.errors = [await said(redis.lpush("text", "x")), await said(redis.call("NOTHING", "x"))];
  const found = [];
  for await (const keys of redis.scanStream({ match: "[ab]", count: 2 })) found.push(...keys);
  jobs.scan = [...new Set(found)].sort();
  const big = "x".repeat(3 << 20);
  await redis.set("big", big);
  jobs["big values"] = (await redis.get("big")) === big;
}

async function pipelines(redis, other, jobs) {
  const pipe = redis.pipeline();
  for (let n = 0; n < 500; n += 1) pipe.set(`key:${n}`, n).get(`key:${n}`).incr("piped");
  pipe.lpush("text", "x");
  const words = (replies) => replies && replies.map(([error, reply]) => (error ? error.message : reply));
  jobs.pipeline = words(await pipe.exec());
  jobs.transaction = words(await redis.multi().set("t", "x").incr("n").lpush("t", 1).get("t").exec());
  const attempts = [];
  for (const between of [true, false]) {
    await redis.watch("n");
    if (between) await other.incr("n");
    attempts.push(words(await redis.multi().set("w", `${between}`).exec()), await redis.get("w"));
  }
  jobs.watch = attempts;
  const lua = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}';
  redis.defineCommand("counted", { numberOfKeys: 1, lua });
  jobs.scripts = [
    await said(redis.evalsha("0".repeat(40), 0)),
    await redis.counted("scripted", "v"), await redis.counted("scripted", "v"),
    (await redis.pipeline().counted("scripted", "v").exec())[0][1],
  ];
  const third = await client({ db: 3 });
  jobs.databases = [await third.set("a", "three"), await third.get("a"), await redis.get("a")];
  const automatic = await client({ enableAutoPipelining: true });
  jobs["automatic pipelines"] = await Promise.all(
    Array.from({ length: 100 }, (_, n) => automatic.get(`key:${n}`)),
  );
}

async function waits(redis, other, jobs) {
  const popped = redis.blpop("empty", "queue", 10);
  await eventually(async () => (await other.info("clients")).includes("blocked_clients:1\r\n"));
  await other.rpush("queue", "one", "two");
  jobs.blocking = [await popped, await redis.brpop("queue", 10), await redis.blpop("queue", 0.1)];
  const subscriber = await client();
  const heard = [];
  subscriber.on("message", (channel, text) => heard.push([channel, text]));
  subscriber.on("pmessage", (pattern, channel, text) => heard.push([pattern, channel, text]));
  heard.push(await subscriber.subscribe("news"), await subscriber.psubscribe("ne*"));
  for (const text of ["one", "two", "three"]) await other.publish("news", text);
  await eventually(() => heard.length === 8);
  heard.push(await subscriber.unsubscribe("news"), await subscriber.punsubscribe("ne*"));
  jobs["pub/sub"] = [heard, await subscriber.get("a")];
}

run(async () => {
  const [redis, other, jobs] = [await client(), await client(), {}];
  await data(redis, jobs);
  await pipelines(redis, other, jobs);
  await waits(redis, other, jobs);
  const pool = await Promise.all(Array.from({ length: CLIENTS }, () => client()));
  await Promise.all(pool.flatMap((each) => Array.from({ length: 10 }, () => each.incr("pooled"))));
  jobs.pool = await redis.get("pooled");
  report("ioredis", jobs);
});
