"""A job queue at work: rq enqueues jobs, its workers run them in processes of their own, and each
has run exactly once with the right result.

Usage: rq_jobs.py PORT. Ends with status 0, or with the first thing that was wrong.
"""

import multiprocessing
import os
import sys
import time

import redis
from rq import Queue, Retry, Worker
from rq.command import send_shutdown_command
from rq.job import JobStatus

JOBS = 20
WORKERS = 2


def client():
    return redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))


def double(number):
    """Counts its own runs, over a connection of its own."""
    client().incr(f"runs:{number}")
    return 2 * number


def fails_once(number):
    if client().incr(f"runs:{number}") == 1:
        raise RuntimeError("once more, please")
    return "at last"


def work():
    Worker([Queue("sums", connection=client())], connection=client()).work(logging_level="CRITICAL")


def until(what, condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in 30 s"
        time.sleep(0.01)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def main():
    r = client()
    r.flushall()
    queue = Queue("sums", connection=r)
    workers = [multiprocessing.Process(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        until("the workers are there", lambda: len(Worker.all(connection=r)) == WORKERS)
        # Half while the workers wait for jobs, half in one pipeline.
        jobs = [queue.enqueue("rq_jobs.double", number) for number in range(JOBS // 2)]
        jobs += queue.enqueue_many(
            [
                Queue.prepare_data("rq_jobs.double", (number,))
                for number in range(JOBS // 2, JOBS)
            ]
        )
        last = queue.enqueue("rq_jobs.double", 1000, depends_on=jobs)
        again = queue.enqueue("rq_jobs.fails_once", 2000, retry=Retry(max=1))
        for job in [*jobs, last, again]:
            until("every job ends", lambda: job.get_status() == JobStatus.FINISHED)
        for number, job in enumerate(jobs):
            same(job.latest_result().return_value, 2 * number)
            same(r.get(f"runs:{number}"), b"1")
        same(last.latest_result().return_value, 2000)
        same((again.latest_result().return_value, r.get("runs:2000")), ("at last", b"2"))
        # Told over their channel, they end.
        for worker in Worker.all(connection=r):
            send_shutdown_command(r, worker.name)
        for worker in workers:
            worker.join(20)
            same(worker.exitcode, 0)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()
    print("all jobs were right")


if __name__ == "__main__":
    # The workers import the jobs by the name of this file.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    multiprocessing.set_start_method("fork")
    main()
