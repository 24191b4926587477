import gzip
import io
import re
import tarfile
import zipfile

import pytest

from bnpipe.data.contents import describe
from tests.idx_files import small_payloads


def archive(kind: str) -> bytes:
    """Return a small archive as people download them."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as zipped:
            zipped.writestr("file", b"content")
    else:
        with tarfile.open(fileobj=file, mode="w") as tarred:
            tarred.addfile(tarfile.TarInfo("file"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"<html>who are you?</html>", "an HTML page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n", "an HTML page"),
        (b"<!-- portal --> <HTML lang=de>", "an HTML page"),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">', "an HTML page"),
        (b'<?xml version="1.0"?>\n<ListBucketResult xmlns="x">', r"an XML document \(ListBucketResult\)"),
        (b"<Error><Code>NoSuchKey</Code></Error>", r"an XML document \(Error\)"),
        (b'{"error": 401}', "a JSON document"),
        (b' [\n {"name": "train"}]', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, not the file"),
        (b"label,1x1,1x2\n5,0,0\n", "text"),
        (gzip.compress(b"twice", mtime=0), "a gzip file in a gzip file"),
        (archive("zip"), "a ZIP archive"),
        (archive("tar"), "a tar archive"),
    ],
)
def test_kinds(content: bytes, kind: str) -> None:
    assert re.match(kind, describe(content))


def test_many_comments_are_read_in_an_instant() -> None:
    assert describe(b"<!---->" * 146) == "text"


def test_data_and_noise_are_no_such_thing() -> None:
    for payload in small_payloads().values():
        assert describe(payload) == ""
    assert describe(b"\xff\xfe\x00rubbish") == ""
