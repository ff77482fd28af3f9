#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check that the netlink family's header, and the kernel's policy of what it takes,
say what its YAML specification says.

Both are written by hand, since the kernel's generator is not part of the
kernels that this builds for. Names are formed as the generator forms them.
"""

import pathlib
import re
import sys

import yaml

TOP = pathlib.Path(__file__).resolve().parent.parent
HEADER = TOP / "include/uapi/linux/pveth_netlink.h"
SPEC = TOP / "Documentation/netlink/specs/pveth.yaml"
KERNEL = TOP / "hypervisor-side/netlink.c"

# Of kernel headers, where a policy uses them
NUMBERS = {"ETH_ALEN": "6", "IFNAMSIZ - 1": "15"}


class Header:
    """Constants of a C header: macros, and enums by their first name"""

    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        self.macros = dict(re.findall(r"^#define\s+(\w+)\s+(\S+)$", text, re.M))
        self.enums = {}
        self.names = {}
        for name, body in re.findall(r"\benum\s*(\w*)\s*\{(.*?)\};", text, re.S):
            entries = self._entries(body)
            first = next(iter(entries))
            self.enums[first] = entries
            self.names[first] = name

    def _entries(self, body):
        entries = {}
        value = -1
        for item in filter(None, (i.strip() for i in body.split(","))):
            name, _, expression = (part.strip() for part in item.partition("="))
            value = self._value(expression, entries) if expression else value + 1
            entries[name] = value
        return entries

    @staticmethod
    def _value(expression, entries):
        """A number, or NAME - NUMBER"""
        name, _, less = (part.strip() for part in expression.partition("-"))
        base = entries[name] if name in entries else int(name, 0)
        return base - int(less or "0", 0)


def upper(*parts):
    return "_".join(parts).replace("-", "_").upper()


def numbered(prefix, items, first):
    """Constants that the generator would make of @items"""
    constants = {}
    value = first
    for item in items:
        if isinstance(item, str):
            item = {"name": item}
        value = item.get("value", value)
        constants[upper(prefix, item["name"])] = value
        value += 1
    return constants


def with_max(prefix, constants):
    """And what is behind the last one"""
    last = max(constants.values())
    return constants | {f"__{prefix}_MAX": last + 1, f"{prefix}_MAX": last}


def differences(wanted, found):
    if found is None:
        return [f"the header has no enum that begins with {next(iter(wanted))}"]
    lines = []
    for name in wanted.keys() | found.keys():
        if wanted.get(name) != found.get(name):
            lines.append(f"{name}: specification {wanted.get(name, 'none')}, "
                         f"header {found.get(name, 'none')}")
    return sorted(lines)


class Comparison:
    """Compares the two, and remembers what of the header was accounted for"""

    def __init__(self, spec, header):
        self.spec = spec
        self.header = header
        self.macros_seen = set()
        self.enums_seen = set()

    def enum(self, wanted, name=""):
        first = next(iter(wanted))
        self.enums_seen.add(first)
        lines = differences(wanted, self.header.enums.get(first))
        if not lines and self.header.names[first] != name:
            lines = [f"the enum of {first} is called "
                     f"\"{self.header.names[first]}\" and not \"{name}\""]
        return lines

    def macro(self, name, wanted):
        self.macros_seen.add(name)
        found = self.header.macros.get(name)
        if found == wanted:
            return []
        return [f"{name}: specification {wanted}, header {found}"]

    def family(self):
        name = self.spec["name"]
        version = str(self.spec.get("version", 1))
        return (self.macro(upper(name, "family-name"), f'"{name}"') +
                self.macro(upper(name, "family-version"), version))

    def definition(self, definition):
        prefix = upper(self.spec["name"], definition["name"])
        if definition["type"] == "const":
            return self.macro(prefix, str(definition["value"]))
        first = definition.get("value-start", 0)
        return self.enum(numbered(prefix, definition["entries"], first),
                         prefix.lower())

    def attribute_set(self, attributes):
        prefix = upper(self.spec["name"], "a", attributes["name"])
        constants = numbered(prefix, attributes["attributes"], 1)
        return self.enum(with_max(prefix, constants))

    def operations(self):
        prefix = upper(self.spec["name"], "cmd")
        constants = numbered(prefix, self.spec["operations"]["list"], 1)
        return self.enum(with_max(prefix, constants))

    def group(self, group):
        return self.macro(upper(self.spec["name"], "mcgrp", group["name"]),
                          f'"{group["name"]}"')

    def uapi_header(self):
        wanted = f"include/uapi/{self.spec['uapi-header']}"
        if HEADER == TOP / wanted:
            return []
        return [f"uapi-header names {wanted}"]

    def nothing_else(self):
        """Call this last."""
        lines = [f"{name} is not in the specification"
                 for name in self.header.macros.keys() - self.macros_seen]
        lines += [f"the enum of {first} is not in the specification"
                  for first in self.header.enums.keys() - self.enums_seen]
        return sorted(lines)


def policies(text):
    """What the kernel takes: by attribute, a type and a bound or None"""
    found = {}
    for body in re.findall(r"struct nla_policy\s+\w+\[.*?\] = \{(.*?)\n\};", text, re.S):
        for name, policy in re.findall(r"\[(\w+)\]\s*=\s*(.*?),\s*(?=\[|$)", body, re.S):
            for number, value in NUMBERS.items():
                policy = policy.replace(number, value)
            plain = re.fullmatch(r"\{ \.type = NLA_(\w+)(?:,\s*\.len = (\w+))? \}", policy)
            minimum = re.fullmatch(r"NLA_POLICY_MIN\(NLA_(\w+), (\w+)\)", policy)
            other = re.fullmatch(r"NLA_POLICY_(\w+)\((\w+)\)", policy)
            known = plain or minimum or other
            found[name] = known.groups() if known else policy
    return found


def wanted_policy(attribute):
    kind = attribute["type"]
    checks = attribute.get("checks", {})
    if kind == "string":
        return "NUL_STRING", str(checks["max-len"])
    if kind == "binary":
        return "EXACT_LEN", str(checks["exact-len"])
    if kind == "nest":
        nested = attribute["nested-attributes"].replace("-", "_").removeprefix("port_")
        return "NESTED", f"pvh_{nested}_policy"
    return kind.upper(), str(checks["min"]) if "min" in checks else None


def policy(spec, text):
    """All attributes of requests, and what is nested in them, and no others"""
    sets = {s["name"]: {a["name"]: a for a in s["attributes"]}
            for s in spec["attribute-sets"]}
    wanted = {}

    def take(set_name, names):
        for name in names:
            attribute = sets[set_name][name]
            wanted[upper(spec["name"], "a", set_name, name)] = wanted_policy(attribute)
            nested = attribute.get("nested-attributes")
            if nested:
                take(nested, [n for n, a in sets[nested].items() if a["type"] != "pad"])

    for operation in spec["operations"]["list"]:
        for way in "do", "dump":
            request = operation.get(way, {}).get("request", {})
            take(operation.get("attribute-set"), request.get("attributes", []))
    found = policies(text)
    return [f"{name}: specification {wanted.get(name, 'none')}, "
            f"policy {found.get(name, 'none')}"
            for name in sorted(wanted.keys() | found.keys())
            if wanted.get(name) != found.get(name)]


def references(spec):
    """Names that the specification uses but does not define"""
    sets = {s["name"]: {a["name"] for a in s["attributes"]}
            for s in spec["attribute-sets"]}
    enums = {d["name"] for d in spec["definitions"]}
    operations = {o["name"] for o in spec["operations"]["list"]}
    groups = {g["name"] for g in spec["mcast-groups"]["list"]}
    lines = []

    def check(what, name, known):
        if name is not None and name not in known:
            lines.append(f"{what} \"{name}\" is not defined")

    for attributes in spec["attribute-sets"]:
        for attribute in attributes["attributes"]:
            check("enum", attribute.get("enum"), enums)
            check("attribute set", attribute.get("nested-attributes"), sets)
    for operation in spec["operations"]["list"]:
        check("operation", operation.get("notify"), operations)
        check("group", operation.get("mcgrp"), groups)
        check("attribute set", operation.get("attribute-set"), sets)
        known = sets.get(operation.get("attribute-set"), set())
        for way in "do", "dump":
            for message in operation.get(way, {}).values():
                for name in message["attributes"]:
                    check(f"attribute of {operation['name']}", name, known)
    return lines


def main():
    spec = yaml.safe_load(SPEC.read_text())
    compare = Comparison(spec, Header(HEADER.read_text()))

    tests = [("the family", compare.family()),
             ("the header's name", compare.uapi_header()),
             ("names within the specification", references(spec))]
    tests += [(f"{d['type']} {d['name']}", compare.definition(d))
              for d in spec["definitions"]]
    tests += [(f"attributes of {s['name']}", compare.attribute_set(s))
              for s in spec["attribute-sets"]]
    tests += [("operations", compare.operations()),
              ("policy", policy(spec, KERNEL.read_text()))]
    tests += [(f"multicast group {g['name']}", compare.group(g))
              for g in spec["mcast-groups"]["list"]]
    tests += [("nothing else in the header", compare.nothing_else())]

    print("TAP version 13")
    print(f"1..{len(tests)}")
    for number, (name, lines) in enumerate(tests, 1):
        for line in lines:
            print(f"# {line}")
        print(f"{'not ' if lines else ''}ok {number} - netlink: {name}")
    return any(lines for _, lines in tests)


if __name__ == "__main__":
    sys.exit(main())
