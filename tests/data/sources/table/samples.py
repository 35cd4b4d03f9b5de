"""Small made samples of published data sets, in their exact formats: 60 users, 40 items, random clicks."""

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl

ROWS = 600
"""Events of a sample; of pages, candidates are more."""
_START = 1_650_000_000  # 2022-04-15 05:20:00 UTC
_STEP = 2_000  # seconds: 600 events in two weeks

Make = Callable[[Path, random.Random], int | None]
SAMPLES: dict[str, Make] = {}
"""What writes the files of a sample into a folder, by the name of its ready schema."""


def write(name: str, folder: Path) -> int:
    """Write the files of a sample, as they are called where they are published; returns its candidates."""
    return SAMPLES[name](folder, random.Random(name)) or ROWS


def _sample(name: str) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        SAMPLES[name] = make
        return make

    return add


def _events(draw: random.Random, share: float = 0.4) -> Iterator[tuple[int, int, int, int]]:
    """Users from 1, items from 1, times and random clicks, in order of time."""
    for k in range(ROWS):
        yield draw.randrange(1, 61), draw.randrange(1, 41), _START + k * _STEP, int(draw.random() < share)


def _when(time: int, format: str) -> str:
    return datetime.fromtimestamp(time, timezone.utc).strftime(format)


def _text(path: Path, header: str, rows: Iterator[Sequence[Any]] | list[Any], separator: str = ",") -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [header] if header else []
    lines += [separator.join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _json(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, 1) if path.suffix == ".gz" else text)


