"""Measures modelswap from outside, on this machine, against a cloud on loopback. docs/performance.md quotes what it prints.

    tests/bench/run.py BINARY PYTHON [PART...]

BINARY is a release build; PYTHON an interpreter that has moto[server], boto3 and awscli.
Parts: start, validate, deploy, latency, steps, journal, rollback. Without one: all.
"""

import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
BINARY, PYTHON = str(Path(sys.argv[1]).resolve()), str(Path(sys.argv[2]).absolute())
PARTS = sys.argv[3:] or ["start", "validate", "deploy", "latency", "steps", "journal", "rollback"]
RUNS = int(os.environ.get("RUNS", "9"))
SCRATCH = Path(tempfile.mkdtemp(prefix="modelswap-bench-", dir=os.environ.get("SCRATCH")))


def once(argv, env=None):
    """Wall and CPU seconds of one process and those that it waited for, and its own peak MiB, looked at every millisecond."""
    out = SCRATCH / "out"
    with open(out, "wb") as file:
        began = time.perf_counter()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env)
        # The system's own peak counts what this process had when it forked; the file of the new program does not.
        peak, status = 0, None
        while status is None:
            peak = max(peak, high_water(child.pid))
            done, status_now, used = os.wait4(child.pid, os.WNOHANG)
            status = status_now if done else time.sleep(0.001)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{argv} ended with {child.returncode}:\n{out.read_text()}")
    return wall, used.ru_utime + used.ru_stime, peak / 1024


def high_water(pid):
    """KiB at most so far."""
    try:
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))
    except (OSError, AttributeError):
        return 0


def show(name, runs, more=""):
    wall, cpu, mib = zip(*runs)
    mid = statistics.median
    print(f"{name:34} wall {mid(wall)*1e3:9.1f} ms (min {min(wall)*1e3:8.1f})  CPU {mid(cpu)*1e3:8.1f} ms  peak {max(mib):5.1f} MiB {more}", flush=True)
    return mid(wall), mid(cpu)


