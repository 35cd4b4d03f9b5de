"""Ratings and reviews."""

from pathlib import Path
from typing import Any

from tests.data.sources.table.samples.making import Draw, events, sample, when, write_json, write_text


@sample("movielens-25m")
def _movielens(folder: Path, draw: Draw) -> None:
    ratings = [(u, i, draw.randrange(1, 11) / 2, t) for u, i, t, _ in events(draw)]
    write_text(folder / "ratings.csv", "userId,movieId,rating,timestamp", sorted(ratings))
    write_text(
        folder / "movies.csv",
        "movieId,title,genres",
        (
            (i, f'"Film {i}, The (1995)"', "(no genres listed)" if i == 9 else f"Drama|g{i % 5}|h{i % 3}")
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
             "categories": None if i % 9 == 0 else f"Restaurants, c{i % 5}, d{i % 3}"}
            for i in range(1, 41)
        ),
    )  # fmt: skip


@sample("book-crossing")
def _book_crossing(folder: Path, draw: Draw) -> int:
    def cells(*values: Any) -> list[str]:
        return ["NULL" if value is None else f'"{value}"' for value in values]

    drawn = {(u, f"{i:09}X"): draw.choice([0] * 6 + list(range(1, 11))) for u, i, _, _ in events(draw)}
    rows = (cells(u, isbn, rating) for (u, isbn), rating in sorted(drawn.items()))
    names = cells("User-ID", "ISBN", "Book-Rating")
    write_text(folder / "BX-Book-Ratings.csv", ";".join(names), rows, ";", "latin-1")
    names = cells("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher",
                  "Image-URL-S", "Image-URL-M", "Image-URL-L")  # fmt: skip
    images = ["http://images.amazon.com/a.jpg"] * 3
    books = [  # quotes in titles come late in the published file, too
        cells(f"{k:09}X", f"Book {k}" if k > 40 else f'The \\"Best\\" of {k} &amp; more', f"Müller {k % 7}",
              1980 + k % 9, f"p{k % 5}", *images)
        for k in range(190, 0, -1)
    ]  # fmt: skip
    # As published: the quote that should end the title is text, so the author is in it.
    title = 'How It All Began (Level 4)\\";Michael Teitelbaum'
    books.append(cells("078946697X", title, 2000, "DK Publishing", *images))
    write_text(folder / "BX-Books.csv", ";".join(names), books, ";", "latin-1")
    places = ["nyc, new york, usa", "köln, nordrhein-westfalen, germany", "porto, v.n.gaia, portugal"]
    users = (cells(u, places[u % 3], None if u % 3 else 20 + u % 50) for u in draw.users)
    names = cells("User-ID", "Location", "Age")
    write_text(folder / "BX-Users.csv", ";".join(names), users, ";", "latin-1")
    return len(drawn)
