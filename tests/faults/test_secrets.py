"""A run over a server that wants a password and a signature leaves neither anywhere."""

import base64
import http.server
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from decant.pipeline.command import RunRequest, execute_run
from tests.faults.warc_files import crawl, members

PASSWORD, SIGNATURE = "pass-8f3c", "sig-77aa"
RECIPE = "seed: 1\nworkers: 0\ntokens: {when_missing: null}\nextract: {isolate: false}\n"


@pytest.fixture
def address():
    """The address of a WARC file on a server that answers nobody without both secrets."""
    data = members(crawl(9))

    class Locked(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            expected = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()
            signed = parse_qs(url.query).get("X-Amz-Signature") == [SIGNATURE]
            if self.headers.get("Authorization") != expected or not signed:
                self.send_error(403)
                return
            first, _, last = (self.headers.get("Range") or "bytes=0-")[6:].partition("-")
            end = min(int(last) + 1 if last else len(data), len(data))
            part = data[int(first) : end]
            self.send_response(206 if self.headers.get("Range") else 200)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(data)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(part)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port = server.server_address[1]
    yield (
        f"http://user:{PASSWORD}@127.0.0.1:{port}/crawl-data/CC-MAIN-2024-10/a.warc.gz"
        f"?X-Amz-Signature={SIGNATURE}&part=1"
    )
    server.shutdown()


def start(tmp_path, *inputs: str) -> int:
    config = tmp_path / "run.yaml"
    config.write_text(RECIPE)
    return execute_run(
        RunRequest(config=str(config), output=str(tmp_path / "run"), inputs=inputs, workers=0)
    )


def test_no_file_and_no_line_of_a_run_holds_a_secret(tmp_path, address, capsys):
    code = start(tmp_path, address)
    said = capsys.readouterr()
    assert code == 0, said.err
    for secret in (PASSWORD, SIGNATURE):
        assert secret not in said.out + said.err
        for path in (tmp_path / "run").rglob("*"):
            assert path.is_dir() or secret.encode() not in path.read_bytes(), path


def test_a_refused_password_is_named_without_it(tmp_path, address, capsys):
    assert start(tmp_path, address.replace(SIGNATURE, "sig-other")) == 2
    said = capsys.readouterr().err
    assert "a.warc.gz" in said and "403" in said
    assert PASSWORD not in said and "sig-other" not in said


def test_a_run_resumes_with_another_signature_of_the_same_file(tmp_path, address, capsys):
    assert start(tmp_path, address) == 0
    assert start(tmp_path, address.replace("&part=1", "&X-Amz-Date=later&part=1")) == 0
    assert start(tmp_path, address.replace("&part=1", "&part=2")) == 2
    assert "began with other input" in capsys.readouterr().err


def test_two_inputs_that_differ_only_in_a_secret_are_refused(tmp_path, address, capsys):
    assert start(tmp_path, address, address.replace("&part=1", "&X-Amz-Date=x&part=1")) == 2
    assert "differ only in their secrets" in capsys.readouterr().err
