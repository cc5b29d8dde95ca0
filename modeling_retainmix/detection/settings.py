"""Settings of an anomaly detector."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from modeling_retainmix.detection.nearest_search import Metric
from modeling_retainmix.detection.pooling import PoolingMode
from modeling_retainmix.detection.windows import Reduction, Windows

Backend = Literal["knn", "subband", "density", "mahalanobis", "pca", "fusion"]
Normalization = Literal["references", "test", "none"]
View = Literal["near", "residual", "fusion"]

_USED = {  # settings of the neighbour search that a backend reads; the others read none
    "knn": ("k", "metric", "mix_support"),
    "subband": ("k",),
    "density": ("k", "metric"),
}


@dataclass(frozen=True)
class DetectorSettings:
    """What a detector reads of an encoder and how it compares clips.

    Attributes:
        layer: index into `hidden_states`, or several, whose vectors are laid end to end; None: the `embedding_layer`
            of the encoder's config, or its last layer.
        pooling: mode of `pool_tokens`.
        backend: "knn", the distance to the nearest references; "subband", the same for every frequency band on its
            own (`BandBank`; needs time-mean pooling); "density", relative to the density of the references
            (`DensityBank`); "mahalanobis", to a Gaussian of each domain (`GaussianBank`); "pca", to the principal
            subspace of each domain (`SubspaceBank`); or "fusion", the smallest of four of these, standardised
            (`FusionBank`: knn and density, both with the cosine distance, mahalanobis and pca). Those with Gaussians
            or subspaces need `normalization="references"` where the domains differ in their number of references. The
            default did best on validation machines (`python -m modeling_retainmix.evaluation.studies.backends`).
        shrinkage: of the covariance of "mahalanobis".
        variance: share of the references' variance inside the subspace of "pca".
        density_neighbours: of a reference, whose mean distance is the density of "density".
        k: number of nearest references whose mean distance is the score.
        metric: "euclidean" or "cosine"; sub-bands are always compared by cosine.
        normalization: between domains, where there are references of two. "references": by leave-one-out statistics of
            the references; "test": by statistics of the clips of a call, the published rule, for reproducing figures
            only; "none": the smaller of the two distances.
        mix_support: K_s of MemMixup; None: no MemMixup.
        mix_alpha: weight of the target reference in MemMixup.
        view: where there is a second, far microphone. "near": it is not read; "residual": clips are compared by their
            residual embeddings, near - far_weight * far; "fusion": by both, see `build_bank`.
        far_weight: a of the residual. The default was chosen on validation machines with a simulated far microphone,
            where it changes little; 0.2 and more harm (`evaluation.studies.far_microphone`).
        window_seconds, hop_seconds, reduce: of clips longer than a window, see `Windows`.
        pad: "waveform" puts zeros behind clips shorter than a window, as GenRep does; None leaves them short.

    Raises:
        ValueError: a value out of range.
    """

    layer: int | tuple[int, ...] | None = None
    pooling: PoolingMode = "time_mean"
    backend: Backend = "mahalanobis"
    shrinkage: float = 0.1
    variance: float = 0.95
    density_neighbours: int = 4
    k: int = 1
    metric: Metric = "euclidean"
    normalization: Normalization = "references"
    mix_support: int | None = None
    mix_alpha: float = 0.9
    view: View = "near"
    far_weight: float = 0.1
    window_seconds: float = 10.0
    hop_seconds: float = 5.0
    reduce: Reduction = "max"
    pad: Literal["waveform"] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layer, list):  # as JSON has it
            object.__setattr__(self, "layer", tuple(self.layer))
        layers = self.layer if isinstance(self.layer, tuple) else (0 if self.layer is None else self.layer,)
        if not layers or not all(isinstance(layer, int) and layer >= 0 for layer in layers):
            raise ValueError(f"layer={self.layer!r} is no layer: use an index from 0, or several in a tuple")
        if self.pooling not in get_args(PoolingMode):
            raise ValueError(f"pooling={self.pooling!r} is unknown: use one of {', '.join(get_args(PoolingMode))}")
        if not isinstance(self.k, int) or self.k < 1:
            raise ValueError(f"k={self.k!r}: use at least 1 neighbour, a whole number")
        if self.mix_support is not None and self.mix_support < 1:
            raise ValueError(f"mix_support={self.mix_support}: use at least 1 source reference, or None")
        if not 0 <= self.mix_alpha <= 1:
            raise ValueError(f"mix_alpha={self.mix_alpha} is no weight: use a value from 0 to 1")
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric={self.metric!r} is unknown: use 'euclidean' or 'cosine'")
        if self.backend not in get_args(Backend):
            raise ValueError(f"backend={self.backend!r} is unknown: use one of {', '.join(get_args(Backend))}")
        chosen = {"k": self.k != 1, "metric": self.metric != "euclidean", "mix_support": self.mix_support is not None}
        unused = [name for name in chosen if chosen[name] and name not in _USED.get(self.backend, ())]
        if unused:
            raise ValueError(f"backend={self.backend!r} does not read {', '.join(unused)}: leave it out, or use 'knn'")
        if self.backend == "subband" and self.pooling != "time_mean":
            raise ValueError(f"backend='subband' needs pooling='time_mean', not pooling={self.pooling!r}")
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage={self.shrinkage} is out of range: use a value above 0 and at most 1")
        if not 0 < self.variance < 1:
            raise ValueError(f"variance={self.variance} is out of range: use a value between 0 and 1")
        if self.density_neighbours < 1:
            raise ValueError(f"density_neighbours={self.density_neighbours}: use at least 1 neighbour")
        if self.normalization not in get_args(Normalization):
            raise ValueError(
                f"normalization={self.normalization!r} is unknown: use one of {', '.join(get_args(Normalization))}"
            )
        if self.view not in get_args(View):
            raise ValueError(f"view={self.view!r} is unknown: use one of {', '.join(get_args(View))}")
        if not self.far_weight > 0:
            raise ValueError(f"far_weight={self.far_weight} is out of range: use a value above 0")
        if self.pad not in ("waveform", None):
            raise ValueError(f"pad={self.pad!r} is unknown: use 'waveform' or None")
        _ = self.windows  # checks its values

    @property
    def windows(self) -> Windows:
        """How clips are cut."""
        return Windows(self.window_seconds, self.hop_seconds, self.reduce, self.pad == "waveform")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return asdict(self)
