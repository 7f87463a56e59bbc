"""The type of a document's facts, and the schemas that an index was read with.

It imports nothing: an answer from the index needs neither pydantic nor a schema.
"""

from typing import Any

Facts = dict[str, Any]

# An index that was read with other schemas is rebuilt.
SCHEMAS = "prepared/1-2 trained/1-2 registered/1-2 approval/2; facts/2"
