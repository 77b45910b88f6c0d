#!/usr/bin/python3

# Copyright (C) the NGINX LLM balancer authors

"""Open-loop load for a balancer, or for a provider by a blind round robin.

    load.py < SPEC > RESULT

SPEC is JSON:

    seed, seconds
    tokens          to be asked for in all
    port            of what is asked
    key             to present; or
    keys            to choose from blindly, the next one after a 429
    provider        port of the provider, for its counts
    concurrency     requests at once; more are dropped, and counted
    grace           seconds to wait for the last answers
"""

import asyncio
import collections
import json
import random
import sys
import time

from provider import Cache, cached_tokens


SYSTEM = {"role": "system", "content": "You are a helpful assistant."}

# share of the requests that are turns of a conversation

TURNS = 0.27

# of a conversation; and a second at least between two of them

MIN_TURNS, MAX_TURNS = 4, 12
MEAN_PAUSE = 3

Request = collections.namedtuple("Request",
                                 "at body messages prompt tokens turn")


# What is asked: a Poisson process of single small requests, and another one
# of conversations, each request of which repeats the ones before.


def request(at, messages, completion, turn, **more):
    body = json.dumps({"messages": messages, "model": "gpt-4o-mini",
                       "max_tokens": completion, **more}).encode()
    prompt = len(body) // 4

    return Request(at, body, messages, prompt, prompt + completion, turn)


def text(rng, size):
    return rng.randbytes(size // 2).hex()


def single(rng, at):
    return [request(at, [SYSTEM, {"role": "user", "content":
                                  text(rng, rng.randrange(400, 1200))}],
                    40, 0)]


def conversation(rng, at, n):
    # clients tell of their session in three ways, or do not

    signal = ({"prompt_cache_key": "session-%d" % n},
              {"metadata": {"session_id": "session-%d" % n}},
              {"user": "user-%d" % n}, {})[n % 4]

    messages = [SYSTEM, {"role": "user", "content": text(rng, 6000)}]
    turns = []

    for turn in range(rng.randint(MIN_TURNS, MAX_TURNS)):
        turns.append(request(at, messages, 150, turn, **signal))

        messages = messages + [
            {"role": "assistant", "content": text(rng, 600)},
            {"role": "user", "content": text(rng, 1400)}]

        at += 1 + rng.expovariate(1 / MEAN_PAUSE)

    return turns


def poisson(rng, rate, start, end):
    while True:
        start += rng.expovariate(rate)

        if start >= end:
            return

        yield start


def trace(seed, seconds, tokens):
    """Requests that want so many tokens in all: more than enough of them, and
    then by chance some left out, which leaves it a Poisson process."""

    rng = random.Random(seed)
    turns = (MIN_TURNS + MAX_TURNS) / 2

    # conversations are under way when it begins

    lead = MAX_TURNS * (1 + MEAN_PAUSE)

    # about 1,200 tokens each

    rate = 1.4 * tokens / 1200 / seconds

    starts = list(poisson(rng, rate * TURNS / turns, -lead, seconds))

    units = [conversation(rng, at, n) for n, at in enumerate(starts)]
    units += [single(rng, at)
              for at in poisson(rng, rate * (1 - TURNS), 0, seconds)]

    units = [[r for r in unit if 0 <= r.at < seconds] for unit in units]

    rng.shuffle(units)

    chosen = []
    total = 0

    for unit in units:
        size = sum(r.tokens for r in unit)

        if total + size <= tokens:
            chosen += unit
            total += size

    return sorted(chosen, key=lambda r: r.at)


def cache_share(requests):
    """The share of the prompts that one key without limits has cached."""

    cache = Cache()

    return (sum(min(cached_tokens(cache.look(r.messages, r.at)), r.prompt)
                for r in requests) / sum(r.prompt for r in requests))


# How it is asked.


class Client:
    """Connections that are kept, to one port."""

    def __init__(self, port):
        self.port = port
        self.idle = collections.deque()

    async def ask(self, method, path, key=None, body=b""):
        """Status and body; the oldest connection, so that all are used."""

        head = ("%s %s HTTP/1.1\r\nHost: localhost\r\n"
                "Content-Type: application/json\r\nContent-Length: %d\r\n"
                % (method, path, len(body)))

        if key:
            head += "Authorization: Bearer %s\r\n" % key

        data = head.encode() + b"\r\n" + body

        while self.idle:
            stream = self.idle.popleft()

            if not stream[0].at_eof():
                break

            stream[1].close()

        else:
            stream = await asyncio.open_connection("127.0.0.1", self.port)

        try:
            stream[1].write(data)
            head = await stream[0].readuntil(b"\r\n\r\n")
            return await self.read(stream, head)
        except BaseException:
            stream[1].close()
            raise

    async def read(self, stream, head):
        reader, writer = stream
        lines = head.decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = b""

        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))

        elif headers.get("transfer-encoding") == "chunked":
            size = -1

            while size:
                size = int(await reader.readline(), 16)
                body += await reader.readexactly(size)
                await reader.readline()

        else:
            headers["connection"] = "close"
            body = await reader.read()

        if headers.get("connection") == "close":
            writer.close()
        else:
            self.idle.append(stream)

        return status, body

    def close(self):
        for reader, writer in self.idle:
            writer.close()


