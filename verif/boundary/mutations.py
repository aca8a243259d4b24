"""Valid files with something changed at random, for tests that no file makes a command fail in a way of its own.

mutated = Mutations(seed)
mutated.bytes(content)    any file: bits, pieces, numbers, brackets
mutated.json(content)     one member is another
mutated.toml(text)        one line is another
"""

import json
import math
import random
import re

import torch

__all__ = ["ODD_TEXTS", "ODD_VALUES", "Mutations"]

#: Texts that an option may be given.
ODD_TEXTS = (
    "", "0", "-1", "1", "1.5", "nan", "-inf", "1e309", "9" * 5000, "0x10", "1_000", "٣", "²", "a b", "é", "[x]", "[/x]",
    "a\nb", "\udcff", "a=b", "=", ".", "/", "/dev/null", "absent/x", "a/" * 3000, "$x$", "{", "*", "--",
    "a.toml", "a.json", "a.npz", "a.safetensors", "a.h", "a.png",
)  # fmt: skip

#: Values that a member may have; the text is JSON and, but for `null` and NaN, also TOML.
ODD_VALUES = (
    '""', '"a"', '"a\\nb"', "0", "-1", "1", "2", "3", "7", "255", "65536", "1.5", "-0.5", "1e308", "1e-300", "9" * 50,
    "9" * 5000, "true", "[]", "[1, 2]", '["a"]', "[[]]", "[" * 100 + "]" * 100, "[" * 20000, "{}", f'"{"a" * 300}"',
    '"\\ud800"', '"[/x]"', '"$x$"', "null", "NaN", "Infinity", "nan", "inf", "2020-01-01", '"../a"', '"/dev/null"',
)  # fmt: skip
_PIECES = (b"", b"\0", b"\xff" * 40, b"\n", b"=", b"[", b"]" * 30, b"{", b'"', b"'''", b'"""', b"#", b",", b"." * 30,
           b"a." * 5000, b"-", b"e9", b"9" * 5000, b"[" * 20000, b"PK\x03\x04", b"\xe2\x82")  # fmt: skip


class Mutations:
    """Changes of one random sequence."""

    def __init__(self, seed) -> None:
        self.random = random.Random(str(seed))

    def bytes(self, content: bytes) -> bytes:
        """One to three changes anywhere."""
        content = bytearray(content)
        for _ in range(self.random.randint(1, 3)):
            self._change(content)
        return bytes(content)

    def _change(self, content: bytearray) -> None:
        place = self.random.randrange(len(content) + 1)
        length = self.random.choice((1, 1, 2, 4, 8, 50, 1000))
        kind = self.random.randrange(7)
        if kind == 0:
            del content[place:]
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = content[place : place + length]
        elif kind == 3:
            content[place:place] = self.random.choice(_PIECES)
        elif kind == 4:
            content[place : place + length] = self.random.randbytes(length)
        elif kind == 5 and content:
            content[place % len(content)] ^= 1 << self.random.randrange(8)
        elif numbers := list(re.finditer(rb"\d+", content)):
            number = self.random.choice(numbers)
            content[number.start() : number.end()] = self.random.choice(ODD_VALUES).encode()

    def json(self, content) -> str:
        """The text of an object in which one member is gone, is another, or has another name."""
        text = json.dumps(content)
        content = json.loads(text)
        holders = [content]
        for holder in holders:
            members = holder.values() if isinstance(holder, dict) else holder
            holders += [each for each in members if isinstance(each, dict | list) and each]
        holder = self.random.choice(holders)
        key = self.random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = self.random.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[self.random.choice(("", "a", "name", key + key))] = holder.pop(key)
        else:
            holder[key] = "<value>"
        return json.dumps(content).replace('"<value>"', self.random.choice(ODD_VALUES))

    def tensors(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Tensors of which one is gone, has another name, or is another."""
        tensors = dict(tensors)
        name = self.random.choice(list(tensors))
        tensor = tensors.pop(name)
        kind = self.random.randrange(8)
        if kind == 1:
            tensors[self.random.choice(("a", "", "head", name + ".a", name + "s"))] = tensor
        elif kind > 1:
            tensors[name] = self._other(tensor)
        return tensors

    def _other(self, tensor: torch.Tensor) -> torch.Tensor:
        """Of another size, type or values, or of several."""
        sizes = ((), (0,), (1,), (2, 2), (1, 2, 3, 4), tensor.shape[::-1], (*tensor.shape, 1), *[tensor.shape] * 6)
        types = (torch.float16, torch.float64, torch.bfloat16, torch.int8, torch.int64, torch.bool, torch.complex64)
        kind = self.random.choice((*types, *[tensor.dtype] * 7))
        values = (0, 1, -1, 127, 300, 1e30) + ((math.nan, math.inf) if kind.is_floating_point else ())
        return torch.full(self.random.choice(sizes), self.random.choice(values), dtype=torch.float64).to(kind)

    def toml(self, text: str) -> str:
        """The text with one line gone, twice, or with another value or key."""
        lines = text.splitlines()
        number = self.random.randrange(len(lines))
        key, equals, _value = lines[number].partition("=")
        kind = self.random.randrange(6)
        if kind == 0:
            del lines[number]
        elif kind == 1:
            lines.insert(number, lines[number])
        elif kind == 2:
            lines[number] = f"{self.random.choice(('a', 'a.b', key.strip() + '.a', '.'.join('a' * 20)))} {equals} 1"
        else:
            lines[number] = f"{key}{equals} {self.random.choice(ODD_VALUES)}"
        return "\n".join(lines) + "\n"
