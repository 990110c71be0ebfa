"""One training or prediction as a run: its folder, its command line, its record, its signals, its checkpoints, going on."""

from monai_hybrid.engines.length import total_updates
from monai_hybrid.runs.ask_first import ask_first
from monai_hybrid.runs.kept_rate import kept_rate
from monai_hybrid.runs.resume import Checkpoint
from monai_hybrid.runs.run_folder import claim_run, run_settings

__all__ = ["Checkpoint", "ask_first", "claim_run", "kept_rate", "run_settings", "total_updates"]
