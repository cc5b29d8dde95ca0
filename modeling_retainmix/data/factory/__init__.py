"""The procedural factory: a synthetic benchmark of machine sounds, faults and factory noise."""

from modeling_retainmix.data.factory.dataset import FACTORY_VERSION, FactoryConfig, build_factory, factory_fingerprint

__all__ = ["FACTORY_VERSION", "FactoryConfig", "build_factory", "factory_fingerprint"]
