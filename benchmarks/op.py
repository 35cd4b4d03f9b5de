"""Time of the recurrence against its peers, and against the machine's peak of fused multiply-adds.

Every contestant turns inputs of width H into last states, input projection included. The shapes are 1,024
training rows (lengths geometric with mean 15, at most 100; or all 100) and a request of 200 candidates for
one history of 100 steps. Ours reads packed inputs, peers the padded ones they are made for, prepared
beforehand. Contestants take turns within a round; a ratio is a peer's time over ours in the same round:
median and quartiles over rounds.

oneDNN's AUGRU needs a C++ compiler and its headers (Debian: libdnnl-dev) and is left out where they are
missing. It computes the authors' form; its states are held against ours of kind ``augru-complement`` before
anything is timed, and its gradients where all scores are zero: elsewhere version 2.6 differentiates
``(1 - u) n`` for ``(1 - (1 - a) u) n``.
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.memory import kept_memory
from dien.ops import attention_gru_layer, cpu
from dien.ops.attention_gru import cpu as backend
from dien.ops.attention_gru.arguments import Arguments
from dien.packed import Packed, Pairs, lengths_to_offsets

HIDDEN = (36, 64, 128)


@dataclass
class Problem:
    """Rows of one shape, packed and padded, and the weights every contestant shares."""

    name: str
    pairs: Pairs
    x: Tensor  # [N, H]
    scores: Tensor  # [P]
    padded_x: Tensor  # [B, T, H]
    padded_scores: Tensor  # [B, T, 1]
    gru: nn.GRU

    @property
    def leaves(self) -> list[Tensor]:
        """What gradients are asked for."""
        return [self.x, self.scores, self.padded_x, self.padded_scores, *self.gru.parameters()]


def problem(name: str, hidden: int, histories: Tensor, candidates: int = 1) -> Problem:
    """Random inputs of histories [R] of these lengths, each for so many candidates."""
    history_of = torch.arange(len(histories)).repeat_interleave(candidates)
    pairs = Pairs.of_histories(lengths_to_offsets(histories), history_of)
    x, scores = torch.randn(int(histories.sum()), hidden), torch.rand(len(pairs.row))
    offsets, longest = lengths_to_offsets(pairs.lengths), int(histories.max())
    return Problem(
        name,
        pairs,
        x,
        scores,
        Packed(x[pairs.step], offsets).to_padded(longest),
        Packed(scores[:, None], offsets).to_padded(longest),
        nn.GRU(hidden, hidden, batch_first=True),
    )


def ours(p: Problem, kind: str = "augru") -> Tensor:
    weights = p.gru.weight_ih_l0, p.gru.weight_hh_l0, p.gru.bias_ih_l0, p.gru.bias_hh_l0
    scores = None if kind == "gru" else p.scores
    return attention_gru_layer(p.x, *weights, p.pairs.starts, p.pairs.lengths, scores, kind=kind)


def ours_as_gru(p: Problem) -> Tensor:
    return ours(p, "gru")


def reference(p: Problem) -> Tensor:
    with cpu.backend("reference"):
        return ours(p)


def cell(p: Problem, x: Tensor, h: Tensor, scores: Tensor) -> Tensor:
    """Take a step of AUGRU, as RecBole writes it."""
    i_r, i_u, i_n = F.linear(x, p.gru.weight_ih_l0, p.gru.bias_ih_l0).chunk(3, 1)
    h_r, h_u, h_n = F.linear(h, p.gru.weight_hh_l0, p.gru.bias_hh_l0).chunk(3, 1)
    u = torch.sigmoid(i_u + h_u) * scores.view(-1, 1)
    n = torch.tanh(i_n + torch.sigmoid(i_r + h_r) * h_n)
    return (1 - u) * h + u * n


def step_loop(p: Problem) -> Tensor:
    """Do as RecBole's DynamicRNN and its caller: put every step's states into place, take the last."""
    x, batch_sizes, order, places = pack(p.padded_x, p)
    scores = pack(p.padded_scores, p).data
    h = x.new_zeros(int(batch_sizes[0]), x.shape[1])
    states, begin = torch.zeros_like(x), 0
    for rows in batch_sizes.tolist():
        now = slice(begin, begin + rows)
        h = cell(p, x[now], h[:rows], scores[now])
        states[now] = h
        begin += rows
    packed = nn.utils.rnn.PackedSequence(states, batch_sizes, order, places)
    padded, lengths = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    return padded[torch.arange(len(lengths)), lengths - 1]


def lean_loop(p: Problem) -> Tensor:
    """Do the least that a Python loop over steps can: no state is kept but the last of each row."""
    x, batch_sizes, *_ = pack(p.padded_x, p)
    scores = pack(p.padded_scores, p).data
    h = x.new_zeros(int(batch_sizes[0]), x.shape[1])
    ended, begin = [], 0
    for rows in batch_sizes.tolist():
        if rows < len(h):
            ended.append(h[rows:])
            h = h[:rows]
        now = slice(begin, begin + rows)
        h = cell(p, x[now], h, scores[now])
        begin += rows
    return torch.cat([h, *reversed(ended)])


def torch_gru(p: Problem) -> Tensor:
    """Run the GRU of torch, which takes no scores: to be held against ours of kind ``gru``."""
    last: Tensor = p.gru(pack(p.padded_x, p))[1][0]
    return last


def pack(padded: Tensor, p: Problem) -> nn.utils.rnn.PackedSequence:
    return nn.utils.rnn.pack_padded_sequence(padded, p.pairs.lengths, batch_first=True, enforce_sorted=False)


def forward(contestant: Callable[[Problem], Tensor], p: Problem) -> None:
    with torch.no_grad():
        contestant(p)


def forward_and_backward(contestant: Callable[[Problem], Tensor], p: Problem) -> None:
    for leaf in p.leaves:
        leaf.requires_grad_().grad = None
    contestant(p).sum().backward()


class OneDNN:
    """oneDNN's AUGRU in a process of its own, with one problem."""

    def __init__(self, program: Path, p: Problem, threads: int, folder: Path) -> None:
        self.p, self.answer = p, folder / "answer"
        lengths, (B, T, H) = p.pairs.lengths, p.padded_x.shape
        of_last = torch.zeros(B, T, H)
        of_last[torch.arange(B), lengths - 1] = 1
        with (folder / "problem").open("wb") as file:
            for tensor in (
                p.padded_x.transpose(0, 1),
                p.padded_scores.transpose(0, 1),
                *self.weights_of(p),
                of_last.transpose(0, 1),
            ):
                file.write(tensor.detach().contiguous().numpy().tobytes())
        self.process = subprocess.Popen(
            [program, str(T), str(B), str(H), folder / "problem"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )

    @staticmethod
    def weights_of(p: Problem) -> tuple[Tensor, Tensor, Tensor]:
        """Input and recurrent weights [H, 3, H] and bias [4, H] in the order update, reset, candidate."""
        H = p.gru.hidden_size
        order = [1, 0, 2]
        of_input, of_state = (w.view(3, H, H)[order] for w in (p.gru.weight_ih_l0, p.gru.weight_hh_l0))
        i, h = (b.view(3, H)[order] for b in (p.gru.bias_ih_l0, p.gru.bias_hh_l0))
        return of_input.permute(2, 0, 1), of_state.permute(2, 0, 1), torch.cat([i[:2] + h[:2], i[2:], h[2:]])

    def ask(self, request: str) -> float:
        """Have it run; seconds it took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def results(self) -> list[Tensor]:
        """Last states and the gradient of the input weights of the last run."""
        self.ask(f"write {self.answer}")
        lengths, (B, T, H) = self.p.pairs.lengths, self.p.padded_x.shape
        sizes = (B * T * H, B * T * H, B * T, 3 * H * H)
        states, _, _, of_weight = torch.from_numpy(np.fromfile(self.answer, np.float32))[: sum(sizes)].split(
            sizes
        )
        last = states.view(T, B, H)[lengths - 1, torch.arange(B)]
        return [last, of_weight.view(H, 3, H).permute(1, 2, 0)[[1, 0, 2]].reshape(3 * H, H)]

    def close(self) -> None:
        """End its process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def check_onednn(program: Path, folder: Path) -> None:
    """Hold its states against ours, and its gradients where all scores are zero."""
    p = problem("check", 36, torch.tensor([7, 1, 20]))
    for scores_are_zero in (False, True):
        if scores_are_zero:
            p.scores, p.padded_scores = torch.zeros_like(p.scores), torch.zeros_like(p.padded_scores)
        peer = OneDNN(program, p, 1, folder)
        peer.ask("both")
        states, of_weight = peer.results()
        peer.close()
        expected = ours(p, "augru-complement")
        torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)
        if scores_are_zero:
            expected.sum().backward()
            torch.testing.assert_close(of_weight, p.gru.weight_ih_l0.grad, rtol=1e-4, atol=1e-5)


