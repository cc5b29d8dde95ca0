"""The procedural factory: a synthetic benchmark of machine sounds, faults and factory noise."""

from modeling_retainmix.data.factory.dataset import build_factory
from modeling_retainmix.data.factory.dcase_export import export_dcase
from modeling_retainmix.data.factory.plan import (
    FACTORY_SHA256,
    FACTORY_VERSION,
    FACTORY_VERSIONS,
    FOREIGN,
    FactoryConfig,
    factory_fingerprint,
)

__all__ = [
    "FACTORY_SHA256",
    "FACTORY_VERSION",
    "FACTORY_VERSIONS",
    "FOREIGN",
    "FactoryConfig",
    "build_factory",
    "export_dcase",
    "factory_fingerprint",
]
