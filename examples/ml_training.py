"""Train a model, and what was trained before never again: cached tasks, whose data frames are kept as parquet.

    hub run examples/ml_training.py:training -p file=houses.csv
    hub run examples/ml_training.py:training -p file=houses.csv -p 'alphas=[0.1, 1, 10, 100]'

The second command trains one model: the table and the other models are Cached. A changed file, another alpha, a
changed line in `train` make just these steps miss, and the log says why: `hub runs logs RUN`. `hub cache ls` lists
what is kept, `hub results get RUN/features-0 --out features.parquet` gives the table.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from hub import create_table_artifact, flow, get_run_logger, task, unmapped
from hub.cache_policies import INPUTS, TASK_SOURCE

TARGET = "price"


@task
def fingerprint(file: str) -> str:
    """The file's content in short. Not cached: it says whether all that follows is."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@task(cache_policy=INPUTS - "file" + TASK_SOURCE, result_serializer="parquet")
def features(file: str, digest: str) -> pd.DataFrame:
    """The columns of numbers without gaps, each with mean 0 and deviation 1; the target stays as it is."""
    frame = pd.read_csv(file).select_dtypes("number").dropna()
    get_run_logger().info("%d rows, sha256 %.12s", len(frame), digest)
    columns = frame.drop(columns=TARGET)
    scaled: pd.DataFrame = (columns - columns.mean()) / columns.std().replace(0, 1)
    return scaled.assign(**{TARGET: frame[TARGET]})


@task(cache_policy=INPUTS + TASK_SOURCE)
def train(frame: pd.DataFrame, alpha: float) -> dict[str, Any]:
    """A ridge regression on four fifths of the rows, and its error on the last fifth."""
    x = np.column_stack([np.ones(len(frame)), frame.drop(columns=TARGET)])
    y = frame[TARGET].to_numpy()
    held_out = np.arange(len(frame)) % 5 == 4
    penalty = alpha * np.eye(x.shape[1])
    penalty[0, 0] = 0
    inside = x[~held_out]
    weights = np.linalg.solve(inside.T @ inside + penalty, inside.T @ y[~held_out])
    error = float(np.sqrt(np.mean((x[held_out] @ weights - y[held_out]) ** 2)))
    get_run_logger().info("alpha %g: error %.3f", alpha, error)
    return {"alpha": alpha, "error": error, "weights": [float(weight) for weight in weights]}


@flow
def training(file: str, alphas: tuple[float, ...] = (0.1, 1.0, 10.0)) -> dict[str, Any]:
    """The best of the models, one for each alpha."""
    frame = features(file, fingerprint(file))
    models = train.map(unmapped(frame), alphas).result()
    table = [{"alpha": model["alpha"], "error": round(model["error"], 4)} for model in models]
    create_table_artifact(table, key="models", description=f"Ridge regressions of **{TARGET}**")
    best: dict[str, Any] = min(models, key=lambda model: model["error"])
    return best
