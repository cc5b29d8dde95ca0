"""The tagging head that a student starts with."""

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel


def set_tagging_classes(model: PreTrainedModel, class_names: Sequence[str]) -> None:
    """Give a classifier a head for these classes, in this order.

    A class that the model knows by name keeps its weights, wherever it stood. Every other class is rare: it starts at
    its frequency, so that the first steps do not bend the encoder to learn just that. So methods that tag different
    classes start alike, whatever the starting encoder tagged.

    Args:
        model: its linear head is `classifier`; configuration and head are changed.
        class_names: no name twice.
    """
    old, known = model.classifier, model.config.label2id
    head = torch.nn.Linear(old.in_features, len(class_names)).to(old.weight)
    model._init_weights(head)
    torch.nn.init.constant_(head.bias, -math.log(max(len(class_names) - 1, 1)))
    kept = [(row, known[name]) for row, name in enumerate(class_names) if name in known]
    if kept:
        rows, old_rows = map(list, zip(*kept, strict=True))
        with torch.no_grad():
            head.weight[rows], head.bias[rows] = old.weight[old_rows], old.bias[old_rows]
    model.classifier = head
    model.config.id2label = dict(enumerate(class_names))
    model.config.label2id = {name: row for row, name in enumerate(class_names)}
