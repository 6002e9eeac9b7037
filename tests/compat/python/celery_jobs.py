"""A job queue at work: Celery sends tasks, its worker runs them in processes of its own, and each
has run exactly once with the right result.

Usage: celery_jobs.py PORT. Ends with status 0, or with the first thing that was wrong.
"""

import os
import subprocess
import sys
import time

import redis
from celery import Celery, chord, group

PORT = os.environ.get("TEST_REDIS_PORT") or sys.argv[1]
URL = f"redis://127.0.0.1:{PORT}"
TASKS = 100

app = Celery("celery_jobs", broker=f"{URL}/1", backend=f"{URL}/2")


@app.task
def double(number):
    redis.Redis(host="127.0.0.1", port=int(PORT)).incr(f"runs:{number}")
    return 2 * number


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=2, default_retry_delay=0.1)
def fails_once(self):
    if redis.Redis(host="127.0.0.1", port=int(PORT)).incr("runs:fails") == 1:
        raise self.retry()
    return "at last"


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def check(r):
    # The worker answers over its channel.
    deadline = time.monotonic() + 20
    while not app.control.ping(timeout=0.5):
        assert time.monotonic() < deadline, "the worker is not there"
    results = [double.delay(number) for number in range(TASKS)]
    for number, result in enumerate(results):
        same(result.get(timeout=20), 2 * number)
    for number in range(TASKS):
        same(r.get(f"runs:{number}"), b"1")
    same(group(double.s(1000 + n) for n in range(10))().get(timeout=20)[3], 2006)
    same(chord((double.s(2000 + n) for n in range(5)), total.s())().get(timeout=20), 20020)
    same(double.apply_async((3000,), countdown=0.3).get(timeout=20), 6000)
    same(fails_once.delay().get(timeout=20), "at last")
    same(r.get("runs:fails"), b"2")


def main():
    r = redis.Redis(host="127.0.0.1", port=int(PORT))
    r.flushall()
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--quiet", "--app", "celery_jobs"]
        + ["worker", "--concurrency", "2", "--loglevel", "ERROR"],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        env={**os.environ, "TEST_REDIS_PORT": PORT},
    )
    try:
        check(r)
        worker.terminate()
        same(worker.wait(20), 0)
    finally:
        if worker.poll() is None:
            worker.kill()
    print("all jobs were right")


if __name__ == "__main__":
    main()
