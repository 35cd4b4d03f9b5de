"""The store on a server: what others append meanwhile is kept, and a server that is gone is told of."""

from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.running import ok
from tests.serving.store.redis_server import RedisServer

from dien.errors import ConfigError, StoreError
from dien.serving.store import Appended, Behaviour, open_store, record


def numbered(number: int) -> Behaviour:
    return Behaviour(str(number), number, {}, f"event {number}")


def test_what_another_machine_appends_between_reading_and_writing_is_kept(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.clear()
    with closing(open_store(redis.url)) as store, closing(open_store(redis.url)) as other:
        store.append("u", [numbered(0)])
        append, others = record.append, iter([1, 2, None, None])

        def disturbed(*arguments: object) -> object:
            with monkeypatch.context() as patch:
                patch.setattr(record, "append", append)
                number = next(others)
                if number == 1:
                    other.append("u", [numbered(1)])
                elif number == 2:
                    other.forget("u")
                return append(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(record, "append", disturbed)
        assert store.append_many([("u", [numbered(3), numbered(1)])]) == Appended(added=2)
        assert [one.item for one in store.read(["u"], 9)[0]] == ["1", "3"]
        assert next(others) is None


def test_what_was_acknowledged_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(tmp_path, *options) as server, closing(open_store(server.url)) as store:
        for number in range(30):
            store.append("u", [numbered(number)])
        server.kill()
        with pytest.raises(StoreError, match=rf"redis://127.0.0.1:{server.port}/0: cannot be reached"):
            store.append("u", [numbered(30)])
        with pytest.raises(StoreError, match="cannot be reached"):
            store.read(["u"], 9)
        with pytest.raises(StoreError, match=r"cannot be reached.*whether this was written is not known"):
            store.forget("u")
        with pytest.raises(StoreError, match="cannot be reached"):
            open_store(server.url)
        server.start()
        assert store.read(["u"], 100) == [[numbered(number) for number in range(30)]]
        assert store.append_many([("u", [numbered(29), numbered(30)])]) == Appended(added=1, duplicates=1)


def test_a_server_that_is_full_says_so_and_goes_on_reading(tmp_path: Path) -> None:
    options = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with RedisServer(tmp_path, *options) as server, closing(open_store(server.url)) as store:
        store.append("first", [numbered(1)])
        big = [Behaviour("x" * 1000) for _ in range(1000)]
        with pytest.raises(StoreError, match=r"refused: .*command not allowed when used memory") as refused:
            store.append_many([(f"user {number}", big) for number in range(20)])
        assert len(str(refused.value)) < 300  # it quotes no record
        kept = [len(one) for one in store.read([f"user {number}" for number in range(20)], 1000)]
        assert set(kept) == {0, 1000}
        assert store.read(["first"], 9) == [[numbered(1)]]


def test_a_password_lets_in_and_is_not_shown(tmp_path: Path) -> None:
    import valkey

    with RedisServer(tmp_path) as server:
        valkey.Valkey(port=server.port).config_set("requirepass", "secret")
        with pytest.raises(StoreError, match="cannot be reached: Authentication required"):
            open_store(server.url)
        with pytest.raises(StoreError, match="invalid username-password pair") as refused:
            open_store(server.url.replace("127", "default:wrong@127"))
        assert "wrong" not in str(refused.value).replace("wrong password", "")
        with closing(open_store(server.url.replace("127", ":secret@127"))) as store:
            assert store.append("u", [numbered(1)]).added == 1


def test_a_url_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ConfigError, match="store: 'redis://host:port/0'"):
        open_store("redis://host:port/0")


def test_a_server_is_filled_from_a_dataset_folder(redis: RedisServer, small_data: object) -> None:
    redis.clear()
    path = small_data.path  # type: ignore[attr-defined]
    done = ok("store", "load", path, "--store", redis.url.replace("127", "default:any@127"))
    assert done["store"] == redis.url
    with closing(open_store(redis.url)) as store:
        assert sum(map(len, store.read([f"u{n}" for n in range(60)], 1000))) == 1500
