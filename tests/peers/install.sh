#!/bin/sh
# Installs the DNS servers that tests/peers_dns.rs runs on loopback. Fails loudly: a missing server is no reason to skip.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 update
apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends knot unbound
for server in knotd unbound; do command -v "$server"; done
