#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of report.py and of the command line of bench, in TAP"""
import fnmatch
import sys
import tomllib
import unittest
from contextlib import redirect_stderr
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from io import StringIO
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import report  # noqa: E402

sys.dont_write_bytecode = True
loader = SourceFileLoader("bench", str(HERE.parent / "bench"))
bench = module_from_spec(spec_from_loader("bench", loader))
loader.exec_module(bench)

CONFIG = {
    "cards": {"ours": "pveth", "vhost": "virtio-vhost", "poll": "virtio-vhost-poll"},
    "rivals": {"best": ["vhost", "poll"], "default": "vhost"},
    "limits": {"veth": ["tcp-in-*", "rr-*"], "dummy": ["pps-out"]},
    "targets": [
        {"works": ["pps-out"], "metric": "pps", "least": 1.5, "default_least": 3},
        {"works": ["rr-*"], "metric": "p50_us", "most": 0.7},
        {"works": ["idle"], "metric": "wakeups_per_s", "absolute_most": 0},
    ],
    "window": {"cards": ["ours", "direct"], "least": 0.8},
    "enough": {"of_limit": 0.9},
}
COSTS = "window_us=1000000 cpu_s=50e-2 exits=3000"


def pps(number, card, figure, extra="", work="pps-out"):
    return f"{number} {work} {card} ok pps={figure} packets={figure} sent=1 {COSTS} {extra}\n"


def rr(number, card, p50):
    return (f"{number} rr-udp {card} ok count=1000 seconds=1.0 p50={p50} p99={p50} "
            f"p999={p50} lost=0 {COSTS}\n")


def verdicts(text, works):
    series = report.collect(report.parse_rounds(text))
    return report.verdicts(CONFIG, series, works, ["ours", "vhost", "poll"])


def plan(works, cards, rounds):
    return report.plan(CONFIG, {"works": works, "cards": cards, "rounds": rounds})


class Rounds(unittest.TestCase):
    def test_values_with_exponents(self):
        entry, = report.parse_rounds("2 tcp-in-1500-1 ours ok mbits=80000000e-6 cpu_s=12e-2\n")
        self.assertEqual(entry["round"], 2)
        self.assertAlmostEqual(entry["values"]["mbits"], 80)
        self.assertAlmostEqual(entry["values"]["cpu_s"], 0.12)

    def test_failures_keep_their_reason(self):
        text = "1 rr-udp ours failed rr: no answer \n1 rr-tcp ours failed \n"
        first, second = report.parse_rounds(text)
        self.assertEqual(first["failed"], "rr: no answer")
        self.assertTrue(second["failed"])
        self.assertIn("| rr: no answer |", report.failures_table([first, second]))

    def test_what_was_not_reached_is_a_failure(self):
        planned = [(0, "rr-udp", "ours"), (1, "rr-udp", "ours")]
        lost = report.missing(planned, report.parse_rounds(rr(0, "ours", 1)))
        self.assertEqual([entry["round"] for entry in lost], [1])
        self.assertIn("failed", lost[0])


class Plan(unittest.TestCase):
    def test_cards_take_turns(self):
        lines = plan(["pps-in"], ["ours", "vhost"], 2)
        self.assertEqual(lines, [(n, "pps-in", card) for n in (0, 1, 2)
                                 for card in ("ours", "vhost")])

    def test_mtu_changes_once(self):
        lines = plan(["tcp-in-9000-1", "pps-in"], ["ours"], 3)
        mtus = [report.mtu_of(work) for _, work, _ in lines]
        self.assertEqual(mtus, sorted(mtus))

    def test_limits_have_works_of_their_own(self):
        lines = plan(["pps-out", "pps-in", "tcp-in-1500-1"], ["ours"], 1)
        self.assertIn((1, "pps-out", "dummy"), lines)
        self.assertNotIn((1, "pps-in", "dummy"), lines)
        self.assertIn((1, "tcp-in-1500-1", "veth"), lines)

    def test_idle_is_for_ports_of_pveth(self):
        lines = plan(["idle"], ["ours", "vhost"], 1)
        self.assertEqual({card for _, _, card in lines}, {"ours"})


class Figures(unittest.TestCase):
    def test_costs_per_packet(self):
        text = pps(0, "ours", 1000, "doorbells=200 irqs=100") + pps(1, "ours", 2000)
        series = report.collect(report.parse_rounds(text))
        self.assertEqual(series["pps-out", "pps", "ours"], {1: 2000})
        self.assertEqual(series["pps-out", "signals_per_packet", "ours"], {0: 0.3})
        self.assertEqual(series["pps-out", "cpu_s_per_mpackets", "ours"], {1: 250})
        self.assertEqual(series["pps-out", "exits_per_packet", "ours"], {1: 1.5})

    def test_costs_per_byte(self):
        text = f"1 tcp-in-1500-1 ours ok mbits=800 {COSTS} bytes=100000000\n"
        series = report.collect(report.parse_rounds(text))
        self.assertEqual(series["tcp-in-1500-1", "cpu_s_per_gb", "ours"], {1: 5})
        self.assertEqual(series["tcp-in-1500-1", "exits_per_mb", "ours"], {1: 30})

    def test_ratios_are_within_a_round(self):
        # The machine became half as fast for the second round
        three = report.ratio({1: 200, 2: 100, 3: 220}, {1: 100, 2: 50, 3: 100, 4: 1})
        self.assertEqual(three, (2, 2, 2.2))
        self.assertIsNone(report.ratio({1: 1}, {2: 1}))

    def test_memory_is_beside_that_of_no_card(self):
        text = "".join(f"{n} memory {card} ok up_us=1 host_kib={host} guest_kib=1024\n"
                       for n, card, host in ((1, "no-card", 1024), (2, "no-card", 3072),
                                             (1, "ours", 4096)))
        series = report.collect(report.parse_rounds(text))
        self.assertEqual(series["memory", "port_mb", "ours"], {1: 2})
        self.assertNotIn(("memory", "port_mb", "no-card"), series)

    def test_numbers(self):
        self.assertEqual([report.number(n) for n in (0, 0.12345, 12.345, 123456.7)],
                         ["0", "0.123", "12.3", "123,457"])