@_sample("taobao-ads")
def _taobao_ads(folder: Path, draw: random.Random) -> None:
    _text(
        folder / "raw_sample.csv",
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
        ((u, t, i, draw.choice(["430548_1007", "430539_1007"]), 1 - c, c) for u, i, t, c in _events(draw)),
    )
    _text(
        folder / "ad_feature.csv",
        "adgroup_id,cate_id,campaign_id,customer,brand,price",
        ((i, i % 7, i // 2, i // 3, "NULL" if i % 5 == 0 else i % 9, f"{i * 3}.0") for i in range(1, 41)),
    )
    _text(
        folder / "user_profile.csv",
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
        "new_user_class_level ",
        ((u, 0, u % 9, 1 + u % 2, u % 6, "" if u % 2 else u % 3, 3, 0, u % 4) for u in range(1, 61)),
    )


@_sample("taobao-userbehavior")
def _taobao_userbehavior(folder: Path, draw: random.Random) -> None:
    kinds = ["pv"] * 8 + ["cart", "fav", "buy"]
    _text(
        folder / "UserBehavior.csv",
        "",
        ((u, i, 1000 + i % 7, draw.choice(kinds), t - 138_400_000) for u, i, t, _ in _events(draw)),
    )


@_sample("mind")
def _mind(folder: Path, draw: random.Random) -> int:
    candidates = 0
    for part, start in ("train", 0), ("dev", 400_000):
        past = {u: " ".join(f"N{draw.randrange(1, 41)}" for _ in range(u % 5)) for u in range(1, 61)}

        def page() -> str:
            shown = draw.sample(range(1, 41), draw.randrange(2, 6))
            clicked = draw.randrange(len(shown))
            return " ".join(f"N{item}-{int(k == clicked)}" for k, item in enumerate(shown))

        rows = [
            (k, f"U{u}", _clock(t - 76_700_000 + start), past[u], page())
            for k, (u, _, t, _) in enumerate(_events(draw), 1)
        ]
        _text(folder / f"MINDsmall_{part}" / "behaviors.tsv", "", rows[:200], "\t")
        news = (
            (f"N{i}", f"c{i % 4}", f"s{i % 9}", f'the "best of {i}', "", "https://x", "[]", "[]")
            for i in range(1, 41)
        )
        _text(folder / f"MINDsmall_{part}" / "news.tsv", "", news, "\t")
        candidates += sum(len(cells[-1].split()) for cells in rows[:200])
    return candidates


def _clock(time: int) -> str:
    """Write a time as 11/9/2019 1:05:30 PM, without zeros in front."""
    at = datetime.fromtimestamp(time, timezone.utc)
    return f"{at.month}/{at.day}/{at.year} {at.hour % 12 or 12}:{at:%M:%S %p}"


_KUAI_USER = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
    "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,"
    "register_days,register_days_range," + ",".join(f"onehot_feat{k}" for k in range(18))
)


def _kuai_user(u: int) -> list[Any]:
    known = [
        u,
        ["high_active", "full_active"][u % 2],
        0,
        0,
        u % 2,
        u,
        '"(0,10]"',
        u,
        '"[1,10)"',
        0,
        "0",
        u * 9,
    ]
    return [*known, ["31-60", "61-90", "366-730"][u % 3], *(u % (k + 2) for k in range(17)), ""]


@_sample("kuairand")
def _kuairand(folder: Path, draw: random.Random) -> None:
    header = (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,"
        "long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
    )

    def row(u: int, i: int, t: int, c: int) -> list[Any]:
        liked, played = c * int(draw.random() < 0.2), c * draw.randrange(1000, 60_000)
        hour = int(_when(t + 8 * 3600, "%H")) * 100
        at = [u, i, _when(t + 8 * 3600, "%Y%m%d"), hour, t * 1000 + 7]
        seen = [c, liked, 0, 0, 0, 0, int(played > 18_000), played]
        return [*at, *seen, 10_000 + i, 0, 0, 0, 0, draw.randrange(3)]

    rows = [row(*event) for event in _events(draw)]
    _text(folder / "log_standard_4_08_to_4_21_pure.csv", header, rows[:300])
    _text(folder / "log_standard_4_22_to_5_08_pure.csv", header, rows[300:])
    _text(
        folder / "video_features_basic_pure.csv",
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,"
        "server_height,music_id,music_type,tag",
        (
            (i, i // 3, "AD" if i % 9 == 0 else "NORMAL", "2022-04-01", "LongImport", 1, f"{i * 1000}.0",
             720, 1280, i // 4, "9.0", f'"{i % 5},{5 + i % 3}"' if i % 2 else i % 5)
            for i in range(1, 41)
        ),
    )  # fmt: skip
    _text(folder / "user_features_pure.csv", _KUAI_USER, (_kuai_user(u) for u in range(1, 61)))


@_sample("kuairec")
def _kuairec(folder: Path, draw: random.Random) -> None:
    def row(u: int, i: int, t: int) -> list[Any]:
        played, whole = draw.randrange(100, 40_000), 5_000 + i * 100
        date = _when(t, "%Y%m%d")
        return [u, i, played, whole, _when(t, "%Y-%m-%d %H:%M:%S.%f")[:-3], date, f"{t}.438", played / whole]

    header = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio"
    _text(folder / "big_matrix.csv", header, (row(u, i, t) for u, i, t, _ in _events(draw)))
    categories = ((i, f'"[{i % 7}, {7 + i % 3}]"' if i % 2 else f"[{i % 7}]") for i in range(1, 41))
    _text(folder / "item_categories.csv", "video_id,feat", categories)
    _text(folder / "user_features.csv", _KUAI_USER, (_kuai_user(u) for u in range(1, 61)))


@_sample("rees46")
def _rees46(folder: Path, draw: random.Random) -> None:
    _text(
        folder / "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        (
            (_when(t - 80_000_000, "%Y-%m-%d %H:%M:%S UTC"), draw.choice(["view"] * 8 + ["cart", "purchase"]),
             1_003_461 + i, 2_053_013_555_631_882_655 + i % 7, "" if i % 3 else f"electronics.c{i % 7}",
             "" if i % 4 == 0 else f"b{i % 9}", f"{i + draw.random():.2f}", 520_088_904 + u,
             f"4d3b30da-a5e4-49df-b1a8-ba5943f1d{u:03}")
            for u, i, t, _ in _events(draw)
        ),
    )  # fmt: skip


@_sample("movielens-25m")
def _movielens(folder: Path, draw: random.Random) -> None:
    ratings = [(u, i, draw.randrange(1, 11) / 2, t) for u, i, t, _ in _events(draw)]
    _text(folder / "ratings.csv", "userId,movieId,rating,timestamp", sorted(ratings))
    _text(
        folder / "movies.csv",
        "movieId,title,genres",
        (
            (i, f'"Film {i}, The (1995)"', "(no genres listed)" if i == 9 else f"Drama|g{i % 5}")
            for i in range(1, 41)
        ),
    )


@_sample("amazon-2018")
def _amazon_2018(folder: Path, draw: random.Random) -> None:
    _json(
        folder / "All_Beauty.json.gz",
        (
            {"overall": float(draw.randrange(1, 6)), "verified": True, "reviewTime": _when(t, "%m %d, %Y"),
             "reviewerID": f"A{u}", "asin": f"{i:010}", "style": {"Size:": " 1"}, "reviewerName": 'J. "Q"',
             "reviewText": "good", "summary": "ok", "unixReviewTime": t - t % 86_400}
            for u, i, t, _ in _events(draw)
        ),
    )  # fmt: skip
    _json(
        folder / "meta_All_Beauty.json.gz",
        (
            {"category": [] if i % 9 == 0 else ["Beauty", f"c{i % 7}"], "tech1": "", "description": ["x"],
             "title": f"t{i}", "brand": f"b{i % 5}", "price": "$4.50", "asin": f"{i:010}", "also_buy": []}
            for i in [*range(1, 41), 7]
        ),
    )  # fmt: skip


@_sample("amazon-2023")
def _amazon_2023(folder: Path, draw: random.Random) -> None:
    _json(
        folder / "All_Beauty.jsonl.gz",
        (
            {"rating": float(draw.randrange(1, 6)), "title": "ok", "text": "good", "images": [],
             "asin": f"B{i:09}", "parent_asin": f"B{i // 2:09}", "user_id": f"AG{u:026}",
             "timestamp": t * 1000 + 123, "helpful_vote": 0, "verified_purchase": True}
            for u, i, t, _ in _events(draw)
        ),
    )  # fmt: skip
    _json(
        folder / "meta_All_Beauty.jsonl.gz",
        (
            {"main_category": "All Beauty", "title": f"t{i}", "average_rating": 4.1, "rating_number": 9,
             "features": [], "description": [], "price": None if i % 2 else 4.5, "images": [], "videos": [],
             "store": None if i % 6 == 0 else f"s{i % 5}", "categories": [] if i % 3 else ["Beauty", f"c{i}"],
             "details": {f"Key {i}": "x"}, "parent_asin": f"B{i:09}", "bought_together": None}
            for i in range(21)
        ),
    )  # fmt: skip


@_sample("retailrocket")
def _retailrocket(folder: Path, draw: random.Random) -> None:
    def row(u: int, i: int, t: int) -> list[Any]:
        event = draw.choice(["view"] * 8 + ["addtocart", "transaction"])
        return [(t - 217_000_000) * 1000 + 527, u, event, i, u if event == "transaction" else ""]

    rows = [row(u, i, t) for u, i, t, _ in _events(draw)]
    draw.shuffle(rows)
    _text(folder / "events.csv", "timestamp,visitorid,event,itemid,transactionid", rows)


@_sample("eb-nerd")
def _eb_nerd(folder: Path, draw: random.Random) -> int:
    def row(k: int, u: int, t: int) -> dict[str, Any]:
        shown = [9_000_000 + i for i in draw.sample(range(1, 41), draw.randrange(3, 7))]
        return {
            "impression_id": 149_000 + k, "article_id": None if k % 3 else shown[0],
            "impression_time": datetime.fromtimestamp(t, timezone.utc).replace(tzinfo=None),
            "read_time": 12.0, "scroll_percentage": None, "device_type": 1 + draw.randrange(3),
            "article_ids_inview": shown, "article_ids_clicked": [draw.choice(shown)], "user_id": u,
            "is_sso_user": False, "gender": None, "postcode": None, "age": None,
            "is_subscriber": u % 4 == 0, "session_id": k, "next_read_time": 8.0,
            "next_scroll_percentage": 100.0,
        }  # fmt: skip

    rows = [row(k, u, t) for k, (u, _, t, _) in enumerate(_events(draw))]
    types = {"impression_id": pl.UInt32, "article_id": pl.Int32, "device_type": pl.Int8, "user_id": pl.UInt32,
             "article_ids_inview": pl.List(pl.Int32), "article_ids_clicked": pl.List(pl.Int32),
             "gender": pl.Int8, "postcode": pl.Int8, "age": pl.Int8,
             "scroll_percentage": pl.Float32}  # fmt: skip
    log = pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)
    for part, of in ("train", log[:480]), ("validation", log[480:]):
        (folder / part).mkdir()
        of.write_parquet(folder / part / "behaviors.parquet")
        _eb_nerd_history(draw).write_parquet(folder / part / "history.parquet")
    articles = [
        {"article_id": 9_000_000 + i, "title": "x", "premium": i % 3 == 0, "article_type": "article_default",
         "topics": ["Krig", f"t{i % 4}"], "category": 100 + i % 6, "subcategory": [i % 4] if i % 2 else [],
         "category_str": "krimi", "total_pageviews": 9, "sentiment_label": ["Neutral", "Negative"][i % 2]}
        for i in range(1, 41)
    ]  # fmt: skip
    types = {"article_id": pl.Int32, "category": pl.Int16, "subcategory": pl.List(pl.Int16)}
    pl.DataFrame(articles, schema_overrides=types).write_parquet(folder / "articles.parquet")
    return sum(len(row["article_ids_inview"]) for row in rows)


