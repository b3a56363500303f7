import pytest

from decant.pipeline.config import load
from decant.pipeline.engine.strict_yaml import ConfigError, parse_size, parse_yaml
from decant.pipeline.stage_keys import stage_digest, stage_keys


@pytest.fixture
def write(tmp_path):
    def write_file(text: str) -> str:
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write_file


def test_an_unknown_key_is_refused_with_file_line_and_the_valid_keys(write):
    path = write("seed: 1\nlanguage:\n  treshold: 0.5\n")
    with pytest.raises(ConfigError) as refused:
        load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}:3: unknown key 'language.treshold'")
    assert "keep, model, newline, threshold" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: one\n", ":1: seed: "),
        ("seed: 1\nworkers: -1\n", ":2: workers: "),
        ("language: {threshold: 1.5}\n", ":1: language.threshold: "),
        ("seed: 1\nseed: 2\n", ":2: 'seed' stands twice (first in line 1)"),
        ("- seed\n", ":1: expected keys"),
        ("seed: [1\n", ": not valid YAML"),
        ("dedup:\n  mode: fuzzy\n", ":2: dedup.mode: "),
        ("filter:\n  rules:\n    - no_such_rule: {at_most: 1}\n", ":3: "),
    ],
)
def test_a_mistake_is_named_with_its_line(write, text, expected):
    path = write(text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert f"{path}{expected}" in str(refused.value) or expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "binary.yaml")


def test_overrides_are_read_as_yaml(write):
    config = load(write("seed: 1\n"), ["language.keep=[en, de]", "shard.target_bytes=64MB"])
    assert config.language.keep == ("en", "de")
    assert config.shard.target_bytes == 64 * 10**6


def test_an_override_opens_a_section_that_the_file_leaves_null(write):
    path = write("dedup: {lines: null}\nlanguage: null\n")
    config = load(path, ["dedup.lines.window=1", "language.threshold=0.5"])
    assert config.dedup.lines is not None
    assert (config.dedup.lines.window, config.language.threshold) == (1, 0.5)


@pytest.mark.parametrize("override", ["seed", "=1", "seed.x=1", "nosuch=1", "language.=1"])
def test_a_wrong_override_is_refused_and_named(write, override):
    with pytest.raises(ConfigError) as refused:
        load(write("seed: 1\n"), [override])
    assert str(refused.value).startswith("--set ")


@pytest.mark.parametrize(
    ("text", "size"), [("256MB", 256 * 10**6), ("1.5 GB", 1_500_000_000), ("77", 77), (5, 5)]
)
def test_sizes_are_read_with_their_units(text, size):
    assert parse_size(text) == size


def test_a_stage_digest_changes_with_its_own_keys_only(write):
    path = write("seed: 1\n")
    plain, resharded = load(path), load(path, ["shard.target_bytes=1MB"])
    assert stage_digest(plain, "extract") == stage_digest(resharded, "extract")
    assert stage_digest(plain, "filter") == stage_digest(resharded, "filter")
    assert stage_digest(plain, "shard") != stage_digest(resharded, "shard")


def test_memory_bounds_are_no_part_of_a_result(write):
    path = write("seed: 1\n")
    small = load(path, ["dedup.memory_mb=64"])
    assert stage_digest(load(path), "deduplicate") == stage_digest(small, "deduplicate")
    assert "dedup.memory_mb" not in stage_keys(small, "deduplicate")


def unfolding(levels: int) -> str:
    """A YAML file of ten aliases a level: 10^levels values when it is unfolded."""
    lines = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 10) + "]")
    return "\n".join(lines)


def test_aliases_that_unfold_without_end_are_refused_with_their_line():
    with pytest.raises(ConfigError, match=r"x\.yaml:5: the aliases here unfold to more than"):
        parse_yaml(unfolding(9), "x.yaml")


def test_an_alias_of_itself_is_refused():
    with pytest.raises(ConfigError, match="aliases here unfold"):
        parse_yaml("a: &a [*a]", "x.yaml")


def test_a_few_aliases_are_read():
    data, _ = parse_yaml(unfolding(3), "x.yaml")
    assert data["a2"][0][0] == ["x"] * 10


def test_a_thousand_brackets_are_refused_in_a_line():
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_yaml("a: " + "[" * 5_000 + "]" * 5_000, "x.yaml")
