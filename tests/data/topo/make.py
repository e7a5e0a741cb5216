#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the recorded hosts of this folder again (needs lstopo of hwloc 2).

Each is a synthetic topology of hwloc, exported as XML; hwloc's synthetic text knows neither network
cards nor isolated CPUs, so those are added to the XML: a card as hwloc itself would record it, the
isolated CPUs as the info attribute that base/topo.h reads.
"""
import pathlib
import subprocess
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).parent


def renumber(machine):
    """Number as Linux does: the first threads of all cores first, then the second ones."""
    count = sum(1 for obj in machine.iter("object") if obj.get("type") == "PU")
    new = {old: old // 2 + old % 2 * (count // 2) for old in range(count)}
    for obj in machine.iter("object"):
        if obj.get("type") == "PU":
            obj.set("os_index", str(new[int(obj.get("os_index"))]))
        for key in ("cpuset", "complete_cpuset", "allowed_cpuset"):
            if obj.get(key):
                words = [int(word, 16) for word in obj.get(key).split(",")]
                bits = sum(word << 32 * i for i, word in enumerate(reversed(words)))
                bits = sum(1 << new[cpu] for cpu in range(count) if bits >> cpu & 1)
                words = [bits >> 32 * i & 0xFFFFFFFF for i in reversed(range((count + 31) // 32))]
                obj.set(key, ",".join(f"0x{word:08x}" for word in words))


HOSTS = {
    # Two sockets of 16 cores with two threads each, one L3 and one node per socket.
    "server-2s-smt": dict(
        text="Package:2 [NUMANode(memory=137438953472)] L3Cache:1(size=37748736) "
        "L2Cache:16(size=1048576) L1dCache:1(size=32768) Core:1 PU:2",
        smt=True,
    ),
    # One socket, four dies with a node each, two L3 of four cores per die, two threads per core.
    "epyc-4die": dict(
        text="Package:1 Die:4 [NUMANode(memory=34359738368)] L3Cache:2(size=8388608) "
        "L2Cache:4(size=524288) L1dCache:1(size=32768) Core:1 PU:2",
        smt=True,
    ),
    # Two sockets of 8 cores without SMT, most CPUs isolated, a card with two ports on socket 1.
    "isolated-nic": dict(
        text="Package:2 [NUMANode(memory=68719476736)] L3Cache:1(size=33554432) "
        "L2Cache:8(size=2097152) L1dCache:1(size=49152) Core:1 PU:1",
        isolated="2-7,10-15",
        nics={1: [("ens3f0", "0000:af:00.0"), ("ens3f1", "0000:af:00.1")]},
    ),
    # A guest of two virtual CPUs.
    "vm-2vcpu": dict(
        text="Package:1 [NUMANode(memory=8589934592)] L3Cache:1(size=33554432) "
        "L2Cache:2(size=1048576) L1dCache:1(size=32768) Core:1 PU:1"
    ),
}


def add_nics(package, ports, number):
    bridge = tree.SubElement(package, "object", {
        "type": "Bridge", "gp_index": str(number), "bridge_type": "0-1", "depth": "0",
        "bridge_pci": "0000:[ae-af]"})
    for name, bus in ports:
        number += 2
        pci = tree.SubElement(bridge, "object", {
            "type": "PCIDev", "gp_index": str(number), "pci_busid": bus,
            "pci_type": "0200 [8086:159b] [8086:0002] 02", "pci_link_speed": "15.753846"})
        tree.SubElement(pci, "object", {
            "type": "OSDev", "gp_index": str(number + 1), "name": name, "osdev_type": "2"})


def main():
    for name, host in HOSTS.items():
        path = HERE / f"{name}.xml"
        subprocess.run(["lstopo", "-i", host["text"], "--of", "xml", "--force", str(path)], check=True)
        doc = tree.parse(path)
        machine = doc.getroot().find("object")
        for info in list(machine.findall("info")):
            if info.get("name") in ("ProcessName", "hwlocVersion"):
                machine.remove(info)
        if host.get("smt"):
            renumber(machine)
        if "isolated" in host:
            machine.insert(0, tree.Element("info", {"name": "WeirIsolated", "value": host["isolated"]}))
        packages = [obj for obj in machine.iter("object") if obj.get("type") == "Package"]
        for package, ports in host.get("nics", {}).items():
            add_nics(packages[package], ports, 100000)
        tree.indent(doc, " ")
        text = tree.tostring(doc.getroot(), encoding="unicode")
        path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n'
                        '<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n' + text + "\n")


if __name__ == "__main__":
    main()
