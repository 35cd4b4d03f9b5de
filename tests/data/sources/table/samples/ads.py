"""Ads shown and clicked."""

import gzip
from pathlib import Path
from typing import Any

from tests.data.sources.table.samples.making import START, Draw, events, sample, when, write_text


@sample("taobao-ads")
def _taobao_ads(folder: Path, draw: Draw) -> None:
    write_text(
        folder / "raw_sample.csv",
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
        ((u, t, i, draw.choice(["430548_1007", "430539_1007"]), 1 - c, c) for u, i, t, c in events(draw)),
    )
    write_text(
        folder / "ad_feature.csv",
        "adgroup_id,cate_id,campaign_id,customer,brand,price",
        ((i, i % 7, i // 2, i // 3, "NULL" if i % 5 == 0 else i % 9, f"{i * 3}.0") for i in range(1, 41)),
    )
    write_text(
        folder / "user_profile.csv",
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
        "new_user_class_level ",
        ((u, 0, u % 9, 1 + u % 2, u % 6, "" if u % 2 else u % 3, 3, 0, u % 4) for u in draw.users),
    )


@sample("avazu")
def _avazu(folder: Path, draw: Draw) -> None:
    header = (
        "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
        "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
    )
    rows = (
        (10**18 + t, c, when(t - 236_000_000, "%y%m%d%H"), 1005, i % 2, "85f751fd", "c4e18dd6", "50e219e0",
         f"{i % 3:08x}", "2347f47a", "0f2161f8", "a99f214a" if u % 5 else f"{u:08x}", f"{u * 7919:08x}",
         f"{u % 5:08x}", 1, 0, 20_000 + i, 320, 50, 1700 + i % 5, 0, 35,
         -1 if u % 2 else 100_084, 79)
        for u, i, t, c in events(draw)
    )  # fmt: skip
    write_text(folder / "train", header, rows)
    (folder / "train.gz").write_bytes(gzip.compress((folder / "train").read_bytes(), 1))
    (folder / "train").unlink()


@sample("criteo-attribution")
def _criteo(folder: Path, draw: Draw) -> None:
    header = (
        "timestamp uid campaign conversion conversion_timestamp conversion_id attribution click click_pos "
        "click_nb cost cpo time_since_last_click " + " ".join(f"cat{k}" for k in range(1, 10))
    )

    def row(u: int, i: int, t: int, c: int) -> list[Any]:
        bought = int(draw.random() < 0.2)
        after = [bought, t - START + 9 if bought else -1, u if bought else -1, bought * c, c, -1, -1]
        return [t - START, u, 22_589_000 + i, *after, 1e-5, 0.2, -1, *(draw.randrange(5) for _ in range(9))]

    path = folder / "criteo_attribution_dataset.tsv"
    write_text(path, header.replace(" ", "\t"), (row(*event) for event in events(draw)), "\t")
    path.with_suffix(".tsv.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
