// node-redis with its defaults and in RESP3: what an application does, with every reply checked.
//
// Usage: node node_redis.js PORT. Ends with status 0, or with the first thing that was wrong.
"use strict";

const assert = require("node:assert/strict");
const { createClient, createClientPool, defineScript, WatchError } = require("redis");

const PORT = Number(process.argv[2]);

async function client(options = {}) {
  const redis = createClient({ url: `redis://127.0.0.1:${PORT}`, ...options });
  redis.on("error", (error) => console.error("node-redis:", error.message));
  return redis.connect();
}

// Not `once` of node:events, which takes the error of the lost connection for its own.
function ready(redis) {
  return new Promise((resolve) => redis.once("ready", resolve));
}

async function typesOfData(redis) {
  assert.equal(await redis.set("text", "caf\u00e9\r\n"), "OK");
  assert.equal(await redis.get("text"), "caf\u00e9\r\n");
  assert.equal(await redis.get("missing"), null);
  await redis.mSet({ a: "1", b: "2" });
  assert.deepEqual(await redis.mGet(["a", "missing", "b"]), ["1", null, "2"]);
  assert.equal(await redis.hSet("hash", { f: "1", g: "2" }), 2);
  assert.deepEqual({ ...(await redis.hGetAll("hash")) }, { f: "1", g: "2" });
  assert.equal(await redis.rPush("list", ["1", "2"]), 2);
  assert.deepEqual(await redis.lRange("list", 0, -1), ["1", "2"]);
  await redis.zAdd("zset", [{ score: 1.5, value: "m" }, { score: 2, value: "n" }]);
  assert.deepEqual(await redis.zRangeWithScores("zset", 0, -1), [
    { value: "m", score: 1.5 },
    { value: "n", score: 2 },
  ]);
  await redis.sAdd("set", ["x"]);
  assert.deepEqual([...(await redis.sMembers("set"))], ["x"]);
  assert.equal(await redis.xAdd("stream", "1-1", { f: "v" }), "1-1");
  const range = await redis.xRange("stream", "-", "+");
  assert.deepEqual(range.map(({ id, message }) => [id, { ...message }]), [["1-1", { f: "v" }]]);
  await assert.rejects(redis.lPush("text", "1"), /WRONGTYPE/);
  await assert.rejects(redis.sendCommand(["NOTHING", "x"]), /unknown command/);
  const found = [];
  for await (const keys of redis.scanIterator({ MATCH: "[ab]" })) found.push(...keys);
  assert.deepEqual([...new Set(found)].sort(), ["a", "b"]);
}

// Whatever is asked in one turn of the event loop leaves as one pipeline.
async function pipelines(redis) {
  const asked = [];
  for (let number = 0; number < 1000; number += 1) {
    asked.push(redis.set(`key:${number}`, `${number}`), redis.get(`key:${number}`));
    asked.push(redis.incr("count"));
  }
  const replies = await Promise.all(asked);
  for (let number = 0; number < 1000; number += 1) {
    assert.deepEqual(replies.slice(3 * number, 3 * number + 3), ["OK", `${number}`, number + 1]);
  }
}

async function transactions(redis) {
  assert.deepEqual(await redis.multi().set("t", "1").incr("t").get("t").exec(), ["OK", 2, "2"]);
  assert.deepEqual(await redis.multi().set("u", "1").get("u").execAsPipeline(), ["OK", "1"]);
  const other = await client();
  await redis.watch("t");
  await other.set("t", "7");
  await assert.rejects(redis.multi().set("t", "8").exec(), WatchError);
  assert.equal(await redis.get("t"), "7");
  await redis.watch("t");
  assert.deepEqual(await redis.multi().incr("t").exec(), [8]);
}

async function scripts(options) {
  const double = defineScript({
    NUMBER_OF_KEYS: 1,
    SCRIPT: "return redis.call('GET', KEYS[1]) * 2",
    parseCommand: (parser, key) => parser.pushKey(key),
    transformReply: undefined,
  });
  const redis = await client({ ...options, scripts: { double } });
  await redis.set("n", "21");
  assert.equal(await redis.double("n"), 42);
  assert.equal(await redis.double("n"), 42);
  await redis.scriptFlush();
  assert.equal(await redis.double("n"), 42);
}

