"""Official files: found, checked, downloaded; never half of one, never another one."""

import contextlib
import gzip
import hashlib
import http.server
import sys
import threading

import pytest

from descend.data import BadData
from descend.data.datasets.fashion import FILES, read_idx
from descend.data.datasets.files import Official

CONTENT = bytes(range(256)) * 4000


class _Server(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        content = {"/torn": CONTENT[:1000], "/other": CONTENT[::-1], "/endless": CONTENT * 20}.get(self.path, CONTENT)
        if self.path == "/nothing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) if self.path == "/torn" else len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may have gone
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DESCEND_DATA", str(tmp_path / "given"))
    monkeypatch.setattr(_Server, "asked", 0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def official(home, page="whole"):
    return Official("set/a.bin", f"{home}/{page}", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_downloaded_once_and_checked(home, tmp_path, capsys):
    path = official(home).find()
    assert path == tmp_path / "cache" / "set" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert official(home).find() == path
    assert _Server.asked == 1
    assert [file.name for file in path.parent.iterdir()] == ["a.bin"]
    assert capsys.readouterr().err == f"{home}/whole: 1.0 MiB\n"  # no running line where nobody looks


def test_progress_on_a_terminal(home, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    official(home).find()
    first, *parts, last = capsys.readouterr().err.split("\r")
    assert first == f"{home}/whole: 1.0 MiB\n"
    assert parts == [" 26%", " 51%", " 77%", "100%"]
    assert last == ""


def test_the_given_folder_comes_first(home, tmp_path):
    given = tmp_path / "given" / "set" / "a.bin"
    given.parent.mkdir(parents=True)
    given.write_bytes(CONTENT)
    assert official(home).find() == given
    assert _Server.asked == 0


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("torn", r"has 1,000 bytes, the official file 1,024,000: try again|cannot be downloaded \(IncompleteRead"),
        ("other", "is not the official file, its SHA-256 is another: try again"),
        ("endless", "bytes, the official file 1,024,000"),
        ("nothing", r"nothing cannot be downloaded \(HTTP Error 404: .*in DESCEND_DATA"),
    ],
)
def test_what_is_not_the_file_is_refused_and_leaves_nothing(home, tmp_path, page, message):
    with pytest.raises(BadData, match=message):
        official(home, page).find()
    assert list((tmp_path / "cache" / "set").iterdir()) == []
    assert official(home).find().read_bytes() == CONTENT  # and the next one begins anew


@pytest.mark.parametrize("place", ["cache", "given"])
def test_a_wrong_file_on_the_disk_is_refused_by_name(home, tmp_path, place):
    path = tmp_path / place / "set" / "a.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(BadData, match=rf"{place}.set.a\.bin is not the official file, its SHA-256 is another: delete"):
        official(home).find()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(BadData, match=r"has 1,023,999 bytes, the official file 1,024,000: delete it"):
        official(home).find()


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path))
    monkeypatch.delenv("DESCEND_DATA", raising=False)
    with pytest.raises(BadData, match="cannot be downloaded"):
        official("http://127.0.0.1:9").find()


def test_idx(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])))
    assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        bytes([0, 0, 8, 1, 0, 0, 0, 9, 1, 2]),
        bytes([0, 0, 8, 200, 0, 0]),
        bytes([0, 0, 13, 1, 0, 0, 0, 1, 1]),
    ],
)
def test_no_idx(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    with pytest.raises(BadData, match=r"a\.gz is no idx file of bytes"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("cut", [0, 5, 30, -4])
def test_a_torn_idx(tmp_path, cut):
    content = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 200, *range(200)]))
    (tmp_path / "a.gz").write_bytes(content[:cut])
    with pytest.raises(BadData, match=r"a\.gz (cannot be unpacked .*: delete it|is no idx)"):
        read_idx(tmp_path / "a.gz")


def test_the_official_sums_are_those_of_the_files(real_data):
    sums = dict(reversed(line.split()) for line in (real_data / "SHA256SUMS").read_text().splitlines())
    for file in FILES.values():
        assert any(name.endswith(file.path) and known == file.sha256 for name, known in sums.items()), file.path
