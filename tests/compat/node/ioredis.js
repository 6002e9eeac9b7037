// ioredis with its defaults: what an application does, with every reply checked.
//
// Usage: node ioredis.js PORT. Ends with status 0, or with the first thing that was wrong.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const Redis = require("ioredis");

const PORT = Number(process.argv[2]);

// Every client says what goes wrong with it: an error event that nobody hears is only printed.
async function client(options = {}) {
  const redis = new Redis({ port: PORT, host: "127.0.0.1", maxRetriesPerRequest: 5, ...options });
  redis.on("error", (error) => console.error("ioredis:", error.message));
  await once(redis, "ready");
  return redis;
}

async function typesOfData(redis) {
  assert.equal(await redis.set("text", "caf\u00e9\r\n"), "OK");
  assert.equal(await redis.get("text"), "caf\u00e9\r\n");
  assert.equal(await redis.get("missing"), null);
  const bytes = Buffer.from([0, 13, 10, 255, 36]);
  await redis.set("bytes", bytes);
  assert.deepEqual(await redis.getBuffer("bytes"), bytes);
  await redis.mset({ a: 1, b: 2 });
  assert.deepEqual(await redis.mget("a", "missing", "b"), ["1", null, "2"]);
  assert.equal(await redis.hset("hash", { f: "1", g: "2" }), 2);
  assert.deepEqual(await redis.hgetall("hash"), { f: "1", g: "2" });
  assert.equal(await redis.rpush("list", 1, 2, 3), 3);
  assert.deepEqual(await redis.lrange("list", 0, -1), ["1", "2", "3"]);
  assert.equal(await redis.zadd("zset", 1.5, "m", 2, "n"), 2);
  assert.deepEqual(await redis.zrange("zset", 0, -1, "WITHSCORES"), ["m", "1.5", "n", "2"]);
  assert.equal(await redis.xadd("stream", "1-1", "f", "v"), "1-1");
  assert.deepEqual(await redis.xread("STREAMS", "stream", "0"), [
    ["stream", [["1-1", ["f", "v"]]]],
  ]);
  await assert.rejects(redis.lpush("text", 1), /WRONGTYPE/);
  await assert.rejects(redis.call("NOTHING", "x"), /unknown command/);
  const big = "x".repeat(3 << 20);
  await redis.set("big", big);
  assert.equal(await redis.get("big"), big);
  const found = [];
  for await (const keys of redis.scanStream({ match: "[ab]", count: 2 })) found.push(...keys);
  assert.deepEqual([...new Set(found)].sort(), ["a", "b"]);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let number = 0; number < 1000; number += 1) {
    pipeline.set(`key:${number}`, number).get(`key:${number}`).incr("count");
  }
  const replies = await pipeline.exec();
  for (let number = 0; number < 1000; number += 1) {
    const found = replies.slice(3 * number, 3 * number + 3);
    assert.deepEqual(found, [[null, "OK"], [null, `${number}`], [null, number + 1]]);
  }
  const mixed = await redis.pipeline().set("s", "x").lpush("s", 1).get("s").exec();
  assert.match(mixed[1][0].message, /WRONGTYPE/);
  assert.deepEqual([mixed[0], mixed[2]], [[null, "OK"], [null, "x"]]);
  const auto = await client({ enableAutoPipelining: true });
  const values = await Promise.all(
    Array.from({ length: 500 }, (_, number) => auto.getset(`auto:${number}`, number)),
  );
  assert.deepEqual(new Set(values), new Set([null]));
}

async function transactions(redis) {
  const inOnePiece = await redis.multi().set("t", 1).incr("t").get("t").exec();
  assert.deepEqual(inOnePiece, [[null, "OK"], [null, 2], [null, "2"]]);
  await redis.multi({ pipeline: false });
  assert.equal(await redis.set("t", 5), "QUEUED");
  assert.equal(await redis.incr("t"), "QUEUED");
  assert.deepEqual(await redis.exec(), [[null, "OK"], [null, 6]]);
  await assert.rejects(redis.multi().set("t").exec(), /EXECABORT/);
  const other = await client();
  await redis.watch("t");
  await other.set("t", 7);
  assert.equal(await redis.multi().set("t", 8).exec(), null);
  assert.equal(await redis.get("t"), "7");
  await redis.watch("t");
  assert.deepEqual(await redis.multi().incr("t").exec(), [[null, 8]]);
  // Two at once on one connection: what is wrong with one of them is not the other's fault.
  for (let round = 1; round <= 20; round++) {
    const wrong = redis.multi().set("t", 9).call("NOSUCH").exec();
    const right = redis.multi().incr("u").get("t").exec();
    await assert.rejects(wrong, /EXECABORT/);
    assert.deepEqual(await right, [[null, round], [null, "8"]]);
  }
  await redis.del("u");
}

