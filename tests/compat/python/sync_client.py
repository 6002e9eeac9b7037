"""redis-py, the blocking client: what an application does, with every reply checked.

Usage: sync_client.py PORT [direct]. `direct`: the port is a server's own. Ends with status 0, or with the first thing that was wrong.
"""

import sys
import threading
import time

import redis

PORT = int(sys.argv[1])
DIRECT = sys.argv[2:] == ["direct"]


def client(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, socket_timeout=20, **options)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def text(value):
    """Versions of redis-py differ in whether a name comes as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def types_of_data(r):
    r.flushall()
    same(r.set("text", "caf\u00e9\r\n"), True)
    same(r.get("text"), "caf\u00e9\r\n".encode())
    same(r.get("missing"), None)
    same(r.mset({"a": 1, "b": 2}), True)
    same(r.mget("a", "missing", "b"), [b"1", None, b"2"])
    same(r.incrby("a", 41), 42)
    same(r.hset("hash", mapping={"f": "1", "g": "2"}), 2)
    same(r.hgetall("hash"), {b"f": b"1", b"g": b"2"})
    same(r.rpush("list", 1, 2, 3), 3)
    same(r.lrange("list", 0, -1), [b"1", b"2", b"3"])
    same(r.sadd("set", "x", "y"), 2)
    same(r.smembers("set"), {b"x", b"y"})
    same(r.zadd("zset", {"m": 1.5, "n": 2}), 2)
    pairs = r.zrange("zset", 0, -1, withscores=True)
    same([tuple(pair) for pair in pairs], [(b"m", 1.5), (b"n", 2.0)])
    same(r.xadd("stream", {"f": "v"}, id="1-1"), b"1-1")
    same(r.xlen("stream"), 1)
    assert b"1-1" in repr(r.xread({"stream": "0"})).encode()
    same(r.pfadd("hll", "a", "b"), 1)
    same(r.pfcount("hll"), 2)
    same(r.geoadd("geo", (13.36, 38.11, "Palermo")), 1)
    same(r.setbit("bits", 7, 1), 0)
    same(r.bitcount("bits"), 1)
    same(r.expire("text", 100), True)
    assert 0 < r.ttl("text") <= 100
    same(sorted(r.scan_iter(match="[ab]")), [b"a", b"b"])
    same(r.eval("return {1, KEYS[1], ARGV[1]}", 1, "k", "v"), [1, b"k", b"v"])
    double = r.register_script("return redis.call('GET', KEYS[1]) * 2")
    same(double(keys=["b"]), 4)
    same(double(keys=["b"]), 4)
    same(r.delete("text", "missing"), 1)


def errors(r):
    r.set("text", "x")
    for call, words in [
        (lambda: r.lpush("text", 1), "WRONGTYPE"),
        (lambda: r.execute_command("NOTHING", "x"), "unknown command"),
        (lambda: r.execute_command("GET"), "wrong number of arguments"),
        (lambda: r.evalsha("f" * 40, 0), "No matching script"),
        (lambda: r.execute_command("SCRIPT KILL"), "No scripts in execution"),
    ]:
        try:
            call()
        except redis.ResponseError as error:
            assert words in str(error), f"{words!r} is not in {error!r}"
        else:
            raise AssertionError(f"no error: {words}")
    same(r.get("text"), b"x")


def connection(protocol):
    r = client(db=3, client_name="py-test", protocol=protocol)
    r.flushall()
    same(r.ping(), True)
    same(r.echo("hello"), b"hello")
    r.set("where", "three")
    same(client(db=0, protocol=protocol).get("where"), None)
    same(client(db=3, protocol=protocol).get("where"), b"three")
    same(text(r.client_getname()), "py-test")
    info = r.client_info()
    same((info["name"], int(info["db"])), ("py-test", 3))
    same(int(info.get("resp", protocol)), protocol)
    same(str(r.client_id()), str(info["id"]))
    assert any(c["name"] == "py-test" for c in r.client_list())
    assert r.info("server")["process_id"] > 0
    assert r.info()["connected_clients"] >= 1
    assert int(r.config_get("databases")["databases"]) == 16
    assert r.command_count() > 200
    assert r.dbsize() == 1
    assert len(r.time()) == 2
    for db in (16, 10_000):
        try:
            client(db=db, protocol=protocol).ping()
        except redis.ResponseError as error:
            assert "DB index is out of range" in str(error), error
        else:
            raise AssertionError(f"db {db} was accepted")
    other = client(protocol=protocol, client_name="victim", single_connection_client=True)
    same(r.client_kill_filter(_id=other.client_id()), 1)
    same(other.ping(), True)


def pipelines(protocol):
    r = client(protocol=protocol)
    r.flushall()
    with r.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.set(f"key:{number}", number)
            pipe.get(f"key:{number}")
            pipe.incr("count")
        replies = pipe.execute()
    for number in range(1000):
        found = replies[3 * number : 3 * number + 3]
        same(found, [True, str(number).encode(), number + 1])
    with r.pipeline(transaction=False) as pipe:
        pipe.set("text", "x").lpush("text", 1).get("text").execute_command("NOTHING").ping()
        replies = pipe.execute(raise_on_error=False)
    same(replies[0], True)
    assert isinstance(replies[1], redis.ResponseError), replies
    same(replies[2], b"x")
    assert isinstance(replies[3], redis.ResponseError), replies
    same(replies[4], True)


def transactions(protocol):
    r = client(protocol=protocol)
    r.flushall()
    with r.pipeline() as pipe:
        pipe.set("a", 1).incr("a").lpush("list", "x").blpop("list", 0)
        same(pipe.execute(), [True, 2, 1, listed([b"list", b"x"], protocol)])

    def double(pipe):
        value = int(pipe.get("a"))
        pipe.multi()
        pipe.set("a", 2 * value)

    same(r.transaction(double, "a"), [True])
    same(r.get("a"), b"4")
    with r.pipeline() as pipe:
        pipe.watch("a")
        client(protocol=protocol).set("a", 7)
        pipe.multi()
        pipe.set("a", 8)
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("it ran although the key had changed")
    same(r.get("a"), b"7")
    same(r.blpop("list", timeout=0.05), None)
    r.rpush("list", "y")
    same(r.blpop("list"), listed([b"list", b"y"], protocol))
    lock = r.lock("lock", timeout=5)
    assert lock.acquire(blocking=False)
    lock.release()


def subscriptions(protocol):
    r = client(protocol=protocol)
    listener = client(protocol=protocol).pubsub()
    listener.subscribe("news", "sport")
    listener.psubscribe("new?")
    heard = []

    def hear(kinds, count):
        deadline = time.monotonic() + 10
        while len(heard) < count:
            message = listener.get_message(timeout=1)
            if message and message["type"] in kinds:
                heard.append((message["type"], message["channel"], message["data"]))
            assert time.monotonic() < deadline, heard

    hear(("subscribe", "psubscribe"), 3)
    same([count for _, _, count in heard], [1, 2, 3])
    heard.clear()
    same(r.publish("news", "one"), 2)
    same(r.publish("sport", "two"), 1)
    hear(("message", "pmessage"), 3)
    same(
        heard,
        [
            ("message", b"news", b"one"),
            ("pmessage", b"news", b"one"),
            ("message", b"sport", b"two"),
        ],
    )
    same(r.pubsub_numsub("news"), [(b"news", 1)])
    listener.unsubscribe()
    listener.punsubscribe()
    listener.close()
    with r.monitor() as monitor:
        r.set("seen", "x")
        for _ in range(100):
            if monitor.next_command()["command"] == "SET seen x":
                break
        else:
            raise AssertionError("MONITOR has not shown it")


def listed(pair, protocol):
    """redis-py makes a tuple of what BLPOP answers, or leaves a list."""
    class Either(list):
        def __eq__(self, other):
            return list(self) == list(other)

    return Either(pair)


def pools(protocol):
    pool = redis.ConnectionPool(
        host="127.0.0.1", port=PORT, db=5, protocol=protocol, max_connections=20, socket_timeout=20
    )
    wrong = []

    def work(worker):
        try:
            r = redis.Redis(connection_pool=pool)
            for number in range(100):
                value = f"{worker}:{number}".encode()
                r.set(f"pool:{worker}", value)
                same(r.get(f"pool:{worker}"), value)
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    pool.disconnect()


for protocol in (2, 3):
    types_of_data(client(protocol=protocol))
    errors(client(protocol=protocol))
    connection(protocol)
    pipelines(protocol)
    transactions(protocol)
    subscriptions(protocol)
    pools(protocol)
types_of_data(redis.Redis.from_url(f"redis://127.0.0.1:{PORT}/7"))
print("all replies were right")
