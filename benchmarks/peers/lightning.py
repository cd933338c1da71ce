"""Lightning's Trainer, with its logger, bar and checkpoints off."""

from __future__ import annotations

import lightning
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from workloads import LR, Meter, Workload


class Learn(lightning.LightningModule):
    def __init__(self, workload: Workload, meter: Meter):
        super().__init__()
        self.model, self.meter = workload.model(), meter

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        return functional.cross_entropy(self.model(batch[0]), batch[1])

    def on_train_batch_end(self, *_: object) -> None:
        if self.meter.tick():
            self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), LR, weight_decay=0)


def measure(workload: Workload) -> dict[str, float]:
    meter = Meter(workload.batch)
    loader = DataLoader(TensorDataset(*workload.data()), workload.batch, shuffle=True, drop_last=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Learn(workload, meter), loader)
    return meter.row()
