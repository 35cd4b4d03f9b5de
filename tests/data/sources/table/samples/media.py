"""News, videos and music."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl

from tests.data.sources.table.samples.making import START, Draw, events, sample, when, write_text


@sample("mind")
def _mind(folder: Path, draw: Draw) -> int:
    candidates = 0
    for part, start in ("train", 0), ("dev", 400_000):
        past = {u: " ".join(f"N{50_000 + draw.randrange(1, 41)}" for _ in range(u % 5)) for u in draw.users}

        def page() -> str:
            shown = draw.sample(range(1, 41), draw.randrange(2, 6))
            clicked = draw.randrange(len(shown))
            return " ".join(f"N{50_000 + item}-{int(k == clicked)}" for k, item in enumerate(shown))

        rows = [
            (k, f"U{u}", _clock(t - 76_700_000 + start), past[u], page())
            for k, (u, _, t, _) in enumerate(events(draw), 1)
        ]
        write_text(folder / f"MINDsmall_{part}" / "behaviors.tsv", "", rows[: draw.rows // 3], "\t")
        news = (
            (f"N{50_000 + i}", f"c{i % 4}", f"s{i % 9}", f'the "best of {i}', "", "https://x", "[]", "[]")
            for i in range(1, 41)
        )
        write_text(folder / f"MINDsmall_{part}" / "news.tsv", "", news, "\t")
        candidates += sum(len(cells[-1].split()) for cells in rows[: draw.rows // 3])
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


@sample("eb-nerd")
def _eb_nerd(folder: Path, draw: Draw) -> int:
    def row(k: int, u: int, t: int) -> dict[str, Any]:
        shown = [9_000_000 + i for i in draw.sample(range(1, 41), draw.randrange(3, 7))]
        return {
            "impression_id": 149_000 + k, "article_id": None if k % 3 else shown[0],
            "impression_time": datetime.fromtimestamp(t, timezone.utc).replace(tzinfo=None),
            "read_time": draw.random() * 60, "scroll_percentage": None, "device_type": 1 + draw.randrange(3),
            "article_ids_inview": shown, "article_ids_clicked": [draw.choice(shown)], "user_id": u,
            "is_sso_user": False, "gender": None, "postcode": None, "age": None,
            "is_subscriber": draw.random() < 0.2, "session_id": k, "next_read_time": draw.random() * 90,
            "next_scroll_percentage": draw.random() * 100,
        }  # fmt: skip

    rows = [row(k, u, t) for k, (u, _, t, _) in enumerate(events(draw))]
    types = {"impression_id": pl.UInt32, "article_id": pl.Int32, "device_type": pl.Int8, "user_id": pl.UInt32,
             "article_ids_inview": pl.List(pl.Int32), "article_ids_clicked": pl.List(pl.Int32),
             "gender": pl.Int8, "postcode": pl.Int8, "age": pl.Int8,
             "scroll_percentage": pl.Float32}  # fmt: skip
    log = pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)
    for part, of in ("train", log[: draw.rows * 4 // 5]), ("validation", log[draw.rows * 4 // 5 :]):
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


def _eb_nerd_history(draw: Draw) -> pl.DataFrame:
    rows = []
    for u in draw.users:
        seconds = sorted(START - draw.randrange(1, 2_000_000) for _ in range(u % 6 + 1))
        times = [datetime.fromtimestamp(second, timezone.utc).replace(tzinfo=None) for second in seconds]
        read = [9_000_000 + draw.randrange(1, 41) for _ in times]
        rows.append(
            {"user_id": u, "impression_time_fixed": times, "scroll_percentage_fixed": [None for _ in times],
             "article_id_fixed": read, "read_time_fixed": [9.0 for _ in times]}
        )  # fmt: skip
    types = {"user_id": pl.UInt32, "article_id_fixed": pl.List(pl.Int32),
             "scroll_percentage_fixed": pl.List(pl.Float32)}  # fmt: skip
    return pl.DataFrame(rows, schema_overrides=types)


@sample("kuairand")
def _kuairand(folder: Path, draw: Draw) -> None:
    header = (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,"
        "long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
    )

    def row(u: int, i: int, t: int, c: int) -> list[Any]:
        liked, played = c * int(draw.random() < 0.2), c * draw.randrange(1000, 60_000)
        hour = int(when(t + 8 * 3600, "%H")) * 100
        at = [u, i, when(t + 8 * 3600, "%Y%m%d"), hour, t * 1000 + 7]
        seen = [c, liked, 0, 0, 0, 0, int(played > 18_000), played]
        return [*at, *seen, 10_000 + i, 0, 0, 0, 0, draw.randrange(3)]

    rows = [row(*event) for event in events(draw)]
    write_text(folder / "log_standard_4_08_to_4_21_pure.csv", header, rows[: draw.rows // 2])
    write_text(folder / "log_standard_4_22_to_5_08_pure.csv", header, rows[draw.rows // 2 :])
    write_text(
        folder / "video_features_basic_pure.csv",
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,"
        "server_height,music_id,music_type,tag",
        (
            (i, i // 3, "AD" if i % 9 == 0 else "NORMAL", "2022-04-01", "LongImport", 1, f"{i * 1000}.0",
             720, 1280, i // 4, "9.0", f'"{i % 5},{5 + i % 3}"' if i % 2 else i % 5)
            for i in range(1, 41)
        ),
    )  # fmt: skip
    write_text(folder / "user_features_pure.csv", _KUAI_USER, (_kuai_user(u) for u in draw.users))


@sample("kuairec")
def _kuairec(folder: Path, draw: Draw) -> None:
    def row(u: int, i: int, t: int) -> list[Any]:
        whole = 5_000 + i * 100
        played, clock = int(whole * draw.random() * 3), t + 8 * 3600
        at = [when(clock, "%Y-%m-%d %H:%M:%S.%f")[:-3], when(clock, "%Y%m%d"), f"{t}.438"]
        return [u, i, played, whole, *at, played / whole]

    header = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio"
    write_text(folder / "big_matrix.csv", header, (row(u, i, t) for u, i, t, _ in events(draw)))
    categories = ((i, f'"[{i % 7}, {7 + i % 3}]"' if i % 2 else f"[{i % 7}]") for i in range(1, 41))
    write_text(folder / "item_categories.csv", "video_id,feat", categories)
    write_text(folder / "user_features.csv", _KUAI_USER, (_kuai_user(u) for u in draw.users))


@sample("tenrec")
def _tenrec(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "QK-video.csv",
        "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age",
        (
            (u, i, c, 0, c * draw.randrange(2), 0, i % 2, c * draw.randrange(1, 4), u % 3, u % 8)
            for u, i, _, c in sorted(events(draw), key=lambda event: event[0])
        ),
    )


@sample("last-fm-1k")
def _last_fm(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "userid-timestamp-artid-artname-traid-traname.tsv",
        "",
        (
            (f"user_{u:06}", when(t - 400_000_000, "%Y-%m-%dT%H:%M:%SZ"), "" if i % 5 == 0 else f"art-{i}",
             f'The "{i}' if i % 3 else f"Band {i}", "", f'"{i} inch')
            for u, i, t, _ in sorted(events(draw), key=lambda event: (event[0], -event[2]))
        ),
        "\t",
    )  # fmt: skip
    write_text(
        folder / "userid-profile.tsv",
        "#id\tgender\tage\tcountry\tregistered",
        (
            (f"user_{u:06}", "mf"[u % 2], "" if u % 3 else 20 + u, "Japan" if u % 2 else "", "Aug 13, 2006")
            for u in draw.users
        ),
        "\t",
    )


def _kuaisar_tables(folder: Path, draw: Draw) -> None:
    levels = ["first", "second", "third", "fourth"]
    header = "item_id,caption,author_id,item_type,upload_time,upload_type,music_id"
    header += "".join(f",{level}_level_category_id,{level}_level_category_name" for level in levels)
    header += "".join(f",{level}_level_category_name_en" for level in levels)

    def row(i: int) -> list[Any]:
        known = [i, f'"[{i}, {i % 9}]"', i % 11, "NORMAL" if i % 5 else "IMAGE_ATLAS", "2023-04-22"]
        known += ["LongImport" if i % 2 else "UNKNOWN", i % 6]
        categories = [(i % 4 + 1, "搞笑", "Funny"), (i % 8, "搞笑段子", "Funny joke")]
        categories += [(0, "empty", "empty")] * 2
        return [*known, *(cell for one in categories for cell in one[:2]), *(one[2] for one in categories)]

    write_text(folder / "item_features.csv", header, (row(i) for i in range(1, 41)))
    header = "user_id,onehot_feat1,onehot_feat2,search_active_level,rec_active_level"
    users = ((u, u % 3, u % 8, u % 6, u % 5) for u in draw.users)
    write_text(folder / "user_features.csv", header, users)


@sample("kuaisar")
def _kuaisar(folder: Path, draw: Draw) -> None:
    def row(u: int, i: int, t: int, c: int) -> list[Any]:
        t += 34_700_000
        played = float(draw.randrange(1, 60_000) if c else draw.randrange(0, 20_000))
        likes = [c * int(draw.random() < 0.1) for _ in range(3)]
        searched = int(draw.random() < 0.05)
        return [u, i, 10_000.0 + i, played, f"{t}000.0", *likes, 0, searched, c,
                when(t + 8 * 3600, "%Y-%m-%d %H:%M:%S")]  # fmt: skip

    write_text(
        folder / "rec_inter.csv",
        "user_id,item_id,duration_ms,playing_time,timestamp,forward,like,follow,search_item_related,search,"
        "click,time",
        (row(*event) for event in events(draw, 0.5)),
    )
    _kuaisar_tables(folder, draw)


@sample("kuaisar-search")
def _kuaisar_search(folder: Path, draw: Draw) -> int:
    rows: list[list[Any]] = []
    for session, (u, _, t, _) in enumerate(events(draw), 1):
        t += 34_700_000
        words, source = f'"[{session % 17}, {session % 5}]"', draw.choice(["USER_INPUT", "HISTORY"])
        for i in draw.sample(range(1, 41), draw.randrange(2, 6)):
            shown = [words, i, draw.choice([0, 0, 0, 1, 2]), session, "VIDEO" if i % 5 else "USER", u]
            rows.append([*shown, f"{t}919", source, when(t + 8 * 3600, "%Y-%m-%d %H:%M:%S")])
    write_text(
        folder / "src_inter.csv",
        "keyword,item_id,click_cnt,search_session_id,item_type,user_id,search_session_timestamp,"
        "search_source,search_session_time",
        rows,
    )
    _kuaisar_tables(folder, draw)
    return len(rows)
