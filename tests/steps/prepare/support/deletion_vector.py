"""A Delta deletion vector, made by hand: delta-rs reads them but writes none."""

import struct

# RoaringBitmapArray, portable [delta-io/delta PROTOCOL.md, "Deletion Vector Format"].
_MAGIC = 1681511377
_ALPHABET = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"  # Z85
)


def inline_vector(rows: list[int]) -> dict[str, object]:
    """Return a `deletionVector` that hides these rows (each below 65,536), stored in the log."""
    container = struct.pack("<II", 12346, 1) + struct.pack("<HHI", 0, len(rows) - 1, 16)
    bitmap = container + struct.pack(f"<{len(rows)}H", *rows)
    content = struct.pack("<iQI", _MAGIC, 1, 0) + bitmap
    padded = content + b"\0" * (-len(content) % 4)
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85(padded),
        "sizeInBytes": len(content),
        "cardinality": len(rows),
    }


def _z85(content: bytes) -> str:
    words = [
        int.from_bytes(content[start : start + 4], "big") for start in range(0, len(content), 4)
    ]
    return "".join(_ALPHABET[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
