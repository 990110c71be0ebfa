"""Dictionary transforms that MONAI lacks, or whose MONAI form breaks on real data lists."""

from monai_hybrid.transforms.annotated import AnnotatedIndicesd, DiscreteAnnotatedd, PadLabeld
from monai_hybrid.transforms.appearance import MatchAppearanced
from monai_hybrid.transforms.classes import LoadClassesd
from monai_hybrid.transforms.contrast import RandGIN, RandGINd, contrast_kind
from monai_hybrid.transforms.domains import NameDomaind
from monai_hybrid.transforms.intensity import Normalized
from monai_hybrid.transforms.labels import CompleteLabeld
from monai_hybrid.transforms.reader import CaseReader
from monai_hybrid.transforms.shapes import DrawShapesd
from monai_hybrid.transforms.spacing import SafeSpacingd
from monai_hybrid.transforms.views import StrongForStudentd, two_views
from monai_hybrid.transforms.warp import Draw2DElasticd, Draw3DElasticd, DrawAffined, Warpd, warp_batch

__all__ = [
    "AnnotatedIndicesd",
    "CaseReader",
    "CompleteLabeld",
    "DiscreteAnnotatedd",
    "Draw2DElasticd",
    "Draw3DElasticd",
    "DrawAffined",
    "DrawShapesd",
    "LoadClassesd",
    "MatchAppearanced",
    "NameDomaind",
    "Normalized",
    "PadLabeld",
    "RandGIN",
    "RandGINd",
    "SafeSpacingd",
    "StrongForStudentd",
    "Warpd",
    "contrast_kind",
    "two_views",
    "warp_batch",
]
