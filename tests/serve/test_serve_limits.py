"""Every limit has its own status, and every refusal the same form; whatever is posted, never a 500."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from serving import EXAMPLES, AppClient, base64_of, png_of

from tenfold.errors import UsageError
from tenfold.pictures.lines import make_strip
from tenfold.pictures.open import open_picture
from tenfold.reader.adapt import label_pictures
from tenfold.serve import bodies
from tenfold.serve.settings import ServeSettings

sys.path.append(str(Path(__file__).parents[1] / "pictures"))
from hostile_files import READABLE, make_hostile_files

PNG, JSON = {"Content-Type": "image/png"}, {"Content-Type": "application/json"}
RAW, NPY = {"Content-Type": "application/octet-stream"}, {"Content-Type": "application/x-npy"}
FIVE = (EXAMPLES / "five.png").read_bytes()


def refusal(answer: httpx.Response, status: int) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"found", "expected", "remedy"} and error["found"].isprintable()
    return error


def as_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


READ_REFUSALS: list[tuple[int, str, dict[str, Any]]] = [
    (400, "not JSON", {"content": b"{", "headers": JSON}),
    (413, "more than 16 brackets", {"content": b"[" * 100_000, "headers": JSON}),
    (413, "more than 16 brackets", {"content": b'{"pictures":' + b"{" * 99_999, "headers": JSON}),
    (413, "more than 20 quotation marks", {"json": {"pictures": [""] * 300_000}}),
    (400, "not JSON", {"content": b'{"pictures": [NaN]}', "headers": JSON}),
    (400, "not JSON", {"content": b'{"pictures": ["\xff"]}', "headers": JSON}),
    (400, "form cannot be read", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
    (
        400,
        "form cannot be read",
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
    ),
    (413, "bytes", {"content": bytes(2**20 + 1), "headers": PNG}),
    (413, "3,000 x 3,000 pixels", {"content": png_of(Image.new("1", (3000, 3000))), "headers": PNG}),
    (413, "5 pictures", {"json": {"pictures": [base64_of(FIVE)] * 5}}),
    (413, "5 pictures", {"files": [("a", ("a.png", FIVE))] * 5}),
    (413, "Too many", {"files": [("a", ("a.png", FIVE))] * 9}),
    (415, "type text/plain", {"content": b"seven", "headers": {"Content-Type": "text/plain"}}),
    (415, "type none", {"content": b"seven"}),
    (422, "text file", {"content": b"seven" * 90, "headers": PNG}),
    (422, "empty", {"content": b"", "headers": PNG}),
    (422, "no 'pictures'", {"json": {}}),
    (422, "not an object", {"json": [1]}),
    (422, "'picture'", {"json": {"picture": "x"}}),
    (422, "not a list", {"json": {"pictures": []}}),
    (422, "not base64", {"json": {"pictures": ["%%%%"]}}),
    (422, "not base64", {"json": {"pictures": [7]}}),
    (422, "without a file", {"data": {"a": "b"}, "files": {}}),
    (422, "include='colour'", {"content": FIVE, "headers": PNG, "params": {"include": "colour"}}),
    (422, "include='ink'", {"content": FIVE, "headers": PNG, "params": {"include": "image,ink"}}),
    (422, "parameter 'inlcude'", {"content": FIVE, "headers": PNG, "params": {"inlcude": "image"}}),
    (422, "digits='yes'", {"content": FIVE, "headers": PNG, "params": {"digits": "yes"}}),
    (422, "length='five'", {"content": FIVE, "headers": PNG, "params": {"length": "five"}}),
    (422, "length='-1'", {"content": FIVE, "headers": PNG, "params": {"length": "-1"}}),
    (422, "length 0", {"content": FIVE, "headers": PNG, "params": {"length": "0"}}),
    (422, "min 'ten'", {"content": FIVE, "headers": PNG, "params": {"min": "ten"}}),
    (422, "max 'nan'", {"content": FIVE, "headers": PNG, "params": {"max": "nan"}}),
    (422, "min 9 is above max 1", {"content": FIVE, "headers": PNG, "params": {"min": "9", "max": "1"}}),
    (422, "not closed", {"content": FIVE, "headers": PNG, "params": {"pattern": "("}}),
    (422, "cannot read", {"content": FIVE, "headers": PNG, "params": {"pattern": "a"}}),
    (422, "201 characters", {"content": FIVE, "headers": PNG, "params": {"pattern": "1" * 201}}),
    (422, "more than 256", {"content": FIVE, "headers": PNG, "params": {"pattern": r"((\d{9}){9}){9}"}}),
]


@pytest.mark.parametrize(("status", "words", "asked"), READ_REFUSALS)
def test_read_refuses(client: AppClient, status: int, words: str, asked: dict[str, Any]) -> None:
    if "files" in asked and not asked["files"]:  # a form with a field and no file
        body = b'--y\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--y--\r\n'
        asked = {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=y"}}
    assert words in refusal(client.post("/v1/read", **asked), status)["found"]


BLANK = np.zeros((1, 28, 28), np.uint8)
PREDICT_REFUSALS: list[tuple[int, str, dict[str, Any]]] = [
    (400, "not JSON", {"content": b"{", "headers": JSON}),
    (400, "header", {"content": b"\x93NUMPY\x01\x00\xff\xff{", "headers": NPY}),
    (400, "header", {"content": b"nothing", "headers": NPY}),
    (413, "21 images", {"content": bytes(21 * 784), "headers": RAW}),
    (413, "bytes", {"content": bytes(2**20 + 1), "headers": RAW}),
    (415, "image/png", {"content": FIVE, "headers": PNG}),
    (422, "0 bytes", {"content": b"", "headers": RAW}),
    (422, "785 bytes", {"content": bytes(785), "headers": RAW}),
    (422, "float64", {"content": as_npy(BLANK / 1), "headers": NPY}),
    (422, "object", {"content": as_npy(np.array([None])), "headers": NPY}),
    (422, "shape (28, 28)", {"content": as_npy(BLANK[0]), "headers": NPY}),
    (422, "Fortran", {"content": as_npy(np.asfortranarray(np.zeros((2, 28, 28), np.uint8))), "headers": NPY}),
    (422, "shape (1, 27, 28)", {"content": as_npy(BLANK[:, 1:]), "headers": NPY}),
    (422, "shape that 784 bytes cannot have", {"content": as_npy(BLANK)
        .replace(b"(1, 28", b"(10000000000, 28", 1).replace(b" " * 10 + b"\n", b"\n", 1), "headers": NPY}),
    (422, "no images", {"json": {"image": []}}),
    (422, "'labels'", {"json": {"images": BLANK.tolist(), "labels": [1]}}),
    (422, "not an array", {"json": {"images": "0"}}),
    (422, "shape (0)", {"json": {"images": []}}),
    (422, "unequal length", {"json": {"images": [[[1, 2], [3]]]}}),
    (413, "quotation marks", {"json": {"images": [[["a"] * 28] * 28]}}),
    (422, "not numbers", {"json": {"images": ["a" * 9999, "", ""]}}),
    (413, "more than 64 quotation marks", {"json": {"images": [""] * 150_000}}),
    (413, "more than 1,164 arrays", {"content": b"[" * 100_000, "headers": JSON}),
    (413, "numbers", {"content": b'{"images": [' + b"0," * 200_000, "headers": JSON}),
    (422, "not numbers", {"json": {"images": [[[None] * 28] * 28]}}),
    (422, "not numbers", {"json": {"images": [[[True, *[0] * 27]] * 28]}}),
    (422, "from 0 to 256", {"json": {"images": [[[256, *[0] * 27]] * 28]}}),
    (422, "from -1 to 0", {"json": {"images": [[[-1, *[0] * 27]] * 28]}}),
    (422, "from 0 to 0.5", {"json": {"images": [[[0.5, *[0] * 27]] * 28]}}),
    (422, "from 0 to inf", {"content": b'{"images": [[[0, 1e999]]]}', "headers": JSON}),
    (422, "shape (1, 28)", {"json": {"images": [[28] * 28]}}),
    (422, "shape (1, 784)", {"json": {"images": [[0] * 784]}}),
    (422, "parameter 'x'", {"content": bytes(784), "headers": RAW, "params": {"x": "1"}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "asked"), PREDICT_REFUSALS)
def test_predict_refuses(image_client: AppClient, status: int, words: str, asked: dict[str, Any]) -> None:
    assert words in refusal(image_client.post("/v1/predict", **asked), status)["found"]


SHAPES = (
    "(0x" + "f" * 8000 + ", 28, 28)", "(-1, -28, 28)", "(-784, -1, 1)", "(True, 28, 28)", "(1.0, 28, 28)",
    "(None, 28, 28)", "28", "'x'", "()", "(1, 28, 28)" * 300, "[[1]]", "(" * 90,
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_whatever_a_header_claims(image_client: AppClient, shape: str) -> None:
    """The worker refuses it, and lives."""
    header = ("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + "}").encode() + b"\n"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(784)
    answer = image_client.post("/v1/predict", content=body, headers=NPY)
    assert answer.status_code in (400, 422)
    refusal(answer, answer.status_code)
    assert image_client.post("/v1/predict", content=bytes(784), headers=RAW).status_code == 200
    assert "tenfold_worker_restarts 0" in image_client.get("/metrics").text


def test_a_line_reader_takes_no_images(client: AppClient) -> None:
    error = refusal(client.post("/v1/predict", content=bytes(784), headers=RAW), 409)
    assert "lines" in error["found"] and "/v1/read" in error["remedy"]
    assert "/v1/predict" not in client.get("/openapi.json").json()["paths"]


def test_a_classifier_takes_no_form(image_client: AppClient) -> None:
    for name in ("pattern", "length", "min", "max", "digits"):
        answer = image_client.post("/v1/read", content=FIVE, headers=PNG, params={name: "1"})
        assert f"unknown parameter '{name}'" in refusal(answer, 422)["found"]


def test_a_plus_that_became_a_space_is_explained(client: AppClient) -> None:
    answer = client.post("/v1/read?pattern=\\d+", content=FIVE, headers=PNG)
    assert "%2B" in refusal(answer, 422)["remedy"]
    assert client.post("/v1/read?pattern=\\d%2B", content=FIVE, headers=PNG).status_code == 200


def test_other_paths_and_methods(client: AppClient) -> None:
    assert "GET /nowhere" in refusal(client.get("/nowhere"), 404)["found"]
    answer = client.get("/v1/read")
    refusal(answer, 405)
    assert answer.headers["allow"] == "POST"
    refusal(client.get("/v1/no%07pe"), 404)


def test_headers_of_every_answer(client: AppClient) -> None:
    for answer in (client.get("/"), client.get("/healthz"), client.get("/nowhere")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "camera=(self)" in answer.headers["permissions-policy"]


HOSTS = {
    "localhost": 200, "LocalHost:8000": 200, "127.0.0.1:80": 200, "[::1]:8000": 200, "192.168.0.7": 200,
    "digits.example": 421, "localhost.example": 421, "127.0.0.1.example:8000": 421, "": 200,
    "[::1": 421, "evil@localhost.example": 421, "allowed.example": 200, "ALLOWED.example:99": 200,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_request_must_be_for_this_machine(client: AppClient, host: str) -> None:
    """Against DNS rebinding: a page of another site, whose name was made to lead here."""
    for path in ("/", "/v1/model", "/metrics"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == HOSTS[host]
    if HOSTS[host] == 421:
        assert "--allowed-host" in refusal(answer, 421)["remedy"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost", 200),
        ("https://allowed.example", 200),
        ("http://localhost:81", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_corrections_come_from_a_page_of_this_server(
    client: AppClient, origin: str | None, status: int
) -> None:
    before = len(list(corrections(client).glob("pictures/*")))
    headers = {} if origin is None else {"Origin": origin}
    given = {"picture": base64_of(FIVE), "label": "5"}
    answer = client.post("/v1/corrections", json=given, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(list(corrections(client).glob("pictures/*"))) == before + (status == 200)


def test_metrics_count(image_client: AppClient) -> None:
    def value(text: str, line: str) -> float:
        return next((float(row.split()[-1]) for row in text.splitlines() if row.startswith(line)), 0.0)

    asked = 'tenfold_requests_total{method="POST",route="/v1/predict",status="200"}'
    before = image_client.get("/metrics").text
    for _ in range(3):
        image_client.post("/v1/predict", content=bytes(784), headers=RAW)
    after = image_client.get("/metrics").text
    assert value(after, asked) == value(before, asked) + 3
    assert value(after, "tenfold_batch_requests_count") == value(before, "tenfold_batch_requests_count") + 3
    assert value(after, "tenfold_queue_depth") == 0 and value(after, "tenfold_body_bytes") == 0
    times = [row for row in after.splitlines() if row.startswith("tenfold_request_seconds_bucket")]
    predicted = [float(row.split()[-1]) for row in times if '"/v1/predict"' in row]
    assert predicted == sorted(predicted) and 'le="+Inf"' in times[-1]
    names = {row.split("{")[0].split()[0] for row in after.splitlines() if not row.startswith("#")}
    assert all(name.startswith("tenfold_") for name in names)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The hostile files that are files: what is a folder, a pipe or a broken link cannot be posted."""
    made = make_hostile_files(tmp_path_factory.mktemp("hostile"))
    return {name: path.read_bytes() for name, path in made.items() if path.is_file()}


