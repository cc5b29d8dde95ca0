"""Marks of transformers' own common tests, which `test_transformers_common.py` runs where they are at hand."""

import os

import pytest

MARKS = (
    "accelerate_tests",
    "flash_attn_test",
    "flash_attn_3_test",
    "flash_attn_4_test",
    "all_flash_attn_test",
    "is_expert_parallel_test",
    "is_fsdp_test",
    "is_tensor_parallel_test",
    "is_training_test",
    "order",
    "torch_compile_test",
)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("RETAINMIX_TRANSFORMERS_TESTS"):
        for mark in MARKS:
            config.addinivalue_line("markers", f"{mark}: a mark of transformers' common tests")
