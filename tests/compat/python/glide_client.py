"""valkey-glide, whose core is written in Rust: one client is one connection that everybody shares; it
subscribes by what it is told to hear. Usage: glide_client.py PORT
"""

import asyncio
from importlib.metadata import version

from glide import (
    AdvancedGlideClientConfiguration,
    Batch,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    ProtocolVersion,
    RequestError,
    Script,
    TlsAdvancedConfiguration,
)

from report import AUTHORITY, CLIENTS, PORT, awaited, report

Modes = GlideClientConfiguration.PubSubChannelModes

TLS = {}
if AUTHORITY:
    with open(AUTHORITY, "rb") as file:
        trusted = TlsAdvancedConfiguration(root_pem_cacerts=file.read())
    TLS = {"use_tls": True, "advanced_config": AdvancedGlideClientConfiguration(tls_config=trusted)}


async def client(protocol=ProtocolVersion.RESP3, **options):
    return await GlideClient.create(
        GlideClientConfiguration(
            [NodeAddress("127.0.0.1", PORT)],
            request_timeout=20000,
            protocol=protocol,
            **TLS,
            **options,
        )
    )


async def said(result):
    try:
        return await result
    except RequestError as error:
        return f"{type(error).__name__}: {error}"


async def data(g):
    big = "x" * (3 << 20)
    await g.set("big", big)
    return [
        await g.set("text", "café\r\n"), await g.get("text"), await g.get("missing"),
        await g.set("bytes", b"\0\xff\r\n"), await g.get("bytes"),
        await g.mset({"a": "1", "b": "2"}), await g.mget(["a", "missing", "b"]),
        await g.hset("hash", {"f": "1", "g": "2"}), await g.hgetall("hash"),
        await g.zadd("zset", {"m": 1.5, "n": 2.0}), await g.zscore("zset", "m"),
        await said(g.lpush("text", ["x"])), await said(g.custom_command(["NOTHING", "x"])),
        await g.get("big") == big.encode(),
    ]


async def batches(g, other, jobs):
    many = Batch(is_atomic=False)
    for number in range(500):
        many.set(f"key:{number}", str(number)).get(f"key:{number}").incr("piped")
    jobs["pipeline"] = await g.exec(many, raise_on_error=True)
    block = Batch(is_atomic=True).set("t", "x").incr("n").get("t")
    jobs["transaction"] = await g.exec(block, raise_on_error=True)
    attempts = []
    for between in (True, False):
        await g.watch(["n"])
        if between:
            await other.incr("n")
        block = Batch(is_atomic=True).set("w", str(between))
        attempts.append([await g.exec(block, raise_on_error=True), await g.get("w")])
    jobs["watch"] = attempts
    script = Script('return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}')
    jobs["scripts"] = [
        await g.invoke_script(script, keys=["scripted"], args=["v"]) for _ in range(2)
    ]


async def waits(g, other, jobs):
    popped = asyncio.create_task(g.blpop(["empty", "queue"], 10))

    async def blocked():
        return b"blocked_clients:1\r\n" in await other.custom_command(["INFO", "clients"])

    await awaited(blocked)
    await other.rpush("queue", ["one"])
    jobs["blocking"] = [await popped, await g.blpop(["queue"], 0.1)]
    heard = GlideClientConfiguration.PubSubSubscriptions(
        {Modes.Exact: {"news"}, Modes.Pattern: {"ne*"}}, None, None
    )
    subscriber = await client(pubsub_subscriptions=heard)
    # It subscribes in its own time.

    async def hears():
        channels = await other.pubsub_numsub(["news"])
        return channels == {b"news": 1} and await other.pubsub_numpat() == 1

    await awaited(hears)
    for text in ["one", "two", "three"]:
        await other.publish(text, "news")
    messages = [await subscriber.get_pubsub_message() for _ in range(6)]
    jobs["pub/sub"] = sorted(str([m.pattern, m.channel, m.message]) for m in messages)
    await subscriber.close()


async def main():
    g, other = await client(), await client(ProtocolVersion.RESP2)
    jobs = {"strings in RESP3": await data(g), "strings in RESP2": await data(other)}
    await batches(g, other, jobs)
    await waits(g, other, jobs)
    third = await client(database_id=3)
    jobs["databases"] = [await third.set("a", "three"), await third.get("a"), await g.get("a")]
    pool = [await client(client_name=f"pooled:{number}") for number in range(CLIENTS)]
    await asyncio.gather(*(each.incr("pooled") for each in pool for _ in range(10)))
    jobs["pool"] = [await g.get("pooled"), await pool[3].client_getname()]
    await asyncio.get_running_loop().run_in_executor(
        None, report, "valkey-glide", version("valkey-glide"), jobs
    )


asyncio.run(main())
