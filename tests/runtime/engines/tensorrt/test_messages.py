"""What the library logs becomes the reason of the call that failed, and of no other."""

import importlib
from typing import Any

import pytest

from runtime.engines.tensorrt.messages import Messages, messages_of
from runtime.errors import CheckFailed


@pytest.fixture
def severity() -> Any:
    return importlib.import_module("tensorrt_rtx").ILogger.Severity


@pytest.fixture
def messages() -> Messages:
    """The real library's, which stays for the whole process."""
    trt = importlib.import_module("tensorrt_rtx")
    messages = messages_of(trt)
    assert messages_of(trt) is messages
    messages.clear()
    return messages


def test_errors_are_the_reason_and_the_rest_details(messages: Messages, severity: Any) -> None:
    messages.logger.log(severity.WARNING, "not an error")
    messages.logger.log(severity.ERROR, "first")
    messages.logger.log(severity.INFO, "nothing")
    messages.logger.log(severity.INTERNAL_ERROR, "x" * 5000)
    failure = messages.failure("it fails")
    assert str(failure) == "it fails; seen: first; next: choose another --engine"
    assert len(failure.details) == 1
    assert len(failure.details[0]) < 500


def test_a_warning_is_the_reason_where_there_is_no_error(messages: Messages, severity: Any) -> None:
    for text in ("Unable to determine GPU memory usage", "CUDA initialization failure with error: 35"):
        messages.logger.log(severity.WARNING, text)
    assert messages.failure("it fails").seen == "CUDA initialization failure with error: 35"
    messages.clear()
    assert messages.failure("it fails").seen == "no reason given"


def test_what_succeeds_is_given(messages: Messages) -> None:
    assert messages.checked("it fails", lambda value: value + 1, 1) == 2
    assert messages.checked("it fails", int) == 0


@pytest.mark.parametrize("answer", [None, False])
def test_none_and_false_are_failures(messages: Messages, severity: Any, answer: object) -> None:
    messages.logger.log(severity.ERROR, "of an earlier call")
    with pytest.raises(CheckFailed, match="it fails; seen: no reason given"):
        messages.checked("it fails", lambda: answer)


def test_refusal_of_the_binding_is_a_failure_with_its_words(messages: Messages) -> None:
    def nothing() -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(
        CheckFailed, match=r"it fails; seen: pybind11::init\(\): factory function returned nullptr; next"
    ):
        messages.checked("it fails", nothing)