def _eb_nerd_history(draw: random.Random) -> pl.DataFrame:
    rows = []
    for u in range(1, 61):
        seconds = sorted(_START - draw.randrange(1, 2_000_000) for _ in range(u % 6 + 1))
        times = [datetime.fromtimestamp(second, timezone.utc).replace(tzinfo=None) for second in seconds]
        read = [9_000_000 + draw.randrange(1, 41) for _ in times]
        rows.append(
            {"user_id": u, "impression_time_fixed": times, "scroll_percentage_fixed": [None for _ in times],
             "article_id_fixed": read, "read_time_fixed": [9.0 for _ in times]}
        )  # fmt: skip
    types = {"user_id": pl.UInt32, "article_id_fixed": pl.List(pl.Int32),
             "scroll_percentage_fixed": pl.List(pl.Float32)}  # fmt: skip
    return pl.DataFrame(rows, schema_overrides=types)


@_sample("yelp")
def _yelp(folder: Path, draw: random.Random) -> None:
    _json(
        folder / "yelp_academic_dataset_review.json",
        (
            {"review_id": f"r{u}_{t}", "user_id": f"u-{u:020}", "business_id": f"b_{i:020}",
             "stars": float(draw.randrange(1, 6)), "useful": 0, "funny": 0, "cool": 0, "text": 'a "b"\n c',
             "date": _when(t, "%Y-%m-%d %H:%M:%S")}
            for u, i, t, _ in _events(draw)
        ),
    )  # fmt: skip
    _json(
        folder / "yelp_academic_dataset_business.json",
        (
            {"business_id": f"b_{i:020}", "name": "x", "address": "", "city": f"City {i % 3}", "state": "PA",
             "postal_code": "19107", "latitude": 39.9, "longitude": -75.1, "stars": 4.0, "review_count": 9,
             "is_open": 1, "attributes": None if i % 4 else {"WiFi": "u'free'"}, "hours": None,
             "categories": None if i % 9 == 0 else f"Restaurants, c{i % 5}"}
            for i in range(1, 41)
        ),
    )  # fmt: skip