async function waiting(redis, options) {
  const waits = await client(options);
  assert.equal(await waits.blPop("jobs", 0.05), null);
  const popped = waits.blPop(["nothing", "jobs"], 10);
  const behind = waits.echo("behind");
  await redis.rPush("jobs", "one");
  assert.deepEqual({ ...(await popped) }, { key: "jobs", element: "one" });
  assert.equal(await behind, "behind");
  await redis.zAdd("delayed", [{ score: 1, value: "a" }]);
  assert.equal((await waits.bzPopMin("delayed", 1)).value, "a");
}

async function connections(options) {
  const redis = await client({ ...options, database: 3, name: "node-test" });
  await redis.flushDb();
  await redis.set("where", "three");
  const elsewhere = await client(options);
  assert.equal(await elsewhere.get("where"), null);
  const id = await redis.clientId();
  const info = await redis.clientInfo();
  assert.deepEqual([info.name, info.db, info.id], ["node-test", 3, id]);
  // Killed, it connects again and is who and where it was.
  const back = ready(redis);
  assert.equal(await elsewhere.sendCommand(["CLIENT", "KILL", "ID", `${id}`]), 1);
  await back;
  assert.equal(await redis.get("where"), "three");
  assert.notEqual(await redis.clientId(), id);
  assert.equal((await redis.clientInfo()).name, "node-test");
}

async function pool(options) {
  const redis = createClientPool(
    { url: `redis://127.0.0.1:${PORT}`, ...options },
    { minimum: 2, maximum: 20 },
  );
  await redis.connect();
  const work = async (number) => {
    for (let count = 0; count < 20; count += 1) {
      const value = `${number}:${count}`;
      await redis.set(`pool:${number}`, value);
      assert.equal(await redis.get(`pool:${number}`), value);
      const replies = await redis.multi().echo(value).incr(`pool:${number}:count`).exec();
      assert.deepEqual(replies, [value, count + 1]);
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, number) => work(number)));
  redis.destroy();
}

async function subscriptions(redis, options) {
  const subscriber = await client(options);
  const heard = [];
  const listen = (message, channel) => heard.push([channel, message]);
  await subscriber.subscribe(["news", "sport"], listen);
  await subscriber.pSubscribe("new?", listen);
  assert.equal(await redis.publish("news", "one"), 2);
  assert.equal(await redis.publish("sport", "two"), 1);
  while (heard.length < 3) await new Promise(setImmediate);
  assert.deepEqual(heard, [["news", "one"], ["news", "one"], ["sport", "two"]]);
  // It subscribes again by itself after its connection was lost.
  const list = await redis.sendCommand(["CLIENT", "LIST", "TYPE", "pubsub"]);
  const back = ready(subscriber);
  await redis.sendCommand(["CLIENT", "KILL", "ID", /id=(\d+)/.exec(list)[1]]);
  await back;
  while ((await redis.publish("sport", "again")) !== 1) {}
  while (heard.at(-1)[1] !== "again") await new Promise(setImmediate);
  await subscriber.unsubscribe(["news", "sport"]);
  await subscriber.pUnsubscribe("new?");
  assert.equal(await redis.publish("news", "nobody"), 0);
  // As bytes: so it answers, also directly, on a connection that has subscribed before.
  assert.equal(`${await subscriber.set("after", "1")}`, "OK");
}

async function main() {
  for (const options of [{}, { RESP: 3 }]) {
    const redis = await client(options);
    await redis.flushAll();
    await typesOfData(redis);
    await pipelines(redis);
    await transactions(redis);
    await scripts(options);
    await waiting(redis, options);
    await connections(options);
    await pool(options);
    await subscriptions(redis, options);
  }
  console.log("all replies were right");
  // With its clients, whose timers would keep it for seconds.
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
