"""The Trainer of transformers, with reports and saving off."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional
from workloads import LR, Meter, Workload


class WithLoss(nn.Module):
    """A network that returns its loss, as the Trainer asks for."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": functional.cross_entropy(self.model(x), labels)}


class Rows(torch.utils.data.Dataset):
    def __init__(self, x: torch.Tensor, target: torch.Tensor):
        self.x, self.target = x, target

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"x": self.x[number], "labels": self.target[number]}


class Metered(transformers.TrainerCallback):
    def __init__(self, meter: Meter):
        self.meter = meter

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = self.meter.tick()


def measure(workload: Workload) -> dict[str, float]:
    meter = Meter(workload.batch)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=workload.batch,
            max_steps=1_000_000,
            learning_rate=LR,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            dataloader_drop_last=True,
        )
        transformers.Trainer(
            WithLoss(workload.model()), arguments, train_dataset=Rows(*workload.data()), callbacks=[Metered(meter)]
        ).train()
    return meter.row()
