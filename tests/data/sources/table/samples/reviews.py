"""Ratings and reviews."""

from pathlib import Path

from tests.data.sources.table.samples.making import Draw, events, sample, when, write_json, write_text


@sample("movielens-25m")
def _movielens(folder: Path, draw: Draw) -> None:
    ratings = [(u, i, draw.randrange(1, 11) / 2, t) for u, i, t, _ in events(draw)]
    write_text(folder / "ratings.csv", "userId,movieId,rating,timestamp", sorted(ratings))
    write_text(
        folder / "movies.csv",
        "movieId,title,genres",
        (
            (i, f'"Film {i}, The (1995)"', "(no genres listed)" if i == 9 else f"Drama|g{i % 5}")
            for i in range(1, 41)
        ),
    )


@sample("amazon-2018")
def _amazon_2018(folder: Path, draw: Draw) -> None:
    write_json(
        folder / "All_Beauty.json.gz",
        (
            {"overall": float(draw.randrange(1, 6)), "verified": True, "reviewTime": when(t, "%m %d, %Y"),
             "reviewerID": f"A{u}", "asin": f"{i:010}", "style": {"Size:": " 1"}, "reviewerName": 'J. "Q"',
             "reviewText": "good", "summary": "ok", "unixReviewTime": t - t % 86_400}
            for u, i, t, _ in events(draw)
        ),
    )  # fmt: skip
    write_json(
        folder / "meta_All_Beauty.json.gz",
        (
            {"category": [] if i % 9 == 0 else ["Beauty", f"c{i % 7}"], "tech1": "", "description": ["x"],
             "title": f"t{i}", "brand": f"b{i % 5}", "price": "$4.50", "asin": f"{i:010}", "also_buy": []}
            for i in [*range(1, 41), 7]
        ),
    )  # fmt: skip


@sample("amazon-2023")
def _amazon_2023(folder: Path, draw: Draw) -> None:
    write_json(
        folder / "All_Beauty.jsonl.gz",
        (
            {"rating": float(draw.randrange(1, 6)), "title": "ok", "text": "good", "images": [],
             "asin": f"B{i:09}", "parent_asin": f"B{i // 2:09}", "user_id": f"AG{u:026}",
             "timestamp": t * 1000 + 123, "helpful_vote": 0, "verified_purchase": True}
            for u, i, t, _ in events(draw)
        ),
    )  # fmt: skip
    write_json(
        folder / "meta_All_Beauty.jsonl.gz",
        (
            {"main_category": "All Beauty", "title": f"t{i}", "average_rating": 4.1, "rating_number": 9,
             "features": [], "description": [], "price": None if i % 2 else 4.5, "images": [], "videos": [],
             "store": None if i % 6 == 0 else f"s{i % 5}", "categories": [] if i % 3 else ["Beauty", f"c{i}"],
             "details": {f"Key {i}": "x"}, "parent_asin": f"B{i:09}", "bought_together": None}
            for i in range(21)
        ),
    )  # fmt: skip


@sample("yelp")
def _yelp(folder: Path, draw: Draw) -> None:
    write_json(
        folder / "yelp_academic_dataset_review.json",
        (
            {"review_id": f"r{u}_{t}", "user_id": f"u-{u:020}", "business_id": f"b_{i:020}",
             "stars": float(draw.randrange(1, 6)), "useful": 0, "funny": 0, "cool": 0, "text": 'a "b"\n c',
             "date": when(t, "%Y-%m-%d %H:%M:%S")}
            for u, i, t, _ in events(draw)
        ),
    )  # fmt: skip
    write_json(
        folder / "yelp_academic_dataset_business.json",
        (
            {"business_id": f"b_{i:020}", "name": "x", "address": "", "city": f"City {i % 3}", "state": "PA",
             "postal_code": "19107", "latitude": 39.9, "longitude": -75.1, "stars": 4.0, "review_count": 9,
             "is_open": 1, "attributes": None if i % 4 else {"WiFi": "u'free'"}, "hours": None,
             "categories": None if i % 9 == 0 else f"Restaurants, c{i % 5}"}
            for i in range(1, 41)
        ),
    )  # fmt: skip
