"""redis-py as applications use it: blocking in threads that share a pool, and asyncio.

Usage: redis_py.py PORT
"""

import asyncio
import threading

import redis
import redis.asyncio

from report import AUTHORITY, CLIENTS, PORT, awaited, eventually, failure, report

PLACE = {"host": "127.0.0.1", "port": PORT}
if AUTHORITY:
    PLACE |= {"ssl": True, "ssl_ca_certs": AUTHORITY}


def client(**options):
    return redis.Redis(**PLACE, **options)


def data(r, jobs):
    jobs["strings"] = [
        r.set("text", "café\r\n"), r.get("text"), r.get("missing"),
        r.set("bytes", b"\0\xff\r\n"), r.get("bytes"),
        r.mset({"a": 1, "b": 2}), r.mget("a", "missing", "b"),
        r.set("once", 1, nx=True, ex=100), r.set("once", 2, nx=True, ex=100),
    ]
    jobs["hashes and sorted sets"] = [
        r.hset("hash", mapping={"f": 1, "g": 2}), r.hgetall("hash"),
        r.zadd("zset", {"m": 1.5, "n": 2}), r.zrange("zset", 0, -1, withscores=True),
    ]
    jobs["errors"] = [
        failure(lambda: r.lpush("text", "x")), failure(lambda: r.execute_command("NOTHING", "x")),
    ]
    jobs["scan"] = sorted(set(r.scan_iter(match="[ab]", count=2)))
    big = b"x" * (3 << 20)
    r.set("big", big)
    jobs["big values"] = r.get("big") == big


def pipelines(r, other, jobs):
    pipe = r.pipeline(transaction=False)
    for number in range(500):
        pipe.set(f"key:{number}", number).get(f"key:{number}").incr("piped")
    pipe.lpush("text", "x")
    jobs["pipeline"] = pipe.execute(raise_on_error=False)
    block = r.pipeline().set("t", "x").incr("n").lpush("t", "z").get("t")
    jobs["transaction"] = block.execute(raise_on_error=False)
    tries = []

    def increment(pipe):
        seen = int(pipe.get("n"))
        if not tries:
            other.incr("n")
        tries.append(seen)
        pipe.multi()
        pipe.set("n", seen + 10)

    jobs["watch"] = [r.transaction(increment, "n"), tries, r.get("n")]
    script = r.register_script('return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}')
    unknown = failure(lambda: r.evalsha("0" * 40, 0))
    jobs["scripts"] = [unknown, script(["scripted"], ["v"]), script(["scripted"], ["v"])]
    third = client(db=3)
    jobs["databases"] = [third.set("a", "three"), third.get("a"), r.get("a")]
    with r.lock("locked", timeout=10) as lock:
        jobs["lock"] = [lock.owned(), other.lock("locked", blocking=False).acquire()]
    jobs["lock"].append(other.lock("locked", blocking=False).acquire())


def waits(r, other, jobs):
    def push():
        eventually(lambda: other.info("clients")["blocked_clients"] == 1)
        other.rpush("queue", "one", "two")

    thread = threading.Thread(target=push)
    thread.start()
    jobs["blocking"] = [r.blpop(["empty", "queue"], 10), r.brpop("queue", 10), r.blpop("queue", 0.1)]
    thread.join()

    with r.pubsub() as subscriber:
        subscriber.subscribe("news")
        subscriber.psubscribe("ne*")
        heard = [subscriber.get_message(timeout=10) for _ in range(2)]
        for text in ["one", "two", "three"]:
            other.publish("news", text)
        heard += [subscriber.get_message(timeout=10) for _ in range(6)]
        subscriber.unsubscribe()
        subscriber.punsubscribe()
        heard += [subscriber.get_message(timeout=10) for _ in range(2)]
    jobs["pub/sub"] = heard


async def asynchronous():
    async with redis.asyncio.Redis(**PLACE, protocol=3) as r:
        async def one(number):
            await r.set(f"async:{number}", number)
            return await r.get(f"async:{number}")

        popped = asyncio.create_task(r.blpop("later", 10))

        async def blocked():
            return (await r.info("clients"))["blocked_clients"] == 1

        await awaited(blocked)
        await r.rpush("later", "come")
        return [await asyncio.gather(*(one(number) for number in range(10))), await popped]


def pool():
    pooled = client(max_connections=CLIENTS)
    ready = threading.Barrier(CLIENTS)

    def count():
        with pooled.client() as own:
            own.ping()
            ready.wait()
            for _ in range(10):
                own.incr("pooled")

    threads = [threading.Thread(target=count) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pooled


def main():
    r, other, jobs = client(), client(), {}
    data(r, jobs)
    pipelines(r, other, jobs)
    waits(r, other, jobs)
    jobs["asyncio"] = asyncio.run(asynchronous())
    pooled = pool()
    jobs["pool"] = r.get("pooled")
    report("redis-py", redis.__version__, jobs)
    pooled.close()


main()
