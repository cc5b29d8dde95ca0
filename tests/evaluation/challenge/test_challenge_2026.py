"""The data of DCASE 2026 Task 2, from invented folders in its layout to the official score of both microphones."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score
from tree_of_2026 import DEVELOPMENT, EVALUATION, NO_ATTRIBUTE, SECONDS, write_tree

from modeling_retainmix import AnomalyDetector, BeatsConfig, BeatsFeatureExtractor, BeatsModel, dcase_score
from modeling_retainmix.data import read_recordings
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.data.recordings import read_evaluation_recordings, scoring_rules


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("dcase2026t2")
    write_tree(root)
    return root


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, patch_embed_size=8
    )
    folder = tmp_path_factory.mktemp("encoder")
    BeatsModel(config).save_pretrained(folder)
    BeatsFeatureExtractor().save_pretrained(folder)
    return folder


def test_both_sets_are_read_with_domains_labels_and_attributes(tree):
    table = read_recordings(tree)
    assert set(table["machine_type"]) == {*DEVELOPMENT, *EVALUATION}
    rows = list(table.select_columns(["machine_type", "section", "split", "domain", "label", "attributes"]))
    counts = Counter((row["machine_type"], row["split"], row["domain"], row["label"]) for row in rows)
    for machine_type, attributes in (DEVELOPMENT | EVALUATION).items():
        assert counts[machine_type, "train", "source", "normal"] == 4
        assert counts[machine_type, "train", "target", "normal"] == 2
        known = {("" if text == NO_ATTRIBUTE else text) for text in attributes}
        references = [row for row in rows if (row["machine_type"], row["split"]) == (machine_type, "train")]
        assert {row["attributes"] for row in references} == known
    for machine_type in DEVELOPMENT:
        assert counts[machine_type, "test", "target", "anomaly"] == 1
    for machine_type in EVALUATION:
        assert counts[machine_type, "test", "", ""] == 4
    assert {row["section"] for row in rows} == {"00"}
    assert scoring_rules(table) == 2023  # whose rules are those of 2026


def test_labels_of_the_evaluation_set_come_from_its_ground_truth(tree):
    table = read_evaluation_recordings(tree / "eval_data", tree / "evaluator")
    tests = [row for row in table if row["split"] == "test"]
    assert len(tests) == 4 * len(EVALUATION)
    found = {(row["machine_type"], row["domain"], row["label"]): row["attributes"] for row in tests}
    assert found["ToyDrone", "target", "anomaly"] == "car_C1_spd_3_mic_2_mic_1"
    assert found["SewingMachine", "source", "normal"] == ""


def test_clips_of_all_lengths_are_decoded_whole_from_either_channel(tree, tmp_path):
    table = read_recordings(tree / "eval_data", split="test")
    near, far = (decode_table(table, tmp_path, channel=channel) for channel in (NEAR_CHANNEL, FAR_CHANNEL))
    for decoded in (near, far):
        lengths = {name: len(audio) for name, audio in zip(table["machine_type"], decoded["audio"], strict=True)}
        assert lengths == {name: 16000 * seconds for name, seconds in SECONDS.items()}
    assert near["audio"][0] != far["audio"][0]


@pytest.fixture(scope="module")
def scored(tree, encoder):
    """Columns of the tests, with scores of both microphones and the numbers of windows."""
    table = read_evaluation_recordings(tree / "eval_data", tree / "evaluator")
    columns = {name: np.asarray(table[name]) for name in table.column_names}
    settings = {"microphones": "cancel", "backend": "whitened", "normalization": "none"}
    detector = AnomalyDetector.from_pretrained(encoder, device="cpu", **settings)
    channels = {"channel": NEAR_CHANNEL, "far_channel": FAR_CHANNEL}
    scores, num_windows = np.full(len(table), np.nan), np.zeros(len(table), dtype=int)
    for machine_type in EVALUATION:
        is_type = columns["machine_type"] == machine_type
        references, tests = (np.flatnonzero(is_type & (columns["split"] == split)) for split in ("train", "test"))
        detector.fit(columns["path"][references].tolist(), domains=columns["domain"][references], **channels)

        def take(clip, tests=tests):
            num_windows[tests[clip.position]] = clip.num_windows

        scores[tests] = detector.score(columns["path"][tests].tolist(), **channels, on_score=take)
    is_test = columns["split"] == "test"
    columns |= {"score": scores, "num_windows": num_windows}
    return {name: column[is_test] for name, column in columns.items()}


@pytest.mark.slow
def test_both_channels_are_scored_at_every_length_by_the_rules_of_2026(scored):
    windows = dict(zip(scored["machine_type"], scored["num_windows"], strict=True))
    assert windows == {name: 3 if seconds == 16 else 1 for name, seconds in SECONDS.items()}
    is_anomaly, parts = scored["label"] == "anomaly", []
    for machine_type in EVALUATION:
        own = scored["machine_type"] == machine_type
        for domain in ("source", "target"):
            chosen = own & (is_anomaly | (scored["domain"] == domain))
            parts.append(roc_auc_score(is_anomaly[chosen], scored["score"][chosen]))
        parts.append(roc_auc_score(is_anomaly[own], scored["score"][own], max_fpr=0.1))
    found = dcase_score(
        scored["score"],
        is_anomaly.astype(int),
        scored["domain"],
        scored["machine_type"],
        scored["section"],
        rules=2026,
    )
    assert len(parts) == 15
    assert found["official_score"] == pytest.approx(hmean(parts), abs=1e-12)
    assert found["official_score"] > 0.9  # the whistle is in the near channel alone
