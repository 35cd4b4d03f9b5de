"""What a shop's visitors did, as Google Analytics exports it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from tests.data.sources.table.samples.making import Draw, events, sample, when

_PARAMETERS = pa.list_(
    pa.struct(
        [
            ("key", pa.string()),
            (
                "value",
                pa.struct(
                    [("string_value", pa.string()), ("int_value", pa.int64()), ("float_value", pa.float64()),
                     ("double_value", pa.float64())]
                ),
            ),
        ]
    )
)  # fmt: skip
_ITEM = ("item_id", "item_name", "item_brand", "item_category")
GA4 = pa.schema(
    [
        ("event_date", pa.string()),
        ("event_timestamp", pa.int64()),
        ("event_name", pa.string()),
        ("event_params", _PARAMETERS),
        ("user_id", pa.string()),
        ("user_pseudo_id", pa.string()),
        ("device", pa.struct([("category", pa.string()), ("operating_system", pa.string())])),
        (
            "items",
            pa.list_(
                pa.struct(
                    [*((n, pa.string()) for n in _ITEM), ("price", pa.float64()), ("quantity", pa.int64())]
                )
            ),
        ),
    ]
)


@sample("ga4")
def _ga4(folder: Path, draw: Draw) -> int:
    def value(**one: Any) -> dict[str, Any]:
        return {name: one.get(name) for name in ("string_value", "int_value", "float_value", "double_value")}

    def item(i: int) -> dict[str, Any]:
        brand, category = (None if i % 5 == 0 else f"b{i % 4}"), f"Apparel/c{i % 7}"
        return {"item_id": f"GGOE{i:04}", "item_name": f"Tee {i}", "item_brand": brand,
                "item_category": category, "price": i + 0.5, "quantity": None}  # fmt: skip

    def row(k: int, u: int, i: int, t: int) -> dict[str, Any]:
        event = draw.choice(["view_item"] * 8 + ["add_to_cart", "purchase", "page_view"])
        items = {"purchase": [i, i % 40 + 1], "page_view": []}.get(event, [i])
        parameters = {
            "ga_session_id": value(int_value=t),
            "page_location": value(string_value=f"https://x/{i}"),
        }
        if event == "purchase":
            parameters["value"] = value(double_value=9.5)
        return {
            "event_date": when(t, "%Y%m%d"), "event_timestamp": t * 1_000_000 + k, "event_name": event,
            "event_params": [{"key": key, "value": one} for key, one in parameters.items()],
            "user_id": None, "user_pseudo_id": f"{1_000_000 + u}.{u}",
            "device": {"category": ["mobile", "desktop"][u % 2], "operating_system": "Web"},
            "items": [item(one) for one in items],
        }  # fmt: skip

    rows = [row(k, u, i, t) for k, (u, i, t, _) in enumerate(events(draw))]
    (folder / "events").mkdir()
    for part in range(2):
        half = rows[part * draw.rows // 2 : (part + 1) * draw.rows // 2]
        pa.parquet.write_table(pa.Table.from_pylist(half, GA4), folder / "events" / f"{part:012}.parquet")
    return sum(len(row["items"]) for row in rows)
