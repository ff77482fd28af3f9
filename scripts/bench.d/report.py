# SPDX-License-Identifier: GPL-2.0
"""What the bench makes of its rounds: statistics, verdicts, tables, plots.

Functions of their arguments all; scripts/bench reads and writes the files.
"""
from fnmatch import fnmatch
from statistics import median

# Metric of a work's kind -> whether more of it is better
METRICS = {
    "pps": True, "mbits": True, "per_s": True,
    "p50_us": False, "p99_us": False, "p999_us": False,
    "cpu_s_per_mpackets": False, "cpu_s_per_gb": False, "cpu_ms_per_1000": False,
    "exits_per_packet": False, "signals_per_packet": False,
    "exits_per_mb": False, "signals_per_mb": False,
    "exits_per_transaction": False, "signals_per_transaction": False,
    "wakeups_per_s": False, "cpu_share": False,
    "up_s": False, "host_mb": False, "guest_mb": False, "port_mb": False,
}


def plan(config, session):
    """The order of measurements: each round has each work by each card, A B A B.

    Round 0 only counts. What wants another MTU comes last, for all rounds.
    """
    def applies(work, card):
        patterns = config["limits"].get(card)
        if patterns is None:
            return work != "idle" or config["cards"][card] == "pveth"
        return any(fnmatch(work, pattern) for pattern in patterns)

    works, cards, rounds = session["works"], session["cards"], session["rounds"]
    lines = []
    for mtu in sorted({mtu_of(work) for work in works}):
        for number in range(rounds + 1):
            lines += [(number, work, card)
                      for work in works if mtu_of(work) == mtu
                      for card in [*cards, *config["limits"]] if applies(work, card)]
    return lines


def mtu_of(work):
    """tcp-DIRECTION-MTU-FLOWS; all others have the usual one"""
    return int(work.split("-")[2]) if work.startswith("tcp-") else 1500


def parse_rounds(text):
    """Lines of in-rig -> list of dicts"""
    rounds = []
    for line in text.splitlines():
        number, work, card, status, *rest = line.split(" ")
        entry = {"round": int(number), "work": work, "card": card}
        if status == "ok":
            entry["values"] = {name: float(value) for name, value in
                               (word.split("=") for word in rest if word)}
        else:
            entry["failed"] = " ".join(rest).strip() or "for no reason given"
        rounds.append(entry)
    return rounds


def missing(planned, rounds):
    """What was planned and has no result: out of time, or the run broke off"""
    done = {(entry["round"], entry["work"], entry["card"]) for entry in rounds}
    return [{"round": number, "work": work, "card": card, "failed": "not reached"}
            for number, work, card in planned if (number, work, card) not in done]


def metrics(work, values):
    """What one measurement says, per packet, byte or transaction"""
    kind = work.split("-")[0]
    if kind == "idle":
        seconds = values["window_us"] / 1e6
        return {"wakeups_per_s": values["wakeups"] / seconds,
                "cpu_share": values["cpu_s"] / seconds}
    if kind == "boot":
        return {"up_s": values["up_us"] / 1e6}
    if kind == "memory":
        return {"host_mb": values["host_kib"] / 1024,
                "guest_mb": values["guest_kib"] / 1024}
    if kind == "pps":
        unit, amount = "packet", values["packets"]
        out = {"pps": values["pps"],
               "cpu_s_per_mpackets": values["cpu_s"] * 1e6 / amount}
    elif kind == "tcp":
        out = {"mbits": values["mbits"]}
        # Limits inside a guest have none of the rest
        if "bytes" not in values:
            return out
        unit, amount = "mb", values["bytes"] / 1e6
        out["cpu_s_per_gb"] = values["cpu_s"] * 1e3 / amount
    else:
        unit, amount = "transaction", values["count"]
        out = {"per_s": amount / values["seconds"],
               "cpu_ms_per_1000": values["cpu_s"] * 1e6 / amount}
        if kind == "rr":
            out |= {f"{p}_us": values[p] for p in ("p50", "p99", "p999")}
    out[f"exits_per_{unit}"] = values["exits"] / amount
    if "doorbells" in values:
        out[f"signals_per_{unit}"] = (values["doorbells"] + values["irqs"]) / amount
    return out


def collect(rounds):
    """(work, metric, card) -> {round: figure}; round 0 gives the counts only"""
    series = {}
    for entry in rounds:
        if "failed" in entry:
            continue
        for metric, figure in metrics(entry["work"], entry["values"]).items():
            if (entry["round"] == 0) == metric.startswith("signals_"):
                key = entry["work"], metric, entry["card"]
                series.setdefault(key, {})[entry["round"]] = figure
    memory_of_ports(series)
    return series


