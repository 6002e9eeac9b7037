"""channels_redis, the layers of Django Channels: messages to channels and groups through sorted sets and
scripts (core), and through subscriptions (pubsub), with consumers that wait at the same time.

Usage: channels_layers.py PORT
"""

import asyncio

import channels_redis
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from report import CLIENTS, PORT, report

HOSTS = [("127.0.0.1", PORT)]


async def consume(layer, channel, count):
    return [(await layer.receive(channel))["text"] for _ in range(count)]


async def rounds(layer, named):
    """Everybody hears what is sent to them alone and to their group, in its order."""
    if named:
        channels = [f"consumer-{number}" for number in range(CLIENTS)]
    else:
        channels = [await layer.new_channel() for _ in range(CLIENTS)]
    consumers = [asyncio.create_task(consume(layer, channel, 11)) for channel in channels]
    for channel in channels:
        await layer.group_add("everybody", channel)
    for number in range(10):
        await asyncio.gather(
            *(layer.send(channel, {"type": "text", "text": number}) for channel in channels)
        )
    await layer.group_send("everybody", {"type": "text", "text": "all"})
    heard = [sorted(map(str, texts)) for texts in await asyncio.gather(*consumers)]
    await layer.group_discard("everybody", channels[0])
    await layer.group_send("everybody", {"type": "text", "text": "the others"})
    for channel in channels[1:]:
        heard.append(await consume(layer, channel, 1))
    return heard


async def main():
    core = RedisChannelLayer(hosts=HOSTS)
    pubsub = RedisPubSubChannelLayer(hosts=HOSTS)
    jobs = {
        "channels and groups by sorted sets": await rounds(core, True),
        "channels and groups by subscriptions": await rounds(pubsub, False),
    }
    # What they wait with while nothing comes.
    waiting = [asyncio.create_task(core.receive(f"consumer-{n}")) for n in range(CLIENTS)]
    await asyncio.get_running_loop().run_in_executor(
        None, report, "channels_redis", channels_redis.__version__, jobs
    )
    for consumer in waiting:
        consumer.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await core.close_pools()
    await pubsub.flush()


asyncio.run(main())