def test_hostile_pictures(client: AppClient, hostile: dict[str, bytes]) -> None:
    """As a body, in a form and in JSON: read, or refused in a line."""
    for name, data in hostile.items():
        answers = [
            client.post("/v1/read", content=data, headers=PNG),
            client.post("/v1/read", files={"a": ("a.png", data)}),
            client.post("/v1/read", json={"pictures": [base64_of(data)]}),
        ]
        for answer in answers:
            if name in READABLE:
                assert answer.status_code == 200, name
            else:
                assert answer.status_code in (413, 422), (name, answer.text)
                refusal(answer, answer.status_code)
    assert len(hostile) > 30
    assert "tenfold_worker_restarts 0" in client.get("/metrics").text


def test_hostile_bodies_elsewhere(image_client: AppClient, hostile: dict[str, bytes]) -> None:
    for path in ("/v1/predict", "/v1/corrections"):
        for kind in (JSON, RAW, NPY, {"Content-Type": "multipart/form-data; boundary=a"}):
            for data in hostile.values():
                assert 400 <= image_client.post(path, content=data, headers=kind).status_code < 500


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b'{"pictures": ["', b'{"images": [[', b"\x93NUMPY\x01\x00", b"--a\r\n"]),
    kind=st.sampled_from(["application/json", "application/octet-stream", "multipart/form-data; boundary=a"]),
    path=st.sampled_from(["/v1/read", "/v1/predict", "/v1/corrections"]),
)
def test_any_bytes(image_client: AppClient, data: bytes, start: bytes, kind: str, path: str) -> None:
    answer = image_client.post(path, content=start + data, headers={"Content-Type": kind})
    refusal(answer, answer.status_code)
    assert 400 <= answer.status_code < 500


