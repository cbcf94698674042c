#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the colours of the dashboards (grafana/source/palette.py) for people who see colours differently, and for contrast.

    checks/colours.py              exit 1 if two colours of a group are too near, or one is too faint
    checks/colours.py --table      the smallest distance of each group, for each kind of vision

Colours of one group are shown side by side in one panel. For normal vision and for protanopia, deuteranopia and
tritanopia (Machado, Oliveira and Fernandes 2009, severity 1.0) the difference of any two is computed by CIEDE2000. Two
surfaces that touch are told apart from about 2.3 on; legends, where small samples stand apart from each other, need
several times that. The contrast of each colour with the background of a panel is that of WCAG 2.2, which asks for 3:1
for graphics (1.4.11), in Grafana's light and in its dark theme.
"""

import itertools
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "grafana"))

from source import palette  # noqa: E402

# theme.colors.background.primary of Grafana 11 to 13.
BACKGROUNDS = {"light": "#FFFFFF", "dark": "#181B1F"}
CONTRAST = 3.0
# Rows of the matrices, for linear RGB.
VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(colour):
    channels = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)


def seen(colour, vision):
    rgb = linear(colour)
    return tuple(min(1, max(0, sum(m * c for m, c in zip(row, rgb)))) for row in VISIONS[vision])


def luminance(rgb):
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(one, other):
    brighter, darker = sorted((luminance(linear(one)), luminance(linear(other))), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def lab(rgb):
    """CIE L*a*b*, white point D65."""
    x = (0.4124564 * rgb[0] + 0.3575761 * rgb[1] + 0.1804375 * rgb[2]) / 0.95047
    y = luminance(rgb)
    z = (0.0193339 * rgb[0] + 0.1191920 * rgb[1] + 0.9503041 * rgb[2]) / 1.08883
    x, y, z = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one, other):
    """Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean_c ** 7 / (mean_c ** 7 + 25 ** 7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = h2 - h1
    if c1 * c2 == 0:
        turn = 0
    elif abs(turn) > 180:
        turn -= math.copysign(360, turn)
    dl, dc = l2 - l1, c2 - c1
    dh = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn) / 2)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = h1 + h2
    if c1 * c2:
        mean_h = mean_h / 2 if abs(h1 - h2) <= 180 else (mean_h + (360 if mean_h < 360 else -360)) / 2
    t = (1 - 0.17 * math.cos(math.radians(mean_h - 30)) + 0.24 * math.cos(math.radians(2 * mean_h))
         + 0.32 * math.cos(math.radians(3 * mean_h + 6)) - 0.20 * math.cos(math.radians(4 * mean_h - 63)))
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rc = 2 * math.sqrt(mean_c ** 7 / (mean_c ** 7 + 25 ** 7))
    rt = -math.sin(math.radians(60 * math.exp(-((mean_h - 275) / 25) ** 2))) * rc
    return math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh)


def nearest(colours, vision):
    """(difference, name, name) of the two names that are nearest to each other; names of one colour are one."""
    points = {}
    for name, colour in colours.items():
        points.setdefault(colour, (name, lab(seen(colour, vision))))
    return min(((ciede2000(p, q), a, b) for (a, p), (b, q) in itertools.combinations(points.values(), 2)),
               default=(math.inf, "", ""))


def problems():
    for group, (colours, distance) in palette.GROUPS.items():
        for vision in VISIONS:
            found, one, other = nearest(colours, vision)
            if found < distance:
                yield f"{group}: {one} and {other} differ by {found:.1f} in {vision}, less than {distance}"
        for name, colour in colours.items():
            for theme, background in BACKGROUNDS.items():
                if contrast(colour, background) < CONTRAST:
                    yield f"{group}: {name} {colour} has a contrast of {contrast(colour, background):.2f} in the {theme} theme"


def main():
    # The reference pairs of the formula: a mistake in it would pass everything.
    for one, other, expected in (((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
                                 ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
                                 ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373)):
        if abs(ciede2000(one, other) - expected) > 1e-4:
            sys.exit(f"CIEDE2000 of {one} and {other} is {ciede2000(one, other)}, not {expected}")
    if "--table" in sys.argv[1:]:
        for group, (colours, _) in palette.GROUPS.items():
            print(group, *(f"{vision} {nearest(colours, vision)[0]:.1f}" for vision in VISIONS), sep="; ")
    found = list(problems())
    for text in found:
        print(text, file=sys.stderr)
    if found:
        sys.exit(1)
    count = sum(len(colours) for colours, _ in palette.GROUPS.values())
    print(f"{count} colours in {len(palette.GROUPS)} groups: told apart in {', '.join(VISIONS)}; contrast at least {CONTRAST}:1")


if __name__ == "__main__":
    main()
