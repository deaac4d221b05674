#!/usr/bin/env python3
"""Reads entries of stream "bench" as a consumer of group "g" and acknowledges them, as programs in
Python do. Prints "<entries> <seconds> <seconds of processor time>".

usage: read_ack.py redis-py|pspf --port PORT --entries N

redis-py: asyncio, ten entries at a time, an XACK for each of them.
pspf: the loop of PSPF itself, with its defaults: ten at a time, then an XACK and an HDEL of all."""
import argparse
import asyncio
import logging
import os
import time

STREAM, GROUP, COUNT = "bench", "g", 10


class Clock:
    def __init__(self):
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def show(self, entries):
        print(entries, time.monotonic() - self.wall, time.process_time() - self.cpu, flush=True)


async def read_with_redis_py(port, wanted):
    import redis.asyncio
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, decode_responses=True)
    await client.ping()
    clock, taken = Clock(), 0
    while taken < wanted:
        answer = await client.xreadgroup(GROUP, "redis-py", {STREAM: ">"}, count=COUNT,
                                         block=2000)
        for _, entries in answer:
            for entry, _ in entries:
                await client.xack(STREAM, GROUP, entry)
                taken += 1
    clock.show(taken)
    await client.aclose()


async def read_with_pspf(port, wanted):
    os.environ["NO_ADMIN"] = "1"
    logging.disable(logging.CRITICAL)
    from pspf.connectors.valkey import ValkeyConnector, ValkeyStreamBackend
    from pspf.processor import BatchProcessor
    connector = ValkeyConnector(host="127.0.0.1", port=port)
    await connector.connect()
    backend = ValkeyStreamBackend(connector, STREAM, GROUP, "pspf")
    processor = BatchProcessor(backend, start_admin_server=False)
    taken = 0

    async def handle(_entry, _data):
        nonlocal taken
        taken += 1
        if taken == wanted:  # it ends behind the batch
            asyncio.get_running_loop().create_task(processor.shutdown())

    clock = Clock()
    await processor.run_loop(handle, batch_size=COUNT)
    clock.show(taken)
    await backend.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=("redis-py", "pspf"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--entries", type=int, required=True)
    args = parser.parse_args()
    reader = read_with_redis_py if args.reader == "redis-py" else read_with_pspf
    asyncio.run(reader(args.port, args.entries))


if __name__ == "__main__":
    main()