# Corrections


def corrections(client: AppClient) -> Path:
    assert client.settings.collect is not None
    return client.settings.collect


def test_corrections_are_what_adapt_takes(client: AppClient) -> None:
    """A picture with a whole line, a strip, and what is not to be read: pictures and their labels."""
    assert client.get("/v1/model").json()["collects"]
    strip = make_strip(np.asarray(Image.open(io.BytesIO(FIVE)).convert("L")))
    given = [
        {"picture": base64_of(FIVE), "label": "07/11\n-1.049", "read": "01/11"},
        {"image": base64_of(strip.tobytes()), "label": "12,5", "read": "?"},
        {"image": base64_of(strip.tobytes()), "label": "not a digit"},
    ]
    told = [client.post("/v1/corrections", json=each).json() for each in given]
    assert all("kept" in each for each in told), told
    first = told[0]["kept"]
    assert [each["kept"] for each in told] == [first, first + 1, first + 2]
    assert (told[0]["before"], told[0]["after"]) == ("01/11", "07/11\n-1.049")
    folder = corrections(client)
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))[-3:]
    assert [row["label"] for row in rows] == ["07/11\n-1.049", "12,5", "not a digit"] and rows[0][
        "read"
    ] == "01/11"
    labelled = label_pictures([], str(folder / "labels.csv"))[-3:]
    assert [each.label for each in labelled] == ["07/11\n-1.049", "12,5", "not a digit"]
    pixels = [open_picture(each.path).pixels for each in labelled]
    np.testing.assert_array_equal(pixels[0], open_picture(FIVE).pixels)
    np.testing.assert_array_equal(pixels[1][..., 0], strip)


