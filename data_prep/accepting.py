"""`--accept D305,D103`: the user overrules judgements of the checks, in so many words."""

from __future__ import annotations

from data_prep.errors import ConfigError


def parse_codes(text: str | None) -> frozenset[str]:
    """The codes in "D305,D103"; none for None or an empty text.

    Raises:
        ConfigError: a code that does not exist, or that is a fact and no judgement.
    """
    from data_prep.checks import REGISTRY

    codes = frozenset(part.strip().upper() for part in (text or "").split(",") if part.strip())
    possible = sorted(code for code, entry in REGISTRY.items() if entry.acceptable)
    for code in sorted(codes):
        if code not in possible:
            reason = "cannot be accepted" if code in REGISTRY else "there is no such code"
            raise ConfigError(f"--accept {code}: {reason}; expected one of {', '.join(possible)}. Type: --accept D305")
    return codes
