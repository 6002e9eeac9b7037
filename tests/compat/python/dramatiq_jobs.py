"""dramatiq: actors with results, groups, pipelines, delays and retries, run by a worker with eight
threads. Each message was handled exactly once.

Usage: dramatiq_jobs.py PORT
"""

import logging
import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as Limits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from report import PORT, report

MESSAGES = 100
PATIENCE_MS = 20000

where = {"host": "127.0.0.1", "port": PORT}
broker = RedisBroker(**where)
broker.add_middleware(Results(backend=RedisBackend(**where)))
dramatiq.set_broker(broker)
runs = {}
lock = threading.Lock()


def run(name):
    with lock:
        runs[name] = runs.get(name, 0) + 1
        return runs[name]


@dramatiq.actor(store_results=True)
def double(number):
    run(f"double {number}")
    return 2 * number


@dramatiq.actor(store_results=True, max_retries=3, min_backoff=1, max_backoff=5)
def fails_once():
    if run("fails") == 1:
        raise ValueError("the first time")
    return "at last"


def main():
    logging.disable(logging.CRITICAL)
    worker = dramatiq.Worker(broker, worker_timeout=100)
    worker.start()
    messages = [double.send(number) for number in range(MESSAGES)]
    jobs = {
        "messages": [m.get_result(block=True, timeout=PATIENCE_MS) for m in messages],
        "delayed": double.send_with_options(args=(1000,), delay=300).get_result(
            block=True, timeout=PATIENCE_MS
        ),
        "a pipeline": (double.message(1) | double.message() | double.message())
        .run()
        .get_result(block=True, timeout=PATIENCE_MS),
        "a group": list(
            dramatiq.group(double.message(2000 + n) for n in range(10))
            .run()
            .get_results(block=True, timeout=PATIENCE_MS)
        ),
        "tried again": fails_once.send().get_result(block=True, timeout=PATIENCE_MS),
    }
    limit = ConcurrentRateLimiter(Limits(**where), "limit", limit=1)
    with limit.acquire():
        with limit.acquire(raise_on_failure=False) as second:
            jobs["a rate limit"] = [second]
    with limit.acquire(raise_on_failure=False) as again:
        jobs["a rate limit"].append(again)
    broker.join("default", timeout=PATIENCE_MS)
    jobs["each once"] = runs
    report("dramatiq", dramatiq.__version__, jobs)
    worker.stop()


main()
