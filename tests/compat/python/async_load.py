"""redis-py, the asyncio client: 300 clients at once, each with values that carry its own mark.

Usage: async_load.py PORT. Ends with status 0, or with the first thing that was wrong.
"""

import asyncio
import sys

import redis.asyncio as redis

PORT = int(sys.argv[1])
CLIENTS = 300
ROUNDS = 20


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


async def talk(number):
    """One client of its own, in one of four dbs and one of both protocols."""
    r = redis.Redis(
        host="127.0.0.1",
        port=PORT,
        db=number % 4,
        protocol=2 + number // 4 % 2,
        client_name=f"load-{number}",
        socket_timeout=30,
    )
    key = f"load:{number}"
    for count in range(ROUNDS):
        value = f"{number}:{count}:".encode() + b"x" * (number * 7 % 500)
        same(await r.set(key, value), True)
        same(await r.get(key), value)
        same(await r.hset(f"{key}:hash", "f", value), int(count == 0))
        same(await r.hgetall(f"{key}:hash"), {b"f": value})
        pipe = r.pipeline(transaction=False)
        for part in range(10):
            pipe.echo(f"{number}:{count}:{part}")
            pipe.incr(f"{key}:count")
        replies = await pipe.execute()
        for part in range(10):
            same(replies[2 * part], f"{number}:{count}:{part}".encode())
            same(replies[2 * part + 1], count * 10 + part + 1)
    name = await r.client_getname()
    same(name.decode() if isinstance(name, bytes) else name, f"load-{number}")
    await r.aclose()


async def shared_pool():
    """Many tasks over a pool of few connections."""
    pool = redis.BlockingConnectionPool(
        host="127.0.0.1", port=PORT, max_connections=10, timeout=30, protocol=3
    )
    r = redis.Redis(connection_pool=pool)

    async def work(number):
        for count in range(20):
            await r.set(f"pool:{number}", f"{number}:{count}")
            same(await r.get(f"pool:{number}"), f"{number}:{count}".encode())

    await asyncio.gather(*(work(number) for number in range(50)))
    await r.aclose()
    await pool.aclose()


async def main():
    await asyncio.gather(*(talk(number) for number in range(CLIENTS)))
    await shared_pool()
    print("all replies were right")


asyncio.run(main())
