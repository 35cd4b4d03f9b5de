"""The short table of what is found in a dataset folder."""

from __future__ import annotations

from dien.data.inspection.distribution import Distribution
from dien.data.inspection.inspect import Inspection


def summary_rows(inspection: Inspection) -> dict[str, str | int]:
    """Make the rows of a short table: sizes, splits, repeats, unknown ids, leaks, and the largest drift."""
    rows: dict[str, str | int] = {
        "users": inspection.users,
        "items": inspection.items,
        "behaviours": inspection.behaviours,
        "behaviours of a user": _middle(inspection.history),
    }
    for name, facts in inspection.splits.items():
        rows[name] = (
            f"{facts.impressions:,} impressions, {facts.rows:,} rows, {_percent(facts.click_rate)} clicked"
        )
        rows[f"{name}: history"] = _middle(facts.history)
        rows[f"{name}: clicks on an item of the history"] = _percent(facts.repeated_clicks)
        if (weights := facts.weights) is not None and weights.mean is not None:
            rows[f"{name}: weights"] = (
                f"mean {weights.mean:.4g}, {weights.least:.4g} to {weights.most:.4g}, "
                f"{_percent(weights.zero)} are 0"
            )
        if facts.unknown_conversions is not None:
            rows[f"{name}: conversions"] = (
                f"{_percent(facts.conversion_rate)} of clicks, {facts.unknown_conversions:,} are not known"
            )
        if name == "train":
            rows["train: steps that are targets"] = (
                "not known: each row has its history"
                if inspection.info.own_histories
                else _percent(inspection.target_steps)
            )
        else:
            rows[f"{name}: rows of unknown items"] = _percent(facts.unknown_item_rows)
            rows[f"{name}: clicks on unknown items"] = _percent(facts.unknown_item_clicks)
            rows[f"{name}: rows of unknown users"] = _percent(facts.unknown_user_rows)
    drifts = [
        (drift.distance.psi, drift)
        for drift in inspection.drift
        if drift.distance is not None and drift.distance.beyond_chance
    ]
    if drifts:
        psi, drift = max(drifts, key=lambda found: found[0])
        rows["largest drift (PSI)"] = f"{psi:.3f} {drift.feature}, {drift.split}"
    rows["impressions that leak"] = inspection.leaks
    for found in inspection.telling:
        rows[f"tells the label alone: {found.feature}"] = f"AUC {found.auc:.3f} (held-out training rows)"
    return rows


def _middle(lengths: Distribution) -> str:
    if not lengths.count:
        return "-"
    return f"median {lengths.quantiles['50']:,}, 90 % up to {lengths.quantiles['90']:,}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.1%}"
