"""The error tree of the whole project; it lives in `data_prep`, which must not import torch."""

from data_prep.errors import ConfigError, DataError, EnvironmentFault, HybridError, ModelFileError, TrainingFault

__all__ = ["ConfigError", "DataError", "EnvironmentFault", "HybridError", "ModelFileError", "TrainingFault"]
