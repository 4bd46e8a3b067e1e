"""Starts stead's agent on this node, asks it something, and prints how much memory it had at its peak.

Needs nothing but Python: `./x bench` hands this to a node's `python3 -`, with a call of `measure` behind it.
"""

import glob
import json
import os
import re
import struct
import subprocess
import sys


def send(agent, message):
    body = json.dumps(message).encode()
    agent.stdin.write(struct.pack(">I", len(body)) + body)
    agent.stdin.flush()


def answer(agent):
    """The next answer that isn't the sign of being there."""
    while True:
        head = agent.stdout.read(4)
        if len(head) < 4:
            sys.exit("the agent ended without an answer")
        message = json.loads(agent.stdout.read(*struct.unpack(">I", head)))
        if message != "beat":
            return message


def measure(requests):
    builds = glob.glob("/var/lib/stead/agent/stead-*")
    if not builds:
        sys.exit("no agent in /var/lib/stead/agent: stead has not been here")
    command = [max(builds, key=os.path.getmtime), "agent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        for request in json.loads(requests):
            send(agent, request)
            said = answer(agent)
        if "inventory" not in said:
            sys.exit("the agent doesn't answer with an inventory: " + json.dumps(said))
        # It waits for the next request, so its own peak can be read: that of the tools it ran is not in it.
        with open(f"/proc/{agent.pid}/status", encoding="ascii") as status:
            kib = re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]
        agent.stdin.close()
    print(kib)