class Load:
    def __init__(self, spec):
        self.spec = spec
        self.client = Client(spec["port"])
        self.provider = Client(spec["provider"])
        self.turn = 0
        self.statuses = collections.Counter()
        self.latencies = []
        self.late = []
        self.refused = 0
        self.done = {"tokens": 0, "prompt": 0, "cached": 0}

    async def send(self, body):
        path = "/v1/chat/completions"
        keys = self.spec.get("keys")

        if not keys:
            return await self.client.ask("POST", path, self.spec["key"], body)

        # nothing is remembered but whose turn it is

        first = self.turn
        self.turn += 1

        for i in range(len(keys)):
            answer = await self.client.ask("POST", path,
                                           keys[(first + i) % len(keys)], body)
            if answer[0] != 429:
                break

        return answer

    async def one(self, r, due):
        try:
            status, body = await self.send(r.body)
        except (OSError, asyncio.IncompleteReadError) as e:
            self.statuses[type(e).__name__] += 1
            return
        except asyncio.CancelledError:
            self.statuses["unanswered"] += 1
            return

        self.statuses[str(status)] += 1

        if status == 429:
            self.refused += r.tokens

        if status == 200:
            usage = json.loads(body)["usage"]

            self.latencies.append(time.monotonic() - due)
            self.done["tokens"] += usage["total_tokens"]
            self.done["prompt"] += usage["prompt_tokens"]
            self.done["cached"] += (usage["prompt_tokens_details"]
                                         ["cached_tokens"])

    async def counts(self):
        return json.loads((await self.provider.ask("GET", "/admin/counts"))[1])

    async def run(self):
        spec = self.spec
        requests = trace(spec["seed"], spec["seconds"], spec["tokens"])
        tasks = set()

        await self.provider.ask("POST", "/admin/start")
        start = time.monotonic()

        for r in requests:
            due = start + r.at

            # always, so that others run even when this is late

            await asyncio.sleep(max(0, due - time.monotonic()))

            self.late.append(time.monotonic() - due)

            if len(tasks) >= spec["concurrency"]:
                self.statuses["dropped"] += 1
                continue

            task = asyncio.create_task(self.one(r, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        await asyncio.sleep(max(0, start + spec["seconds"]
                                - time.monotonic()))
        at_end = await self.counts()

        if tasks:
            done, pending = await asyncio.wait(tasks, timeout=spec["grace"])

            for task in pending:
                task.cancel()

            await asyncio.gather(*pending)

        result = {
            "requests": len(requests),
            "demand": sum(r.tokens for r in requests),
            "cacheable": cache_share(requests),
            "statuses": self.statuses,
            "refused": self.refused,
            "latencies": sorted(self.latencies),
            "late": sorted(self.late),
            "done": self.done,
            "at_end": at_end,
            "after": await self.counts(),
        }

        self.client.close()
        self.provider.close()

        return result


if __name__ == "__main__":
    json.dump(asyncio.run(Load(json.load(sys.stdin)).run()), sys.stdout)