@_sample("avazu")
def _avazu(folder: Path, draw: random.Random) -> None:
    header = (
        "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
        "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
    )
    rows = (
        (10**18 + t, c, _when(t - 236_000_000, "%y%m%d%H"), 1005, i % 2, "85f751fd", "c4e18dd6", "50e219e0",
         f"{i % 3:08x}", "2347f47a", "0f2161f8", "a99f214a", f"{u * 7919:08x}", f"{u % 5:08x}", 1, 0,
         20_000 + i, 320, 50, 1700 + i % 5, 0, 35, -1 if u % 2 else 100_084, 79)
        for u, i, t, c in _events(draw)
    )  # fmt: skip
    _text(folder / "train", header, rows)
    (folder / "train.gz").write_bytes(gzip.compress((folder / "train").read_bytes(), 1))
    (folder / "train").unlink()


@_sample("h-m")
def _h_m(folder: Path, draw: random.Random) -> None:
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
    _text(folder / "articles.csv", header, articles)
    _text(
        folder / "transactions_train.csv",
        "t_dat,customer_id,article_id,price,sales_channel_id",
        (
            (_when(t - 110_000_000, "%Y-%m-%d"), f"{u:064x}", f"{108_775_000 + i:010}", 0.01 * i, 1 + u % 2)
            for u, i, t, _ in _events(draw)
        ),
    )
    _text(
        folder / "customers.csv",
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code",
        (
            (f"{u:064x}", "", "", "ACTIVE", "NONE" if u % 2 else "Regularly", 20 + u % 30, f"{u:064x}")
            for u in range(1, 61)
        ),
    )


