// node-redis as applications use it, in either protocol, and its pool. Usage: node node_redis_jobs.js PORT
"use strict";

const { createClient, createClientPool, defineScript } = require("redis");
const { CLIENTS, PORT, TLS, eventually, report, run, said } = require("./report.js");

const counted = defineScript({
  SCRIPT: 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}',
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, value) {
    parser.pushKey(key);
    parser.push(value);
  },
  transformReply: undefined,
});
const SOCKET = { host: "127.0.0.1", port: PORT, ...(TLS && { tls: true, ...TLS }) };
const OPTIONS = { socket: SOCKET, scripts: { counted } };

async function client(options = {}) {
  const redis = createClient({ ...OPTIONS, ...options });
  redis.on("error", (error) => console.error("node-redis:", error.message));
  return redis.connect();
}

async function data(redis) {
  const big = "x".repeat(3 << 20);
  await redis.set("big", big);
  return [
    await redis.set("text", "caf\u00e9\r\n"), await redis.get("text"), await redis.get("missing"),
    await redis.mSet({ a: "1", b: "2" }), await redis.mGet(["a", "missing", "b"]),
    await redis.hSet("hash", { f: 1, g: 2 }), await redis.hGetAll("hash"),
    await redis.zAdd("zset", [{ score: 1.5, value: "m" }]), await redis.zRangeWithScores("zset", 0, -1),
    await said(redis.lPush("text", "x")), await said(redis.sendCommand(["NOTHING", "x"])),
    (await redis.get("big")) === big,
  ];
}

async function pipelines(redis, other, jobs) {
  const sent = [];
  for (let n = 0; n < 500; n += 1) {
    sent.push(redis.set(`key:${n}`, n), redis.get(`key:${n}`), redis.incr("piped"));
  }
  jobs.pipeline = await Promise.all(sent);
  jobs.transaction = [
    await redis.multi().set("t", "x").incr("n").get("t").exec(),
    await said(redis.multi().set("t", "y").lPush("t", "z").exec()),
    await redis.get("t"),
  ];
  const attempts = [];
  for (const between of [true, false]) {
    await redis.watch("n");
    if (between) await other.incr("n");
    attempts.push(await said(redis.multi().set("w", `${between}`).exec()), await redis.get("w"));
  }
  jobs.watch = attempts;
  jobs.scripts = [await redis.counted("scripted", "v"), await redis.counted("scripted", "v")];
  const third = await client({ database: 3 });
  jobs.databases = [await third.set("a", "three"), await third.get("a"), await redis.get("a")];
}

async function waits(redis, other) {
  const popped = redis.blPop(["empty", "queue"], 10);
  await eventually(async () => (await other.info("clients")).includes("blocked_clients:1\r\n"));
  await other.rPush("queue", ["one", "two"]);
  return [await popped, await redis.brPop("queue", 10), await redis.blPop("queue", 0.1)];
}

async function subscriptions(redis, other) {
  const heard = [];
  const subscriber = await redis.duplicate().connect();
  await subscriber.subscribe("news", (text, channel) => heard.push(["channel", channel, text]));
  await subscriber.pSubscribe("ne*", (text, channel) => heard.push(["pattern", channel, text]));
  for (const text of ["one", "two", "three"]) await other.publish("news", text);
  await eventually(() => heard.length === 6);
  await subscriber.unsubscribe("news");
  await subscriber.pUnsubscribe("ne*");
  return [heard, await subscriber.get("a")];
}

run(async () => {
  const [second, third, jobs] = [await client({ RESP: 2 }), await client({ RESP: 3 }), {}];
  jobs["strings in RESP2"] = await data(second);
  jobs["strings in RESP3"] = await data(third);
  await pipelines(second, third, jobs);
  jobs["blocking in RESP2"] = await waits(second, third);
  jobs["blocking in RESP3"] = await waits(third, second);
  jobs["pub/sub in RESP2"] = await subscriptions(second, third);
  jobs["pub/sub in RESP3"] = await subscriptions(third, second);
  const pool = createClientPool(OPTIONS, { minimum: CLIENTS, maximum: CLIENTS });
  await pool.connect();
  await Promise.all(Array.from({ length: 10 * CLIENTS }, () => pool.incr("pooled")));
  jobs.pool = [await second.get("pooled"), pool.totalClients];
  report("redis", jobs, "node-redis");
});
