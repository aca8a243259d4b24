"""Files that users give: whatever their bytes are, a value or an error of one line, and soon."""

import io
import os
import struct
import time
import zipfile

import numpy as np
import pytest

from taylorvit.boundary.reading import FileError, read_json, read_npz, read_toml


def refused(read, path, *arguments, **options):
    """What a file is refused with, behind its name; one line, and soon."""
    begin = time.process_time()
    with pytest.raises(FileError) as error:
        read(path, *arguments, **options)
    assert time.process_time() - begin < 5
    text = str(error.value)
    assert text.startswith(f"{path}: ") and len(text.splitlines()) == 1
    return text.removeprefix(f"{path}: ")


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Any file


@pytest.mark.parametrize("read", [read_toml, read_json, read_npz])
def test_files_that_cannot_be_read(tmp_path, read):
    assert refused(read, tmp_path / "absent") == "file must be readable: no such file or directory"
    assert refused(read, tmp_path / "absent" / "file") == "file must be readable: no such file or directory"
    assert refused(read, tmp_path) == "file must be readable: is a directory"
    assert refused(read, tmp_path / "a\0b") == "file must be readable: embedded null byte"
    assert refused(read, tmp_path / ("a" * 300)) == "file must be readable: file name too long"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("read", [read_toml, read_json, read_npz])
def test_files_that_are_forbidden(tmp_path, read):
    path = written(tmp_path / "secret", "a = 1")
    path.chmod(0)
    assert refused(read, path) == "file must be readable: permission denied"


@pytest.mark.parametrize(("read", "kind"), [(read_toml, "TOML"), (read_json, "JSON")])
def test_texts_that_are_none(tmp_path, read, kind):
    assert refused(read, written(tmp_path / "a", b"a = '\xff'")) == f"file must be {kind} in UTF-8, not other bytes"
    large = tmp_path / "b"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    assert refused(read, large).startswith(f"file must be {kind} of at most ")
    assert refused(read, "/dev/zero").startswith(f"file must be {kind} of at most ")


# TOML


def test_toml(tmp_path):
    text = '\ufeffa = 1\n[b]\n"c.d" = [1.5, 2.5, {e = "f.g.h" }] # i.j.k\n'
    assert read_toml(written(tmp_path / "a", text)) == {"a": 1, "b": {"c.d": [1.5, 2.5, {"e": "f.g.h"}]}}
    assert read_toml(written(tmp_path / "empty", "")) == {}


@pytest.mark.parametrize("text", [
    "a = 'X'", 'a = "X"', "a = '''X'''", 'a = """X"""', "a = 1 # X", '"X" = 1', "'X' = 1", 'a = "\\"X"', 'a = """"X"""',
])  # fmt: skip
def test_dots_in_texts_are_no_keys(tmp_path, text):
    read_toml(written(tmp_path / "a", text.replace("X", "b." * 100)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "file must be TOML: invalid value (at end of document)"),
        ("a = " + "9" * 5000, "file must be TOML with integers of at most 128 bits, not of more"),
        ("a = 0x" + "f" * 5000, "file must be TOML with integers of at most 128 bits, not of more"),
        ("a = " + "[" * 20000, "file must be TOML with at most 64 tables or lists in each other, not more"),
        ("a = " + "[" * 100 + "]" * 100, "file must be TOML with at most 64 tables or lists in each other, not more"),
        ("a = " + "{a=" * 20000, "file must be TOML with at most 64 tables or lists in each other, not more"),
        (".".join(["a"] * 20000) + " = 1", "file must be TOML with keys of at most 16 parts, not of more"),
        (" . ".join(['"a"'] * 17) + " = 1", "file must be TOML with keys of at most 16 parts, not of more"),
        (f"[{'.'.join('abcdefghijklmnopqrst')}]", "file must be TOML with keys of at most 16 parts, not of more"),
        ("a = { " + ".".join(["b"] * 17) + " = 1 }", "file must be TOML with keys of at most 16 parts, not of more"),
    ],
)
def test_wrong_toml(tmp_path, text, message):
    assert refused(read_toml, written(tmp_path / "a", text)) == message


@pytest.mark.parametrize("text", [
    '"' * 1_000_000, "'" * 999_999, '"\\' * 500_000, "#" * 1_000_000, "a" * 1_000_000, "a." * 500_000, "a\n" * 500_000,
    "\n".join(f"{'a.' * 15}b{number} = 1" for number in range(25000)), "[[a]]\n" * 150_000, '"""' + '"' * 999_999,
])  # fmt: skip
def test_toml_of_a_megabyte_takes_no_time(tmp_path, text):
    path = written(tmp_path / "a", text[: 1 << 20])
    begin = time.process_time()
    try:
        read_toml(path)
    except FileError as error:
        assert len(str(error)) < 1000
    assert time.process_time() - begin < 10


# JSON


