"""Adam whose step costs what a batch touches, not what the vocabulary holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from dien.ops import adam_rows, sum_by_row

_NOT_HERE = ("amsgrad", "maximize", "momentum", "nesterov", "dampening")
"""Options of torch's optimisers that would change what a step does."""


class RowAdam(torch.optim.Optimizer):
    """Adam (Kingma & Ba, 2015) with row-wise updates of embedding tables.

    Parameters with dense gradients are updated as by :class:`torch.optim.Adam`. Of a table with sparse
    gradients (``nn.Embedding(sparse=True)``) a step reads and writes only the rows it was given:

    - A row in the step gets dense Adam's update, with its moments as dense Adam would hold them: the steps
      it was not touched in are made up for by one factor, ``beta ** k`` for the ``k`` steps since the last.
    - A row not in the step keeps its weights and its stored moments. This is the one departure from dense
      Adam, which goes on pushing such rows along their old momentum. ``torch.optim.SparseAdam`` does not
      decay moments either, so that a rare row's update follows a momentum that is thousands of steps old.

    Where every row is touched in every step the three are the same.

    Weight decay is decoupled, as in AdamW (Loshchilov & Hutter, 2019), and follows the same rule: a step
    first multiplies what it updates by ``1 - lr * weight_decay``, dense parameters whole, of a table the rows
    in the step. A row not in the step is not decayed, then or later: a rare item's embedding is shrunk as
    often as it is trained, as by the mini-batch aware regularisation of DIN (Zhou et al., 2018).

    Gradients may be clipped before (:func:`clip_gradients`). Learning rate schedulers of torch work as they
    do with Adam.

    Args:
        parameters: of any floating type, or groups of them with options of their own; a parameter's gradients
            are either always dense or always sparse.
        lr: step size.
        betas: decay rates of the first and second moment.
        eps: added to the denominator.
        weight_decay: decoupled, >= 0.

    Raises:
        ValueError: an option is out of its range, or a group has one of torch's that there is not here, as
            ``amsgrad``.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own, of which the others are the defaults.

        Raises:
            ValueError: as the class.
        """
        group = {**self.defaults, **param_group}
        for name in ("lr", "eps", "weight_decay"):
            if not 0 <= group[name] < math.inf:
                raise ValueError(f"RowAdam: {name} is {group[name]}; expected a number >= 0")
        if len(group["betas"]) != 2 or not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"RowAdam: betas are {group['betas']}; expected two numbers in [0, 1)")
        for name in _NOT_HERE:
            if group.get(name):
                expected = ", ".join(self.defaults)
                raise ValueError(f"RowAdam has no option {name}; expected some of: {expected}")
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("weight_decay", 0.0)  # of a state that an earlier version has saved

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            dense: list[Tensor] = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                was_sparse = "touched" in state if (state := self.state.get(parameter)) else None
                if was_sparse is (not parameter.grad.is_sparse):
                    now = "dense" if was_sparse else "sparse"
                    raise ValueError(
                        f"RowAdam: a gradient of shape {list(parameter.shape)} is {now}, those before were "
                        "not; make a new optimiser when sparse_gradients changes"
                    )
                if not parameter.grad.is_sparse:
                    dense.append(parameter)
                elif parameter.grad._nnz():
                    self._update_rows(parameter, group)
            if dense:
                self._update_dense(dense, group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state exactly: torch alone would turn the step numbers into the weights' type."""
        super().load_state_dict(state_dict)
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, saved in state_dict["state"].items():
            device = parameters[index].device
            self.state[parameters[index]] = {
                key: value.to(device, copy=True) if isinstance(value, Tensor) else value
                for key, value in saved.items()
            }

    def _update_dense(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        states = [self.state[parameter] for parameter in parameters]
        adam(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )

    def _update_rows(self, table: Tensor, group: dict[str, Any]) -> None:
        """One step of the ``n`` rows that the gradient of a table ``[V, D]`` names."""
        state = self.state[table]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(table)  # [V, D]
            state["exp_avg_sq"] = torch.zeros_like(table)  # [V, D]
            state["touched"] = torch.zeros(table.shape[0], dtype=torch.int32, device=table.device)  # [V]
        state["step"] += 1
        gradient = table.grad
        assert gradient is not None
        rows, of_rows = _by_row(gradient)  # [n], [n, D]
        if group["weight_decay"]:
            decayed = table.index_select(0, rows).mul_(1 - group["lr"] * group["weight_decay"])  # [n, D]
            table.index_copy_(0, rows, decayed)
        adam_rows(
            table,
            rows,
            of_rows,
            state["exp_avg"],
            state["exp_avg_sq"],
            state["touched"],
            step=state["step"],
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
        )


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scale gradients, sparse ones too, down to a norm over all: ``torch.nn.utils.clip_grad_norm_``.

    Args:
        parameters: those without a gradient are passed over.
        max_norm: of the gradients together, > 0.

    Returns:
        Their norm before, a scalar.

    Raises:
        ValueError: ``max_norm`` is not above 0.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_gradients: max_norm is {max_norm}; expected a number above 0")
    values: list[Tensor] = []
    for parameter in parameters:
        if (gradient := parameter.grad) is None:
            continue
        if gradient.is_sparse:
            # Values of one row in several places count together.
            rows, of_rows = _by_row(gradient)
            gradient = parameter.grad = torch.sparse_coo_tensor(
                rows[None], of_rows, gradient.shape, is_coalesced=True, check_invariants=False
            )
            values.append(gradient._values())
        else:
            values.append(gradient)
    if not values:
        return torch.zeros(())
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in values]))
    torch._foreach_mul_(values, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def _by_row(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Give the distinct rows ``[n]`` of a sparse gradient ``[V, D]`` and their values ``[n, D]``."""
    rows, values = gradient._indices()[0], gradient._values()
    # Those of gather_rows are distinct already, and need not be looked through to find that out.
    return (rows, values) if gradient.is_coalesced() else sum_by_row(rows, values, gradient.shape[0])
