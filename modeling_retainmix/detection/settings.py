"""Settings of an anomaly detector, and the bounds of every one of them."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import FrozenInstanceError, asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassFieldValidationError

from modeling_retainmix.detection.backends.build import BACKENDS, backend_options
from modeling_retainmix.detection.backends.mahalanobis import Covariance
from modeling_retainmix.detection.backends.whitened import LeftOutCovariance
from modeling_retainmix.detection.nearest_search import Metric
from modeling_retainmix.detection.pooling import DEFAULT_GAMMA, DEFAULT_P, PoolingMode, keeps_bands
from modeling_retainmix.detection.vector_layout import CHANGE, CHANGE_RECORDED, EXTRA_BLOCKS, Layer, is_block
from modeling_retainmix.detection.windows import Reduction, Windows
from modeling_retainmix.encoders.known_keys import near_miss

Normalization = Literal["references", "test", "none"]
Microphones = Literal["near", "cancel", "residual", "fusion"]
Bank = Literal["domain", "shared"]

_BOUNDS = {  # smallest and largest valid value
    "layer": (0, math.inf),
    "pooling_p": (1, 100),
    "rdp_gamma": (0, 100),
    "shrinkage": (1e-6, 1),
    "explained_variance": (1e-6, 1 - 1e-6),
    "density_neighbors": (1, math.inf),
    "k": (1, math.inf),
    "memmixup_neighbors": (1, math.inf),
    "memmixup_alpha": (0, 1),
    "change_weight": (1e-6, 100),
    "far_weight": (1e-6, 100),
    "window_seconds": (0.01, 600),
    "hop_seconds": (0.01, 600),
    "max_frequency": (500, 8000),
}
_BLOCKS = [*EXTRA_BLOCKS, CHANGE_RECORDED, f"{CHANGE}K"]
_SEARCH_OPTIONS = (
    "k",
    "metric",
    "memmixup_neighbors",
    "covariance",
    "left_out_covariance",
)  # refused where a backend does not read them


@strict
@dataclass(frozen=True)
class DetectorSettings:
    """What a detector reads of an encoder and how it compares clips.

    Attributes:
        layer: index into `hidden_states`, or several, whose vectors are laid end to end. None: the `embedding_layer`
            of the encoder's config, or its last layer; with backend="whitened" as `joined_blocks` joins it with
            log-mel statistics and the changes of both, with another one alone (`default_blocks`). "log-mel" beside
            them, as in (1, "log-mel"), joins the statistics of the log-mel features (`patch_statistics`) with the
            clip's mean taken away, and "level" that mean, as recorded; with one of them, every block is divided by the
            spread of its references (`VectorLayout.divisors`). "recorded" is the statistics with that mean, in one
            block. "change-K" is by how much the tokens of layer K change from one to the next (`token_changes`), and
            "change-recorded" by how much those statistics do; both are compared apart from the other blocks
            (`GroupedBackend`).
        change_weight: of the distance between changes, beside that of the other blocks. The default was chosen among
            0.25, 0.5 and 1, on validation machines and real ones.
        pooling: mode of `pool_tokens`, of the tokens of each window.
        pooling_p: exponent of pooling="time_generalized_mean".
        rdp_gamma: exponent of pooling="time_rdp", 0 for the mean; 16 to 20 were best for BEATs and 1 for EAT
            (arXiv 2603.04605).
        backend: "knn", the distance to the nearest references (`KnnBackend`); "whitened", the same in a space whitened
            by a covariance of both domains (`WhitenedBackend`); "subband", the same for every frequency band by itself
            (`SubbandBackend`), and "varmin", corrected by the density of the references (`VarMinBackend`), both with
            pooling over time; "density", relative to the density of the references (`DensityBackend`); "mahalanobis",
            to a Gaussian of each domain (`MahalanobisBackend`); "pca", to the principal subspace of each domain
            (`PcaBackend`); or "fusion", the smallest of four of these, standardized (`FusionBackend`). The default did
            best on validation machines and real ones (`modeling_retainmix.evaluation.studies.detector_choice`). A
            domain with too few recordings for the backend is pooled with the other one, with a warning
            (`pool_domains`).
        bank: "domain", the references of each domain by themselves, the nearer domain decides; "shared", all
            references as those of one domain. "varmin" always shares them.
        shrinkage: of the covariance of "mahalanobis".
        covariance: of "mahalanobis", "domain" for one of each domain or "shared" for one of both.
        left_out_covariance: of "whitened" when a reference is left out, for thresholds and normalization: "refit",
            that of the others, or "held", the one of all references (see `WhitenedBackend` for their false alarms).
        explained_variance: share of the references' variance inside the subspace of "pca".
        density_neighbors: of a reference, whose mean distance is the density of "density" and "varmin".
        k: number of nearest references whose mean distance is the score.
        metric: "euclidean" or "cosine"; sub-bands are always compared by cosine.
        normalization: between domains, for machines with references of two. "references": by leave-one-out statistics
            of the references, if both domains have enough to vary, else none (with a warning); "test": by statistics
            of the clips of a call, the published rule, for reproducing figures only; "none": the smaller of the two
            distances. None: "none" with "whitened", whose distances in both domains are of one scale, and "references"
            with the others, of which those with Gaussians or subspaces of a domain need it.
        memmixup_neighbors: K_s of MemMixup; None: no MemMixup.
        memmixup_alpha: weight of the target reference in MemMixup.
        microphones: "near": a far microphone is not read; "cancel": its clip is subtracted from the near one before
            that is embedded, see `cancel_far`; "residual": clips are compared by their residual embeddings,
            near - far_weight * far; "fusion": by near and residual embeddings, see `build_backends`.
        far_weight: a of the residual. The default was chosen on validation machines with a simulated far microphone,
            where it changes little; 0.2 and more harm (`evaluation.studies.far_microphone`).
        window_seconds, hop_seconds, reduce: of clips longer than a window, see `Windows`.
        max_frequency: in Hz; clips are compared up to there, for tests and references of different bandwidths. Mel
            bins that reach higher are set to the mean of the feature extractor; None: all are read.
        pad: "waveform" puts zeros behind clips shorter than a window, as GenRep does; None leaves them short.

    Raises:
        ValueError: a value of another type or out of its bounds; the message gives field, value and bounds.
    """

    layer: Layer | tuple[Layer, ...] | None = None
    change_weight: float | int = 0.5
    pooling: PoolingMode = "time_mean"
    pooling_p: float | int = DEFAULT_P
    rdp_gamma: float | int = DEFAULT_GAMMA
    backend: str = "whitened"
    bank: Bank = "domain"
    shrinkage: float | int = 0.1
    covariance: Covariance = "domain"
    left_out_covariance: LeftOutCovariance = "refit"
    explained_variance: float | int = 0.95
    density_neighbors: int = 4
    k: int = 1
    metric: Metric = "euclidean"
    normalization: Normalization | None = None
    memmixup_neighbors: int | None = None
    memmixup_alpha: float | int = 0.9
    microphones: Microphones = "near"
    far_weight: float | int = 0.1
    window_seconds: float | int = 10.0
    hop_seconds: float | int = 5.0
    reduce: Reduction = "max"
    pad: Literal["waveform"] | None = None
    max_frequency: float | int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layer, list):  # as JSON has it
            object.__setattr__(self, "layer", tuple(self.layer))
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                with suppress(FrozenInstanceError):  # `strict` checks the type of a value before this class refuses it
                    setattr(self, field.name, value)
            except StrictDataclassFieldValidationError as error:
                raise _not_valid(field.name, value, *_valid_values(field.type)) from error
            _check_bounds(field.name, value)
            if field.name == "layer":
                _check_blocks(value, field.type)
        if self.backend not in BACKENDS:
            raise _not_valid("backend", self.backend, list(BACKENDS))
        read, defaults = backend_options(self.backend), {field.name: field.default for field in fields(self)}
        changed = [name for name in _SEARCH_OPTIONS if getattr(self, name) != defaults[name]]
        unread = [name for name in changed if name not in read]
        if unread:
            readers = [name for name in BACKENDS if set(unread) <= set(backend_options(name))]
            other = f", or use {' or '.join(map(repr, readers))}" if readers else ""
            raise ValueError(f"backend={self.backend!r} does not read {', '.join(unread)}: leave it out{other}")
        if self.normalization is None:
            object.__setattr__(self, "normalization", "none" if self.backend == "whitened" else "references")
        if BACKENDS[self.backend].needs_bands and not keeps_bands(self.pooling):
            raise ValueError(
                f"backend={self.backend!r} needs pooling='time_mean' or another mode over time, not "
                f"pooling={self.pooling!r}"
            )
        if self.hop_seconds > self.window_seconds:
            raise ValueError(
                f"hop_seconds={self.hop_seconds} is above window_seconds={self.window_seconds}, which would leave "
                "parts of a recording out: use at most the window"
            )

    @property
    def windows(self) -> Windows:
        """How clips are cut."""
        return Windows(self.window_seconds, self.hop_seconds, self.reduce, self.pad == "waveform")

    @property
    def has_two_vectors(self) -> bool:
        """Whether a window has a vector of each microphone, near and far end to end."""
        return self.microphones in ("residual", "fusion")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        return asdict(self)


def _not_valid(name: str, value: Any, texts: Sequence[str], others: Sequence[str] = ()) -> ValueError:
    """Return the error of a value of another type or of an unknown text.

    Args:
        name: of the setting.
        value: as given.
        texts: that are valid.
        others: what else is valid, in words.
    """
    likely = near_miss(value.lower(), texts) if isinstance(value, str) else None
    guess = "" if likely is None else f"did you mean {likely!r}? "
    *most, last = [*map(repr, texts), *others]
    valid = f"{', '.join(most)} or {last}" if most else last
    return ValueError(f"{name}={value!r} is not valid: {guess}{'U' if guess else 'u'}se {valid}")


def _valid_values(kind: Any) -> tuple[list[str], list[str]]:
    """List the texts that are valid for a field of this type, and what else is, in words."""
    if kind is str:  # the only one is `backend`
        return list(BACKENDS), []
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    texts = [text for one in kinds if get_origin(one) is Literal for text in get_args(one)]
    texts += _BLOCKS if str in kinds else []  # of `layer` alone
    others = ["a number" if float in kinds else "a whole number"] if int in kinds else []
    if any(get_origin(one) is tuple for one in kinds):
        others.append("several of these")
    if NoneType in kinds:
        others.append("None")
    return texts, others


def _check_blocks(layer: Any, kind: Any) -> None:
    unknown = [
        one for one in (layer if isinstance(layer, tuple) else (layer,)) if one is not None and not is_block(one)
    ]
    if unknown:
        raise _not_valid("layer", unknown[0], *_valid_values(kind))


def _check_bounds(name: str, value: Any) -> None:
    if name not in _BOUNDS or value is None:
        return
    low, high = _BOUNDS[name]
    values = [one for one in (value if isinstance(value, tuple) else (value,)) if not isinstance(one, str)]
    if value == () or not all(low <= one <= high for one in values):
        bounds = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
        raise ValueError(f"{name}={value!r} is not valid: use {bounds}")
