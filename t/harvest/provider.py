#!/usr/bin/python3

# Copyright (C) the NGINX LLM balancer authors

"""A simulated provider: chat completions behind the limits that providers
have, to measure how much of them a balancer gets.

    provider.py SPEC            listens, prints its port, ends with its stdin
    provider.py --replay SPEC   requests from stdin under a virtual clock

SPEC is JSON:

    mode            "headers" tells of its limits, "silent" of nothing at all
    organisations   name, rpm, tpm (0: no limit), fill (of the buckets, at
                    the start), keys; all keys of one share what it has
    service         shortest and longest time of an answer, in seconds
    seed            of the time of an answer
    ttl, entries    of the prompt cache of an organisation
"""

import asyncio
import collections
import hashlib
import json
import math
import random
import sys
import time


# as at OpenAI: a prompt is cached from here on, in steps

CACHE_MIN = 1024
CACHE_STEP = 128

# the balancer may be too slow, but not too large

MAX_HEAD = 65536


class Bucket:
    """Holds the limit of a minute, and refills all the time."""

    def __init__(self, limit, fill, now):
        self.limit = limit
        self.level = limit * fill
        self.time = now

    def refill(self, now):
        self.level = min(self.limit,
                         self.level + self.limit / 60 * (now - self.time))
        self.time = now

    def lacks(self, need):
        """Seconds until it has as much, or is full."""

        if not self.limit:
            return 0

        return max(0, (min(need, self.limit) - self.level) * 60 / self.limit)

    def has(self, need):
        # what is lost in floating point must not make anybody wait
        return not self.limit or self.level >= need - 1e-6

    def take(self, need):
        if self.limit:
            self.level -= need

    def full_in(self):
        return (self.limit - self.level) * 60 / self.limit


class Cache:
    """The prompt cache of an organisation: beginnings of conversations, as
    whole messages, least recently used out."""

    def __init__(self, ttl=300, entries=100000):
        self.ttl = ttl
        self.entries = entries
        self.prefixes = collections.OrderedDict()

    def look(self, messages, now):
        """Bytes of the longest beginning known; then all of it is known."""

        digest = hashlib.sha1()
        size = found = 0

        for message in messages:
            text = json.dumps(message).encode()
            digest.update(text)
            size += len(text)
            prefix = digest.digest()

            if self.prefixes.get(prefix, now) > now:
                found = size

            self.prefixes[prefix] = now + self.ttl
            self.prefixes.move_to_end(prefix)

        while len(self.prefixes) > self.entries:
            self.prefixes.popitem(last=False)

        return found


def cached_tokens(size):
    tokens = size // 4
    return tokens // CACHE_STEP * CACHE_STEP if tokens >= CACHE_MIN else 0


def charge(body, request):
    """What a request costs, before anything is generated; and it generates
    all that it asks for, so that this is what it used as well."""

    return len(body) // 4, int(request.get("max_tokens") or 16)


class Organisation:
    def __init__(self, spec, ttl, entries, now):
        fill = spec.get("fill", 1)

        self.name = spec["name"]
        self.requests = Bucket(spec["rpm"], fill, now)
        self.tokens = Bucket(spec["tpm"], fill, now)
        self.cache = Cache(ttl, entries)


class Provider:
    def __init__(self, spec, clock):
        self.spec = spec
        self.clock = clock
        self.mode = spec.get("mode", "headers")
        self.start()

    def start(self):
        """Fills the buckets as at the beginning, and counts from zero."""

        self.started = now = self.clock()
        self.keys = {}
        self.counts = {}
        self.n = 0

        for spec in self.spec["organisations"]:
            organisation = Organisation(spec, self.spec.get("ttl", 300),
                                        self.spec.get("entries", 100000), now)

            for key in spec["keys"]:
                self.keys[key] = organisation
                self.counts[key] = dict.fromkeys(
                    ("accepted", "tokens", "prompt", "cached", "hits",
                     "refused", "refused_requests", "refused_tokens"), 0)

    def report(self):
        now = self.clock()
        organisations = {}

        for organisation in self.keys.values():
            organisation.requests.refill(now)
            organisation.tokens.refill(now)

            organisations[organisation.name] = {
                "requests": organisation.requests.level,
                "tokens": organisation.tokens.level,
            }

        return {"elapsed": now - self.started, "keys": self.counts,
                "left": organisations}

    def answer(self, key, body):
        """Status, headers and object of an answer."""

        now = self.clock()
        organisation = self.keys.get(key)

        if organisation is None:
            return 401, [], error("Incorrect API key provided.",
                                  "invalid_request_error", "invalid_api_key")

        try:
            request = json.loads(body)
            messages = request["messages"]
            prompt, completion = charge(body, request)
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, [], error("We could not parse the JSON body.",
                                  "invalid_request_error", None)

        tokens = prompt + completion
        counts = self.counts[key]

        organisation.requests.refill(now)
        organisation.tokens.refill(now)

        # a refused request costs nothing here; where it does, whoever tries
        # blindly loses more than this

        for kind, bucket, need in (
                ("requests", organisation.requests, 1),
                ("tokens", organisation.tokens, tokens)):

            if not bucket.has(need):
                counts["refused"] += 1
                counts["refused_" + kind] += 1
                return self.refuse(organisation, kind, bucket, tokens)

        organisation.requests.take(1)
        organisation.tokens.take(tokens)

        cached = min(cached_tokens(organisation.cache.look(messages, now)),
                     prompt)

        counts["accepted"] += 1
        counts["tokens"] += tokens
        counts["prompt"] += prompt
        counts["cached"] += cached
        counts["hits"] += cached > 0

        self.n += 1

        return 200, self.headers(organisation), {
            "id": "chatcmpl-%d" % self.n,
            "object": "chat.completion",
            "created": 1700000000,
            "model": request.get("model"),
            "choices": [{"index": 0, "finish_reason": "stop", "message":
                         {"role": "assistant", "content": "x" * 64}}],
            "usage": {"prompt_tokens": prompt,
                      "completion_tokens": completion,
                      "total_tokens": tokens,
                      "prompt_tokens_details": {"cached_tokens": cached}},
        }

    def refuse(self, organisation, kind, bucket, tokens):
        if self.mode == "silent":
            return 429, [], {"error": {"message": "Too Many Requests"}}

        wait = max(organisation.requests.lacks(1),
                   organisation.tokens.lacks(tokens))

        ms = milliseconds(wait)

        headers = self.headers(organisation) + [
            ("retry-after-ms", str(ms)),
            ("retry-after", str(math.ceil(ms / 1000))),
        ]

        return 429, headers, error(
            "Rate limit reached for %s in organization %s: Limit %d. "
            "Please try again in %s." % (kind, organisation.name,
                                         bucket.limit, duration(wait)),
            kind, "rate_limit_exceeded")

    def headers(self, organisation):
        if self.mode == "silent":
            return []

        headers = [("openai-organization", organisation.name)]

        for kind, bucket in (("requests", organisation.requests),
                             ("tokens", organisation.tokens)):
            if bucket.limit:
                headers += [
                    ("x-ratelimit-limit-" + kind, str(bucket.limit)),
                    ("x-ratelimit-remaining-" + kind, str(int(bucket.level))),
                    ("x-ratelimit-reset-" + kind, duration(bucket.full_in())),
                ]

        return headers


