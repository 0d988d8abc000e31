"""Licences, bans and sources of every dependency on every target, as deny.toml says them.

The same file serves `cargo deny check licenses bans sources`, which reads licence texts as well; this needs no install.
"""

import re
import subprocess
import sys
import tomllib

with open("deny.toml", "rb") as file:
    deny = tomllib.load(file)
with open("Cargo.lock", "rb") as file:
    locked = tomllib.load(file)["package"]
allowed = set(deny["licenses"]["allow"])
wrong = []


def built_for(target):
    """Name, version and licence of everything that is built for a target, tests and build scripts included."""
    tree = ["cargo", "tree", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"]
    lines = subprocess.run([*tree, "--target", target], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        package, licence = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        yield name, version.removeprefix("v"), licence


packages = sorted({package for target in deny["graph"]["targets"] for package in built_for(target)})


def permitted(expression):
    """Whether an SPDX expression can be met with allowed licences only."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def any_of():
        met = all_of()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = all_of() or met
        return met

    def all_of():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = any_of()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in allowed

    return any_of()


def is_below(version, bound):
    numbers = lambda text: [int(n) for n in re.findall(r"\d+", text)]
    return numbers(version)[: len(numbers(bound))] < numbers(bound)


registries = {f"registry+{url}" for url in deny["sources"]["allow-registry"]}
for package in locked:
    if package.get("source", next(iter(registries))) not in registries:
        wrong.append(f'{package["name"]} comes from {package["source"]}')
for name, version, licence in packages:
    if not licence:
        wrong.append(f"{name} {version} names no licence")
    elif not permitted(licence):
        wrong.append(f"{name} {version} has the licence {licence}")
    for ban in deny["bans"]["deny"]:
        crate, _, bound = ban["crate"].partition("@<")
        if name == crate and (not bound or is_below(version, bound)):
            wrong.append(f'{name} {version} is banned: {ban["reason"]}')

if len(packages) < 100:
    wrong.append(f"only {len(packages)} packages were seen")
for line in wrong:
    print(line, file=sys.stderr)
print(f"{len(packages)} packages, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