def test_a_correction_of_an_image(image_client: AppClient) -> None:
    image = np.arange(784, dtype=np.uint8).reshape(28, 28)
    given = {"image": base64_of(image.tobytes()), "label": "5", "read": "6"}
    assert image_client.post("/v1/corrections", json=given).status_code == 200
    kept = max(corrections(image_client).glob("pictures/*.png"), key=lambda path: path.stat().st_mtime_ns)
    np.testing.assert_array_equal(np.asarray(Image.open(kept)), image)


def test_a_kept_picture_holds_nothing_but_its_pixels(client: AppClient) -> None:
    picture = Image.open(io.BytesIO(FIVE)).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "a telephone"
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif, quality=95)
    answer = client.post("/v1/corrections", json={"picture": base64_of(file.getvalue()), "label": "5"})
    assert answer.status_code == 200
    kept = max(corrections(client).glob("pictures/*.png"), key=lambda path: path.stat().st_mtime_ns)
    assert b"a telephone" not in kept.read_bytes() and not Image.open(kept).getexif()


STRIP = base64_of(bytes(32 * 40))


@pytest.mark.parametrize(
    ("status", "words", "given_as"),
    [
        (422, "no 'label'", {"image": STRIP}),
        (422, "not one picture", {"label": "7"}),
        (422, "not one picture", {"label": "7", "image": STRIP, "picture": STRIP}),
        (422, "the label 'seven'", {"label": "seven", "image": STRIP}),
        (422, "the label ''", {"label": "", "image": STRIP}),
        (422, "the label '1", {"label": "1\n", "image": STRIP}),
        (422, "the label '1 2'", {"label": "1 2", "image": STRIP}),
        (422, "the label '1?'", {"label": "1?", "image": STRIP}),
        (422, "the label '1", {"label": "1\n" * 16 + "1", "image": STRIP}),
        (422, "the label '111", {"label": "1" * 33, "image": STRIP}),
        (422, "the label '7'", {"label": 7, "image": STRIP}),
        (422, "the label '../7x'", {"label": "../7x", "image": STRIP}),
        (422, "3 bytes", {"label": "7", "image": "AAAA"}),
        (422, "0 bytes", {"label": "7", "image": ""}),
        (422, "33,312 bytes", {"label": "7", "image": base64_of(bytes(32 * 1041))}),
        (422, "'read'", {"label": "7", "image": STRIP, "read": "x" * 201}),
        (422, "empty", {"label": "7", "picture": ""}),
    ],
)
def test_corrections_refuse(client: AppClient, status: int, words: str, given_as: dict[str, Any]) -> None:
    before = len(list(corrections(client).glob("pictures/*")))
    assert words in refusal(client.post("/v1/corrections", json=given_as), status)["found"]
    assert len(list(corrections(client).glob("pictures/*"))) == before


