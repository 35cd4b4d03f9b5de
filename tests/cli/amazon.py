"""Amazon reviews of 200 users, as files."""

import json
from pathlib import Path

REVIEWS = [
    {"reviewerID": f"u{user}", "asin": f"i{(user * 7 + step) % 30}", "unixReviewTime": 86400 * step}
    for user in range(200)
    for step in range(2 + user % 5)
]
META = [f"{{'asin': 'i{item}', 'categories': [['Shop', 'Kind {item % 4}']]}}" for item in range(30)]


def write_amazon(folder: Path, reviews: list[str] | None = None) -> tuple[str, ...]:
    """Write the files and give the options that name them."""
    (folder / "reviews.json").write_text("\n".join(reviews or [json.dumps(r) for r in REVIEWS]) + "\n")
    (folder / "meta.json").write_text("\n".join(META) + "\n")
    return "--reviews", str(folder / "reviews.json"), "--meta", str(folder / "meta.json")