def test_json(tmp_path):
    assert read_json(written(tmp_path / "a", '{"a": [1, {"b": null}]}')) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "file must be JSON: it is empty"),
        ("{", "file must be JSON: expecting property name enclosed in double quotes in line 1, column 2"),
        ("[1]", "file must be JSON, a JSON object, not a list"),
        ("null", "file must be JSON, a JSON object, not null"),
        ("1.5", "file must be JSON, a JSON object, not a number"),
        ("true", "file must be JSON, a JSON object, not true or false"),
        ('{"a": ' + "9" * 5000 + "}", "file must be JSON with integers of at most 128 bits, not of more"),
        ('{"a": ' + "9" * 50 + "}", "file must be JSON with integers of at most 128 bits, not of more"),
        ('{"a": ' + "[" * 20000, "file must be JSON with at most 64 tables or lists in each other, not more"),
        ('{"a": ' * 20000, "file must be JSON with at most 64 tables or lists in each other, not more"),
        ('{"a": ' * 65 + "1" + "}" * 65, "file must be JSON with at most 64 tables or lists in each other, not more"),
    ],
)
def test_wrong_json(tmp_path, text, message):
    assert refused(read_json, written(tmp_path / "a", text)) == message


def test_wrong_json_says_what_it_must_be(tmp_path):
    path = written(tmp_path / "a", "[]")
    assert refused(read_json, path, what="a report") == "file must be a report, a JSON object, not a list"


# .npz