async function scripts(redis) {
  assert.deepEqual(await redis.eval("return {1, KEYS[1], ARGV[1]}", 1, "k", "v"), [1, "k", "v"]);
  redis.defineCommand("double", {
    numberOfKeys: 1,
    lua: "return redis.call('GET', KEYS[1]) * 2",
  });
  await redis.set("n", 21);
  assert.equal(await redis.double("n"), 42);
  assert.equal(await redis.double("n"), 42);
  await redis.script("FLUSH");
  assert.equal(await redis.double("n"), 42);
  assert.deepEqual(await redis.pipeline().double("n").get("n").exec(), [[null, 42], [null, "21"]]);
}

async function waiting(redis) {
  const waits = await client();
  assert.equal(await waits.blpop("jobs", 0.05), null);
  const popped = waits.blpop("nothing", "jobs", 10);
  const behind = waits.ping("behind");
  await redis.rpush("jobs", "one");
  assert.deepEqual(await popped, ["jobs", "one"]);
  assert.equal(await behind, "behind");
  const read = waits.xread("BLOCK", 10000, "STREAMS", "events", "$");
  // Until it waits there is nothing that `$` could miss.
  while (!/ cmd=xread /.test(await redis.client("LIST"))) {}
  await redis.xadd("events", "9-1", "f", "v");
  assert.deepEqual(await read, [["events", [["9-1", ["f", "v"]]]]]);
  await redis.zadd("delayed", 3, "c", 1, "a");
  assert.deepEqual(await waits.bzpopmin("delayed", 1), ["delayed", "a", "1"]);
}

async function connections() {
  const redis = await client({ db: 3, connectionName: "io-test" });
  await redis.flushdb();
  await redis.set("where", "three");
  const elsewhere = await client();
  assert.equal(await elsewhere.get("where"), null);
  assert.match(await redis.client("INFO"), / name=io-test .* db=3 /);
  // Killed, it connects again, is who and where it was, and what it asks meanwhile is answered.
  const id = await redis.client("ID");
  const lost = once(redis, "reconnecting");
  assert.equal(await elsewhere.client("KILL", "ID", id), 1);
  await lost;
  assert.equal(await redis.get("where"), "three");
  assert.notEqual(await redis.client("ID"), id);
  assert.match(await redis.client("INFO"), / name=io-test .* db=3 /);
}

async function crowd() {
  const talk = async (number) => {
    const redis = await client({ db: number % 4 });
    for (let count = 0; count < 20; count += 1) {
      const value = `${number}:${count}:${"x".repeat((number * 7) % 500)}`;
      assert.equal(await redis.set(`load:${number}`, value), "OK");
      const replies = await Promise.all([
        redis.get(`load:${number}`),
        redis.echo(value),
        redis.incr(`load:${number}:count`),
      ]);
      assert.deepEqual(replies, [value, value, count + 1]);
    }
  };
  await Promise.all(Array.from({ length: 100 }, (_, number) => talk(number)));
}

async function subscriptions(redis) {
  const subscriber = await client();
  assert.equal(await subscriber.subscribe("news", "sport"), 2);
  assert.equal(await subscriber.psubscribe("new?"), 3);
  const heard = [];
  subscriber.on("message", (channel, message) => heard.push([channel, message]));
  subscriber.on("pmessage", (...words) => heard.push(words));
  assert.equal(await redis.publish("news", "one"), 2);
  assert.equal(await redis.publish("sport", "two"), 1);
  while (heard.length < 3) await new Promise(setImmediate);
  assert.deepEqual(heard, [["news", "one"], ["new?", "news", "one"], ["sport", "two"]]);
  // It subscribes again by itself after its connection was lost.
  const list = await redis.client("LIST", "TYPE", "pubsub");
  const back = once(subscriber, "ready");
  await redis.client("KILL", "ID", /id=(\d+)/.exec(list)[1]);
  await back;
  while ((await redis.publish("sport", "again")) !== 1) {}
  while (heard.at(-1)[1] !== "again") await new Promise(setImmediate);
  await subscriber.unsubscribe("news", "sport");
  await subscriber.punsubscribe("new?");
  assert.equal(await redis.publish("news", "nobody"), 0);
  assert.equal(await subscriber.set("after", 1), "OK");
}

async function main() {
  const redis = await client();
  await redis.flushall();
  await typesOfData(redis);
  await pipelines(redis);
  await transactions(redis);
  await scripts(redis);
  await waiting(redis);
  await connections();
  await crowd();
  await subscriptions(redis);
  console.log("all replies were right");
  // With its clients, whose timers would keep it for seconds.
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
