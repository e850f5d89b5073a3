"""The list of bad inputs: what comes in, what is done about it, and the tests that hold it.

A row without a test fails here, and so does a test that bears the number of a row and is not named in it. What a
translator does with text that makes a model loop is a list of its own.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).resolve().parent


class Row(NamedTuple):
    """The exit code is 2 where no other is named; each of the tests is `file.py::function`."""

    input: str
    outcome: str
    tests: tuple[str, ...]


def row(input: str, outcome: str, *tests: str) -> Row:
    return Row(input, outcome, tests)


BAD_DATA = "cli/test_bad_input.py::test_bad_data_is_refused_before_training_and_can_be_mended"
ODD_PAIRS = "cli/test_bad_input.py::test_rows_3_12_13_18_19_20_odd_pairs_are_counted_and_the_rest_is_trained_on"
NO_FILE = "cli/test_bad_input.py::test_what_is_no_file_that_can_be_read_again_is_refused"
BAD_CONFIG = "cli/test_bad_input.py::test_a_bad_configuration_is_refused_by_every_command"
NO_CONFIG = "cli/test_bad_input.py::test_a_configuration_that_is_no_small_file_is_refused_at_once"
LACKING = "cli/test_bad_input.py::test_what_this_machine_lacks_is_refused_before_anything_is_made"
OPTIONS = "cli/test_bad_input.py::test_rows_32_39_options_of_translate_that_make_no_sense_are_refused"
GONE_READER = "cli/test_bad_input.py::test_rows_38_43_a_reader_that_has_gone_is_no_error"
PROBLEM = "config/test_config_bad_input.py::test_bad_input_is_named_with_place_key_rule_and_value"
TEXT = "config/test_config_bad_input.py::test_words_stay_text"
BAD_JSON = "data/test_corpus.py::test_bad_json_line_is_named_or_passed_over"
REPLACED = "data/test_corpus.py::test_nul_and_lone_surrogates_become_replacement_characters_and_are_counted"
LINE_ENDS = "test_files.py::test_lines_end_at_newline_only"
NASTY = "decoding/test_translator.py::test_every_nasty_line_has_one_answer_without_line_breaks"
FLAGS = "decoding/test_translator.py::test_flags_name_what_happened"
HARD_INPUT = "cli/test_translate_command.py::test_hard_input_keeps_its_lines_and_is_reported"
HOSTILE = "test_hostile_files.py::test_no_process_dies_and_each_file_is_refused_with_its_name"
NOT_RUN = "test_hostile_files.py::test_nothing_is_executed"
MODEST = "test_hostile_files.py::test_reading_takes_neither_memory_nor_time"
OTHER_TOKENIZER = "training/test_bad_resume.py::test_rows_53_54_another_tokenizer_in_a_bundle_is_refused"
CHANGED = "training/test_bad_resume.py::test_a_file_that_changes_while_training_stops_it_at_the_next_epoch"
OTHER_PAIRS = "training/test_bad_resume.py::test_rows_22_36_other_pairs_under_the_same_name_are_refused_on_resumption"
NO_START = "training/test_bad_resume.py::test_rows_35_39_a_start_that_is_no_bundle_is_refused"
BAD_DISK = "training/test_bad_environment.py::test_a_disk_that_fails_while_saving_leaves_what_was_saved_before"

ROWS = {
    # data
    1: row(
        "files of different length",
        "both counts, and about where they part",
        BAD_DATA,
        "data/test_corpus.py::test_unequal_files_are_refused_with_counts_and_place",
    ),
    2: row("an empty file, blank lines only", "refused", BAD_DATA),
    3: row(
        "one side blank on some lines",
        "left out, counted; many are a warning",
        ODD_PAIRS,
        "data/test_prepare.py::test_many_blank_lines_give_a_warning",
    ),
    4: row(
        "Latin-1, UTF-16",
        "file, line, byte, and the encoding it looks like",
        BAD_DATA,
        "test_files.py::test_wrong_encoding_is_named_with_line_and_byte",
    ),
    5: row("a byte order mark", "dropped once", LINE_ENDS),
    6: row("CRLF", "a line end", LINE_ENDS),
    7: row(
        "U+2028, vertical tab, U+0085 in a line",
        "stay in the line; a blank in translations",
        LINE_ENDS,
        "test_files.py::test_count_agrees_with_wc_over_block_borders",
        NASTY,
    ),
    8: row("NUL", "U+FFFD, counted; flagged in a translation", REPLACED, FLAGS),
    9: row(
        "a lone surrogate",
        "U+FFFD, counted; flagged in a translation",
        REPLACED,
        FLAGS,
    ),
    10: row("U+2581, <s>, </s>, <unk>, <pad>", "text", "data/test_tokenizer.py::test_what_looks_special_is_text"),
    11: row(
        "decomposed accents, odd blanks",
        "unified under nfkc, kept under identity",
        "data/test_tokenizer.py::test_nfkc_unifies_blanks_and_characters",
        "data/test_tokenizer.py::test_identity_is_lossless",
    ),
    12: row(
        "a line of a megabyte, an endless word",
        "left out of training; translated in parts",
        ODD_PAIRS,
        "decoding/test_segments.py::test_a_megabyte_without_a_blank_is_cut_in_time",
    ),
    13: row("many combining marks, direction marks, joined emoji", "as any text", ODD_PAIRS, NASTY),
    14: row(
        "csv: line breaks in quotes, missing or more columns",
        "one row; refused with the columns found",
        BAD_DATA,
        "data/test_corpus.py::test_csv_row_with_newlines_is_one_pair_at_its_first_line",
    ),
    15: row(
        "JSON lines: no JSON, a list, null", "line and reason; data.skip_bad_lines passes over some", BAD_DATA, BAD_JSON
    ),
    16: row(
        "no parquet file, half a gzip file",
        "refused by name",
        BAD_DATA,
        "data/test_columnar.py::test_parquet_that_does_not_fit_is_refused",
    ),
    17: row(
        "a hub dataset that is missing, gated, a script, or without a network",
        "what to do",
        "data/test_columnar.py::test_hub_errors_become_one_line_of_advice",
        "data/test_columnar.py::test_hub_mistakes_say_what_to_do",
        "data/test_columnar.py::test_missing_hub_dataset_offline_is_our_error_in_a_fresh_process",
    ),
    18: row(
        "languages swapped, copies",
        "a warning with the share, many are refused",
        ODD_PAIRS,
        "cli/test_bad_input.py::test_row_18_suspicious_pairs_stop_a_training_unless_allowed",
    ),
    19: row(
        "test pairs in the training pairs",
        "a warning with the number; data.drop_leaks",
        ODD_PAIRS,
        "data/test_prepare.py::test_leaks_are_counted_and_left_out_on_demand",
    ),
    20: row("repetitions", "a warning with the share", ODD_PAIRS),
    21: row(
        "fewer pairs than a batch",
        "trained on",
        "cli/test_bad_input.py::test_row_21_fewer_pairs_than_a_batch_train_and_translate",
    ),
    22: row(
        "a file that changes while it is trained on",
        "saved, and stopped",
        CHANGED,
        "training/test_bad_resume.py::test_row_22_a_file_that_is_only_touched_stops_nothing",
        OTHER_PAIRS,
    ),
    23: row("a pipe for training data", "refused", NO_FILE),
    24: row(
        "a directory, a loop of links, an unreadable file",
        "refused with the reason",
        BAD_DATA,
        NO_FILE,
        "test_files.py::test_what_is_no_readable_file_is_refused_with_the_reason",
        "test_files.py::test_unreadable_file_is_refused",
    ),
    # configuration and command line
    25: row("an unknown key", "line, and the key that was meant", PROBLEM),
    26: row("a key given twice", "both lines", PROBLEM),
    27: row("1e-4", "a number", "config/test_config_bad_input.py::test_yaml_1_2_numbers_are_numbers"),
    28: row("no, on, yes", "text", PROBLEM, TEXT),
    29: row("012, 12:30, dates", "text; refused where a number is needed", PROBLEM, TEXT),
    30: row(
        "numbers out of range, other types",
        "key, rule and value",
        BAD_CONFIG,
        PROBLEM,
        "config/test_config_bad_input.py::test_every_key_refuses_the_wrong_type",
        "config/test_config_bad_input.py::test_every_key_refuses_what_is_out_of_range",
    ),
    31: row("sizes that do not go together", "refused before anything is made", BAD_CONFIG, PROBLEM),
    32: row("no length, no beam, more beams than pieces", "refused", BAD_CONFIG, PROBLEM, OPTIONS),
    33: row("a batch smaller than the longest pair", "the number that is needed", BAD_CONFIG, PROBLEM),
    34: row(
        "empty, a list, no YAML, 100 MB, alias bombs, brackets",
        "refused at once, in little memory",
        BAD_CONFIG,
        NO_CONFIG,
        PROBLEM,
        HOSTILE,
        MODEST,
    ),
    35: row("no such configuration, a directory", "refused", NO_CONFIG, NO_START),
    36: row(
        "going on with other settings or pairs",
        "what differs, and whether it may",
        "training/test_bad_resume.py::test_row_36_other_settings_are_shown_and_the_run_keeps_its_own",
        OTHER_PAIRS,
    ),
    37: row(
        "a directory that holds something else",
        "not touched",
        "training/test_session.py::test_a_directory_with_something_else_in_it_is_not_touched",
    ),
    38: row(
        "an unknown command, help into a closed pipe",
        "usage; no error",
        "cli/test_main.py::test_wrong_usage_exits_with_2",
        "cli/test_main.py::test_help_into_a_closed_pipe_is_no_error",
        GONE_READER,
    ),
    39: row(
        "options that contradict each other",
        "refused",
        OPTIONS,
        NO_START,
        "training/test_bad_resume.py::test_row_39_a_dry_run_obeys_the_options_of_the_run_it_tries",
    ),
    40: row("a device that is not here, an unknown encoding", "the devices there are", LACKING, PROBLEM),
    41: row("fp16 on a CPU", "refused", LACKING),
    42: row("a terminal as input", "waits, with a hint", "cli/test_bad_input.py::test_row_42_a_terminal_gets_a_hint"),
    43: row(
        "| head -1",
        "ends silently, 141",
        "cli/test_translate_command.py::test_a_reader_that_goes_away_is_no_error",
        GONE_READER,
    ),
    44: row(
        "no last line end, no lines, blank lines",
        "line i answers line i",
        HARD_INPUT,
        "cli/test_translate_command.py::test_no_lines_give_no_lines",
        "decoding/test_translator_properties.py::test_any_bytes_give_as_many_lines_as_they_have",
    ),
    45: row(
        "a locale without UTF-8", "UTF-8", "cli/test_bad_input.py::test_row_45_without_a_utf_8_locale_all_is_utf_8"
    ),
    46: row(
        "Ctrl-C, once and twice",
        "saves, 130; stops at once, 130",
        "training/test_bad_resume.py::test_row_46_ctrl_c_once_saves_and_twice_stops_now",
        "training/test_bad_resume.py::test_row_46_an_interrupted_preparation_leaves_nothing_half_written",
    ),
    # checkpoints and tokenizers
    47: row(
        "a damaged newest checkpoint",
        "named; the one before is used; what that costs",
        "training/test_bad_environment.py::test_row_47_a_damaged_newest_checkpoint_gives_way_to_the_one_before",
        "training/test_session.py::test_when_all_checkpoints_are_damaged_nothing_is_deleted",
    ),
    48: row(
        "a pickle in any of its formats",
        "refused, not run",
        HOSTILE,
        NOT_RUN,
        "test_bundle.py::test_a_pickle_is_refused_and_not_run",
    ),
    49: row(
        "safetensors with an impossible header",
        "refused, in little memory",
        HOSTILE,
        MODEST,
        "test_bundle.py::test_a_header_that_claims_a_terabyte_is_refused",
    ),
    50: row(
        "a checkpoint of another model",
        "the first weights that do not fit",
        "training/test_bad_resume.py::test_row_50_a_checkpoint_of_another_model_is_refused",
        "test_bundle.py::test_weights_of_another_model_are_refused_by_name",
    ),
    51: row(
        "a checkpoint or bundle of a newer version",
        "both versions",
        "training/test_bad_resume.py::test_row_51_a_checkpoint_of_a_newer_version_is_not_passed_over",
        "test_bundle.py::test_a_bundle_of_a_newer_version_says_so",
    ),
    52: row(
        "weights alone, to go on from",
        "--init-from",
        "training/test_bad_resume.py::test_row_52_weights_alone_cannot_go_on",
    ),
    53: row(
        "no tokenizer, or another one",
        "both hashes",
        "training/test_bad_resume.py::test_row_53_another_tokenizer_in_a_run_is_named_with_both_hashes",
        "training/test_bad_resume.py::test_row_53_a_lost_tokenizer_is_made_again_from_the_same_pairs",
        OTHER_TOKENIZER,
    ),
    54: row(
        "a hostile tokenizer",
        "refused; a crash stays in a child process",
        HOSTILE,
        OTHER_TOKENIZER,
        "data/test_tokenizer.py::test_crash_in_the_child_is_our_error",
        "data/test_tokenizer.py::test_damaged_and_hostile_models_are_refused",
    ),
    55: row(
        "a vocabulary that is too large",
        "the largest that fits",
        BAD_DATA,
        "data/test_tokenizer.py::test_allowed_maximum_is_the_maximum",
    ),
    56: row(
        "a corpus of nothing, or of one character",
        "refused",
        BAD_DATA,
        "data/test_tokenizer.py::test_corpus_that_is_too_small_is_refused",
    ),
    57: row(
        "a read-only run",
        "translates; does not go on",
        "training/test_bad_resume.py::test_row_57_a_read_only_run_translates_but_does_not_go_on",
        "test_bundle.py::test_a_read_only_bundle_translates",
    ),
    58: row(
        "NaN in a checkpoint",
        "the last finite one is used",
        "training/test_bad_resume.py::test_row_58_a_checkpoint_that_is_not_finite_gives_way_to_the_last_finite_one",
    ),
    # file system and environment
    59: row("a full disk while saving", "stops; what was saved is whole", BAD_DISK),
    60: row(
        "a full disk for logs",
        "told once; the training goes on",
        "training/test_bad_environment.py::test_row_60_a_full_disk_for_the_log_stops_nothing",
        "training/test_monitor.py::test_a_full_disk_leaves_whole_lines_only",
    ),
    61: row(
        "quota, input/output errors, a lost file server",
        "stops; what was saved is whole",
        BAD_DISK,
        "training/test_bad_environment.py::test_row_61_nothing_is_renamed_from_another_directory",
    ),
    62: row(
        "file names with blanks, quotes, line ends, or too long",
        "work; refused",
        "cli/test_bad_input.py::test_a_run_directory_may_have_any_name",
        "cli/test_translate_command.py::test_any_output_name_works",
        "cli/test_translate_command.py::test_an_output_that_cannot_be_written_is_one_clear_line",
    ),
    63: row(
        "two trainings in one directory, an old lock",
        "the second is refused; goes on",
        "training/test_session.py::test_a_second_trainer_in_the_same_directory_is_refused",
        "training/test_bad_environment.py::test_row_63_a_lock_that_nobody_holds_any_more_stops_nothing",
    ),
    64: row(
        "a clock that jumps back",
        "order is by step",
        "training/test_bad_environment.py::test_row_64_checkpoints_are_ordered_by_step_and_never_by_time",
    ),
    65: row(
        "a process of several is killed",
        "the others end",
        "training/test_distributed.py::test_when_a_process_dies_the_others_end_and_none_stays",
    ),
    66: row(
        "SIGTERM in the first batch, validating, saving, twice",
        "saves once, 130",
        "training/test_bad_environment.py::test_row_66_sigterm_saves_once_wherever_it_comes",
    ),
    67: row(
        "memory that does not hold a batch",
        "its shape and what to lower, by --dry-run",
        "training/test_bad_environment.py::test_row_67_a_batch_that_memory_does_not_hold_is_named_by_the_dry_run",
    ),
    68: row(
        "NaN once, and many times in a row",
        "skipped and counted; stops",
        "training/test_trainer.py::test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted",
    ),
    69: row(
        "half of torchrun's variables, a port that is taken",
        "the right command",
        "training/test_distributed.py::test_row_69_half_of_torchruns_environment_is_one_line",
        "training/test_bad_environment.py::test_row_69_a_port_that_is_taken_is_one_line",
    ),
    70: row(
        "a number of processes that does not divide an update",
        "what to set",
        "training/test_distributed.py::test_what_cannot_be_shared_is_refused_with_what_to_set",
    ),
    71: row(
        "64 open files at most", "enough", "training/test_bad_environment.py::test_row_71_few_open_files_are_enough"
    ),
    72: row(
        "no network",
        "everything works",
        "training/test_bad_environment.py::test_row_72_all_of_it_works_without_a_network",
    ),
    # server
    73: row(
        "a body of 2 GB, in chunks, compressed, deep, slow, of another type; keys twice",
        "413, 408, 415 or 400 in bounded memory; others are served",
        *(
            f"serving/test_hostile_requests.py::test_row_73_{name}"
            for name in (
                "bodies_that_are_too_long_are_refused",
                "a_body_that_never_ends_is_cut_off_in_bounded_memory",
                "bodies_that_are_no_request_are_refused",
                "slow_senders_are_disconnected_and_do_not_hold_up_others",
                "a_second_request_that_comes_slowly_is_disconnected_too",
                "a_body_that_comes_slowly_is_told_so",
                "what_all_bodies_hold_together_is_bounded",
                "what_is_no_http_is_answered_with_400_or_413",
            )
        ),
    ),
    74: row(
        "q, languages, format and alternatives that make no sense",
        "400 in LibreTranslate's words, nothing echoed",
        "serving/test_hostile_requests.py::test_row_74_parameters_that_make_no_sense_are_refused",
        "serving/test_fields.py::test_any_json_is_an_order_or_refused",
    ),
    75: row(
        "clients that leave, too many at once, other methods, paths out of the page's folder",
        "work is not begun, 503 with the time to wait, the right status",
        *(
            f"serving/test_hostile_requests.py::test_row_75_{name}"
            for name in (
                "what_nobody_waits_for_is_not_begun",
                "beyond_the_queue_503_comes_at_once_with_the_time_to_wait",
                "beyond_the_connections_slow_ones_are_closed_first",
                "what_takes_too_long_is_told_so_and_given_up",
                "methods_and_paths_that_are_not_there",
            )
        ),
    ),
    76: row(
        "text that makes models loop",
        "an answer of bounded length; blank texts as they are",
        "serving/test_hostile_requests.py::test_row_76_text_that_makes_models_loop_is_answered_in_bounds",
    ),
}


def test_no_row_is_missing() -> None:
    assert list(ROWS) == list(range(1, 77))
    assert all(row.input and row.outcome and row.tests for row in ROWS.values())


@pytest.mark.parametrize("number", ROWS)
def test_the_tests_of_a_row_exist(number: int) -> None:
    for test in ROWS[number].tests:
        name, _, function = test.partition("::")
        assert f"\ndef {function}(" in (TESTS / name).read_text(encoding="utf-8"), test


def numbered(text: str) -> set[int]:
    """The rows whose numbers the names of tests and of their parameters bear: `test_rows_3_12_odd`, `row-4-utf-16`."""
    names = re.findall(r"def test_rows?_((?:\d+_)+)", text)
    return {int(part) for name in names for part in name.split("_") if part} | {
        int(number) for number in re.findall(r"\"row-(\d+)", text)
    }


def test_a_test_with_the_number_of_a_row_is_named_in_it() -> None:
    for path in sorted(TESTS.rglob("test_*.py")):
        for number in numbered(path.read_text(encoding="utf-8")):
            files = {test.partition("::")[0] for test in ROWS[number].tests}
            assert str(path.relative_to(TESTS)) in files, number
