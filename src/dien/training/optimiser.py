"""Adam whose step costs what a batch touches, not what the vocabulary holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from dien.ops import adam_rows, sum_by_row


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

    Args:
        parameters: of any floating type; a parameter's gradients are either always dense or always sparse.
        lr: step size.
        betas: decay rates of the first and second moment.
        eps: added to the denominator.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

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
        rows, of_rows = sum_by_row(gradient._indices()[0], gradient._values(), table.shape[0])  # [n], [n, D]
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
