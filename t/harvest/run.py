#!/usr/bin/python3

# Copyright (C) the NGINX LLM balancer authors

"""Measures how much of its keys' quotas a balancer gets: "make harvest".

Each scenario has a simulated provider, an nginx and a load of its own.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time


HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

NGINX = os.environ.get("TEST_NGINX_BINARY") or "nginx"
MODULE = (os.environ.get("TEST_NGINX_MODULE")
          or ROOT + "/objs/ngx_http_llm_balancer_module.so")

POLICIES = ("round_robin", "least_conn", "headroom", "affinity")
BLIND = "blind"

# requests and tokens a minute: the largest is eight times the smallest, two
# keys share what is the second largest, and one has fewer requests than its
# tokens would carry; all begin with six seconds' worth

ORGANISATIONS = [
    {"name": name, "rpm": rpm, "tpm": tpm, "fill": 0.1,
     "keys": ["sk-%s-%d" % (name, i) for i in range(keys)]}
    for name, keys, rpm, tpm in (
        ("org-a", 1, 1500, 800000),
        ("org-b", 2, 1000, 600000),
        ("org-c", 1, 450, 500000),
        ("org-d", 1, 1000, 400000),
        ("org-e", 1, 600, 300000),
        ("org-f", 1, 500, 200000),
        ("org-g", 1, 150, 200000),
        ("org-h", 1, 300, 100000),
    )]

CONF = """
daemon              off;
master_process      on;
worker_processes    2;
pid                 {dir}/nginx.pid;
error_log           {dir}/error.log notice;
load_module         {module};

events {{
    worker_connections  8192;
}}

http {{
    access_log              off;
    client_body_temp_path   {dir}/client_body;
    proxy_temp_path         {dir}/proxy;
    fastcgi_temp_path       {dir}/fastcgi;
    uwsgi_temp_path         {dir}/uwsgi;
    scgi_temp_path          {dir}/scgi;

    upstream simulated {{
        llm_provider        {provider} base=http://127.0.0.1:{upstream}/v1;
{lines}    }}

    server {{
        listen              127.0.0.1:{port} reuseport;
        llm_client_key      master;

        location / {{
            include         {root}/conf.d/llm_proxy.conf;
            proxy_pass      https://simulated;
        }}
    }}
}}
"""


class Processes:
    """What was started, so that all of it can be stopped."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = []
        self.stopped = False

    def start(self, *args, **kwargs):
        with self.lock:
            if self.stopped:
                raise InterruptedError

            # a Ctrl-C is for this process, which stops the others

            process = subprocess.Popen(args, start_new_session=True, **kwargs)
            self.running.append(process)
            return process

    def stop(self, process):
        process.terminate()

        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

        with self.lock:
            if process in self.running:
                self.running.remove(process)

    def stop_all(self):
        with self.lock:
            self.stopped = True
            running = list(self.running)

        for process in running:
            self.stop(process)


processes = Processes()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def directory():
    path = tempfile.mkdtemp(prefix="llm-harvest-")

    # workers may run as somebody else

    os.chmod(path, 0o755)

    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# nginx


def configuration(path, mode, policy, features, port, upstream):
    lines = []

    if "llm_balance" in features:
        lines.append("llm_balance %s;" % policy)

    if "llm_queue" in features:
        lines.append("llm_queue %s;" % features["llm_queue"])

    for organisation in ORGANISATIONS:
        for key in organisation["keys"]:
            lines.append("llm_key %s name=%s%s;" % (
                key, key[3:], " group=" + organisation["name"]
                if "group" in features else ""))

    lines = "".join("        %s\n" % line for line in lines)

    # nothing is known of what a custom provider says

    return CONF.format(dir=path, root=ROOT, module=MODULE, port=port,
                       upstream=upstream, lines=lines,
                       provider="openai" if mode == "headers" else "custom")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def accepts(policy, features):
    """Whether nginx takes such a configuration, and what it says if not."""

    with directory() as path:
        write(path + "/nginx.conf",
              configuration(path, "headers", policy, features,
                            free_port(), free_port()))

        tried = subprocess.run(
            [NGINX, "-t", "-p", path, "-c", path + "/nginx.conf",
             "-e", path + "/error.log"], capture_output=True, text=True)

    said = re.search(r"\[emerg\] (?:\d+#\d+: )?(.*?)(?: in /.*)?$",
                     tried.stderr, re.M)

    return tried.returncode == 0, said.group(1) if said else tried.stderr


def probe(policies, queue):
    """The policies and the directives that the module has."""

    features = {}
    ok, said = accepts("round_robin", features)

    if not ok:
        sys.exit("nginx does not start: " + said)

    for name, value in (("group", True), ("llm_queue", queue)):
        if not value:
            continue

        ok, said = accepts("round_robin", {**features, name: value})

        if ok:
            features[name] = value
        else:
            print("left out: %s (%s)" % (name, said))

    known = []

    for policy in policies:
        if policy != BLIND:
            ok, said = accepts(policy, {**features, "llm_balance": True})

            if not ok:
                print("left out: %s (%s)" % (policy, said))
                continue

        known.append(policy)

    return known, {**features, "llm_balance": True}


