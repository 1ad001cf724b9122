"""Reads counted streams slowly with grpcio and says what it found as a line of JSON.

Its arguments are those that every reader of this folder takes: TARGET SEED STREAMS MESSAGES CANCELLED.
"""

import asyncio
import json
import random
import struct
import sys

import grpc

CHANNELS = 4
FILLINGS = [bytes([value]) * 96 for value in range(256)]


def is_right(message: object, stream: int, number: int) -> bool:
    head = struct.pack(">II", stream, number)
    return message == head + FILLINGS[number & 0xFF][: number % 97]


async def read(channel: grpc.aio.Channel, chance: random.Random, stream: int, count: int, stop: int) -> int:
    """Takes `stop` messages of `count` and cancels when they are fewer; raises when one is wrong."""
    call = channel.unary_stream("/tokenwire.test.Counting/Count")(struct.pack(">II", stream, count))
    for number in range(stop):
        if not is_right(await call.read(), stream, number):
            raise ValueError(f"stream {stream} has a wrong message at {number}")
        if chance.random() < 1 / 3_000:
            await asyncio.sleep(chance.random() / 100)
    if stop < count:
        call.cancel()
        if await call.code() != grpc.StatusCode.CANCELLED:
            raise ValueError(f"stream {stream} was cancelled and ended {await call.code()}")
    elif await call.read() is not grpc.aio.EOF or await call.code() != grpc.StatusCode.OK:
        raise ValueError(f"stream {stream} does not end")
    return stop


async def main() -> None:
    target = sys.argv[1]
    seed, streams, messages, cancelled = map(int, sys.argv[2:])
    chance = random.Random(seed)
    channels = []
    for _ in range(CHANNELS):
        options = [
            # Without the probe the windows stay what they are: a stream's is the look-ahead.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 500 + chance.randrange(200_000)),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        channels.append(grpc.aio.insecure_channel(target, options))
    readers = []
    for stream in range(streams + cancelled):
        stop = messages if stream < streams else 1 + chance.randrange(messages - 1)
        own = random.Random(seed + stream)
        readers.append(read(channels[stream % CHANNELS], own, stream, messages, stop))
    results = await asyncio.gather(*readers, return_exceptions=True)
    for channel in channels:
        await channel.close()
    total = sum(result for result in results if isinstance(result, int))
    wrong = [repr(result) for result in results if not isinstance(result, int)]
    print(json.dumps({"messages": total, "wrong": wrong}))


asyncio.run(main())
