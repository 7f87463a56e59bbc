"""The names of people's sessions in the embedded account: `runs`, `trace` and records show them.

    session_name("scientist")            # anna: the login name
    session_name("approver")             # local-approver
    session_name("approver", "ben")      # ben

IAM Identity Center names a session after its user; here a data scientist's has the login name. The
other roles have it only if it is given, because one person who tries everything alone would else be
refused as the approver of an own execution. Nothing proves a name here: root may assume any role.
"""

import getpass
import re

EXPECTED = "2 to 64 letters, digits and characters of _+=,.@-"  # STS, RoleSessionName
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_OTHER = re.compile(r"[^A-Za-z0-9_+=,.@-]+")


def is_name(text: str) -> bool:
    """Return whether STS takes this name of a session."""
    return _NAME.fullmatch(text) is not None


def session_name(role: str, given: str | None = None) -> str:
    """Return the name of a session of this role."""
    return given or (_login() if role == "scientist" else "") or f"local-{role}"


def _login() -> str:
    """Return the login name as STS takes it, or nothing: a container's user may have no name."""
    try:
        name = _OTHER.sub("-", getpass.getuser())[:64]
    except (KeyError, OSError):
        return ""
    return name if is_name(name) else ""