def memory_of_ports(series):
    """What host and guest need more with a card than without"""
    def total(card):
        host, guest = (series.get(("memory", metric, card), {})
                       for metric in ("host_mb", "guest_mb"))
        return {number: host[number] + guest[number] for number in host}

    without = total("no-card").values()
    if without:
        for _, metric, card in [*series]:
            if metric == "host_mb" and card != "no-card":
                series["memory", "port_mb", card] = {
                    number: figure - median(without)
                    for number, figure in total(card).items()}


def ratio(ours, theirs):
    """Median, least and most of the ratios within the same round"""
    pairs = [ours[n] / theirs[n] for n in ours if n in theirs and theirs[n]]
    return (median(pairs), min(pairs), max(pairs)) if pairs else None


def best(series, work, metric, cards):
    """Which of the cards is best at it, by the median"""
    have = [card for card in cards if (work, metric, card) in series]
    choose = max if METRICS[metric] else min
    return choose(have, default=None, key=lambda card:
                  median(series[work, metric, card].values()))


def limit_work(work):
    """The work that its limit was measured with"""
    if work.startswith("tcp-"):
        _, _, mtu, flows = work.split("-")
        return f"tcp-in-{mtu}-{flows}"
    return "pps-out" if work.startswith("pps-") else work


def verdicts(config, series, works, cards):
    """One dict for each target, work and card of ours that it is about"""
    rows = []
    ours = [card for card in cards if config["cards"][card].startswith("pveth")]
    for target in config["targets"]:
        for work in works:
            if any(fnmatch(work, pattern) for pattern in target["works"]):
                # A card that a target names and that was not there has not met it
                rows += [verdict(config, series, target, work, card)
                         for card in target.get("cards", ours)]
    window, direct = config["window"]["cards"]
    wanted = {target["metric"] for target in config["targets"]}
    rows += [beside_direct(config, series, work, metric)
             for work, metric, card in series
             if card == window and (work, metric, direct) in series
             and metric in wanted and work != "idle"]
    return rows


def verdict(config, series, target, work, card):
    """Is a target met? None if it could not be measured."""
    metric, rivals = target["metric"], config["rivals"]
    row = {"work": work, "metric": metric, "card": card, "met": None}
    row["wanted"] = ", ".join(f"{text} {target[key]:g}" for key, text in (
        ("least", "at least"), ("default_least", "over default at least"),
        ("most", "at most"), ("absolute_most", "figure at most")) if key in target)
    ours = series.get((work, metric, card))
    if not ours:
        return row
    row["figure"] = median(ours.values())
    if "absolute_most" in target:
        row["met"] = row["figure"] <= target["absolute_most"]
        return row
    rival = best(series, work, metric, rivals["best"])
    if not rival:
        return row
    row["rival"], row["rival_figure"] = rival, median(series[work, metric, rival].values())
    row["ratio"] = ratio(ours, series[work, metric, rival])
    if not row["ratio"]:
        return row
    if "least" in target:
        row["met"] = row["ratio"][0] >= target["least"]
    else:
        row["met"] = row["ratio"][0] <= target["most"]
    if "default_least" in target:
        default = series.get((work, metric, rivals["default"]))
        row["default_ratio"] = default and ratio(ours, default)
        row["met"] &= bool(default) and row["default_ratio"][0] >= target["default_least"]
    limit_of(config, series, row)
    return row


def limit_of(config, series, row):
    """Beside the best of its limits, for what is a rate or a latency"""
    key = limit_work(row["work"]), row["metric"]
    if row["metric"].startswith(("cpu", "exits", "signals")):
        return
    limit = best(series, *key, config["limits"])
    if not limit:
        return
    row["limit"] = limit
    row["limit_figure"] = median(series[*key, limit].values())
    share = row["figure"] / row["limit_figure"]
    row["of_limit"] = share
    if (share if METRICS[row["metric"]] else 1 / share) >= config["enough"]["of_limit"]:
        row["met"] = True


def beside_direct(config, series, work, metric):
    """Window mode is to be nearly as good as direct mode"""
    ours, theirs = config["window"]["cards"]
    least = config["window"]["least"]
    row = {"work": work, "metric": metric, "card": ours, "rival": theirs, "met": None,
           "figure": median(series[work, metric, ours].values()),
           "rival_figure": median(series[work, metric, theirs].values()),
           "ratio": ratio(series[work, metric, ours], series[work, metric, theirs])}
    row["wanted"] = f"at least {least:g}" if METRICS[metric] else f"at most {1 / least:g}"
    if row["ratio"]:
        row["met"] = (row["ratio"][0] >= least if METRICS[metric]
                      else row["ratio"][0] <= 1 / least)
    return row


def number(figure):
    """Three digits, without an exponent"""
    if figure == 0 or abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"


