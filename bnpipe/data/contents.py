"""Recognize what people have in place of a data file: a web page, an error of a server, a pointer, an archive."""

import re

START = 1024  # bytes that `describe` looks at

_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file in a gzip file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\x93NUMPY": "a NumPy file",
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer, not the file itself; `git lfs pull` gets it",
}
_TAR = b"ustar"  # at byte 257
_PRELUDE = rb"(?:<\?xml[^>]*>|<!--(?:(?!-->).)*-->|\s)*"  # of HTML and XML
_HTML = re.compile(_PRELUDE + rb"<(!doctype\s+html|html|head|body|title)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(_PRELUDE + rb"<(?P<root>[A-Za-z][\w.:-]{0,40})", re.DOTALL)
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[\[\]{\"\d])")


def describe(content: bytes) -> str:
    """Return what some content is, for a message ("an HTML page ..."), or "" if it is not recognized.

    content: the file, decompressed, or its first START bytes.
    """
    if not content:
        return "an empty file"
    start = content[:START].removeprefix(b"\xef\xbb\xbf")
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if start[257:262] == _TAR:
        return "a tar archive"
    if _HTML.match(start):
        return "an HTML page, perhaps of a login or an error"
    if match := _XML.match(start):
        return f"an XML document ({match['root'].decode()}), perhaps an error or a listing"
    if _JSON.match(start):
        return "a JSON document, perhaps an error"
    return "text" if _is_text(start) else ""


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)
