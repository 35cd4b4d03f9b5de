"""What a schema says of how the interactions are written, for files that are cut from them later."""

from __future__ import annotations

from dien.data.log_form import LogForm
from dien.data.sources.table.spec import TableSpec
from dien.data.sources.table.time_keys import columns_of, parser_of


def form_of(spec: TableSpec) -> LogForm:
    """Name the columns of the interactions and how their files are written.

    Of a log whose rows hold pages there is no column of an item.
    """
    roles = spec.interactions
    columns: dict[str, tuple[str, ...]] = {"user": (roles.user,)}
    if roles.page is None:
        columns["item"] = (roles.item_column,)
    if times := columns_of(roles.time):
        columns["time"] = times
    separators = {}
    for side, name, feature in spec.features.named():
        of_log = side == "context" or feature.from_ is not None
        if of_log and feature.timed is None:
            columns[name] = (feature.column or name,)
        if of_log and (separator := getattr(feature, "separator", None)) is not None:
            separators[name] = separator
    clock = parser_of(roles).clock
    return LogForm(columns=columns, clock=clock, separators=separators, text=roles.kept())
