"""Every promise of docs/serving.md, and the test that holds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = " ".join((TESTS.parent / "docs" / "serving.md").read_text(encoding="utf-8").split())
DEFINED = {
    name
    for path in TESTS.rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
}
PROMISES = {
    "stores no picture unless `--collect`": "test_nothing_is_collected_unless_asked",
    "Ctrl-C, SIGTERM or SIGHUP stops it": "test_half_sent_heads_and_a_hang_up",
    "answered the accepted requests": "test_sigterm_answers_what_is_in_flight_and_logs_a_line_a_request",
    "a picture as the body (`image/*`), a form with files, or": "test_a_picture_in_each_kind_of_body",
    "bytes (`application/octet-stream`), or a `.npy` file": "test_predict_in_each_kind_of_body",
    '`{"kept", "before", "after"}`': "test_corrections_are_what_adapt_takes",
    "card, figures, characters, preprocessing, limits": "test_the_model_says_what_it_is",
    "every worker is warm": "test_a_worker_that_died_idle_is_nobodys_fault",
    "Prometheus's text": "test_metrics_count",
    "all of this, with examples": "test_examples_of_the_document_are_answered",
    "probs` (of the characters that `/v1/model` lists": "test_the_model_names_its_characters",
    "reads only what matches": "test_an_expected_form",
    "write `+` as `%2B`": "test_a_plus_that_became_a_space_is_explained",
    "leaves out the separators": "test_digits_only",
    "that the network saw, in base64": "test_what_the_page_shows",
    "A pattern has at most 200 characters, and 256": "test_read_refuses",
    "takes each picture as one digit": "test_a_classifier_of_digits_reads_one",
    "The other parameters belong to the line reader": "test_a_classifier_takes_no_form",
    "for a line reader it answers 409": "test_a_line_reader_takes_no_images",
    'Every refusal is `{"error": {"found", "expected", "remedy"}}`': "test_any_bytes",
    "each that cannot be read has its own `error`": "test_a_bad_picture_among_good_ones_has_its_error",
    "| 400 | broken HTTP": "test_bad_heads",
    "| 403 | a correction from a page of another site": "test_corrections_come_from_a_page_of_this_server",
    "| 408 | the request's head does not arrive": "test_a_head_has_a_deadline",
    "or its body | `--timeout`": "test_so_has_a_body",
    "too many brackets or quotation marks": "test_too_many_marks_end_a_body_while_it_arrives",
    "| 415 | a body of another type": "test_read_refuses",
    "| 421 | a request for another host": "test_a_request_must_be_for_this_machine",
    "| 422 | not a picture": "test_hostile_pictures",
    "| 429 | one address has too many": "test_no_address_takes_all_connections",
    "| 431 | headers too large": "test_bad_heads",
    "| 499 | in the log only": "test_an_aborted_upload_is_one_line",
    "| 503 | overloaded, with `Retry-After`": "test_overload_is_refused_at_once_and_the_rest_answered",
    "| 504 | no answer in time": "test_what_takes_too_long_or_dies_costs_one_answer",
    "| 507 | as many corrections are kept as may be": "test_all_of_them_have_a_limit_in_bytes",
    "or the disk is full": "test_a_full_disk_is_507_and_nothing_is_half_kept",
    "the fatal picture is not retried": "test_only_the_request_that_a_worker_died_of_fails",
    "`/readyz` is 503 until": "test_a_worker_that_died_idle_is_nobodys_fault",
    "are answered together in its next batch": "test_joined_answers_are_never_crossed",
    "Large pictures are decoded one at a time": "test_a_large_picture_is_put_off",
    "leave a worker free for others": "test_heavy_work_leaves_a_worker_free",
    "the reception of its answer": "test_who_does_not_take_an_answer_is_closed",
    "an idle connection is closed after 5": "test_an_idle_connection_is_closed_without_a_word",
    "as many connections as the descriptors allow": "test_the_limit_comes_from_the_descriptors",
    "(of IPv6, a /64)": "test_whom_an_address_belongs_to",
    "the connection that has kept the server waiting the longest": "test_half_sent_requests_keep_nobody_out",
    "four of the largest size at a time": "test_large_bodies_wait_for_memory_and_small_ones_do_not",
    "stored completely, picture and line": "test_a_full_disk_is_507_and_nothing_is_half_kept",
    "would run as a formula": "test_what_was_read_is_no_formula_in_the_table",
    "`tenfold adapt --labels corrections/labels.csv` learns": "test_corrections_are_what_adapt_takes",
}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_test_holds_it(promise: str) -> None:
    assert promise in PAGE, "the page says something else now"
    assert PROMISES[promise] in DEFINED


def test_every_status_of_the_page_is_held() -> None:
    statuses = set(re.findall(r"\| ([45]\d\d) \| [a-z]", PAGE))
    held = {status for promise in PROMISES for status in re.findall(r"\b([45]\d\d)\b", promise)}
    assert statuses == held | {"413"}  # in words: "too large"
