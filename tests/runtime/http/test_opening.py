"""How an answer begins: kept while its date holds, whatever media types a service may invent."""

from __future__ import annotations

from pathlib import Path

from http_service import server_state

from tiffin.runtime.http.serving import Serving

JSON = "application/json"


def test_a_new_date_is_told(tmp_path: Path) -> None:
    serving = Serving.of(server_state(tmp_path))
    first, second = [(b"date", b"Mon")], [(b"date", b"Tue")]
    opening = serving.opening(200, JSON, first)
    assert opening == (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon\r\nx-request-id: ")
    assert serving.opening(200, JSON, first) is opening
    assert b"date: Tue" in serving.opening(200, JSON, second)
    assert serving.opening(404, JSON, second).startswith(b"HTTP/1.1 404 ")


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    serving, headers = Serving.of(server_state(tmp_path)), [(b"date", b"Mon")]
    for number in range(1000):
        assert b"image/x-%d\r\n" % number in serving.opening(200, f"image/x-{number}", headers)
    assert len(serving._openings) <= 64
