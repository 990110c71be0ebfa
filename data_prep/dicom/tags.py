"""The few elements of a header that are read, and kinds of files by their SOP class."""

from __future__ import annotations

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATION, STRUCTURES = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds, 7.1 to 7.4

IDENTIFIERS = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "OtherPatientIDs")

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
