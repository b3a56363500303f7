"""Where the language model comes from, and what is said when it cannot be had."""

import hashlib
import io
import urllib.error

import pytest

from decant.pipeline.page import language_model
from decant.pipeline.page.language_model import (
    BUNDLED,
    LARGE,
    ModelMissing,
    UnknownLanguage,
    check_languages,
    model_path,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def served(monkeypatch):
    """Answers each download with these bytes, and counts the downloads."""
    calls = []

    def serve(data):
        def urlopen(url, timeout):
            calls.append(url)
            return io.BytesIO(data)

        monkeypatch.setattr(language_model.urllib.request, "urlopen", urlopen)
        return calls

    return serve


def test_the_bundled_model_needs_no_network():
    assert model_path(BUNDLED).stat().st_size == 938_013


def test_a_path_of_ones_own_is_taken_as_it_is(tmp_path):
    (tmp_path / "my.bin").write_bytes(b"x")
    assert model_path(str(tmp_path / "my.bin")) == tmp_path / "my.bin"
    with pytest.raises(ModelMissing, match=r"'no\.bin' is no file; write lid\.176\.ftz"):
        model_path("no.bin")


def test_the_large_model_is_fetched_once_and_checked(served, monkeypatch):
    calls = served(b"model")
    monkeypatch.setattr(language_model, "LARGE_SHA256", hashlib.sha256(b"model").hexdigest())
    assert model_path(LARGE).read_bytes() == b"model"
    assert model_path(LARGE).read_bytes() == b"model"
    assert calls == [language_model.LARGE_URL]


def test_an_altered_download_is_refused_and_leaves_nothing(served, tmp_path):
    served(b"something else")
    with pytest.raises(ModelMissing, match="sha256"):
        model_path(LARGE)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_network_the_error_says_where_to_put_the_file(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("name not known")

    monkeypatch.setattr(language_model.urllib.request, "urlopen", refuse)
    with pytest.raises(ModelMissing, match=r"put it at .*lid\.176\.bin, or set language\.model"):
        model_path(LARGE)


@pytest.mark.parametrize("name", ["eng", "english", "EN", "klingon"])
def test_a_language_that_the_model_cannot_name_is_refused_before_anything_is_read(name):
    with pytest.raises(UnknownLanguage, match=f"knows no language '{name}'"):
        check_languages("lid.176.ftz", ("de", name))


@pytest.mark.parametrize(("name", "nearest"), [("eng", "en"), ("EN", "en"), ("deu", "de")])
def test_the_nearest_labels_are_named(name, nearest):
    with pytest.raises(UnknownLanguage, match=rf"the nearest are .*\b{nearest}\b"):
        check_languages("lid.176.ftz", (name,))


def test_languages_of_the_model_and_none_at_all_pass():
    check_languages("lid.176.ftz", ("en", "de", "zh"))
    check_languages("lid.176.ftz", None)
