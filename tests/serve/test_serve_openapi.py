"""The OpenAPI document against the running server, with bodies that Schemathesis makes up from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from serving import EXAMPLES, Running, running

PICTURES = [(EXAMPLES / name).read_bytes() for name in ("five.png", "seven.png", "two.png")]
BOTH = (
    ("POST", "/v1/read"),
    ("POST", "/v1/corrections"),
    ("GET", "/v1/model"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)
OPERATIONS = {"reader": BOTH, "classifier": (*BOTH, ("POST", "/v1/predict"))}
EXAMPLES_EACH = {"/v1/read": 12, "/v1/predict": 4, "/v1/corrections": 12}  # 784 numbers take their time

schemathesis.openapi.media_type("image/png", st.sampled_from(PICTURES), aliases=["image/jpeg"])
schemathesis.openapi.media_type(
    "application/octet-stream", st.sampled_from([bytes(784), bytes(range(196)) * 8])
)


@pytest.fixture(scope="module")
def servers(
    classifier_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """One of each kind of model."""
    options = ("--workers", "1", "--max-wait", "60", "--timeout", "60", "--quiet", "--collect")
    with (
        running(*options, str(tmp_path_factory.mktemp("kept"))) as reads,
        running(
            *options, str(tmp_path_factory.mktemp("kept")), "--model", str(classifier_folder)
        ) as classifies,
    ):
        yield {"reader": reads, "classifier": classifies}


@pytest.fixture(scope="module")
def schemas(servers: dict[str, Running]) -> dict[str, BaseSchema]:
    return {kind: _schema(server) for kind, server in servers.items()}


def _schema(server: Running) -> BaseSchema:
    """413 is a refusal too, of more images than one request may bring; Schemathesis does not count it."""
    refusals = [400, 413, 415, 422]
    config = SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": refusals}}}
    )
    return schemathesis.openapi.from_url(f"{server.address}/openapi.json", config=config)


def test_every_route_is_described(schemas: dict[str, BaseSchema]) -> None:
    for kind, schema in schemas.items():
        described = {(each.ok().method.upper(), each.ok().path) for each in schema.get_all_operations()}
        assert described == set(OPERATIONS[kind])


CASES = [(kind, *each) for kind, operations in OPERATIONS.items() for each in operations]


@pytest.mark.parametrize(("kind", "method", "path"), CASES)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_conformance(
    schemas: dict[str, BaseSchema], kind: str, method: str, path: str, mode: GenerationMode
) -> None:
    """No server error; status, type and form of every answer as described; what is wrong is refused.

    That a string is the base64 of a picture is more than a schema can say: other strings may be refused.
    """
    operation = schemas[kind][path][method]
    if mode is GenerationMode.NEGATIVE and method == "GET":
        pytest.skip("nothing can be wrong about it")
    excluded = [] if path == "/v1/predict" or method == "GET" else [_check("positive_data_acceptance")]

    @settings(
        max_examples=EXAMPLES_EACH.get(path, 1),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    run()


def _check(name: str) -> schemathesis.CheckFunction:
    return next(check for check in schemathesis.checks.CHECKS.get_all() if check.__name__ == name)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_examples_of_the_document_are_answered(
    servers: dict[str, Running], schemas: dict[str, BaseSchema], kind: str
) -> None:
    """Those of the parameters all at once."""
    for path, described in schemas[kind].raw_schema["paths"].items():
        for operation in described.values():
            content = operation.get("requestBody", {}).get("content", {})
            query = {each["name"]: each["example"] for each in operation.get("parameters", ())}
            examples = [(name, body["example"]) for name, body in content.items() if "example" in body]
            for name, example in examples:
                answer = httpx.post(f"{servers[kind].address}{path}", json=example, params=query)
                assert answer.status_code == 200 and name == "application/json", answer.text
            assert examples or not content
