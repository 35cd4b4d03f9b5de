"""What names of columns say: which role they have, what names a thing, what is written after the click."""

from __future__ import annotations

import re

# fmt: off
ROLES = {  # as `letters` gives them; the first that is there counts
    "user": ("user", "userid", "uid", "customer", "customerid", "member", "memberid", "account", "accountid",
             "household", "householdid", "visitor", "visitorid", "fullvisitorid", "userpseudoid",
             "reviewerid", "person", "personid", "client", "clientid", "buyerid", "shopperid", "cookieid",
             "customernumber", "msno", "profileid", "deviceid", "sessionid", "session"),
    "item": ("item", "itemid", "iid", "product", "productid", "sku", "asin", "parentasin", "movie", "movieid",
             "article", "articleid", "newsid", "video", "videoid", "track", "trackid", "song", "songid",
             "book", "bookid", "isbn", "content", "contentid", "ad", "adid", "adgroupid", "creative",
             "creativeid", "offerid", "listingid", "goodsid", "postid", "businessid", "hotelid", "jobid",
             "gameid", "appid", "artistid", "recipeid", "stockcode", "productcode", "prodid", "campaignid",
             "campaign"),
    "time": ("time", "timestamp", "ts", "timems", "timestampms", "timestamps", "datetime", "eventtime",
             "eventtimestamp", "createdat", "unixtime", "unixreviewtime", "transactiontimestamp",
             "impressiontime", "clicktime", "servedat", "shownat", "servertime", "requesttime", "logtime",
             "date", "eventdate", "transactiondate", "purchasedate", "orderdate", "invoicedate", "tdat",
             "day"),
    "label": ("label", "click", "clicked", "isclick", "isclicked", "clk", "isclk", "target", "y"),
    "impression": ("impression", "impressionid", "impid", "requestid", "request", "slateid", "displayid"),
    "split": ("split", "fold", "subset"),
}
# fmt: on

_ID = re.compile(r"(id|ids|code|zip|key|uuid|guid|hash|oid)$")
_AFTER = ("play", "watch", "stay", "dwell", "like", "follow", "share", "forward", "comment", "longview",
          "purchase", "bought", "buy", "cart", "conver", "scroll", "complet", "enter", "hate", "favor",
          "reward", "rating", "readtime")  # fmt: skip
_NOT_AFTER = re.compile("display|player|playlist|likelihood|center|wishlist|enterpris")
_KINDS = ("action", "event", "behavior", "behaviour")
_KINDS_ALONE = ("type", "etype", "acttype", "evt", "evttype", "op", "verb", "btag")
_OF_EVENT = (*_KINDS, "quantity", "price", "amount", "duration")
_RATINGS = ("rating", "stars", "overall", "score")
_TITLES = re.compile(
    "(item|product|movie|film|book|news|song|track|article|video|app|game|course)?(title|name)"
    "|headline|productdescription"
)
_HISTORY = re.compile("hist|pastitem|clickseq|itemseq|itemlist|sequence")
_ANSWERS = ("label", "click", "target")
_COUNTS = re.compile("(n|num)?(click|clk)s?(cnt|count|num)|(n|num)(click|clk)s|clicks")
_LATER = ("conver", "reward")
_TIMES = re.compile("(time|timestamp|date)(ms|utc)?$")


def letters(name: str) -> str:
    """Keep the letters and digits of a name, in lower case; an id of Mongo is named as its object."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\.\$\w+$", "", name).lower())


def is_id(name: str) -> bool:
    """Whether a name says that the column names something: its values are no amounts and no times."""
    plain = letters(name)
    ids = (*ROLES["user"], *ROLES["item"], *ROLES["impression"])
    return plain in ids or _ID.search(plain) is not None


def after_the_click(name: str) -> str | None:
    """Find the word of a name that says that the column is written after the click."""
    plain = _NOT_AFTER.sub("", letters(name))
    return next((word for word in _AFTER if word in plain), None)


def long_after_the_click(word: str) -> bool:
    """Whether what is named so is known long after the click, when its user has clicked again."""
    return word in _LATER


def of_a_count_of_clicks(name: str) -> bool:
    """Whether a name is one of how often something was clicked where it was shown."""
    return _COUNTS.fullmatch(letters(name)) is not None


def of_a_time(name: str) -> bool:
    """Whether a name is one of a time."""
    plain = letters(name)
    return plain in ROLES["time"] or _TIMES.search(plain) is not None


def of_the_event(name: str) -> bool:
    """Whether a name says that the column describes what happened, not what was shown."""
    plain = letters(name)
    return any(word in plain for word in _OF_EVENT)


def of_the_answer(name: str) -> bool:
    """Whether a name may be one of what is to be predicted."""
    plain = letters(name)
    return any(word in plain for word in _ANSWERS)


def of_a_kind_of_event(name: str) -> bool:
    """Whether a name says that the column tells views from clicks from purchases."""
    plain = letters(name)
    return plain in _KINDS_ALONE or any(word in plain for word in _KINDS)


def of_a_rating(name: str) -> bool:
    """Whether a name is one of a rating."""
    return any(word in letters(name) for word in _RATINGS)


def of_a_title(name: str) -> bool:
    """Whether a name is one of what people call an item."""
    return _TITLES.fullmatch(letters(name)) is not None


def of_a_history(name: str) -> bool:
    """Whether a name says that a row holds what its user did before."""
    return _HISTORY.search(letters(name)) is not None


def of_a_session(name: str) -> bool:
    """Whether a name is one of the ids of sessions."""
    return re.search(r"session(id|key|no|token)?$", letters(name)) is not None
