"""Who looked at the wiring, when, and for which content of the definition: a change needs a new look."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.definition import Definition
from bench.errors import BenchError, WiringError
from bench.state_folder import file_word, read_state, state_folder, write_state
from bench.wall_clock import utc_now

SHOWN = 12  # letters of a digest that are shown and name the file


@dataclass(frozen=True, slots=True)
class WiringConfirmation:
    """One look at the wiring: which content of which bench, by whom, when (UTC), and what was ticked."""

    bench: str
    digest: str
    by: str
    at: str
    ticked: tuple[str, ...]


def content_hash(definition: Definition) -> str:
    """Return the SHA-256 of what a definition says: comments, order and place of the file do not count."""
    content = definition.model_dump(mode="json")
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def confirm_wiring(definition: Definition, by: str, ticked: tuple[str, ...]) -> WiringConfirmation:
    """Store that a person has compared the bench with its wiring sheet.

    Raises:
        WiringError: nobody is named, or nothing was ticked.
        BenchError: it cannot be stored.
    """
    if not by.strip():
        raise WiringError(f"bench {definition.name}: the wiring is confirmed by a person; name one")
    if not ticked:
        raise WiringError(f"bench {definition.name}: nothing was ticked, so nothing is confirmed")
    made = WiringConfirmation(definition.name, content_hash(definition), by.strip(), utc_now(), ticked)
    write_state(_folder(definition) / f"{made.digest[:SHOWN]}.json", asdict(made))
    return made


def find_confirmation(definition: Definition) -> WiringConfirmation | None:
    """Return the confirmation of exactly this content, or None.

    Raises:
        BenchError: the file is damaged, or is that of another content.
    """
    digest = content_hash(definition)
    path = _folder(definition) / f"{digest[:SHOWN]}.json"
    if not path.exists():
        return None
    found = _read(path)
    if (found.bench, found.digest) != (definition.name, digest):
        raise BenchError(f"{path}: belongs to another bench or content; remove it and confirm the wiring again")
    return found


def require_confirmed(definition: Definition) -> WiringConfirmation:
    """Let pass only a definition whose wiring was confirmed as it stands now.

    Raises:
        WiringError: it was not, or it has changed since.
        BenchError: the confirmation is damaged.
    """
    found = find_confirmation(definition)
    if found is not None:
        return found
    bench = definition.source if definition.source.name else definition.name
    what_to_do = (
        f"print the sheet with 'bmsbench wiring --bench {bench}', compare it with the bench, then add --confirm "
        "--by NAME"
    )
    earlier = [_read(path) for path in sorted(_folder(definition).glob("*.json"))]
    last = max(earlier, key=lambda each: each.at, default=None)
    if last is None:
        raise WiringError(f"bench {definition.name}: nobody has confirmed its wiring; {what_to_do}")
    raise WiringError(
        f"bench {definition.name}: its definition has changed since {last.by} confirmed the wiring at {last.at} "
        f"(content {last.digest[:SHOWN]} then, {content_hash(definition)[:SHOWN]} now); {what_to_do}"
    )


def _folder(definition: Definition) -> Path:
    return state_folder() / "wiring" / file_word(definition.name)


def _read(path: Path) -> WiringConfirmation:
    data = read_state(path)
    try:
        texts = [data[key] for key in ("bench", "digest", "by", "at")]
        ticked = data["ticked"]
        if not all(isinstance(text, str) for text in [*texts, *ticked]):
            raise TypeError("its values are no texts")
    except (KeyError, TypeError) as problem:
        raise BenchError(f"{path}: is no confirmation of a wiring ({problem}); remove it and confirm again") from None
    bench, digest, by, at = texts
    return WiringConfirmation(bench, digest, by, at, tuple(ticked))