def ready(process, port):
    end = time.monotonic() + 10

    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)

    return False


@contextlib.contextmanager
def balancer(mode, policy, features, upstream):
    with directory() as path:

        # somebody else may be faster to take the port

        for attempt in range(3):
            port = free_port()
            write(path + "/nginx.conf",
                  configuration(path, mode, policy, features, port, upstream))

            with open(path + "/start.out", "w") as out:
                process = processes.start(
                    NGINX, "-p", path, "-c", path + "/nginx.conf",
                    "-e", path + "/error.log", stdout=out,
                    stderr=subprocess.STDOUT)

            if ready(process, port):
                break

            processes.stop(process)

        else:
            raise RuntimeError(open(path + "/start.out").read()
                               + open(path + "/error.log").read())

        try:
            yield port
        finally:
            processes.stop(process)

            log = open(path + "/error.log").read()
            bad = re.findall(r"^.*\[(?:alert|emerg)\].*$", log, re.M)

            if bad and not processes.stopped:
                print("\n".join(bad), file=sys.stderr)


@contextlib.contextmanager
def provider(mode, seed):
    process = processes.start(
        sys.executable, "-B", HERE + "/provider.py", json.dumps({
            "mode": mode, "organisations": ORGANISATIONS, "seed": seed,
            "service": (0.02, 0.1),
        }), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    try:
        yield int(process.stdout.readline())
    finally:
        processes.stop(process)


# figures


def quota(organisation, seconds):
    """Requests and tokens that an organisation gives in a time: what the
    buckets hold at first, and what runs into them."""

    share = organisation["fill"] + seconds / 60

    return organisation["rpm"] * share, organisation["tpm"] * share


def allowed(seconds):
    """Tokens; there are requests enough for these in all, but not at each
    key, so that not every choice gets there."""

    return sum(quota(o, seconds)[1] for o in ORGANISATIONS)


def jain(values):
    squares = sum(v * v for v in values)
    return sum(values) ** 2 / len(values) / squares if squares else 0


def percentile(values, share):
    return values[min(int(len(values) * share), len(values) - 1)] \
        if values else float("nan")


def total(counts, name):
    return sum(key[name] for key in counts["keys"].values())


def figures(load, seconds, queue, result):
    n = result["requests"]
    at_end, after = result["at_end"], result["after"]
    elapsed = at_end["elapsed"]
    statuses = result["statuses"]
    done = result["done"]
    ok = statuses.get("200", 0)

    # what was still waiting at the end had its quota after it

    if load < 1:
        goodput = done["tokens"] / result["demand"]
    else:
        goodput = total(at_end, "tokens") / allowed(elapsed)

    uses = []

    for o in ORGANISATIONS:
        requests, tokens = quota(o, elapsed)
        counts = [at_end["keys"][key] for key in o["keys"]]

        uses.append(max(sum(c["accepted"] for c in counts) / requests,
                        sum(c["tokens"] for c in counts) / tokens))

    cached = done["cached"] / done["prompt"] if done["prompt"] else 0

    return {
        "goodput": goodput,
        "429": statuses.get("429", 0),
        "lost": result["refused"] / result["demand"],
        "bound": max(0, 1 - allowed(seconds + queue) / result["demand"]),
        "other": sum(statuses.values()) - ok - statuses.get("429", 0),
        "others": {status: count for status, count in statuses.items()
                   if status not in ("200", "429")},
        "wasted": total(after, "refused") / max(1, total(after, "accepted")),
        "jain": jain(uses),
        "cache": cached / result["cacheable"],
        "p50": percentile(result["latencies"], 0.5),
        "p99": percentile(result["latencies"], 0.99),
        "late": percentile(result["late"], 0.99),
        "n": n,
    }


def scenario(policy, mode, load, options, features):
    seconds = options.seconds
    queue = queue_seconds(features)

    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(provider(mode, options.seed))

        spec = {
            "seed": options.seed,
            "seconds": seconds,
            "tokens": load * allowed(seconds),
            "provider": upstream,
            "concurrency": 4000,
            "grace": queue + 15,
        }

        if policy == BLIND:
            spec["port"] = upstream
            spec["keys"] = [k for o in ORGANISATIONS for k in o["keys"]]

        else:
            spec["port"] = stack.enter_context(
                balancer(mode, policy, features, upstream))
            spec["key"] = "master"

        process = processes.start(sys.executable, "-B", HERE + "/load.py",
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(json.dumps(spec))
        finally:
            processes.stop(process)

        if process.returncode != 0:
            raise RuntimeError("load.py failed")

        return figures(load, seconds, queue, json.loads(out))


def queue_seconds(features):
    match = re.match(r"(\d+)s\b", features.get("llm_queue") or "")
    return int(match.group(1)) if match else 0


# the table


HEAD = ("%-12s%-9s%5s%9s%6s%8s%10s%7s%9s%7s%8s%8s%8s" % (
        "policy", "provider", "load", "goodput", "429", "lost", "no quota",
        "other", "429/ok", "Jain", "cache", "p50", "p99"))

ROW = ("%-12s%-9s%4d%%%8.2f%%%6d%7.2f%%%9.2f%%%7d%8.2f%%%7.3f%7.1f%%"
       "%8s%8s")


def row(policy, mode, load, f):
    return ROW % (
        policy, mode, round(load * 100), f["goodput"] * 100, f["429"],
        f["lost"] * 100, f["bound"] * 100, f["other"], f["wasted"] * 100,
        f["jain"], f["cache"] * 100, in_seconds(f["p50"]),
        in_seconds(f["p99"]))


def in_seconds(s):
    return "%.2f s" % s


LEGEND = """
load      demand, as a share of what the quotas allow in that time
goodput   tokens served: of the demand, or from 100 % on of what the quotas
          allowed: what the buckets held, and what ran into them
429       requests answered so
lost      the tokens they wanted, of the demand; no quota: what no balancer
          could have served, with the time that requests may wait
other     requests answered neither 200 nor 429
429/ok    tries that the provider refused, to those that it served
Jain      fairness of the organisations' use of their quotas; 1: all alike
cache     prompt tokens found in the prompt cache, to those of one key
          without limits
p50, p99  from when a request was due to the end of its answer
"""


def reach(load, mode, policy, f):
    """The goals that a scenario has: a name, whether it is met."""

    below = load < 1
    goals = []

    if policy in ("headroom", "affinity"):
        goals.append(("goodput", f["goodput"] >= (0.99995 if below else 0.99)))

        # what waits is a few requests; a percent of slack for these

        goals.append(("429", f["lost"] <= (0 if below
                                           else f["bound"] + 0.01)))

    if policy == "headroom":
        most = {"headers": (0.001, 0.01), "silent": (0.02, 0.05)}
        goals.append(("429/ok", f["wasted"] <= most[mode][not below]))

    if policy == "affinity":
        goals.append(("cache", f["cache"] >= (0.95 if below else 0.90)))

    return goals


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])

    parser.add_argument("--quick", action="store_true",
                        help="10 s a scenario instead of 120")
    parser.add_argument("--policy", choices=POLICIES + (BLIND,),
                        action="append")
    parser.add_argument("--mode", choices=("headers", "silent"),
                        action="append")
    parser.add_argument("--load", type=int, action="append",
                        metavar="PERCENT", help="90 and 130")
    parser.add_argument("--queue", default="15s 1000",
                        help="of llm_queue, or \"off\"")
    parser.add_argument("--seconds", type=int, help="a scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(POLICIES) + 1,
                        help="scenarios at once")

    options = parser.parse_args()

    options.seconds = options.seconds or (10 if options.quick else 120)
    options.policy = options.policy or POLICIES + (BLIND,)
    options.mode = options.mode or ("headers", "silent")
    options.load = options.load or (90, 130)

    return options