@_sample("criteo-attribution")
def _criteo(folder: Path, draw: random.Random) -> None:
    header = (
        "timestamp uid campaign conversion conversion_timestamp conversion_id attribution click click_pos "
        "click_nb cost cpo time_since_last_click " + " ".join(f"cat{k}" for k in range(1, 10))
    )

    def row(u: int, i: int, t: int, c: int) -> list[Any]:
        bought = int(draw.random() < 0.2)
        after = [bought, t - _START + 9 if bought else -1, u if bought else -1, bought * c, c, -1, -1]
        return [t - _START, u, 22_589_000 + i, *after, 1e-5, 0.2, -1, *(draw.randrange(5) for _ in range(9))]

    path = folder / "criteo_attribution_dataset.tsv"
    _text(path, header.replace(" ", "\t"), (row(*event) for event in _events(draw)), "\t")
    path.with_suffix(".tsv.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()


@_sample("tenrec")
def _tenrec(folder: Path, draw: random.Random) -> None:
    _text(
        folder / "QK-video.csv",
        "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age",
        (
            (u, i, c, 0, c * draw.randrange(2), 0, i % 2, c * draw.randrange(1, 4), u % 3, u % 8)
            for u, i, _, c in sorted(_events(draw), key=lambda event: event[0])
        ),
    )


@_sample("last-fm-1k")
def _last_fm(folder: Path, draw: random.Random) -> None:
    _text(
        folder / "userid-timestamp-artid-artname-traid-traname.tsv",
        "",
        (
            (f"user_{u:06}", _when(t - 400_000_000, "%Y-%m-%dT%H:%M:%SZ"), "" if i % 5 == 0 else f"art-{i}",
             f'The "{i}' if i % 3 else f"Band {i}", "", f'"{i} inch')
            for u, i, t, _ in sorted(_events(draw), key=lambda event: (event[0], -event[2]))
        ),
        "\t",
    )  # fmt: skip
    _text(
        folder / "userid-profile.tsv",
        "#id\tgender\tage\tcountry\tregistered",
        (
            (f"user_{u:06}", "mf"[u % 2], "" if u % 3 else 20 + u, "Japan" if u % 2 else "", "Aug 13, 2006")
            for u in range(1, 61)
        ),
        "\t",
    )


@_sample("ta-feng")
def _ta_feng(folder: Path, draw: random.Random) -> None:
    def day(time: int) -> str:
        at = datetime.fromtimestamp(time, timezone.utc)
        return f"{at.month}/{at.day}/{at.year}"

    _text(
        folder / "ta_feng_all_months_merged.csv",
        "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE",
        (
            (day(t - 677_000_000), 1_104_905 + u, ["45-49", "25-29", ""][u % 3], 115, 110_411 + i % 7,
             4_710_199_010_372 + i, draw.randrange(1, 4), 20 + i, 30 + i)
            for u, i, t, _ in _events(draw)
        ),
    )  # fmt: skip


@_sample("yoochoose")
def _yoochoose(folder: Path, draw: random.Random) -> None:
    _text(
        folder / "yoochoose-clicks.dat",
        "",
        (
            (
                u,
                _when(t - 253_000_000, "%Y-%m-%dT%H:%M:%S.277Z"),
                214_536_500 + i,
                draw.choice(["0", "S", "1"]),
            )
            for u, i, t, _ in _events(draw)
        ),
    )