def spread(figures):
    """Median and, if there are several, the range"""
    figures = list(figures)
    if len(figures) == 1:
        return number(figures[0])
    return f"{number(median(figures))} ({number(min(figures))}–{number(max(figures))})"


def table(head, rows):
    """Markdown"""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def targets_table(rows):
    """What is met and what is not"""
    words = {True: "yes", False: "**no**", None: "**not measured**"}

    def times(three):
        return f"{three[0]:.2f} ({three[1]:.2f}–{three[2]:.2f})" if three else ""

    def with_name(row, key):
        return f"{number(row[key + '_figure'])} {row[key]}" if key in row else ""

    return table(
        ["work", "metric", "card", "figure", "best rival", "ratio", "over default",
         "wanted", "limit", "of limit", "met"],
        [[row["work"], row["metric"], row["card"],
          number(row["figure"]) if "figure" in row else "",
          with_name(row, "rival"), times(row.get("ratio")),
          times(row.get("default_ratio")), row["wanted"], with_name(row, "limit"),
          f"{row['of_limit']:.2f}" if "of_limit" in row else "", words[row["met"]]]
         for row in rows])


def figures_table(config, series, works, cards):
    """All of them: a row for each work and metric, a column for each card"""
    columns = [*cards, *config["limits"]]
    rows = []
    for work in works:
        for metric in METRICS:
            if not any((work, metric, card) in series for card in columns):
                continue
            rival = best(series, work, metric, config["rivals"]["best"])
            row = [work, metric]
            for card in columns:
                figures = series.get((work, metric, card))
                if not figures:
                    row.append("")
                    continue
                text = spread(figures.values())
                times = rival and rival != card and ratio(figures, series[work, metric, rival])
                row.append(text + (f" ×{times[0]:.2f}" if times else ""))
            rows.append(row)
    return table(["work", "metric", *columns], rows)


def failures_table(rounds):
    """Nothing is missing silently"""
    return table(["round", "work", "card", "why"],
                 [[str(entry["round"]), entry["work"], entry["card"],
                   entry["failed"].replace("|", "/")[:300]]
                  for entry in rounds if "failed" in entry])


def markdown(config, data):
    """The whole report"""
    text = f"# Bench of {data['settings']['started']}\n\n"
    text += "".join(f"- {name}: {value}\n" for name, value in data["settings"].items())
    for name, session in data["sessions"].items():
        text += f"\n## Session {name}\n\n" + session_text(config, name, session)
    return text


def session_text(config, name, session):
    """What one boot of the rig found out"""
    rounds, works, cards = session["results"], session["works"], session["cards"]
    series = collect(rounds)
    failed = [entry for entry in rounds if "failed" in entry]
    text = "".join(f"- {key}: {' '.join(value) if isinstance(value, list) else value}\n"
                   for key, value in session.items() if key != "results")
    if name in config["targets_of"]["sessions"]:
        rows = verdicts(config, series, works, cards)
        met = sum(row["met"] is True for row in rows)
        text += f"\n### Targets: {met} of {len(rows)} met\n\n{targets_table(rows)}"
        text += "\nRatios are medians of those within a round (least–most).\n"
    text += ("\n### All figures\n\nMedian (least–most), × the ratio to the best of "
             f"{', '.join(config['rivals']['best'])}.\n\n")
    text += figures_table(config, series, works, cards)
    if failed:
        text += f"\n### Failed: {len(failed)} of {len(rounds)}\n\n{failures_table(rounds)}"
    return text


def plot(config, series, works, cards, metric, path):
    """A script for gnuplot: bars of one metric, whiskers from least to most"""
    columns = [card for card in [*cards, *config["limits"]]
               if any((work, metric, card) in series for work in works)]
    names = [work for work in works
             if any((work, metric, card) in series for card in columns)]
    if not names:
        return None
    lines = [
        f"set terminal pngcairo size {300 + 130 * len(names)},600 font 'DejaVu Sans,10'"
        if len(names) > 5 else "set terminal pngcairo size 960,600 font 'DejaVu Sans,10'",
        f"set output '{path}'", f"set title '{metric}' noenhanced",
        "set style data histograms",
        "set style histogram errorbars gap 2 lw 1", "set style fill solid 0.8",
        "set yrange [0:*]", "set grid ytics", "set key outside right noenhanced",
        "set xtics rotate by -25 noenhanced"]
    plots = []
    for index, card in enumerate(columns):
        lines.append(f"$data{index} << EOD")
        for work in names:
            figures = list(series.get((work, metric, card), {}).values())
            three = (median(figures), min(figures), max(figures)) if figures else "???"
            lines.append(" ".join([work, *map(str, three)]))
        lines.append("EOD")
        plots.append(f"$data{index} using 2:3:4:xtic(1) title '{card}'")
    lines += ["set datafile missing '?'", "plot " + ", ".join(plots)]
    return "\n".join(lines) + "\n"
