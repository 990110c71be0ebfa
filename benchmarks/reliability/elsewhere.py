"""Groups G to L of the fault matrix, and some of M and N: id, fault, and the test that holds it ("" where there is none)."""

from __future__ import annotations

START, TRAIN = "tests/bundle/test_start.py::", "tests/bundles/test_train.py::"
USE, WEIGHTS = "tests/bundles/test_use.py::", "tests/test_weights.py::"
TRANSFER, REFUSALS = "tests/networks/test_transfer.py::", "tests/networks/test_transfer_refusals.py::"
METRICS, REPORT = "tests/evaluation/test_metrics.py::", "tests/evaluation/test_report.py::"
REPAIR = "tests/data_prep/test_repair.py::"
VALUES, SHELL = "tests/bundle/test_setting_values.py::", "tests/test_cli.py::"
FOLDER, FAULTS = "tests/runs/test_run_folder.py::", "tests/runs/test_machine_faults.py::"
ZIP, HOSTILE = "tests/audit/test_audit_zip.py::", "tests/audit/test_hostile_models.py::"
AUDIT, FOREIGN = "tests/audit/test_audit.py::", "tests/data_prep/test_foreign.py::"
RESUME, SAVES = "tests/runs/test_resume.py::", "tests/runs/test_checkpoint_files.py::"
RUNS = "tests/bundles/test_going_on.py::"
CLI = "tests/data_prep/test_prep_cli.py::"