def main():
    options = arguments()

    policies, features = probe(options.policy,
                               options.queue if options.queue != "off"
                               else None)

    scenarios = [(policy, mode, load / 100) for mode in options.mode
                 for load in options.load for policy in policies]

    print("%d s a scenario, %d scenarios, %d at once\n" % (
        options.seconds, len(scenarios), options.jobs))
    print(HEAD, flush=True)

    goals = 0
    missed = []
    notes = []
    failed = 0

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(scenario, *s, options, features)
                   for s in scenarios]
        try:
            for (policy, mode, load), future in zip(scenarios, futures):
                name = "%s, %s, %d %%" % (policy, mode, round(load * 100))

                try:
                    f = future.result()
                except Exception as e:
                    print("%s: %s" % (name, e), flush=True)
                    failed = 1
                    continue

                print(row(policy, mode, load, f), flush=True)

                for goal, met in reach(load, mode, policy, f):
                    goals += 1

                    if not met:
                        missed.append("%s: %s" % (name, goal))

                if f["others"]:
                    notes.append("%s: answered %s" % (name, f["others"]))

                if f["late"] > 0.1:
                    notes.append("%s: the machine was too slow, the load "
                                 "late by %s" % (name, in_seconds(f["late"])))

        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            processes.stop_all()

    print(LEGEND)

    for line in notes:
        print(line)

    print("%d of %d goals reached%s" % (goals - len(missed), goals,
                                        ", but not:" if missed else ""))

    for line in missed:
        print("    " + line)

    return failed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    try:
        sys.exit(main())
    except KeyboardInterrupt:
        processes.stop_all()
        sys.exit(130)