@pytest.mark.parametrize(
    ("status", "words", "given_as"),
    [
        (422, "the label '77'", {"label": "77", "image": base64_of(bytes(784))}),
        (422, "3 bytes", {"label": "7", "image": "AAAA"}),
        (413, "2 images", {"label": "7", "image": base64_of(bytes(1568))}),
    ],
)
def test_corrections_of_images_refuse(
    image_client: AppClient, status: int, words: str, given_as: dict[str, Any]
) -> None:
    assert words in refusal(image_client.post("/v1/corrections", json=given_as), status)["found"]


def test_settings_that_make_no_sense() -> None:
    for options in (
        {"queue": 0},
        {"timeout": 0.0},
        {"max_body": -1},
        {"workers": 0},
        {"timeout": float("nan")},
    ):
        with pytest.raises(UsageError, match=rf"^(ServeSettings: )?{next(iter(options))} (=|is) "):
            ServeSettings(**options)  # type: ignore[arg-type]


def test_large_bodies_give_way_to_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of its own: the second large body of an address waits while others are served."""
    now, waited = [100.0], []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(bodies.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(bodies.asyncio, "sleep", sleep)
    held = bodies.Bodies(ServeSettings())
    length = held.settings.max_body

    async def claim(address: str, *, beside: bool) -> float:
        if beside:
            with held.reserve(SimpleNamespace(client=SimpleNamespace(host="10.0.0.1"))):  # type: ignore[arg-type]
                pass
        before = now[0]
        await held.claim(address, length)
        held.large.take(address, -length)
        return now[0] - before

    assert asyncio.run(claim("10.0.0.2", beside=False)) == asyncio.run(claim("10.0.0.2", beside=False)) == 0
    assert asyncio.run(claim("10.0.0.3", beside=True)) == 0
    now[0] += 0.5
    assert 0 < asyncio.run(claim("10.0.0.3", beside=True)) <= length / bodies._RATE
    assert asyncio.run(claim("10.0.0.4", beside=True)) == 0
    assert max(waited) <= 1
