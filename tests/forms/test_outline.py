"""Sheets on a desk, found by their grey and by their edges, against the corners that they were drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tenfold.forms.register import find_edge_outlines, find_outlines

CORNERS = np.array([(90, 60), (520, 95), (500, 400), (60, 370)], np.float64)


def draw_sheet(desk: int, shadow: float) -> np.ndarray:
    """A sheet of grey 225 on a desk, with a shadow across both: uint8 (450, 600, 3)."""
    image = Image.new("L", (600, 450), desk)
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in CORNERS], fill=225)
    light = Image.new("L", image.size, 255)
    ImageDraw.Draw(light).polygon([(0, 0), (250, 0), (430, 450), (0, 450)], fill=round(255 * shadow))
    grain = np.random.default_rng(0).normal(0, 3, (450, 600))
    grey = np.asarray(image, np.float64) * np.asarray(light) / 255 + grain
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def misses(found: list[np.ndarray]) -> float:
    """Pixels by which the best of all outlines misses a corner."""
    return min((float(np.abs(corners - CORNERS).max()) for corners in found), default=np.inf)


def test_a_sheet_is_found_by_its_grey() -> None:
    assert misses(find_outlines(draw_sheet(90, 1.0))) < 6


@pytest.mark.parametrize(("desk", "shadow"), [(90, 1.0), (90, 0.5), (150, 0.6), (40, 0.4)])
def test_a_sheet_is_found_by_its_edges_in_a_shadow(desk: int, shadow: float) -> None:
    assert misses(find_edge_outlines(draw_sheet(desk, shadow), 12)) < 8


def test_a_shadow_hides_the_grey_and_not_the_edges() -> None:
    picture = draw_sheet(150, 0.6)
    assert misses(find_outlines(picture)) > 20
    assert misses(find_edge_outlines(picture, 12)) < 8


def test_paper_alone_has_no_edges() -> None:
    paper = np.full((300, 400, 3), 200, np.uint8)
    assert find_edge_outlines(paper, 12) == []