def compiled_onednn(folder: Path) -> Path | None:
    """Compile onednn_augru.cpp, where oneDNN is installed."""
    program, source = folder / "onednn_augru", Path(__file__).with_name("onednn_augru.cpp")
    done = subprocess.run(["c++", "-O2", "-std=c++17", source, "-o", program, "-ldnnl"], capture_output=True)
    if done.returncode:
        print("without oneDNN, which does not compile here: install libdnnl-dev")
        return None
    check_onednn(program, folder)
    return program


def seconds(run: Callable[[], object]) -> float:
    """Time a run, or take the seconds it measured itself."""
    time.sleep(0.005)  # the last contestant's threads wait for work a while before they sleep
    begin = time.perf_counter()
    measured = run()
    return measured if isinstance(measured, float) else time.perf_counter() - begin


def rounds_of(runs: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Time every run once a round, after a round that does not count: [run][round]."""
    times = [[seconds(run) for run in runs] for _ in range(rounds + 1)]
    return [list(column) for column in zip(*times[1:], strict=True)]


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def peak(folder: Path) -> Callable[[], float]:
    """Compile fma_peak.c; the result measures operations a second on one core."""
    library = folder / "fma_peak.so"
    source = Path(__file__).with_name("fma_peak.c")
    subprocess.run(["cc", "-O3", "-march=native", "-fPIC", "-shared", source, "-o", library], check=True)
    run = ctypes.CDLL(str(library)).fma_peak
    run.restype = ctypes.c_double

    def measure() -> float:
        sink = ctypes.c_float(1)
        begin = time.thread_time()
        operations = float(run(ctypes.c_long(400_000), ctypes.byref(sink)))
        return operations / (time.thread_time() - begin)

    return measure


def share_of_peak(p: Problem, backward: bool, measure: Callable[[], float], rounds: int) -> list[float]:
    """Per cent of what one core could do in the time of the recurrence that its products are, gates given."""
    weight, bias = (w.detach() for w in (p.gru.weight_hh_l0, p.gru.bias_hh_l0))
    gates = torch.randn(len(p.x), 3 * p.gru.hidden_size)
    rows = p.pairs.starts, p.pairs.lengths
    given = Arguments(gates, None, weight, None, bias, *rows, p.scores.detach(), None, "augru")
    last, states, activations = backend.forward(given, backward, backward)

    def run() -> None:
        if backward:
            backend.backward(given, torch.ones_like(last), None, states, activations)
        else:
            backend.forward(given, False, False)

    products = 2 if backward else 1  # gradients of states, gradients of weights
    operations = products * 6 * p.gru.hidden_size**2 * len(p.scores)
    run()
    shares = []
    for _ in range(rounds):
        begin = time.thread_time()  # not of others on the same processor
        run()
        shares.append(100 * operations / (time.thread_time() - begin) / measure())
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--hidden", type=int, nargs="+", default=HIDDEN)
    parser.add_argument("--shapes", nargs="+", default=("mean 15", "all 100", "request"))
    parser.add_argument(
        "--keep-memory", action="store_true", help="as training does; it speeds peers up more"
    )
    arguments = parser.parse_args()
    torch.manual_seed(0)
    geometric = torch.empty(1024).geometric_(1 / 15).clamp_(max=100).long()
    peers = (step_loop, lean_loop, reference, torch_gru)
    print(f"backend {cpu.backends()[0]}, {arguments.threads} threads, {arguments.rounds} rounds")
    print("times in ms; ratios: peer over ours, median [quartiles]; torch.nn.GRU against ours of kind gru")
    names = ("step loop", "lean loop", "reference", "torch.nn.GRU", "oneDNN", "% of peak, 1 core")
    print(f"{'':42}{'ours':>9}" + "".join(f"{name:>22}" for name in names))
    with tempfile.TemporaryDirectory() as name, kept_memory() if arguments.keep_memory else nullcontext():
        folder = Path(name)
        measure, onednn = peak(folder), compiled_onednn(folder)
        for hidden in arguments.hidden:
            shapes = [
                problem("mean 15", hidden, geometric),
                problem("all 100", hidden, torch.full((1024,), 100)),
                problem("request", hidden, torch.tensor([100]), candidates=200),
            ]
            for p in shapes:
                if p.name not in arguments.shapes:
                    continue
                peer = OneDNN(onednn, p, arguments.threads, folder) if onednn else None
                for mode in (forward, forward_and_backward):
                    if mode is forward_and_backward and p.name == "request":
                        continue
                    torch.set_num_threads(arguments.threads)
                    runs: list[Callable[[], object]] = [
                        partial(mode, contestant, p) for contestant in (ours, ours_as_gru, *peers)
                    ]
                    bases = [0, 0, 0, 1]
                    if peer is not None:
                        runs.append(partial(peer.ask, "forward" if mode is forward else "both"))
                        bases.append(0)
                    times = rounds_of(runs, arguments.rounds)
                    ratios = [
                        spread([t / o for t, o in zip(theirs, times[base], strict=True)])
                        for theirs, base in zip(times[2:], bases, strict=True)
                    ]
                    torch.set_num_threads(1)
                    of_peak = share_of_peak(p, mode is forward_and_backward, measure, arguments.rounds)
                    label = f"H {hidden}, {p.name}, {mode.__name__.replace('_', ' ')}"
                    row = [*ratios, *([] if peer else ["-"]), spread(of_peak)]
                    print(
                        f"{label:42}{1e3 * statistics.median(times[0]):9.2f}"
                        + "".join(f"{cell:>22}" for cell in row),
                        flush=True,
                    )
                if peer is not None:
                    peer.close()


if __name__ == "__main__":
    main()
