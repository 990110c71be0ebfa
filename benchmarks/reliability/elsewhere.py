"""Groups G to L of the fault matrix: id, fault, and the test that holds it ("" where there is none yet)."""

from __future__ import annotations

START, TRAIN = "tests/bundle/test_start.py::", "tests/bundles/test_train.py::"
USE, WEIGHTS = "tests/bundles/test_use.py::", "tests/test_weights.py::"
TRANSFER, REFUSALS = "tests/networks/test_transfer.py::", "tests/networks/test_transfer_refusals.py::"
METRICS, REPORT = "tests/evaluation/test_metrics.py::", "tests/evaluation/test_report.py::"
REPAIR = "tests/data_prep/test_repair.py::"
CLI, FILES = "tests/data_prep/test_prep_cli.py::", "tests/data_prep/test_prep_files.py::"

CONFIG = [
    ("G01", "mistyped override", TRAIN + "test_wrong_settings_end_in_one_line_before_training"),
    ("G02", "value of a wrong type", START + "test_mistyped_settings_are_refused"),
    ("G03", "unknown key", START + "test_mistyped_settings_are_refused"),
    ("G04", "negative learning rate", ""),
    ("G05", "patch size not divisible", ""),
    ("G06", "patch larger than the volume", ""),
    ("G07", "classes against the label map", REFUSALS + "test_a_map_with_unknown_names_is_refused"),
    ("G08", "two configurations in conflict", ""),
    ("G09", "configuration missing", ""),
    ("G10", "configuration is not JSON", ""),
    ("G11", "JSON with comments", ""),
    ("G12", "output folder = input folder (repair)", REPAIR + "test_a_folder_that_is_not_new_is_refused"),
    ("G13", "output exists (repair)", REPAIR + "test_a_folder_that_is_not_new_is_refused"),
    ("G14", "no right to write the output", REPAIR + "test_an_output_that_cannot_be_written_ends_in_one_sentence"),
    ("G15", "conflicting flags", ""),
    ("G16", "logging.conf missing", ""),
    ("G17", "unknown device", ""),
    ("G18", "GPU asked, none there", ""),
    ("G19", "more workers than CPUs", ""),
    ("G20", "--help everywhere, without heavy imports", CLI + "test_help_is_fast_and_loads_nothing_heavy"),
]
MODELS = [
    ("H01", "torn file", WEIGHTS + "test_a_damaged_file_is_refused"),
    ("H02", "empty file", WEIGHTS + "test_a_damaged_file_is_refused"),
    ("H03", "pickle with code", WEIGHTS + "test_a_pickle_with_code_is_refused_and_not_run"),
    ("H04", "other architecture", WEIGHTS + "test_weights_of_another_network_are_refused_and_nothing_changes"),
    ("H05", "4 channels to 1", TRANSFER + "test_the_same_image_in_all_channels_gives_the_same_mask"),
    ("H06", "1 channel to 4", TRANSFER + "test_the_same_image_in_all_channels_gives_the_same_mask"),
    ("H07", "4 channels to 7", ""),
    ("H08", "fewer labels", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H09", "more labels", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H10", "labels renamed or permuted", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H11", "prefixes of DDP and of torch.compile", WEIGHTS + "test_prefixes_of_ddp_and_compile_come_off"),
    ("H12", "half precision", TRANSFER + "test_other_floating_types_become_the_network_s"),
    ("H13", "NaN in the weights", REFUSALS + "test_weights_that_are_not_finite_are_refused_by_name"),
    ("H14", "wrong checksum", ""),
    ("H15", "newer version of the format", ""),
    ("H16", "optimizer state missing", ""),
    ("H17", "written by another torch", ""),
    ("H18", "safetensors with bad offsets", ""),
]
UNTRUSTED = [
    ("I01", "'$' in a configuration", ""),
    ("I02", "'_target_' of os.system", ""),
    ("I03", "code in logging.conf", ""),
    ("I04", "pickle in a .pt file", WEIGHTS + "test_a_pickle_with_code_is_refused_and_not_run"),
    ("I05", "object array in a .npy file", ""),
    ("I06", "tag in YAML", ""),
    ("I07", "zip member with '..'", ""),
    ("I08", "link in a zip", ""),
    ("I09", "absolute path in a zip", ""),
    ("I10", "script in a model card", ""),
    ("I11", "TorchScript archive", ""),
    ("I12", "environment variable in a path", FILES + "test_message_names_file_place_seen_expected"),
]
DICOM = ["zip bomb", "zip in a zip", "mixed series", "slice missing", "slice twice", "gantry tilt", "varying spacing"]
DICOM += ["enhanced multi-frame", "compressed without codec", "DICOMDIR", "localiser inside", "patient name in an output"]
ARCHIVES = [(f"J{number:02d}", fault, "") for number, fault in enumerate(DICOM, 1)]
RUNNING = [
    ("K01", "SIGKILL at 20 random moments", ""),
    ("K02", "SIGKILL in the middle of a save", ""),
    ("K03", "SIGTERM", ""),
    ("K04", "SIGINT twice", ""),
    ("K05", "disk full at a save or a prediction", ""),
    ("K06", "quota on the cache", ""),
    ("K07", "memory limit", ""),
    ("K08", "worker killed", ""),
    ("K09", "NaN loss", "tests/engines/test_guards.py::test_a_loss_that_explodes_on_finite_images_points_at_the_learning_rate"),
    ("K10", "clock set back", ""),
    ("K11", "two runs in one folder, stale lock", ""),
    ("K12", "resume with a changed configuration", ""),
    ("K13", "resume with a case removed", ""),
    ("K14", "C locale", "tests/data_prep/test_prep_checks.py::test_c_locale"),
]
RESULTS = [
    ("L01", "missed structure", REPORT + "test_one_missed_structure_of_ten_shows"),
    ("L02", "invented structure", METRICS + "test_missed_and_invented_count_with_the_worst_value"),
    ("L03", "both empty", METRICS + "test_absent_in_both_has_no_score"),
    ("L04", "NaN prediction", USE + "test_a_network_that_gives_nan_is_not_scored"),
    ("L05", "anisotropic HD95", METRICS + "test_anisotropic_distances_are_in_mm"),
    ("L06", "class of one voxel", METRICS + "test_a_class_of_one_voxel"),
    ("L07", "aggregate = recomputation from the table", REPORT + "test_the_summary_is_a_recomputation_from_the_table"),
    ("L08", "undefined cases counted beside the mean", REPORT + "test_the_log_says_what_is_not_in_the_mean"),
    ("L09", "output grid = input grid", "tests/inferers/test_native_grid.py::test_any_grid_comes_back_bit_for_bit"),
    ("L10", "label values are the user's own", USE + "test_a_prediction_lies_on_the_grid_of_its_input"),
]

ELSEWHERE: list[tuple[str, str, str]] = [*CONFIG, *MODELS, *UNTRUSTED, *ARCHIVES, *RUNNING, *RESULTS]
