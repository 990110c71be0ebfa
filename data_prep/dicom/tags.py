"""The few elements of a header that are read, and kinds of files by their SOP class."""

from __future__ import annotations

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # segments, and label maps
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds, 7.1 to 7.4

NO_SCAN = {"1.2.840.10008.5.1.4.1.1.481.1": "a radiotherapy image", "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose"}
# Beginnings of SOP classes that hold no image: presentation states, reports, documents, plans, raw data, waveforms, mappings.
_ENDS: tuple[str, ...] = ("11.", "88.", "104.", "481.4", "481.5", "481.8", "481.9", "66.1", "66.2", "66.3", "66.5", "9.", "67")
_ENDS += ("68.", "4.2", "45.", "78.", "79.", "80.", "81.", "82.", "131", "200.")
STORAGE = "1.2.840.10008.5.1.4.1.1."  # all that a scanner or a workstation stores
WITHOUT_PIXELS = tuple(STORAGE + end for end in _ENDS)

IDENTIFIERS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "InstitutionName",
)

# What may part planes at one place, the likeliest first. Times of the clock come last: they part anything.
TELLS = (
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "ImageType",
    "AcquisitionNumber",
    "FlipAngle",
    "ConvolutionKernel",
    "KVP",
    "ContrastBolusAgent",
    "AcquisitionTime",
    "InstanceNumber",
)

TAGS = (
    *IDENTIFIERS,
    *TELLS,
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "NumberOfFrames",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
)
