"""The command that measures a server under load."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.progress import TextColumn

from dien.cli import checks, options
from dien.cli.output import Results, print_json, progress, spread, table_of


def serve(
    run: options.RunFolder,
    candidates: Annotated[
        int, options.option("--candidates", "N", "Candidates of a request.", checks.count)
    ] = 200,
    history: Annotated[
        int, options.option("--history", "N", "Behaviours of a request.", checks.whole(0, 2**31 - 1))
    ] = 100,
    seconds: Annotated[
        float, options.option("--seconds", "S", "Seconds of each measurement.", checks.positive(3600))
    ] = 5.0,
    rounds: Annotated[
        int, options.option("--rounds", "N", "Rounds, in each the scorer alone and the server.", checks.count)
    ] = 3,
    rate: Annotated[
        float | None,
        options.option("--rate", "R", "Requests a second to send, in the mean.", checks.positive(1e6)),
    ] = None,
    load: Annotated[
        float | None,
        options.option(
            "--load", "X", "Send X times as many as the scorer alone scores, as 0.7.", checks.positive(1000)
        ),
    ] = None,
    bound: Annotated[
        float | None,
        options.option(
            "--bound",
            "MS",
            "Search the highest rate with the 99th percentile within this (default: ten times one request).",
            checks.positive(1e6),
        ),
    ] = None,
    threads: Annotated[
        int | None,
        options.option(
            "--threads",
            "N",
            "Threads of the server and of the scorer, with --url of the scorer alone (default: one a core).",
            checks.at_once,
        ),
    ] = None,
    url: Annotated[
        str | None,
        options.option(
            "--url",
            "URL",
            "Server of this run that runs already on this machine (default: one is started).",
            checks.text,
        ),
    ] = None,
    seed: Annotated[int, options.option("--seed", "N", "Random seed of the arrivals.", checks.seed)] = 0,
    as_json: options.Json = False,
) -> None:
    """Measure a server under load: requests come at random times, whatever has become of those before.

    The scorer alone, without a server, is measured in turns with it. For example:

        dien bench serve runs/shop --load 0.7
    """
    if sum(given is not None for given in (rate, load, bound)) > 1:
        raise typer.BadParameter("found several of --rate, --load and --bound; give one of them, or none")
    from dien.bench.load import Plan, measure_serving, running, started
    from dien.data.batches import cores
    from dien.serving import Scorer

    plan = Plan(
        candidates=candidates,
        history=history,
        seconds=seconds,
        rounds=rounds,
        threads=threads or cores(),
        rate=rate,
        load=load,
        bound=None if bound is None else bound / 1000,
        seed=seed,
    )
    target = None if url is None else running(url)
    scorer = Scorer.load(run)
    with (
        nullcontext(target) if target is not None else started(run, plan.threads) as server,
        progress("measuring", None, TextColumn("{task.completed}")) as advance,
    ):
        result = measure_serving(scorer, server, plan, advance)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: Mapping[str, Any]) -> None:
    console, found = Results(soft_wrap=True), result["load"]
    console.print(
        f"requests of {result['candidates']:,} candidates and {result['history']:,} behaviours; threads: "
        f"{result['threads']}; {result['rounds']} rounds of {result['seconds']:g} s; one request alone: "
        f"{result['one_request_ms']:.2f} ms\n"
    )
    rates = table_of("requests/s", "median (quartiles)")
    rates.add_row("scorer alone", spread(result["scorer_per_second"], ".1f"))
    within = "" if result["bound_ms"] is None else f", p99 within {result['bound_ms']:.1f} ms"
    rates.add_row(f"server{within}", spread(result["server_per_second"], ".1f"))
    rates.add_row("ratio", spread(result["ratio"], ".3f"))
    console.print(rates)
    if found is None:
        console.print("\nno rate that was tried was held")
        return
    latencies = table_of("milliseconds", *found["generator_late"] or ())
    for name, row in {"all": found["milliseconds"], **found["stages"]}.items():
        latencies.add_row(name, *(f"{value:.2f}" for value in (row or {}).values()))
    console.print("")
    console.print(latencies)
    refused = [f"{count:,} with {status}" for status, count in found["refused"].items()]
    refused += [f"{count:,} without an answer ({reason})" for reason, count in found["reasons"].items()]
    console.print(
        f"\n{found['requests']:,} requests, {found['offered_per_second']:.1f}/s: {found['scored']:,} scored, "
        f"{found['scored_after_deadline']:,} of them after the deadline; refused: "
        f"{', '.join(refused) or 'none'}"
    )
    memory = [result["server_megabytes"][when] for when in ("begin", "end")]
    cores = "?" if result["server_cores"] is None else f"{result['server_cores']:.2f}"
    console.print(
        f"cores: server {cores}, generator {found['generator_cores']:.2f}; "
        f"memory of the server: {' to '.join('?' if one is None else f'{one:.1f}' for one in memory)} MB; "
        f"answers checked: {result['answers_checked']}"
    )
    if not found["kept_up"]:
        late = found["generator_late"]["p99"]
        console.print(
            f"the generator did not keep up: it sent one in a hundred requests {late:.1f} ms late or later, "
            "which counts as latency; keep other work off this machine, or choose a lower rate"
        )