CONFIG = [
    ("G01", "mistyped override", TRAIN + "test_wrong_settings_end_in_one_line_before_training"),
    ("G02", "value of a wrong type", START + "test_mistyped_settings_are_refused"),
    ("G03", "unknown key", START + "test_mistyped_settings_are_refused"),
    ("G04", "negative learning rate", VALUES + "test_a_value_out_of_range_is_refused_and_its_neighbour_taken"),
    ("G05", "patch size not divisible", TRAIN + "test_a_patch_that_does_not_divide_is_refused_before_any_image_is_loaded"),
    ("G06", "patch larger than the volume", TRAIN + "test_a_raw_folder_of_pictures_trains_with_the_same_command"),
    ("G07", "classes against the label map", REFUSALS + "test_a_map_with_unknown_names_is_refused"),
    ("G08", "two configurations in conflict", START + "test_of_two_configurations_the_later_wins_and_it_is_said"),
    ("G09", "configuration missing", SHELL + "test_a_configuration_that_cannot_be_read_is_named"),
    ("G10", "configuration is not JSON", SHELL + "test_a_configuration_that_cannot_be_read_is_named"),
    ("G11", "JSON with comments", SHELL + "test_a_configuration_that_cannot_be_read_is_named"),
    ("G12", "output folder = input folder (repair)", REPAIR + "test_a_folder_that_is_not_new_is_refused"),
    ("G13", "output exists (repair)", REPAIR + "test_a_folder_that_is_not_new_is_refused"),
    ("G14", "no right to write the output", REPAIR + "test_an_output_that_cannot_be_written_ends_in_one_sentence"),
    ("G15", "conflicting flags", FOLDER + "test_both_wishes_at_once_are_refused"),
    ("G16", "logging.conf missing", SHELL + "test_a_missing_logging_file_is_named"),
    ("G17", "unknown device", VALUES + "test_a_value_out_of_range_is_refused_and_its_neighbour_taken"),
    ("G18", "GPU asked, none there", VALUES + "test_a_gpu_that_is_not_there_is_a_fault_of_the_machine"),
    ("G19", "more workers than CPUs", VALUES + "test_more_loader_processes_than_processors_are_taken_and_said"),
    ("G20", "--help everywhere, without heavy imports", CLI + "test_help_is_fast_and_loads_nothing_heavy"),
]
MODELS = [
    ("H01", "torn file", WEIGHTS + "test_a_damaged_file_is_refused"),
    ("H02", "empty file", WEIGHTS + "test_a_damaged_file_is_refused"),
    ("H03", "pickle with code", WEIGHTS + "test_a_pickle_with_code_is_refused_and_not_run"),
    ("H04", "other architecture", WEIGHTS + "test_weights_of_another_network_are_refused_and_nothing_changes"),
    ("H05", "4 channels to 1", TRANSFER + "test_the_same_image_in_all_channels_gives_the_same_mask"),
    ("H06", "1 channel to 4", TRANSFER + "test_the_same_image_in_all_channels_gives_the_same_mask"),
    ("H07", "4 channels to 7", TRANSFER + "test_the_same_image_in_all_channels_gives_the_same_mask"),
    ("H08", "fewer labels", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H09", "more labels", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H10", "labels renamed or permuted", TRANSFER + "test_mask_rows_follow_the_names_of_the_labels"),
    ("H11", "prefixes of DDP and of torch.compile", WEIGHTS + "test_prefixes_of_ddp_and_compile_come_off"),
    ("H12", "half precision", TRANSFER + "test_other_floating_types_become_the_network_s"),
    ("H13", "NaN in the weights", REFUSALS + "test_weights_that_are_not_finite_are_refused_by_name"),
    ("H14", "wrong checksum", WEIGHTS + "test_one_changed_bit_in_the_weights_is_noticed"),
    ("H15", "newer version of the format", WEIGHTS + "test_a_card_of_a_newer_format_is_refused"),
    ("H16", "optimizer state missing", RESUME + "test_a_checkpoint_without_its_optimizer_is_refused"),
    ("H17", "written by another torch", WEIGHTS + "test_files_of_other_versions_of_torch_are_read"),
    ("H18", "safetensors with bad offsets", WEIGHTS + "test_safetensors_with_bad_offsets_are_refused"),
]
UNTRUSTED = [
    ("I01", "'$' in a configuration", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I02", "'_target_' of os.system", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I03", "code in logging.conf", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I04", "pickle in a .pt file", WEIGHTS + "test_a_pickle_with_code_is_refused_and_not_run"),
    ("I05", "object array in a .npy or .npz file", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I06", "tag in YAML", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I07", "zip member with '..'", ZIP + "test_unsafe_zip_members_are_refused_before_anything_is_unpacked"),
    ("I08", "link in a zip", ZIP + "test_unsafe_zip_members_are_refused_before_anything_is_unpacked"),
    ("I09", "absolute path in a zip", ZIP + "test_unsafe_zip_members_are_refused_before_anything_is_unpacked"),
    ("I10", "script in a model card", HOSTILE + "test_a_model_card_is_text_and_never_evaluated"),
    ("I11", "TorchScript archive", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
    ("I12", "environment variable in a setting", AUDIT + "test_what_is_not_ours_is_refused_and_never_run"),
]
PACKED = ["zip bomb", "zip in a zip"]
DICOM = ["mixed series", "slice missing", "slice twice", "gantry tilt", "varying spacing", "enhanced multi-frame"]
DICOM += ["compressed without codec", "DICOMDIR", "localiser inside", "patient name in an output"]
ARCHIVES = [(f"J{number:02d}", fault, FOREIGN + "test_archives_are_refused_unopened") for number, fault in enumerate(PACKED, 1)]
ARCHIVES += [
    (f"J{number:02d}", fault, FOREIGN + "test_dicom_that_is_no_volume_is_named_with_what_to_type")
    for number, fault in enumerate(DICOM, len(PACKED) + 1)
]
RUNNING = [
    ("K01", "SIGKILL at 20 random moments", RUNS + "test_sigkill_then_resume"),
    (
        "K02",
        "SIGKILL in the middle of a save",
        "tests/benchmarks/test_reliability.py::test_kills_in_the_middle_of_saves_leave_no_torn_file",
    ),
    ("K03", "SIGTERM", RUNS + "test_sigterm_saves_and_the_same_command_with_resume_ends_with_the_same_weights"),
    ("K04", "SIGINT twice", RESUME + "test_ctrl_c_twice_ends_at_once_and_the_last_checkpoint_is_whole"),
    (
        "K05",
        "disk full at a save or a prediction",
        "tests/bundles/test_inference.py::test_a_full_disk_stops_the_prediction_and_the_next_one_goes_on",
    ),
    ("K06", "quota on the cache", FAULTS + "test_a_quota_on_the_cache_ends_in_one_sentence_and_the_next_run_is_whole"),
    ("K07", "memory limit", RUNS + "test_a_full_disk_and_a_memory_limit_end_in_one_sentence"),
    ("K08", "worker killed", FAULTS + "test_a_loader_process_that_is_really_killed_is_recognised"),
    ("K09", "NaN loss", "tests/engines/test_guards.py::test_a_loss_that_explodes_on_finite_images_points_at_the_learning_rate"),
    ("K10", "clock set back", SAVES + "test_the_newest_is_that_of_the_most_updates_whatever_the_clock_says"),
    (
        "K11",
        "two runs in one folder, stale lock",
        FOLDER + "test_a_second_process_is_told_who_runs_here_and_a_killed_one_leaves_no_lock",
    ),
    ("K12", "resume with a changed configuration", FOLDER + "test_going_on_with_other_settings_is_refused_at_once"),
    ("K13", "resume with a case removed", RESUME + "test_another_run_is_not_gone_on_with"),
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

SEG = "tests/data_prep/test_dicom_segmentations.py::"
LATER = [
    (
        "M11",
        "masks that the planned spacing loses (D315)",
        "tests/data_prep/test_ceiling.py::test_a_coarse_spacing_that_was_asked_for_stays_and_warns",
    ),
    (
        "N02",
        "DICOM-SEG of a series that is not here (D531)",
        SEG + "test_a_segmentation_of_a_series_that_is_not_here_is_left_out",
    ),
    ("N03", "DICOM-SEG that names no series (D532)", SEG + "test_what_does_not_fit_is_refused_by_its_code"),
    ("N04", "segments that overlap (D533)", SEG + "test_overlapping_segments_are_refused_by_name"),
    ("N05", "shares in the place of a mask (D534)", SEG + "test_shares_are_refused_until_accepted"),
    ("N06", "frames beside the voxels (D535)", SEG + "test_what_does_not_fit_is_refused_by_its_code"),
    ("N07", "two readers of one series (D536)", SEG + "test_two_readers_of_one_series_are_refused"),
    ("N08", "contours, RTSTRUCT (D537)", SEG + "test_contours_are_named_and_left_out"),
    ("N09", "segment without a name (D538)", SEG + "test_what_does_not_fit_is_refused_by_its_code"),
]

ELSEWHERE: list[tuple[str, str, str]] = [*CONFIG, *MODELS, *UNTRUSTED, *ARCHIVES, *RUNNING, *RESULTS, *LATER]
