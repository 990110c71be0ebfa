"""What a label is called in DICOM: a coded concept for each name, from a table, from the user, or the stated default.

All values are of SNOMED CT ("SCT"), with the meanings that DICOM's context groups give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEME = "SCT"
SIDES = {"left": "7771000", "right": "24028007"}
# PS3.16 CID 7150, Segmentation Property Category
STRUCTURE, ABNORMAL, TISSUE, SUBSTANCE = (
    ("91723000", "Anatomical Structure"),
    ("49755003", "Morphologically Abnormal Structure"),
    ("85756007", "Tissue"),
    ("91720002", "Body Substance"),
)
STRUCTURES = {
    "adrenal gland": ("23451007", "Adrenal gland"), "amygdala": ("4958002", "Amygdala"), "aorta": ("15825003", "Aorta"),
    "artery": ("51114001", "Artery"), "bladder": ("89837001", "Bladder"), "blood vessel": ("59820001", "Blood Vessel"),
    "bone": ("3138006", "Bone"), "brain": ("12738006", "Brain"), "brain stem": ("119238007", "Brain Stem"),
    "brain ventricle": ("35764002", "Brain ventricle"), "breast": ("76752008", "Breast"),
    "caudate nucleus": ("11000004", "Caudate Nucleus"), "cerebellum": ("113305005", "Cerebellum"),
    "cerebral cortex": ("40146001", "Cerebral cortex"), "clavicle": ("51299004", "Clavicle"), "colon": ("71854001", "Colon"),
    "corpus callosum": ("88442005", "Corpus callosum"), "duodenum": ("38848004", "Duodenum"),
    "esophagus": ("32849002", "Esophagus"), "eye": ("81745001", "Eye"), "femur": ("71341001", "Femur"),
    "fourth ventricle": ("35918002", "Fourth Ventricle"), "gallbladder": ("28231008", "Gallbladder"),
    "globus pallidus": ("14738005", "Globus Pallidus"), "heart": ("80891009", "Heart"),
    "hippocampus": ("5366008", "Hippocampus"), "humerus": ("85050009", "Humerus"),
    "inferior vena cava": ("64131007", "Inferior vena cava"), "insula": ("36169008", "Insula"),
    "kidney": ("64033007", "Kidney"),
    "large intestine": ("14742008", "Large intestine"), "lateral ventricle": ("66720007", "Lateral Ventricle"),
    "left atrium": ("82471001", "Left atrium"), "left ventricle": ("87878005", "Left ventricle"),
    "left ventricle myocardium": ("49848007", "Left Ventricle Myocardium"), "liver": ("10200004", "Liver"),
    "lung": ("39607008", "Lung"), "lymph node": ("59441001", "Lymph Node"), "mandible": ("91609006", "Mandible"),
    "midbrain": ("61962009", "Midbrain"), "nucleus accumbens": ("427667007", "Nucleus Accumbens"),
    "optic nerve": ("18234004", "Optic nerve"), "pancreas": ("15776009", "Pancreas"),
    "parotid gland": ("45289007", "Parotid gland"), "patella": ("64234005", "Patella"),
    "pituitary": ("56329008", "Pituitary"), "portal vein": ("32764006", "Portal vein"), "prostate": ("41216001", "Prostate"),
    "pulmonary artery": ("81040000", "Pulmonary artery"), "pulmonary vein": ("122972007", "Pulmonary vein"),
    "putamen": ("89278009", "Putamen"), "rectum": ("34402009", "Rectum"), "retina": ("5665001", "Retina"),
    "rib": ("113197003", "Rib"), "right atrium": ("73829009", "Right atrium"),
    "right ventricle": ("53085002", "Right ventricle"), "sacrum": ("54735007", "Sacrum"), "scapula": ("79601000", "Scapula"),
    "skin": ("39937001", "Skin"), "skull": ("89546000", "Skull"), "small intestine": ("30315005", "Small intestine"),
    "spinal cord": ("2748008", "Spinal cord"), "spleen": ("78961009", "Spleen"), "sternum": ("56873002", "Sternum"),
    "stomach": ("69695003", "Stomach"), "submandibular gland": ("54019009", "Submandibular gland"),
    "superior vena cava": ("48345005", "Superior vena cava"), "thalamus": ("42695009", "Thalamus"),
    "third ventricle": ("49841001", "Third ventricle"), "thyroid": ("69748006", "Thyroid"), "tibia": ("12611008", "Tibia"),
    "trachea": ("44567001", "Trachea"), "uterus": ("35039007", "Uterus"), "vein": ("29092000", "Vein"),
    "vena cava": ("35532006", "Vena cava"), "vertebra": ("51282000", "Vertebra"),
}  # fmt: skip
ABNORMALITIES = {
    "cyst": ("367643001", "Cyst"), "edema": ("79654002", "Edema"), "hemorrhage": ("50960005", "Hemorrhage"),
    "lesion": ("52988006", "Lesion"), "mass": ("4147007", "Mass"), "necrosis": ("6574001", "Necrosis"),
    "nodule": ("27925004", "Nodule"), "tumor": ("108369006", "Neoplasm"),
}  # fmt: skip
TISSUES = {
    "cartilage": ("309312004", "Cartilage"), "cerebral white matter": ("68523003", "Cerebral White Matter"),
    "fat": ("55603005", "Fat"), "gray matter": ("389081007", "Gray Matter"), "meniscus": ("74135004", "Meniscus"),
    "muscle": ("91727004", "Muscle"), "white matter": ("389080008", "White Matter"),
}  # fmt: skip
SUBSTANCES = {"blood": ("87612001", "Blood"), "cerebrospinal fluid": ("65216001", "Cerebrospinal Fluid")}
# Abbreviations that mean two things (LV: left or lateral ventricle) are not here: a wrong code is worse than the default.
OTHER_WORDS = {
    "accumbens": "nucleus accumbens", "adrenal": "adrenal gland", "arteries": "artery", "brainstem": "brain stem",
    "caudate": "caudate nucleus", "csf": "cerebrospinal fluid", "gall bladder": "gallbladder",
    "grey matter": "gray matter", "haemorrhage": "hemorrhage", "ivc": "inferior vena cava", "kidneys": "kidney",
    "lungs": "lung", "neoplasm": "tumor", "oedema": "edema",
    "oesophagus": "esophagus", "pallidum": "globus pallidus", "thyroid gland": "thyroid", "tumour": "tumor",
    "urinary bladder": "bladder", "vessel": "blood vessel", "vessels": "blood vessel",
    "vertebrae": "vertebra",
}  # fmt: skip
GROUPS = ((STRUCTURE, STRUCTURES), (ABNORMAL, ABNORMALITIES), (TISSUE, TISSUES), (SUBSTANCE, SUBSTANCES))
_CODE = {
    "type": "object",
    "properties": {
        "value": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,16}$", "description": "a code of 1 to 16 letters and digits"},
        "scheme": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,16}$", "description": "a scheme's name, such as SCT"},
        "meaning": {"type": "string", "pattern": "^[^\\u0000-\\u001f\\\\]{1,64}$", "description": "1 to 64 characters"},
    },
    "required": ["value", "meaning"],
    "description": 'such as {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}',
}
CODES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {**_CODE, "properties": {**_CODE["properties"], "category": _CODE}},  # type: ignore[dict-item]
    "description": 'label name -> code, such as {"liver": {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}}',
}


@dataclass(frozen=True)
class Code:
    """A coded concept: its value within a scheme, and what it means in words."""

    value: str
    meaning: str
    scheme: str = SCHEME


@dataclass(frozen=True)
class SegmentCode:
    """Category and type of a segment, and its side; `known` is False for the default."""

    category: Code
    type: Code
    side: Code | None = None
    known: bool = True


DEFAULT = SegmentCode(Code(*TISSUE), Code(*TISSUE), known=False)


def segment_code(name: str, own: Mapping[str, Any] | None = None) -> SegmentCode:
    """The code of a label name.

    Args:
        name: as in dataset.json; capitals, `_` and `-` do not matter, and "left" or "right" before or behind is the side.
        own: of the model's card, label name -> {"value", "meaning", "scheme", "category"}; goes before the table. Held to
            `CODES_SCHEMA` by whoever read it.

    Returns:
        From `own`, else from the table, else the default: "Tissue" as category and type.
    """
    given = (own or {}).get(name)
    if given:
        category = _given(given["category"]) if "category" in given else Code(*STRUCTURE)
        return SegmentCode(category, _given(given))
    plain = " ".join(re.sub(r"[_\W]+", " ", name.casefold()).split())
    found = _listed(plain)
    if found is not None:
        return found
    for side, value in SIDES.items():
        rest = re.sub(rf"^{side} | {side}$", "", plain)
        found = _listed(rest) if rest != plain else None
        if found is not None:
            return SegmentCode(found.category, found.type, Code(value, side.capitalize()))
    return DEFAULT


def _listed(name: str) -> SegmentCode | None:
    name = OTHER_WORDS.get(name, name)
    for category, group in GROUPS:
        if name in group:
            return SegmentCode(Code(*category), Code(*group[name]))
    return None


def _given(code: Mapping[str, Any]) -> Code:
    return Code(str(code["value"]), str(code["meaning"]), str(code.get("scheme", SCHEME)))
