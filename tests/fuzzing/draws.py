"""What nobody would write: odd words, values and bytes, drawn at random."""

import json
import random

ODD = [
    *("", " ", "-", "--", "=", "0", "-1", "1e999", "nan", "inf", "-inf", "99999999999999999999"),
    *("\0", "\x1b[2J", "é", "\u202e", "../../x", "/etc/passwd", "~", "a" * 300, "%s%n", "{}"),
    *("None", "true", "[]", '"', "'", "`id`", "$(id)", "a,b", "1,2,3", "*", "runs/../..", "class/"),
]


def mutated(draw: random.Random, content: bytes) -> bytes:
    """Flip, cut, repeat, insert and replace some bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(6):
            case 0:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del data[at : at + draw.choice((1, 3, 64))]
            case 2:
                data[at:at] = data[at : at + draw.choice((1, 8, 200))]
            case 3:
                data[at:at] = draw.choice(ODD).encode("utf-8", "surrogatepass")
            case 4:
                data = data[:at]
            case 5:
                data[at : at + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
    return bytes(data)


def odd_value(draw: random.Random, depth: int = 2) -> object:
    """A value that JSON can hold, of any kind."""
    plain = [None, True, -1, 0, 2**70, 1e308, float("nan"), *ODD]
    if depth and draw.random() < 0.3:
        inner = [odd_value(draw, depth - 1) for _ in range(draw.randrange(3))]
        return inner if draw.random() < 0.5 else {str(v)[:20]: v for v in inner}
    return draw.choice(plain)


def odd_json(draw: random.Random, content: dict[str, object]) -> str:
    """Replace, remove or add values somewhere in a nest."""
    found = json.loads(json.dumps(content))
    places = [found]
    for value in places:
        places += [
            v for v in (value.values() if isinstance(value, dict) else ()) if isinstance(v, dict)
        ]
    for _ in range(draw.choice((1, 2, 5))):
        place = draw.choice(places)
        name = draw.choice([*place, "extra"])
        if draw.random() < 0.3:
            place.pop(name, None)
        else:
            place[name] = odd_value(draw)
    return json.dumps(found if draw.random() < 0.95 else odd_value(draw))
