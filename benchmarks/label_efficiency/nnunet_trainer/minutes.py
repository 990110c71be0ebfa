"""nnU-Net's own trainer, as long as some minutes allow.

nnU-Net finds this file by its variable `nnUNet_extTrainer`, in its own environment; nothing else imports it. Network, loss,
optimiser, augmentation and the form of the rate's schedule stay nnU-Net's. Its length is measured: a few updates are timed and
taken back, then the minutes are parted into `EPOCHS` epochs, at whose end the rate is 0.
"""

from __future__ import annotations

import json
import os
import resource
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

EPOCHS = 20  # nnU-Net has 1,000 of 250 updates; so many steps has the rate
VALIDATION = 20  # batches of the pseudo Dice an epoch, of the training cases themselves in fold `all`
WARM, TIMED = 4, 16  # updates


class nnUNetTrainerMinutes(nnUNetTrainer):  # noqa: N801 (nnU-Net's way to write its trainers)
    """Trains for NNUNET_MINUTES of processor time of this process (of the clock on a GPU), with OMP_NUM_THREADS threads."""

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # nnU-Net's command takes every core
        self.clock = time.process_time if device.type == "cpu" else time.perf_counter
        self.num_epochs, self.num_val_iterations_per_epoch = EPOCHS, VALIDATION
        self.logger.plot_progress_png = lambda folder: None  # takes longer than some epochs
        self.about: dict[str, Any] = {}

    def on_train_start(self) -> None:
        """Set the updates of an epoch by what an update takes."""
        super().on_train_start()
        self.network.train()
        update = self.seconds_of(lambda: self.train_step(next(self.dataloader_train)))
        with torch.no_grad():
            look = self.seconds_of(lambda: self.validation_step(next(self.dataloader_val)))
        budget = 60 * float(os.environ["NNUNET_MINUTES"]) / EPOCHS
        self.num_iterations_per_epoch = max(1, int((budget - VALIDATION * look) / update))
        self.about = {
            "seconds_an_update": round(update, 4),
            "epochs": EPOCHS,
            "updates_an_epoch": self.num_iterations_per_epoch,
        }
        self.print_to_log_file(f"{self.about}")
        self.began = self.clock(), time.perf_counter()

    def seconds_of(self, step: Any) -> float:
        """Mean seconds of a step; weights and momentum are put back."""
        weights = deepcopy(self.network.state_dict())
        for number in range(WARM + TIMED):
            if number == WARM:
                began = self.clock()
            step()
        spent = (self.clock() - began) / TIMED
        self.network.load_state_dict(weights)
        self.optimizer.state.clear()
        return spent

    def on_train_end(self) -> None:
        """Write `minutes.json`: how long, and the curve of loss and pseudo Dice."""
        clock, wall = self.clock() - self.began[0], time.perf_counter() - self.began[1]
        super().on_train_end()
        workers = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.about |= {
            "updates": EPOCHS * self.num_iterations_per_epoch,
            "cpu_seconds": round(clock, 1),
            "seconds": round(wall, 1),
            "cpu_seconds_of_augmentation": round(workers.ru_utime + workers.ru_stime, 1),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "train_loss": [round(float(v), 4) for v in self.logger.get_value("train_losses", None)],
            "pseudo_dice": [round(float(v), 4) for v in self.logger.get_value("mean_fg_dice", None)],
        }
        Path(self.output_folder, "minutes.json").write_text(json.dumps(self.about) + "\n")

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Left out: in fold `all` it would predict the training cases."""
