"""There and back over S3, against a server on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tacit
from support.bulk_runner import Runner, read_files
from support.shards import sample, write_tar
from tacit.bulk import StorageKind
from tacit.bulk.store import ShardStore
from tacit.errors import PathError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket of an S3 service on this machine, as its URL."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    s3fs = pytest.importorskip("s3fs")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    service = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name, value in {
        "ACCESS_KEY_ID": "tacit",
        "SECRET_ACCESS_KEY": "tacit",
        "DEFAULT_REGION": "us-east-1",
        "EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="photos")
    yield "s3://photos"
    s3fs.S3FileSystem.clear_instance_cache()
    service.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of moto and botocore
@pytest.mark.slow
def test_to_s3_and_back(runner: Runner, tmp_path: Path, bucket: str) -> None:
    pytest.importorskip("webdataset")
    from tacit.data import TacitShards

    fs, _ = fsspec.core.url_to_fs(bucket)
    for n in range(3):
        write_tar(tmp_path / "in" / f"{n}.tar", sample(str(n), n))
        fs.put_file(str(tmp_path / "in" / f"{n}.tar"), f"{bucket}/in/train/{n}.tar")
    fs.pipe_file(f"{bucket}/in/train/0_stats.json", b"{}")
    entries, errors = runner(f"{bucket}/in/train/{{0..1}}.tar", f"{bucket}/some", verify=True)
    assert (sorted(entries), errors) == (["0", "1"], {})
    entries, errors = runner(f"{bucket}/in", f"{bucket}/out", verify=True)
    assert (sorted(entries), errors) == (["copied-000000", "train/0", "train/1", "train/2"], {})
    assert set(ShardStore(f"{bucket}/out").list()) == {
        "_tacit/failures.jsonl",
        "_tacit/manifest.jsonl",
        "_tacit/run.json",
        "train/0.tar",
        "train/1.tar",
        "train/2.tar",
        "train/0_stats.json",
    }
    about = entries["train/1"].files["train/1.tar"]
    data = fs.cat_file(f"{bucket}/out/train/1.tar")
    assert about == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    # there is nothing to do, until a shard changes or is lost
    assert runner(f"{bucket}/in", f"{bucket}/out") == ({}, {})
    write_tar(tmp_path / "in" / "2.tar", sample("5", 5))
    fs.put_file(str(tmp_path / "in" / "2.tar"), f"{bucket}/in/train/2.tar")
    fs.rm_file(f"{bucket}/out/train/0.tar")
    assert sorted(runner(f"{bucket}/in", f"{bucket}/out")[0]) == ["train/0", "train/2"]
    # a training job reads it where it is
    shards = TacitShards(f"{bucket}/out/train/*.tar", shuffle=0)
    assert [(s.name, s.captions) for s in shards] == [
        (f"{n}.tar/{k}", ("waves in json",)) for n, k in ((0, 0), (1, 1), (2, 5))
    ]
    # and back, to files on this machine and to others there
    _, errors = runner(f"{bucket}/out", tmp_path / "back", decode=True, output_kind=StorageKind.FOLDER)
    assert not errors
    assert "train/2/5.png" in read_files(tmp_path / "back")
    _, errors = runner(tmp_path / "back", f"{bucket}/again", store_caption=True)
    assert not errors
    assert tacit.info(fs.cat_file(f"{bucket}/again/train/0/0.tacit")).caption == "waves"
    # what is not there is told in a line
    with pytest.raises(PathError, match=r"s3://nothing"):
        runner("s3://nothing/in", f"{bucket}/more")
