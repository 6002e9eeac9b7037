"""Job queues that wait in the ways that are common, with as many workers as people have, and one crowd:
ten threads that wait on several queues with a timeout, as Sidekiq's do; four queues with a mover and a
listener each, as Bull's have; sixty workers on one queue. Each job has run exactly once, and nobody was
ever told to try again.

Usage: many_workers.py PORT. Ends with status 0, or with the first thing that was wrong.
"""

import collections
import sys
import threading
import time

import redis

runs = collections.Counter()
wrong = []
over = threading.Event()


def client():
    return redis.Redis(host="127.0.0.1", port=int(sys.argv[1]), decode_responses=True)


def until(what, condition):
    deadline = time.monotonic() + 40
    while not condition():
        assert not wrong, wrong[0]
        assert time.monotonic() < deadline, f"{what}: not in 40 s, {sum(runs.values())} jobs have run"
        time.sleep(0.01)


def guarded(work):
    def run():
        try:
            work(client())
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")

    return run


def sidekiq(r):
    """The most urgent queue first; never longer than two seconds."""
    while not over.is_set():
        found = r.brpop(["critical", "default", "low"], timeout=2)
        if found:
            runs[found[1]] += 1


def mover(queue):
    """What is at work is kept aside until it is done."""

    def work(r):
        while not over.is_set():
            job = r.brpoplpush(f"{queue}:wait", f"{queue}:active", timeout=1)
            if job is not None:
                runs[job] += 1
                assert r.lrem(f"{queue}:active", 1, job) == 1

    return work


def listener(queue):
    def work(r):
        with r.pubsub(ignore_subscribe_messages=True) as events:
            events.subscribe(f"{queue}:events")
            while not over.is_set():
                events.get_message(timeout=0.5)

    return work


def crowd(r):
    """One job after the other, and as long as it takes."""
    while True:
        _, job = r.blpop("crowd", timeout=0)
        if job == "stop":
            return
        runs[job] += 1


def play(name, workers, push, jobs):
    runs.clear()
    over.clear()
    threads = [threading.Thread(target=guarded(work), daemon=True) for work in workers]
    for thread in threads:
        thread.start()
    pushes = client()
    for number in range(jobs):
        push(pushes, number)
        if number % 20 == 0:
            time.sleep(0.02)
    until(name, lambda: sum(runs.values()) >= jobs)
    over.set()
    if name == "crowd":
        pushes.rpush("crowd", *["stop"] * len(workers))
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), f"{name}: a worker waits for ever"
    assert not wrong, wrong[0]
    assert len(runs) == jobs and set(runs.values()) == {1}, f"{name}: {runs.most_common(3)}"
    print(f"{name}: {jobs} jobs, {len(workers)} workers")


def main():
    client().flushall()
    queues = ["critical", "default", "low"]
    play("sidekiq", [sidekiq] * 10, lambda r, n: r.lpush(queues[n % 3], f"job:{n}"), 300)
    bull = ["a", "b", "c", "d"]
    workers = [kind(queue) for queue in bull for kind in (mover, listener)]

    def push(r, n):
        with r.pipeline(transaction=True) as block:
            block.lpush(f"{bull[n % 4]}:wait", f"job:{n}")
            block.publish(f"{bull[n % 4]}:events", n)
            block.execute()

    play("bull", workers, push, 300)
    play("crowd", [crowd] * 60, lambda r, n: r.rpush("crowd", f"job:{n}"), 600)
    print("all jobs were right")


main()