class Cloud:
    """moto behind a counter; environment and names of a fresh world for each run."""

    def __init__(self, latency_ms):
        self.process = subprocess.Popen([PYTHON, HERE / "cloud.py", str(latency_ms)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(SCRATCH), "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-1",
            "AWS": f"{PYTHON} {Path(PYTHON).parent / 'aws'}",
        }
        self.worlds = 0

    def world(self):
        self.worlds += 1
        text = subprocess.run([PYTHON, HERE / "world.py", str(self.worlds)], env=self.env, check=True, capture_output=True, text=True)
        self.calls()
        return json.loads(text.stdout)

    def calls(self):
        return json.load(urllib.request.urlopen(f"{self.url}/calls"))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def plan(world, ports, steps):
    zone = world["zone_name"].rstrip(".")
    return f"""
version: 1
service: chat
aws: {{account: "123456789012", region: eu-west-1}}
release: {{model: chat-v2}}
environments:
  a: {{serves: {{tcp: {{}}}}, endpoints: ["http://127.0.0.1:{ports[0]}"]}}
  b: {{serves: {{tcp: {{}}}}, endpoints: ["http://127.0.0.1:{ports[1]}"]}}
routers:
  record:
    route53: {{zone: {zone}, name: chat.{zone}, values: {{a: [203.0.113.10], b: [203.0.113.20]}}}}
  balancer:
    alb:
      rule: {{listener: "{world['listener']}", host: chat.example.com}}
      target_groups: {{a: {world['blue_name']}, b: {world['green_name']}}}
steps:
{steps}"""


SWAP = """  - lower_ttl: {router: record, to: 30s}
  - swap: {router: record}
  - swap: {router: balancer}
"""


def listeners():
    """Two sockets whose kernel accepts: all that `serves: tcp` asks."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    return sockets, [s.getsockname()[1] for s in sockets]


def write(text):
    path = Path(tempfile.mkdtemp(dir=SCRATCH)) / "plan.yaml"
    path.write_text(text)
    return path


def deploy_argv(path):
    return [BINARY, "deploy", path, "--yes", "--state", path.parent / "state"]


def part_start():
    print("# cold start")
    path = write(plan({"zone_name": "example.com.", "listener": LISTENER, "blue_name": "a", "green_name": "b"}, (1, 2), SWAP))
    show("--version", [once([BINARY, "--version"]) for _ in range(3 * RUNS)])
    show("validate (3 steps)", [once([BINARY, "validate", path]) for _ in range(3 * RUNS)])
    show("python3 -c pass", [once([PYTHON, "-c", "pass"]) for _ in range(3 * RUNS)])
    show("aws --version", [once([PYTHON, Path(PYTHON).parent / "aws", "--version"]) for _ in range(RUNS)])


LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2"


def waits(count):
    world = {"zone_name": "example.com.", "listener": LISTENER, "blue_name": "a", "green_name": "b"}
    return plan(world, (1, 2), SWAP + "  - wait: 1ms\n" * count)


def part_validate():
    print("# validate")
    for count in (500, 10_000):
        path = write(waits(count))
        show(f"validate, {count} steps", [once([BINARY, "validate", path]) for _ in range(RUNS if count < 1000 else 3)])


def job(cloud, runs):
    """All contestants in turn, so that what else the machine does hits them alike."""
    kept, ports = listeners()
    names = ["curl --aws-sigv4", "modelswap", "boto3", "AWS CLI"]
    seen, calls = {n: [] for n in names}, {}
    for _ in range(runs):
        for name in names:
            world = cloud.world()
            args = [world[k] for k in ("zone", "name", "rule", "blue", "green")]
            argv = {
                "curl --aws-sigv4": ["sh", HERE / "peer_curl.sh", *args],
                "boto3": [PYTHON, HERE / "peer_boto3.py", *args],
                "AWS CLI": ["sh", HERE / "peer_cli.sh", *args],
            }.get(name) or deploy_argv(write(plan(world, ports, SWAP)))
            seen[name].append(once(argv, cloud.env))
            calls[name] = cloud.calls()
            if name == "modelswap":
                # What is beyond the answers of the cloud is ours; calls at the same time count once.
                seen[name][-1] += (seen[name][-1][0] - covered(calls[name]),)
    for socket_ in kept:
        socket_.close()
    return seen, calls


def covered(calls):
    """Seconds in which at least one call was under way."""
    total, until = 0.0, 0.0
    for call in sorted(calls, key=lambda c: c["at"]):
        end = call["at"] + call["took"]
        total += max(0.0, end - max(call["at"], until))
        until = max(until, end)
    return total


def part_deploy():
    print("# deploy: lower the TTL, swap the record, swap the rule, read both back")
    cloud = Cloud(0)
    seen, calls = job(cloud, RUNS)
    _, base = show("boto3", [r[:3] for r in seen["boto3"]], f"{len(calls['boto3'])} calls")
    for name in ("modelswap", "curl --aws-sigv4", "AWS CLI"):
        _, cpu = show(name, [r[:3] for r in seen[name]], f"{len(calls[name])} calls, CPU {cpu_ratio(seen, name):.2f} x boto3")
    print("modelswap's calls:", ", ".join(c["op"] for c in calls["modelswap"]))
    cloud.end()


def cpu_ratio(seen, name):
    return statistics.median(a[1] / b[1] for a, b in zip(seen[name], seen["boto3"]))


def part_latency():
    print("# the same with 50 ms added to each call")
    cloud = Cloud(50)
    kept, ports = listeners()
    runs = []
    for _ in range(RUNS):
        path = write(plan(cloud.world(), ports, SWAP))
        wall, cpu, mib = once(deploy_argv(path), cloud.env)
        calls = cloud.calls()
        runs.append((wall, cpu, mib, len(calls), sum(c["took"] for c in calls), wall - covered(calls)))
    wall, n, took, own = (statistics.median(r[i] for r in runs) for i in (0, 3, 4, 5))
    print(f"{n:.0f} calls of {took/n*1e3:.1f} ms = {took*1e3:.0f} ms one after the other; wall {wall*1e3:.0f} ms; "
          f"beyond the answers {own*1e3:.0f} ms (best {min(r[5] for r in runs)*1e3:.0f})", flush=True)
    cloud.end()


def part_steps():
    print("# a run of many steps (each a wait: looked at, verified, both written down)")
    cloud = Cloud(0)
    kept, ports = listeners()
    for count in (0, 500, 2_000):
        runs = []
        for _ in range(3 if count else RUNS):
            path = write(plan(cloud.world(), ports, SWAP + "  - wait: 1ms\n" * count))
            runs.append(once(deploy_argv(path), cloud.env))
            journal = next(path.parent.glob("state/chat/journal*"))
        records = journal.read_bytes().count(b"\n")
        show(f"{count} waits, {records} records", runs, f"journal {journal.stat().st_size/1024:.0f} KiB")
    cloud.end()


def part_journal():
    print("# the journal of one deploy: bytes, syncs, and the same bytes appended and synced by themselves")
    cloud = Cloud(0)
    kept, ports = listeners()
    path = write(plan(cloud.world(), ports, SWAP))
    trace = path.parent / "trace"
    once(["strace", "-f", "-T", "-e", "trace=fdatasync,fsync", "-o", trace, *deploy_argv(path)], cloud.env)
    syncs = [float(t) for t in re.findall(r"f(?:data)?sync\(.*<([0-9.]+)>", trace.read_text())]
    lines = next(path.parent.glob("state/chat/journal*")).read_bytes().splitlines(keepends=True)
    raw = []
    for line in lines:
        with open(path.parent / "raw", "ab", buffering=0) as file:
            began = time.perf_counter()
            file.write(line)
            os.fdatasync(file.fileno())
            raw.append(time.perf_counter() - began)
    print(f"{len(lines)} records, {sum(map(len, lines))} bytes, {len(syncs)} syncs; a sync takes {statistics.median(syncs)*1e6:.0f} us in the run, "
          f"append + sync by itself {statistics.median(raw)*1e6:.0f} us")
    cloud.end()


def part_rollback():
    print("# rollback: from start to the first call")
    cloud = Cloud(0)
    kept, ports = listeners()
    gaps = []
    for _ in range(RUNS):
        path = write(plan(cloud.world(), ports, "  - swap: {router: balancer}\n"))
        once(deploy_argv(path), cloud.env)
        cloud.calls()
        began = time.time()
        rollback = subprocess.Popen([BINARY, "rollback", "--state", path.parent / "state"], env=cloud.env,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = []
        while not seen and time.time() < began + 30:
            time.sleep(0.5)
            seen = cloud.calls()
        gaps.append(min(c["at"] for c in seen) - began)
        # What it waits for after its first write (streams that may be open) is not measured here.
        rollback.kill()
        rollback.wait()
    print(f"first call after {statistics.median(gaps)*1e3:.1f} ms (min {min(gaps)*1e3:.1f}, max {max(gaps)*1e3:.1f})")
    cloud.end()


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print(f"# {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {os.uname().sysname} {os.uname().release}, {RUNS} runs, medians", flush=True)
for part in PARTS:
    globals()[f"part_{part}"]()
