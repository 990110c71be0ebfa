"""What a transfer of weights did, tensor by tensor: as JSON, and as a short text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.json_io import dump_json, write_atomically

STATUSES = ("loaded", "adapted", "new", "dropped")
LISTED = 6  # tensors of a status in the text


@dataclass(frozen=True)
class TensorEntry:
    """One tensor.

    Attributes:
        name: its name in the state dict.
        status: "loaded" as it is; "adapted" to other channels or labels; "new": of the network, keeps its fresh values;
            "dropped": of the file, not used.
        how: what was adapted, or why it is new or dropped.
        parameters: its size, in numbers.
        taken: how many of the network's parameters here come from the file.
    """

    name: str
    status: str
    how: str
    parameters: int
    taken: int = 0


@dataclass(frozen=True)
class TransferReport:
    """The whole transfer.

    Attributes:
        source: the model file.
        tensors: the network's tensors in their order, then the dropped ones of the file.
        labels: {"label", "source", "row"} for each label of the network; source and row are None for a new one.
        channels: {"channel", "input", "prediction"} for each image channel; the two map source channels to weights.
        dropped_labels: labels of the file without a partner.
        warnings: what the reader should know.
    """

    source: str
    tensors: list[TensorEntry]
    labels: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    dropped_labels: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Tensors of each status."""
        return {status: len(self.names(status)) for status in STATUSES}

    @property
    def parameters(self) -> int:
        """Parameters of the network."""
        return sum(entry.parameters for entry in self.tensors if entry.status != "dropped")

    @property
    def taken(self) -> int:
        """Those of them that come from the file."""
        return sum(entry.taken for entry in self.tensors)

    @property
    def share(self) -> float:
        """`taken` / `parameters`, 0..1."""
        return self.taken / max(self.parameters, 1)

    def names(self, status: str) -> list[str]:
        """Names of the tensors of one status."""
        return [entry.name for entry in self.tensors if entry.status == status]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        numbers = {"share": self.share, "taken": self.taken, "parameters": self.parameters, "counts": self.counts}
        content = asdict(self)
        return {"format_version": 1, "source": content.pop("source"), **numbers, **content}

    def text(self) -> str:
        """The table and the warnings, as `transfer.txt` holds them."""
        return "\n".join([self.table(), *(f"  warning   {text}" for text in self.warnings)])

    def table(self) -> str:
        """A short table: totals, channels, labels, what is not as it was."""
        head = f"weights from {self.source}: {self.share:.1%} of {self.parameters} parameters"
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        channels = [f"  channel   {row['channel']} <- {_weighted(row['input'])}" for row in self.channels]
        labels = [f"  label     {row['label']} <- {_origin(row)}" for row in self.labels]
        left = [f"  dropped   label {name}" for name in self.dropped_labels]
        lines = [head, f"  tensors   {counts}", *channels, *labels, *left]
        return "\n".join([*lines, *self._tensor_lines()])

    def _tensor_lines(self) -> list[str]:
        lines = []
        for status in STATUSES[1:]:
            entries = [entry for entry in self.tensors if entry.status == status]
            lines += [f"  {status:<9} {e.name}: {e.how}" for e in entries[:LISTED]]
            if len(entries) > LISTED:
                lines.append(f"  {status:<9} ... and {len(entries) - LISTED} more, see transfer.json")
        return lines

    def save(self, folder: Path | str) -> None:
        """Write `transfer.json` and `transfer.txt`.

        Raises:
            EnvironmentFault: no space, no right.
        """
        dump_json(self.to_dict(), Path(folder) / "transfer.json")
        write_atomically(Path(folder) / "transfer.txt", (self.text() + "\n").encode())


def _origin(row: Mapping[str, Any]) -> str:
    return "new, fresh initialisation" if row["source"] is None else f"{row['source']} (row {row['row']})"


def _weighted(weights: Mapping[str, float]) -> str:
    return " + ".join(name if weight == 1 else f"{weight:.3g} {name}" for name, weight in weights.items())
