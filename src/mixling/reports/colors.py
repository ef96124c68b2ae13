"""The colors of cells from the lowest figure to the highest, and of the text on them."""

from __future__ import annotations

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# lowest and highest color of a theme
THEMES: dict[str, tuple[Color, Color]] = {
    "light": ((244, 247, 251), (13, 71, 121)),
    "dark": ((27, 37, 48), (143, 200, 245)),
}


def mix(low: Color, high: Color, share: float) -> Color:
    """Return the color between two.

    Args:
        low: The color at share 0.
        high: The color at share 1.
        share: 0 to 1.
    """
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue


def luminance(rgb: Color) -> float:
    """Compute the relative luminance of a color, 0 to 1 (WCAG 2.2)."""
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (x / 255 for x in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_color(rgb: Color) -> str:
    """Return black or white, whichever has the higher contrast to a color: at least 4.5 to 1."""
    light = luminance(rgb)
    return "#fff" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "#000"
