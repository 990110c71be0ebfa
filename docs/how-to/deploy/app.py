"""DICOM in, DICOM-SEG out, as an application of the MONAI Deploy App SDK: python app.py -i DICOM -m MODEL -o OUTPUT"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Operator, OperatorSpec
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator

import monai_hybrid

# Which series; surveys and screen shots among them are left out by the segmenter.
RULES = '{"selections": [{"name": "volume", "conditions": {"Modality": "(CT|MR)"}}]}'


class HybridSegmenterOperator(Operator):
    """One DICOM-SEG for each selected series, and `quality.csv`.

    Args:
        model: model.safetensors, or the folder of a run.
        output: folder for the results.

    Input:
        study_selected_series_list: of a DICOMSeriesSelectorOperator.
    """

    def __init__(self, fragment: Any, *args: Any, model: Path, output: Path, **more: Any) -> None:
        self.model, self.output = model, output
        super().__init__(fragment, *args, **more)

    def setup(self, spec: OperatorSpec) -> None:
        """The one port."""
        spec.input("study_selected_series_list")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Lay the files of the selected series aside, and predict them.

        Raises:
            DataError: a series is no volume; the others have their masks, and `quality.csv` says why.
        """
        studies = op_input.receive("study_selected_series_list")
        chosen = [selected.series for study in studies for selected in study.selected_series]
        with TemporaryDirectory() as folder:
            for series in chosen:
                for number, instance in enumerate(series.get_sop_instances()):
                    file = Path(instance.get_native_sop_instance().filename).resolve()
                    (Path(folder) / f"{series.SeriesInstanceUID}_{number}.dcm").symlink_to(file)
            for row in monai_hybrid.predict(folder, self.model, self.output):
                print(f"{row['case_id']}: {row['status']}, {row['mask']}", flush=True)


class HybridSegmenterApp(Application):
    """Loader, selector, segmenter."""

    def compose(self) -> None:
        """Join the operators."""
        paths: AppContext = Application.init_app_context(self.argv)
        given, model, output = (Path(path) for path in (paths.input_path, paths.model_path, paths.output_path))
        load = DICOMDataLoaderOperator(self, CountCondition(self, 1), input_folder=given, name="load")
        select = DICOMSeriesSelectorOperator(self, rules=RULES, all_matched=True, name="select")
        segment = HybridSegmenterOperator(self, model=model, output=output, name="segment")
        self.add_flow(load, select, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(select, segment, {("study_selected_series_list", "study_selected_series_list")})


if __name__ == "__main__":
    HybridSegmenterApp().run()
