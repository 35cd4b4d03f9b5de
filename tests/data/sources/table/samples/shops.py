"""What people looked at and bought in shops."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.data.sources.table.samples.making import START, Draw, events, sample, when, write_text


@sample("taobao-userbehavior")
def _taobao_userbehavior(folder: Path, draw: Draw) -> None:
    kinds = ["pv"] * 8 + ["cart", "fav", "buy"]
    write_text(
        folder / "UserBehavior.csv",
        "",
        ((u, i, 1000 + i % 7, draw.choice(kinds), t - 138_400_000) for u, i, t, _ in events(draw)),
    )


@sample("rees46")
def _rees46(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        (
            (when(t - 80_000_000, "%Y-%m-%d %H:%M:%S UTC"), draw.choice(["view"] * 8 + ["cart", "purchase"]),
             1_003_461 + i, 2_053_013_555_631_882_655 + i % 7, f"electronics.c{i % 7}" if i % 3 else "",
             "" if i % 4 == 0 else f"b{i % 9}", f"{i + draw.random():.2f}", 520_088_904 + u,
             f"4d3b30da-a5e4-49df-b1a8-ba5943f1d{u:03}")
            for u, i, t, _ in events(draw)
        ),
    )  # fmt: skip


@sample("retailrocket")
def _retailrocket(folder: Path, draw: Draw) -> None:
    def row(u: int, i: int, t: int) -> list[Any]:
        event = draw.choice(["view"] * 8 + ["addtocart", "transaction"])
        return [(t - 217_000_000) * 1000 + 527, u, event, i, u if event == "transaction" else ""]

    rows = [row(u, i, t) for u, i, t, _ in events(draw)]
    draw.shuffle(rows)
    write_text(folder / "events.csv", "timestamp,visitorid,event,itemid,transactionid", rows)
    properties: list[list[Any]] = []
    for i in range(1, 41):
        week = (START - 217_000_000 + 300_000 * draw.randrange(4)) * 1000
        properties += [
            [week, i, "categoryid", 1000 + i % 7],
            [week, i, "888", "1116713 960601 n277.200"],
            [week, i, "790", f"n{i * 240}.000"],
        ]
        for k in range(1 + 3 * (i % 2)):  # of every other item it changes
            properties.append([week + 300_000_000 * k, i, "available", (i + k) % 2])
    draw.shuffle(properties)
    for part, some in ((1, properties[::2]), (2, properties[1::2])):
        write_text(folder / f"item_properties_part{part}.csv", "timestamp,itemid,property,value", some)


@sample("h-m")
def _h_m(folder: Path, draw: Draw) -> None:
    header = (
        "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,"
        "graphical_appearance_no,graphical_appearance_name,colour_group_code,colour_group_name,"
        "perceived_colour_value_id,perceived_colour_value_name,perceived_colour_master_id,"
        "perceived_colour_master_name,department_no,department_name,index_code,index_name,index_group_no,"
        "index_group_name,section_no,section_name,garment_group_no,garment_group_name,detail_desc"
    )
    articles = (
        (f"{108_775_000 + i:010}", f"{108_775:07}", "Strap top", 253 + i % 4, "Vest top", "Garment Upper",
         "1010016", "Solid", f"{9 + i % 3:02}", "Black", 4, "Dark", 5, "Black", 1676, "Jersey Basic", "A",
         "Ladieswear", 1, "Ladieswear", 16, "Womens Everyday Basics", 1002, "Jersey Basic", '"a, ""b"" c"')
        for i in range(1, 41)
    )  # fmt: skip
    write_text(folder / "articles.csv", header, articles)
    write_text(
        folder / "transactions_train.csv",
        "t_dat,customer_id,article_id,price,sales_channel_id",
        (
            (
                when(t - 110_000_000, "%Y-%m-%d"),
                f"{u:064x}",
                f"{108_775_000 + i:010}",
                round(0.001 * (9 * i + draw.randrange(3)), 3),
                1 + draw.randrange(2),
            )
            for u, i, t, _ in events(draw)
        ),
    )
    write_text(
        folder / "customers.csv",
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code",
        (
            (f"{u:064x}", "", "", "ACTIVE", "NONE" if u % 2 else "Regularly", 20 + u % 30, f"{u:064x}")
            for u in draw.users
        ),
    )


@sample("ta-feng")
def _ta_feng(folder: Path, draw: Draw) -> None:
    def day(time: int) -> str:
        at = datetime.fromtimestamp(time, timezone.utc)
        return f"{at.month}/{at.day}/{at.year}"

    write_text(
        folder / "ta_feng_all_months_merged.csv",
        "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE",
        (
            (day(t - 677_000_000), 1_104_905 + u, ["45-49", "25-29", ""][u % 3], 115, 110_411 + i % 7,
             4_710_199_010_372 + i, draw.randrange(1, 4), 20 + i, 30 + i + draw.randrange(3))
            for u, i, t, _ in events(draw)
        ),
    )  # fmt: skip


@sample("yoochoose")
def _yoochoose(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "yoochoose-clicks.dat",
        "",
        (
            (
                u,
                when(t - 253_000_000, "%Y-%m-%dT%H:%M:%S.277Z"),
                214_536_500 + i,
                draw.choice(["0", "S", "1"]),
            )
            for u, i, t, _ in events(draw)
        ),
    )


@sample("diginetica")
def _diginetica(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "train-item-views.csv",
        "sessionId;userId;itemId;timeframe;eventdate",
        (
            (u, "NA" if u % 4 else 9000 + u, 81_000 + i, t % 86_400 * 1000 + 309, when(t, "%Y-%m-%d"))
            for u, i, t, _ in events(draw)
        ),
        ";",
    )
    write_text(
        folder / "product-categories.csv",
        "itemId;categoryId",
        ((81_000 + i, i % 7) for i in range(1, 41)),
        ";",
    )


@sample("tmall")
def _tmall(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "user_log_format1.csv",
        "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type",
        (
            (u, 1000 + i, i % 7, i % 9, "" if i % 8 == 0 else i % 5, when(t + 2_300_000, "%m%d"),
             draw.choice([0] * 8 + [1, 2, 3]))
            for u, i, t, _ in sorted(events(draw), key=lambda event: (event[0], event[1]))
        ),
    )  # fmt: skip
    write_text(
        folder / "user_info_format1.csv",
        "user_id,age_range,gender",
        ((u, "" if u % 6 == 0 else u % 9, "" if u % 7 == 0 else u % 3) for u in draw.users),
    )