def npz(path, compression=zipfile.ZIP_STORED, **members):
    """An archive of arrays, or of bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if not isinstance(content, bytes):
                content = array_bytes(content)
            archive.writestr(f"{name}.npy", content)
    return path


def array_bytes(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def header(shape, dtype="<f4", order="False"):
    text = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


@pytest.mark.parametrize("compression", [
    zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA,
])  # fmt: skip
def test_npz(tmp_path, compression):
    arrays = {
        "a": np.arange(24, dtype=">f8").reshape(2, 3, 4),
        "b": np.asfortranarray(np.arange(6, dtype="<i2").reshape(2, 3)),
        "c": np.array("text"),
        "d": np.zeros((0, 3)),
        "e": np.array(True),
        "f": np.float16(1),
        "g": np.array(1j),
    }
    path = npz(tmp_path / "a.npz", compression, **arrays)
    read = read_npz(path, required=("a", "b"), optional=("c", "d", "e", "f", "g", "h"))
    assert list(read) == list(arrays)
    for name, array in read.items():
        assert np.array_equal(array, arrays[name]) and array.dtype == arrays[name].dtype.newbyteorder("=")
        array[...] = array  # can be written to


def test_npz_of_many_chunks(tmp_path):
    array = np.arange(1_000_000)
    np.savez_compressed(tmp_path / "a.npz", a=array)
    assert np.array_equal(read_npz(tmp_path / "a.npz", ("a",))["a"], array)


def test_other_arrays_are_left_alone(tmp_path):
    path = npz(tmp_path / "a.npz", a=np.arange(3), b=b"damaged", c=np.array([{}]))
    assert list(read_npz(path, ("a",))) == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file must be an .npz file, as numpy.savez writes it, not an empty one"),
        (b"q,k,v\n", "file must be an .npz file, as numpy.savez writes it, not one of another kind"),
        (array_bytes(np.arange(3)), "file must be an .npz file, as numpy.savez writes it, not a single array (.npy)"),
        (b"PK\x03\x04" + bytes(100), "file must be an undamaged .npz file: file is not a zip file"),
    ],
)
def test_files_that_are_no_npz(tmp_path, content, message):
    assert refused(read_npz, written(tmp_path / "a", content)) == message


def test_array_with_an_archive_behind_it(tmp_path):
    archive = npz(tmp_path / "a.npz", q=np.arange(3)).read_bytes()
    path = written(tmp_path / "b.npz", array_bytes(np.arange(3)) + archive)
    assert refused(read_npz, path, ("q",)).endswith("not a single array (.npy)")


def test_devices_are_no_npz():
    assert refused(read_npz, "/dev/null") == "file must be a regular one, not a pipe or a device"


def test_a_pipe_that_nobody_may_write_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_npz, read_toml, read_json):
        assert refused(read, tmp_path / "pipe") == "file must be a regular one, not a pipe or a device"


def test_missing_array(tmp_path):
    path = npz(tmp_path / "a.npz", q=np.arange(3), b=np.arange(3))
    assert refused(read_npz, path, ("q", "k", "v")) == (
        "file must have the arrays q, k, v, and lacks k, v; it has 'b', 'q'"
    )
    assert refused(read_npz, npz(tmp_path / "b.npz"), ("q",)).endswith("it has none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "array q must be one of numpy: EOF: reading magic string"),
        (b"noise" * 20, "array q must be one of numpy: the magic string is not correct"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "array q must be one of numpy: version must be at most 3.0, not (9, 0)"),
        (header("(1000000, 1000000)") + bytes(64), "array q must have 4,000,000,000,000 bytes for its shape"),
        (header(f"({10**30},)") + bytes(64), "array q must be of at most 32 dimensions of 0 to 4294967296"),
        (header(f"(0, {10**30})"), "array q must be of at most 32 dimensions of 0 to 4294967296"),
        (header("(1, " * 40 + ")" * 40), "array q must be one of numpy"),
        (header("(" + "1, " * 40 + ")") + bytes(4), "array q must be of at most 32 dimensions"),
        (header("(-1, -1)") + bytes(4), "array q must be of at most 32 dimensions"),
        (header("(2,)") + bytes(4), "array q must have 8 bytes for its shape (2,) of float32, not 4"),
        (header("(2,)") + bytes(12), "array q must have 8 bytes for its shape (2,) of float32, not 12"),
        (header("(" * 9000), "array q must be one of numpy"),
        (header("(2,)", "<f99"), "array q must be one of numpy"),
        (header("(2,)", "<M8[s]") + bytes(16), "array q must be of numbers, not of datetime64[s]"),
        (header("(2,)", "<m8[s]") + bytes(16), "array q must be of numbers, not of timedelta64[s]"),
        (header("(2,)", "<U0"), "array q must be of numbers, not of <U0"),
        (header("(2,)", "|S4") + bytes(8), "array q must be of numbers, not of |S4"),
        (array_bytes(np.array([{}])), "array q must be of numbers, not of object"),
        (array_bytes(np.zeros(2, "i4,f4")), "array q must be of numbers, not of [('f0', '<i4'), ('f1', '<f4')]"),
    ],
)
def test_wrong_arrays(tmp_path, content, message):
    assert refused(read_npz, npz(tmp_path / "a.npz", q=content), ("q",)).startswith(message)


def changed(path, change):
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members(tmp_path, compression):
    noise = np.random.default_rng(1).normal(size=1000)
    for place in (60, 100, 2000):
        path = npz(tmp_path / "a.npz", compression, q=noise)

        def damage(content, place=place):
            content[place : place + 30] = b"\xff" * 30

        error = refused(read_npz, changed(path, damage), ("q",))
        assert error.startswith(("file must be an undamaged .npz file", "array q must be one of numpy"))


def test_wrong_checksum(tmp_path):
    path = npz(tmp_path / "a.npz", q=np.arange(1000))

    def damage(content):
        content[500] ^= 1

    assert refused(read_npz, changed(path, damage), ("q",)) == (
        "file must be an undamaged .npz file: bad CRC-32 for file 'q.npy'"
    )


@pytest.mark.parametrize(
    ("flags", "method", "message"),
    [
        (1, 0, "array q must not be encrypted"),
        (0, 99, "file must be an undamaged .npz file: that compression method is not supported"),
    ],
)
def test_members_that_nobody_can_read(tmp_path, flags, method, message):
    path = npz(tmp_path / "a.npz", q=np.arange(4))

    def change(content):
        for begin in (0, content.index(b"PK\x01\x02") + 2):  # in front of it, and in the directory
            struct.pack_into("<HH", content, begin + 6, flags, method)

    assert refused(read_npz, changed(path, change), ("q",)) == message


def test_a_name_that_is_no_text(tmp_path):
    path = npz(tmp_path / "a.npz", é=np.arange(4))

    def change(content):
        place = content.index(b"PK\x01\x02")
        content[content.index("é".encode(), place)] = 0xFF

    error = refused(read_npz, changed(path, change), ("q",))
    assert error.startswith("file must be an undamaged .npz file: 'utf-8' codec")


def test_arrays_larger_than_any_memory(tmp_path):
    path = npz(tmp_path / "a.npz", q=header("(2000000, 1000000)"))

    def change(content):
        struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 0xFFFFFFFE)

    assert "bytes for its shape" in refused(read_npz, changed(path, change), ("q",))
    path = npz(tmp_path / "a.npz", q=header("(2000, 100000)", "<f8"), k=header("(2000, 200000)", "<f8"))

    def change_both(content):
        place = content.index(b"PK\x01\x02")
        struct.pack_into("<I", content, place + 24, 0xFFFFFFFE)
        struct.pack_into("<I", content, content.index(b"PK\x01\x02", place + 4) + 24, 0xFFFFFFFE)

    assert refused(read_npz, changed(path, change_both), ("q", "k")) == (
        "arrays must have at most 4,294,967,296 bytes together, not 8,589,934,588"
    )


def test_an_archive_of_too_many_arrays(tmp_path):
    path = npz(tmp_path / "a.npz", **{f"a{index}": b"" for index in range(1001)})
    assert refused(read_npz, path, ("q",)) == "file must have at most 1000 arrays, not 1001"