class Verdicts(unittest.TestCase):
    def test_best_rival_and_default(self):
        text = pps(1, "ours", 4000) + pps(1, "vhost", 1000) + pps(1, "poll", 2000)
        row, = verdicts(text, ["pps-out"])
        self.assertEqual(row["rival"], "poll")
        self.assertEqual(row["ratio"][0], 2)
        self.assertTrue(row["met"])

    def test_default_counts_too(self):
        text = pps(1, "ours", 4000) + pps(1, "vhost", 1900) + pps(1, "poll", 2000)
        row, = verdicts(text, ["pps-out"])
        self.assertFalse(row["met"])

    def test_near_the_limit_is_enough(self):
        text = pps(1, "ours", 2000) + pps(1, "vhost", 1900) + pps(1, "poll", 1900)
        self.assertFalse(verdicts(text, ["pps-out"])[0]["met"])
        self.assertFalse(verdicts(text + pps(1, "dummy", 2300), ["pps-out"])[0]["met"])
        self.assertTrue(verdicts(text + pps(1, "dummy", 2200), ["pps-out"])[0]["met"])

    def test_less_is_better_for_latency(self):
        text = rr(1, "ours", 70) + rr(1, "vhost", 100) + rr(1, "poll", 120)
        row, = verdicts(text, ["rr-udp"])
        self.assertEqual(row["rival"], "vhost")
        self.assertTrue(row["met"])
        text = rr(1, "ours", 71) + rr(1, "vhost", 100) + rr(1, "veth", 50)
        self.assertFalse(verdicts(text, ["rr-udp"])[0]["met"])

    def test_idle_is_absolute(self):
        def idle(wakeups):
            return f"1 idle ours ok wakeups={wakeups} cpu_s=0e-2 window_us=2e6\n"
        self.assertTrue(verdicts(idle(0), ["idle"])[0]["met"])
        self.assertFalse(verdicts(idle(1), ["idle"])[0]["met"])

    def test_not_measured_is_not_met(self):
        row, = verdicts(pps(1, "vhost", 10), ["pps-out"])
        self.assertIsNone(row["met"])
        self.assertIn("**not measured**", report.targets_table([row]))

    def test_window_beside_direct(self):
        text = pps(1, "ours", 79) + pps(1, "direct", 100)
        self.assertEqual([row["met"] for row in verdicts(text, [])], [False])
        text = pps(1, "ours", 80) + pps(1, "direct", 100)
        self.assertEqual([row["met"] for row in verdicts(text, [])], [True])


class DataFile(unittest.TestCase):
    def test_names_agree(self):
        with open(HERE / "bench.toml", "rb") as file:
            config = tomllib.load(file)
        for session in config["sessions"].values():
            self.assertLessEqual(set(session.get("cards", [])), set(config["cards"]))
        self.assertLessEqual(set(config["targets_of"]["sessions"]), set(config["sessions"]))
        for target in config["targets"]:
            self.assertIn(target["metric"], report.METRICS)
            for pattern in target["works"]:
                self.assertTrue(fnmatch.filter(config["sessions"]["core"]["works"], pattern))
        self.assertLessEqual(set(config["rivals"]["best"]), set(config["cards"]))


class Arguments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(HERE / "bench.toml", "rb") as file:
            cls.config = tomllib.load(file)

    def options(self, *args):
        return bench.arguments(self.config, args)

    def assert_refused(self, error, *args):
        with redirect_stderr(StringIO()) as text, self.assertRaises(SystemExit) as end:
            self.options(*args)
        self.assertEqual(end.exception.code, 2)
        self.assertIn(error, text.getvalue())

    def test_sessions(self):
        everything = [name for name in self.config["sessions"] if name != "short"]
        self.assertEqual(self.options().sessions, everything)
        self.assertEqual(self.options("--short").sessions, ["short"])
        self.assertEqual(self.options("--sessions", "core,boot").sessions, ["core", "boot"])
        self.assert_refused("no session quick", "--sessions", "quick")

    def test_profile(self):
        for session in self.config["sessions"].values():
            for work in session["works"]:
                options = self.options("--profile", "vhost", work)
                self.assertEqual(options.profile, ["vhost", work])
        self.assert_refused("no card ne2000", "--profile", "ne2000", "pps-out")
        self.assert_refused("no work pps", "--profile", "vhost", "pps")

    def test_works(self):
        self.assertEqual(self.options("--works", "idle,boot").works, ["idle", "boot"])
        self.assert_refused("no work tcp-out", "--works", "idle,tcp-out")


class Tap(unittest.TextTestResult):
    """A line for each test"""
    def addSuccess(self, test):
        super().addSuccess(test)
        print(f"ok {self.testsRun} bench: {test.id().split('.', 1)[1]}")

    def _not_ok(self, test, err):
        print("".join(f"# {line}\n" for line in
                      self._exc_info_to_string(err, test).splitlines()), end="")
        print(f"not ok {self.testsRun} bench: {test.id().split('.', 1)[1]}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._not_ok(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._not_ok(test, err)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    print(f"TAP version 13\n1..{suite.countTestCases()}")
    with open("/dev/null", "w") as nowhere:
        result = unittest.TextTestRunner(nowhere, resultclass=Tap).run(suite)
    return not result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
