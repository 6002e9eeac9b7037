"""huey: tasks by plain lists, priorities, schedules, retries, locks and pipelines of tasks, run by a
consumer with ten threads. Each has run exactly once with the right result.

Usage: huey_jobs.py PORT
"""

import logging
import threading

import huey as library
from huey import PriorityRedisHuey, RedisHuey, crontab
from huey.exceptions import TaskException

from report import PORT, eventually, report

TASKS = 100

queue = RedisHuey("plain", host="127.0.0.1", port=PORT)
ranked = PriorityRedisHuey("ranked", host="127.0.0.1", port=PORT)
runs = {}
lock = threading.Lock()


def run(name):
    with lock:
        runs[name] = runs.get(name, 0) + 1
        return runs[name]


@queue.task()
def double(number):
    run(f"double {number}")
    return 2 * number


@queue.task(retries=2)
def fails_once():
    if run("fails") == 1:
        raise ValueError("the first time")
    return "at last"


@queue.task()
@queue.lock_task("alone")
def alone():
    return run("alone")


@queue.periodic_task(crontab(minute="0", hour="0", day="1", month="1"))
def yearly():
    run("yearly")


@ranked.task()
def urgent(number):
    return run(f"urgent {number}")


def at_last(result):
    """Up to the next try the error is the result."""
    while True:
        try:
            return result.get(blocking=True, timeout=20)
        except TaskException:
            result.reset()


def main():
    logging.getLogger("huey").setLevel(logging.CRITICAL)
    consumers = []
    for each in (queue, ranked):
        each.immediate = False
        consumer = each.create_consumer(workers=10, check_worker_health=False)
        consumer.start()
        consumers.append(consumer)
    results = [double(number) for number in range(TASKS)]
    chained = queue.enqueue(double.s(1000).then(double))
    later = double.schedule((2000,), delay=1)
    first = urgent(1, priority=10)
    jobs = {
        "tasks": [result.get(blocking=True, timeout=20) for result in results],
        "a task after another": chained.get(blocking=True, timeout=20),
        "a task for later": later.get(blocking=True, timeout=20),
        "tried again": at_last(fails_once()),
        "locked": alone().get(blocking=True, timeout=20),
        "by priority": first.get(blocking=True, timeout=20),
    }
    eventually(lambda: len(queue) == 0 and queue.scheduled_count() == 0)
    jobs["each once"] = runs
    queue.put("kept", {"a": 1})
    jobs["results"] = [queue.get("kept", peek=True), queue.get("kept"), queue.get("kept")]
    report("huey", library.__version__, jobs)
    for consumer in consumers:
        consumer.stop(graceful=True)


main()