def error(message, type, code):
    return {"error": {"message": message, "type": type, "param": None,
                      "code": code}}


def milliseconds(seconds):
    # rounded up, but not for what is lost in floating point
    return math.ceil(round(seconds * 1000, 3))


def duration(seconds):
    """As Go writes it: 12ms, 1.5s, 6m0s."""

    ms = milliseconds(seconds)

    if ms == 0:
        return "0s"

    if ms < 1000:
        return "%dms" % ms

    minutes, ms = divmod(ms, 60000)
    hours, minutes = divmod(minutes, 60)

    text = "%dh" % hours if hours else ""
    text += "%dm" % minutes if hours or minutes else ""

    return text + ("%.3f" % (ms / 1000)).rstrip("0").rstrip(".") + "s"


# HTTP


REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized",
           404: "Not Found", 429: "Too Many Requests"}


class Server:
    def __init__(self, provider):
        self.provider = provider
        self.service = provider.spec.get("service", (0, 0))
        self.random = random.Random(provider.spec.get("seed", 1))

    async def connection(self, reader, writer):
        try:
            while await self.request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                asyncio.CancelledError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def request(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, version = lines[0].split(" ")
        headers = {}

        for line in lines[1:]:
            name, colon, value = line.partition(":")
            headers[name.lower()] = value.strip()

        body = await reader.readexactly(int(headers.get("content-length", 0)))

        status, more, answer = await self.dispatch(path, headers, body)

        data = json.dumps(answer).encode()
        more = "".join("%s: %s\r\n" % header for header in more)

        writer.write(("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                      "Content-Length: %d\r\n%s\r\n"
                      % (status, REASONS[status], len(data), more)).encode()
                     + data)

        await writer.drain()

        return headers.get("connection", "").lower() != "close"

    async def dispatch(self, path, headers, body):
        if path == "/admin/start":
            self.provider.start()
            return 200, [], {}

        if path == "/admin/counts":
            return 200, [], self.provider.report()

        if path != "/v1/chat/completions":
            return 404, [], error("Unknown path.", "invalid_request_error",
                                  "unknown_url")

        key = headers.get("authorization", "").partition(" ")[2]
        answer = self.provider.answer(key, body)

        # refusals are fast

        if answer[0] == 200:
            await asyncio.sleep(self.random.uniform(*self.service))

        return answer


async def serve(spec):
    server = await asyncio.start_server(
        Server(Provider(spec, time.monotonic)).connection, "127.0.0.1", 0,
        limit=MAX_HEAD, backlog=1024)

    print(server.sockets[0].getsockname()[1], flush=True)

    # whoever started it may be gone without a word

    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def replay(spec):
    """One JSON object a line: at (seconds), key, body; without a key, the
    counts are asked for."""

    now = 0
    provider = Provider(spec, lambda: now)

    for line in sys.stdin:
        asked = json.loads(line)
        now = asked["at"]

        if "key" not in asked:
            print(json.dumps(provider.report()))
            continue

        body = asked["body"]

        if not isinstance(body, str):
            body = json.dumps(body)

        status, headers, answer = provider.answer(asked["key"], body.encode())

        print(json.dumps({"status": status, "headers": dict(headers),
                          "body": answer}))


if __name__ == "__main__":
    if sys.argv[1] == "--replay":
        replay(json.loads(sys.argv[2]))
    else:
        asyncio.run(serve(json.loads(sys.argv[1])))
